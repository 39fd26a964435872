// SPDX-License-Identifier: MIT
// tinyphi schema: pipeline files as JSON Schema, for editors.
#include "cli/command.h"
#include "cli/pipeline.h"
#include "cli/terminal.h"
#include "exit_code.h"
#include "tinyphi/pipeline/file_schema.h"

namespace cli {

void add_schema(CLI::App& app, action& run) {
  CLI::App* command = add_command(
      app, "schema", "print the JSON Schema of pipeline files, for editors",
      "tinyphi schema > tinyphi.schema.json\n"
      "\n"
      "Editors with a language server for TOML, such as taplo, then complete\n"
      "keys, show what each is for and underline what does not fit, in files\n"
      "that begin with\n"
      "  #:schema ./tinyphi.schema.json\n"
      "It knows the keys of the language and the parameters of all plugins. "
      "What\n"
      "names refer to, and whether a file is right, tinyphi check says.");
  command->final_callback([&run] {
    run = [] {
      print_line(tinyphi::file_schema(plugins()));
      return exit_done;
    };
  });
}

}  // namespace cli
