// SPDX-License-Identifier: MIT
// The commands of the program. Each add_ function puts one subcommand with its
// options into `app`; if the user called it, parsing sets `run` to what it does
// and returns as exit status.
#ifndef TOOLS_CLI_COMMAND_H_
#define TOOLS_CLI_COMMAND_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>

namespace cli {

using action = std::function<int()>;

void add_generate(CLI::App& app, action& run);
void add_chat(CLI::App& app, action& run);
void add_tokenize(CLI::App& app, action& run);
void add_logits(CLI::App& app, action& run);
void add_inspect(CLI::App& app, action& run);
void add_plan(CLI::App& app, action& run);
void add_bench(CLI::App& app, action& run);
void add_doctor(CLI::App& app, action& run);
void add_run(CLI::App& app, action& run);
void add_check(CLI::App& app, action& run);
void add_echo(CLI::App& app, action& run);
void add_explain(CLI::App& app, action& run);
void add_list(CLI::App& app, action& run);
void add_new(CLI::App& app, action& run);
void add_graph(CLI::App& app, action& run);
void add_test(CLI::App& app, action& run);
void add_eval(CLI::App& app, action& run);
void add_score(CLI::App& app, action& run);
void add_replay(CLI::App& app, action& run);
void add_serve(CLI::App& app, action& run);
void add_embed(CLI::App& app, action& run);
void add_mcp(CLI::App& app, action& run);
void add_schema(CLI::App& app, action& run);
void add_completion(CLI::App& app, action& run);

// What `inspect` and `plan` do with a plugin (nothing if there is none of that
// id) and with a pipeline file.
[[nodiscard]] std::optional<int> inspect_plugin(const std::string& id,
                                                bool as_json);
int plan_pipeline(const std::string& file, bool as_json);
// What `inspect --mcp` does: prints what the server lists.
int inspect_server(const std::string& file, const std::string& name);
int inspect_pipeline(const std::string& file, bool as_json);

// A subcommand whose help ends with `example`.
CLI::App* add_command(CLI::App& app, const char* name, const char* summary,
                      const char* example);

}  // namespace cli

#endif  // TOOLS_CLI_COMMAND_H_
