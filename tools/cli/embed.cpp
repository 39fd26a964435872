// SPDX-License-Identifier: MIT
// tinyphi embed: turns texts into vectors, a line of JSON each.
#include <memory>
#include <string>

#include "cli/command.h"
#include "cli/json_lines.h"
#include "cli/model_options.h"
#include "cli/terminal.h"
#include "exit_code.h"
#include "tinyphi/base/json.h"

namespace cli {

namespace {

namespace json = tinyphi::json;
using tinyphi::result;

struct embed_options {
  model_options model;
};

int embed(const embed_options& o) {
  const interrupt_guard interrupt;
  auto engine = load_engine(o.model, interrupt.token());
  if (!engine) return fail(engine.error());
  tinyphi::generation_params params;
  params.stop_when.token = interrupt.token();
  return for_each_json_line([&](const json_line& in) -> result<std::string> {
    TINYPHI_TRY(const std::string text, in.string("text"));
    TINYPHI_TRY(const auto vectors, engine->embed({&text, 1}, params));
    const std::vector<float>& v = vectors.front();
    return json::serialize(
        json::object{{"embedding", json::array(v.begin(), v.end())}});
  });
}

}  // namespace

void add_embed(CLI::App& app, action& run) {
  CLI::App* command = add_command(
      app, "embed",
      "turn texts into vectors of length 1, the mean of their last hidden "
      "states: a line {\"text\": TEXT} of standard input gives a line "
      "{\"embedding\": [...]}",
      "echo '{\"text\": \"The pump is ready.\"}' | tinyphi embed -m "
      "phi-3-mini");
  auto o = std::make_shared<embed_options>();
  add_model_options(*command, o->model);
  command->final_callback([o, &run] { run = [o] { return embed(*o); }; });
}

}  // namespace cli
