// SPDX-License-Identifier: MIT
// tinyphi serve: the daemon.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/pipeline.h"
#include "cli/terminal.h"
#include "exit_code.h"
#include "tinyphi/base/mapped_file.h"
#include "tinyphi/pipeline/toml_file.h"
#include "tinyphi/serve/daemon.h"
#include "tinyphi/serve/systemd.h"
#include "tinyphi/version.h"

namespace cli {

namespace {

using tinyphi::daemon_config;
using tinyphi::result;

struct serve_options {
  std::string file;                // a configuration; or ...
  std::string model, alias, keys;  // ... what takes its place
  std::vector<std::string> listen;
  bool access_log = false;
  bool print_unit = false;
  bool no_sandbox = false;
};

// The configuration that the file or the options say. Faults of a file are one
// message of several lines.
result<daemon_config> configuration(const serve_options& o) {
  if (o.file.empty()) {
    TINYPHI_TRY(daemon_config c, tinyphi::default_config(o.model, ""));
    if (!o.listen.empty()) {
      c.listen.clear();
      for (const std::string& text : o.listen) {
        TINYPHI_TRY(auto address, tinyphi::parse_listen(text));
        c.listen.push_back(std::move(address));
      }
    }
    if (!o.alias.empty()) c.models.front().id = o.alias;
    c.keys = o.keys;
    for (const tinyphi::listen_address& a : c.listen) {
      if (a.kind != tinyphi::listen_kind::tcp) continue;
      TINYPHI_CHECK_OK(tinyphi::check_exposure(a.host, !c.keys.empty(), false));
    }
    return c;
  }
  TINYPHI_TRY(const std::string text,
              tinyphi::read_file(o.file, tinyphi::toml_limits::max_bytes));
  std::vector<tinyphi::diagnostic> faults;
  auto c = tinyphi::read_daemon_config(text, std::filesystem::absolute(o.file),
                                       faults);
  if (!c) {
    return tinyphi::error{tinyphi::error_code::bad_data,
                          to_string(faults, o.file)};
  }
  return *std::move(c);
}

// The units that a file's daemon is run by.
int print_units(const serve_options& o) {
  tinyphi::unit_options unit;
  std::error_code ignored;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  if (!program.empty()) unit.program = program.string();
  if (!o.file.empty()) unit.config = std::filesystem::absolute(o.file).string();
  print("# /etc/systemd/system/tinyphi.socket\n" + tinyphi::socket_unit() +
        "\n# /etc/systemd/system/tinyphi.service\n" +
        tinyphi::service_unit(unit));
  return exit_done;
}

int serve(const serve_options& o) {
  if (o.print_unit) return print_units(o);
  // A client that has gone, or a limit of file sizes (LimitFSIZE), is an error
  // of one write, not the process's end.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  auto config = configuration(o);
  if (!config) {
    const bool of_file =
        !o.file.empty() && config.error().code == tinyphi::error_code::bad_data;
    const int status = fail(config.error());
    return of_file ? int{exit_config} : status;
  }
  tinyphi::daemon_program program;
  program.open_model = [](const std::filesystem::path& path) {
    return open_model_file(path.string());
  };
  program.version = TINYPHI_VERSION;
  if (o.access_log) program.access_log = 1;
  program.sandbox = config->sandbox && !o.no_sandbox;
  if (!o.file.empty()) {
    program.config_file = std::filesystem::absolute(o.file);
    program.read_config = [o] { return configuration(o); };
  }
  program.plugins = &plugins();
  program.describe_model =
      pipeline_host(tinyphi::cancel_token()).describe_model;
  program.say = [](std::string_view line) { note(line); };
  program.env = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
  auto made = tinyphi::daemon::create(*std::move(config), std::move(program));
  if (!made) {
    const int status = fail(made.error());
    return made.error().code == tinyphi::error_code::limit ||
                   made.error().code == tinyphi::error_code::bad_data
               ? int{exit_config}
               : status;
  }
  for (const std::string& address : (*made)->addresses()) {
    note("listening on " + address);
  }
  const auto served = (*made)->run();
  return served ? int{exit_done} : fail(served.error());
}

}  // namespace

void add_serve(CLI::App& app, action& run) {
  CLI::App* command = add_command(
      app, "serve", "answer over HTTP, as OpenAI's API does",
      "tinyphi serve -m phi-3-mini.gguf --listen 127.0.0.1:8484\n"
      "then:    curl http://127.0.0.1:8484/v1/chat/completions -d "
      "'{\"messages\": [{\"role\": \"user\", \"content\": \"Hello!\"}]}'");
  auto o = std::make_shared<serve_options>();
  CLI::Option* file =
      command
          ->add_option("config", o->file,
                       "a configuration file; it says all that the options "
                       "say, and more")
          ->type_name("FILE");
  command
      ->add_option("-m,--model", o->model,
                   "GGUF file or Hugging Face folder; without it the built-in "
                   "demo model")
      ->type_name("MODEL")
      ->excludes(file);
  command
      ->add_option("--listen", o->listen,
                   "where to take connections: 127.0.0.1:8484 (the default), "
                   "[::1]:8484 or unix:PATH; port 0 lets the system choose; "
                   "may be given several times")
      ->type_name("ADDRESS")
      ->allow_extra_args(false)
      ->excludes(file);
  command
      ->add_option("--alias", o->alias,
                   "the name of the model; it answers to every other, too")
      ->type_name("NAME")
      ->excludes(file);
  command
      ->add_option("--keys", o->keys,
                   "a file of keys; every request then needs one")
      ->type_name("FILE")
      ->excludes(file);
  command->add_flag(
      "--access-log", o->access_log,
      "a line of JSON on standard output for each request: times, "
      "tokens, status, never a text");
  command->add_flag("--print-unit", o->print_unit,
                    "print a socket and a service unit of systemd for this "
                    "program and FILE, and end");
  command->add_flag("--no-sandbox", o->no_sandbox,
                    "keep the right to open every file and to make every call "
                    "of the system, for instance for a debugger");
  command->final_callback([o, &run] { run = [o] { return serve(*o); }; });
}

}  // namespace cli
