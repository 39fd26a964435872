// SPDX-License-Identifier: MIT
// The program: one command per file under cli/. Exit codes are in exit_code.h.
#include <fcntl.h>
#include <unistd.h>

#include <exception>
#include <new>
#include <string>

#include "cli/command.h"
#include "cli/terminal.h"
#include "exit_code.h"
#include "tinyphi/version.h"

namespace {

// Options of both kinds of mistake, as one line: what is wrong, what helps.
int fail_parsing(const CLI::App& app, const CLI::ParseError& e) {
  const auto unknown = app.remaining();
  if (app.get_subcommands().empty() && !unknown.empty()) {
    return cli::fail_usage(unknown.front() +
                           ": no such command or option (see tinyphi --help)");
  }
  std::string command = "tinyphi";
  for (const CLI::App* sub : app.get_subcommands()) {
    command += " " + sub->get_name();
  }
  return cli::fail_usage(std::string(e.what()) + " (see " + command +
                         " --help)");
}

int run(int argc, char** argv) {
  CLI::App app{"Runs Phi-3-family language models and pipelines made of them.",
               "tinyphi"};
  app.set_version_flag("--version", "tinyphi " TINYPHI_VERSION);
  app.set_help_flag("-h,--help", "show this help");
  app.require_subcommand(1);
  app.footer(
      "Example: tinyphi generate -m phi-3-mini.gguf -p 'Why is the sky blue?'\n"
      "Without -m a tiny built-in demo model answers.\n"
      "Exit status: 0 done, 1 a test or check failed, 64 usage, 65 bad data,\n"
      "66 no such input, 69 unavailable, 70 internal error, 75 try again,\n"
      "78 bad configuration.");

  cli::action command;
  cli::add_generate(app, command);
  cli::add_chat(app, command);
  cli::add_tokenize(app, command);
  cli::add_logits(app, command);
  cli::add_score(app, command);
  cli::add_embed(app, command);
  cli::add_serve(app, command);
  cli::add_mcp(app, command);
  cli::add_inspect(app, command);
  cli::add_plan(app, command);
  cli::add_bench(app, command);
  cli::add_doctor(app, command);
  cli::add_run(app, command);
  cli::add_replay(app, command);
  cli::add_new(app, command);
  cli::add_check(app, command);
  cli::add_echo(app, command);
  cli::add_explain(app, command);
  cli::add_schema(app, command);
  cli::add_list(app, command);
  cli::add_graph(app, command);
  cli::add_test(app, command);
  cli::add_eval(app, command);
  cli::add_completion(app, command);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    cli::print(app.help());  // of the command, if there is one
    return cli::exit_done;
  } catch (const CLI::CallForVersion& e) {
    cli::print_line(e.what());
    return cli::exit_done;
  } catch (const CLI::ParseError& e) {
    return fail_parsing(app, e);
  }
  return command();
}

// Or a file that is opened would take their places and be read, or written to,
// as standard input or output. An input that is closed is at its end, an output
// that is closed still fails. Before all other constructors, one of which makes
// a pipe.
__attribute__((constructor(101))) void keep_standard_places() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    if (::open("/dev/null", O_RDONLY) < 0) return;
  }
}

}  // namespace

CLI::App* cli::add_command(CLI::App& app, const char* name, const char* summary,
                           const char* example) {
  CLI::App* sub = app.add_subcommand(name, summary);
  sub->footer(std::string("Example: ") + example);
  return sub;
}

int main(int argc, char** argv) {
  try {
    return cli::finish_output(run(argc, argv));
  } catch (const std::bad_alloc&) {
    return cli::fail({tinyphi::error_code::unavailable, "out of memory"});
  } catch (const std::exception& e) {
    return cli::fail({tinyphi::error_code::internal,
                      std::string("internal error: ") + e.what()});
  }
}
