// SPDX-License-Identifier: MIT
// Every key of the language, one row each: what the reader knows, what
// `tinyphi schema` allows, and what `tinyphi explain keys` tells.
#ifndef TINYPHI_PIPELINE_KEY_ROWS_H_
#define TINYPHI_PIPELINE_KEY_ROWS_H_

#include <cstdint>
#include <span>

#include "tinyphi/pipeline/keys.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail::key_rows {

using enum value_shape;
using in = key_table;

inline constexpr double size_limit = std::int64_t{64} << 20;
inline constexpr language_key all[] = {
    language_key{in::file, "tinyphi", integer,
                 "The version of the language, which is 1."}
        .range(1, 1)
        .must(),
    language_key{in::file, "include", texts,
                 "Libraries: files whose tables this one has, too."},
    language_key{in::file, "pipeline", table, "What the pipeline is called.",
                 in::pipeline},
    language_key{
        in::file, "env", table,
        "Values that the environment may set, as ${env.NAME} and env.NAME.",
        in::envs},
    language_key{in::file, "secret", table,
                 "Secrets by name, taken as ${secret.name}.", in::secrets},
    language_key{in::file, "allow", table,
                 "What may be touched beyond the paths that the file names.",
                 in::allow},
    language_key{in::file, "limits", table, "What one request may take.",
                 in::limits},
    language_key{in::file, "input", table, "What comes in, by name.",
                 in::inputs},
    language_key{in::file, "output", table,
                 "What goes out, by name, in this order.", in::outputs},
    language_key{in::file, "model", table,
                 "Models by name; without one, the model of the program.",
                 in::models},
    language_key{in::file, "rules", table, "Rules of the guards, by name.",
                 in::rule_sets},
    language_key{in::file, "prompt", table,
                 "Texts of prompts that stages share, by name.", in::prompts},
    language_key{in::file, "mcp", table,
                 "Servers of the Model Context Protocol, by name.",
                 in::mcp_servers},
    language_key{in::file, "type", table, "Types by name, as JSON Schema.",
                 in::types},
    language_key{in::file, "tool", table,
                 "Tools that a model may call, by name.", in::tools},
    language_key{in::file, "switch", table,
                 "Exclusive cases, by name of the switch.", in::switches},
    language_key{in::file, "stage", table, "Stages by name.", in::stages},
    language_key{in::file, "trigger", table,
                 "When a daemon runs the pipeline by itself.", in::triggers},
    language_key{in::file, "test", tables,
                 "A test that runs with the file, [[test]].", in::test},
    language_key{in::pipeline, "name", text,
                 "What the pipeline is called; left out, as its file."},
    language_key{in::pipeline, "version", text,
                 "The version of the pipeline, in words of its author."},
    language_key{in::pipeline, "summary", text,
                 "What the pipeline does, in a line."},
    language_key{in::pipeline, "serve", none,
                 "How a daemon serves the pipeline."},
    language_key{in::envs, "", text | table,
                 "A type, or a table of the type and more.", in::env}
        .one_of("text, path, bool, int, float, duration, size"),
    language_key{in::env, "type", text, "The type of the value."}
        .one_of("text, path, bool, int, float, duration, size")
        .must(),
    language_key{in::env, "default", any,
                 "The value if the environment has none."},
    language_key{in::env, "min", number, "The least value of a number."},
    language_key{in::env, "max", number, "The greatest value of a number."},
    language_key{in::env, "doc", text, "What the value is for."},
    language_key{in::secrets, "", table,
                 "Where the secret comes from: one of the three.", in::secret},
    language_key{in::secret, "credential", text,
                 "The name of a credential of the service."}
        .filled(),
    language_key{in::secret, "file", text, "A file that holds the secret."}
        .filled(),
    language_key{in::secret, "env", text,
                 "A variable of the environment that holds it."}
        .filled(),
    language_key{in::allow, "read", texts, "Folders whose files data may name."}
        .filled(),
    language_key{in::allow, "write", texts,
                 "Folders in which data may name files to write."}
        .filled(),
    language_key{in::allow, "net", texts,
                 "Hosts that may be asked, as host or host:port."}
        .filled(),
    language_key{in::allow, "exec", texts, "Programs that may be started."}
        .filled(),
    language_key{in::allow, "flow", tables,
                 "Places at which untrusted data may drive an effect.",
                 in::grant},
    language_key{in::grant, "to", text,
                 "The place: stage.port, stage.when, or a tool."}
        .must(),
    language_key{in::grant, "why", text,
                 "The reason, which every check prints."}
        .must(),
    language_key{in::limits, "deadline", duration,
                 "The longest time of a request."},
    language_key{in::limits, "timeout", duration,
                 "The longest time of one attempt of a stage."},
    language_key{in::limits, "concurrency", integer,
                 "Requests that run at once."}
        .range(1, 10000),
    language_key{in::limits, "queue", integer, "Requests that may wait."}.range(
        0, 100000),
    language_key{in::limits, "class", text, "How urgent the requests are."}
        .one_of("interactive, normal, batch"),
    language_key{in::limits, "memory", size,
                 "Bytes of all values of a request."}
        .range(1, 1099511627776.),
    language_key{in::limits, "items", integer, "Entries of the longest list."}
        .range(1, 1000000),
    language_key{in::limits, "text", size, "Bytes of the longest text."}.range(
        1, size_limit),
    language_key{
        in::inputs, "", text | table,
        "A type, or a table of the type and more; TYPE? may be left out.",
        in::input},
    language_key{in::input, "type", text,
                 "The type; with a question mark, the input may be left out."}
        .must(),
    language_key{in::input, "trust", text,
                 "How far what comes in may be believed."}
        .one_of("trusted, user, untrusted"),
    language_key{in::input, "default", any, "The value if none comes in."},
    language_key{in::input, "max_bytes", size,
                 "Bytes of the longest text in it."}
        .range(1, size_limit),
    language_key{in::input, "max_items", integer,
                 "Entries of the longest list in it."}
        .range(1, 1000000),
    language_key{in::input, "doc", text, "What the input is for."},
    language_key{in::outputs, "", reference | references | table,
                 "A value, or a table of it and more; REF? may be absent.",
                 in::output},
    language_key{in::output, "from", reference | references | table,
                 "The value.", in::first},
    language_key{in::output, "first", references,
                 "The first of these that is present."},
    language_key{in::output, "default", any, "The value if none is present."},
    language_key{in::output, "doc", text, "What the output is."},
    language_key{in::models, "", table, "One model.", in::model},
    language_key{in::model, "path", text,
                 "The file of the model; left out, the model of the program."}
        .filled(),
    language_key{in::model, "context", integer,
                 "Tokens of a request, at most as many as the model has."}
        .range(1, 1048576)
        .filled(),
    language_key{in::rule_sets, "", table,
                 "Rules from a file, or written here.", in::rules},
    language_key{in::rules, "file", text,
                 "A file of rules as gitleaks has them."}
        .filled(),
    language_key{in::rules, "rule", any_tables,
                 "The rules: id, regex, keywords and more."},
    language_key{in::prompts, "", table,
                 "Parameters of a prompt, taken with with.template.",
                 in::prompt},
    language_key{in::prompt, "system", text, "The template of the system turn."}
        .filled(),
    language_key{in::prompt, "user", text, "The template of the user turn."}
        .filled(),
    language_key{in::prompt, "raw", text, "The template of the whole prompt."}
        .filled(),
    language_key{in::prompt, "fit", any_table,
                 "The most tokens of each value."},
    language_key{in::mcp_servers, "", table,
                 "One server, as a program, a socket or an address.",
                 in::mcp_server},
    language_key{in::mcp_server, "command", texts,
                 "The program and its arguments."}
        .filled(),
    language_key{in::mcp_server, "env", any_table,
                 "Variables of the program's environment."},
    language_key{in::mcp_server, "sandbox", any_table,
                 "What the program may touch."},
    language_key{in::mcp_server, "socket", text, "A unix socket."}.filled(),
    language_key{in::mcp_server, "url", text, "Where the server is asked."}
        .filled(),
    language_key{in::mcp_server, "headers", any_table,
                 "Fields of each request."},
    language_key{in::mcp_server, "protocol", text,
                 "The only revision to speak; left out, what both know."},
    language_key{in::mcp_server, "tools", any_tables,
                 "What the server lists, as `inspect --mcp` prints it."},
    language_key{in::types, "", any_table,
                 "One type; $ref names another table of [type]."},
    language_key{in::tools, "", table, "One tool.", in::tool},
    language_key{in::tool, "use", text,
                 "The plugin or ./file.toml that is called."}
        .must(),
    language_key{in::tool, "in", table,
                 "What is bound to in-ports; the others are arguments.",
                 in::bindings},
    language_key{in::tool, "with", any_table, "The parameters."}.filled(),
    language_key{in::tool, "timeout", duration, "The longest time of a call."},
    language_key{in::tool, "describe", text,
                 "What the tool does, for the model."}
        .must(),
    language_key{in::tool, "approve", duration,
                 "How long a person is asked before each call."},
    language_key{in::tool, "doc", text, "What the tool is for, for people."},
    language_key{in::switches, "", table,
                 "One switch; the first case that holds is chosen.", in::cases},
    language_key{in::cases, "", text,
                 "The condition of the case; the last is else."},
    language_key{in::stages, "", table, "One stage.", in::stage},
    language_key{in::stage, "use", text,
                 "The plugin, or the ./file.toml that is called."}
        .must(),
    language_key{in::stage, "in", table, "What is bound to in-ports.",
                 in::bindings},
    language_key{in::stage, "with", any_table, "The parameters."}.filled(),
    language_key{in::stage, "when", text,
                 "The stage runs only if this condition holds."},
    language_key{in::stage, "each", reference,
                 "The list for whose items the stage runs, once for each."},
    language_key{in::stage, "parallel", integer, "Items at a time."}.range(1,
                                                                           64),
    language_key{in::stage, "on_error", text,
                 "Whether a failed item fails the stage, or is left out."}
        .one_of("fail, collect"),
    language_key{in::stage, "fallback", text | any_table,
                 "After a failure: skip, or these values by out-port."}
        .one_of("skip")
        .filled(),
    language_key{in::stage, "repeat", table,
                 "Runs again until a condition holds.", in::repeat},
    language_key{in::stage, "retry", integer | table,
                 "More attempts after a failure that may pass.", in::retry}
        .range(1, 10),
    language_key{in::stage, "timeout", duration,
                 "The longest time of one attempt."},
    language_key{in::stage, "after", texts,
                 "Stages that must have ended before."},
    language_key{in::stage, "doc", text, "What the stage is for."},
    language_key{in::bindings, "", reference | references | table,
                 "A value, a list of values, or the first that is present.",
                 in::first},
    language_key{in::first, "first", references,
                 "The first of these that is present."}
        .must(),
    language_key{in::repeat, "until", text,
                 "The condition on this call's own out-ports."}
        .must(),
    language_key{in::repeat, "max", integer, "The most rounds."}
        .range(2, 100)
        .must(),
    language_key{
        in::repeat, "carry", table,
        "Out-ports of a round by the in-ports of the next that take them.",
        in::carries},
    language_key{in::repeat, "exhausted", text,
                 "What happens when the condition never held."}
        .one_of("fail, last"),
    language_key{in::carries, "", text, "The out-port of the round before."},
    language_key{in::retry, "max", integer, "Attempts more than the first."}
        .range(1, 10)
        .must(),
    language_key{in::retry, "on", texts,
                 "Codes of the failures after which it is tried again."},
    language_key{in::retry, "wait", duration,
                 "The time before the second attempt; it doubles."},
    language_key{in::triggers, "", table,
                 "One trigger: one of every, cron, watch and http.",
                 in::trigger},
    language_key{in::trigger, "every", duration, "The time between two runs."},
    language_key{in::trigger, "cron", text,
                 "Minute, hour, day, month and day of the week."},
    language_key{in::trigger, "watch", text,
                 "A folder and a pattern of names: new files start a run."},
    language_key{in::trigger, "http", text,
                 "A path of the daemon: requests to it start a run."},
    language_key{in::trigger, "input", text,
                 "The input that gets the watched file."},
    language_key{in::trigger, "with", any_table, "Constants by input."},
    language_key{in::trigger, "trust", text,
                 "How far what comes may be believed."}
        .one_of("trusted, user, untrusted"),
    language_key{in::trigger, "token", text,
                 "The secret that callers of http must show."},
    language_key{in::trigger, "overlap", text,
                 "What happens when the last run has not ended."}
        .one_of("skip, queue"),
    language_key{in::test, "name", text, "What the test shows."}.must(),
    language_key{in::test, "doc", text, "More about the test."},
    language_key{in::test, "tags", texts, "Words by which tests are chosen."},
    language_key{in::test, "input", any_table, "Values of inputs."},
    language_key{in::test, "fake", any_table,
                 "By stage, out-ports in place of a run."},
    language_key{in::test, "script", any_table,
                 "By stage, a list of such, one for each run."},
    language_key{in::test, "only", texts, "Stages that run; no others do."},
    language_key{in::test, "approve", texts, "Where a person says yes."},
    language_key{in::test, "expect", texts, "Conditions that must hold."},
    language_key{in::test, "snapshot", texts,
                 "Values that must be as they were."},
    language_key{in::test, "trace", text,
                 "A recorded request that gives inputs and outputs."},
    language_key{in::test, "mode", text, "With fakes, or with the real model."}
        .one_of("fake, model"),
    language_key{in::test, "seed", none, "The seed of the model."},
    language_key{in::test, "runs", table, "How often the real model is asked.",
                 in::runs},
    language_key{in::runs, "times", integer, "The number of runs."}.range(1,
                                                                          100),
    language_key{in::runs, "pass", integer,
                 "How many must pass; left out, all."}
        .range(1, 100),
};

}  // namespace detail::key_rows

inline constexpr std::span<const language_key> language_keys =
    detail::key_rows::all;

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_KEY_ROWS_H_
