// SPDX-License-Identifier: MIT
// tinyphi echo: a pipeline file as the compiler understood it.
#include "tinyphi/pipeline/echo.h"

#include <memory>
#include <string>

#include "cli/command.h"
#include "cli/pipeline.h"
#include "cli/terminal.h"
#include "exit_code.h"
#include "tinyphi/base/mapped_file.h"
#include "tinyphi/pipeline/toml_file.h"

namespace cli {

namespace {

namespace json = tinyphi::json;

struct echo_options {
  std::string file;
  bool as_json = false;
};

int echo(const echo_options& o) {
  const auto text = tinyphi::read_file(o.file, tinyphi::toml_limits::max_bytes);
  if (!text) return fail(text.error());
  auto echoed = tinyphi::echo_pipeline_text(
      *text, o.file, plugins(), pipeline_host(tinyphi::cancel_token()));
  if (!echoed) return fail(echoed.error());
  const auto proved =
      report_check(std::move(echoed->checked), o.file, o.as_json);
  if (proved.graph == nullptr) return proved.status;
  if (o.as_json) {
    print_line(json::serialize(
        json::object{{"file", o.file}, {"text", echoed->text}}));
  } else {
    print(echoed->text);
  }
  return exit_done;
}

}  // namespace

void add_echo(CLI::App& app, action& run) {
  CLI::App* command = add_command(
      app, "echo", "print a pipeline file in its normal form",
      "tinyphi echo pipelines/docs-qa/docs-qa.toml\n"
      "\n"
      "The normal form is the file as the compiler understood it:\n"
      "  what it includes      stands in the file, as far as it is used\n"
      "  ports bound by rule   are bound by name: in.prompt = "
      "\"prompt.prompt\"\n"
      "  defaults              of inputs, types, stages and their parameters\n"
      "                        are written out; [limits] stays as it is\n"
      "  ${env.X}              is filled in with the value that it has now\n"
      "  ${secret.X}           stays; no secret is read or printed, nor what\n"
      "                        [env] takes from the same variable\n"
      "  comments              are gone, tables and keys in one order\n"
      "It is a pipeline file, for the same folder, that checks, passes the "
      "same\n"
      "tests, and whose own echo is the same text. Two files with the same "
      "echo\n"
      "mean the same: compare them with diff.\n"
      "A file with faults is not echoed: they are told as check tells them, "
      "and\n"
      "the exit status is 78.");
  auto o = std::make_shared<echo_options>();
  command->add_option("file", o->file, "pipeline file")->required();
  command->add_flag("--json", o->as_json,
                    "one JSON object with file and text, or an array of "
                    "faults, on standard output");
  command->final_callback([o, &run] { run = [o] { return echo(*o); }; });
}

}  // namespace cli
