// SPDX-License-Identifier: MIT
// A pipeline file as a checked description: every key known, every value of
// its type, every name well formed, ${env.X} filled in. What plugins and
// references mean is left to compile.h.
#ifndef TINYPHI_PIPELINE_SPEC_H_
#define TINYPHI_PIPELINE_SPEC_H_

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/generate/request.h"
#include "tinyphi/pipeline/config_node.h"
#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/pipeline/host.h"
#include "tinyphi/pipeline/include.h"
#include "tinyphi/pipeline/trigger.h"
#include "tinyphi/pipeline/type.h"
#include "tinyphi/pipeline/value.h"

TINYPHI_NAMESPACE_BEGIN

using duration = std::chrono::milliseconds;

struct spec_limits {
  static constexpr std::size_t max_port_bytes = 256;  // of a port's name
  static constexpr std::size_t max_cases = 64;        // of a switch
  // Of all texts with ${env.X} in them, filled in.
  static constexpr std::size_t max_filled_bytes = std::size_t{4} << 20;
};

// [limits] without the times: what a request of the file may take.
struct request_limits {
  static constexpr std::size_t most_items = 1'000'000;
  static constexpr std::size_t most_text = std::size_t{64} << 20;
  static constexpr std::size_t most_memory = std::size_t{1} << 40;
  static constexpr std::size_t most_concurrency = 10'000;
  static constexpr std::size_t most_queue = 100'000;

  std::size_t items = 10'000;                   // of each list
  std::size_t text = std::size_t{1} << 20;      // bytes of each text
  std::size_t memory = std::size_t{256} << 20;  // bytes of all values at once
  std::size_t concurrency = 2;                  // requests that run at once,
  std::size_t queue = 16;                       // and that wait
  priority_class priority = priority_class::normal;
};

// "input.x", "stage.port", or with a "?" behind it: may be absent.
struct reference_spec {
  std::string name;
  bool optional = false;
  position at;
};

// One reference, { first = [...] }: the first that is present, or a list of
// references: a list of the values that are.
struct binding_spec {
  std::string port;  // the in-port or output it is for
  position at;
  std::vector<reference_spec> from;
  bool is_list = false;
};

struct input_spec {
  std::string name;
  position at;
  tinyphi::type type = type_kind::text;
  trust label = trust::user;
  bool optional = false;  // "TYPE?": it may be left out
  std::optional<value_data> default_value;
  std::size_t max_bytes = std::size_t{64} << 10;  // of each text in it
  std::size_t max_items = 10'000;                 // of each list in it
};

struct output_spec {
  binding_spec from;
  std::optional<config_node> default_value;
};

// `repeat.carry`: an out-port of one round is an in-port of the next.
struct carry_spec {
  std::string port;
  std::string from;
  position at;
};
struct repeat_spec {
  config_node until;  // a string
  std::size_t max = 0;
  std::vector<carry_spec> carry;
  bool last = false;
  position at;
};

struct retry_spec {
  std::size_t max = 0;  // attempts more than the first
  std::vector<error_code> on = {error_code::deadline, error_code::unavailable};
  duration wait{0};  // before the second attempt; it doubles
  position at;
};

struct case_spec {
  std::string name;
  position at;
  std::optional<config_node> test;  // a string; none: else
};
struct switch_spec {
  std::string name;
  position at;
  std::vector<case_spec> cases;
};

// An exception from the rule that untrusted data must not drive effects.
struct flow_grant_spec {
  std::string to;  // "stage.port", "stage.when"
  std::string why;
  position at;
};

struct stage_spec {
  std::string id;
  bool is_tool = false;  // of a [tool.x] table
  std::string hash;      // of the tables that it is made of
  position at;
  std::string plugin;
  std::optional<std::int64_t> major;
  position plugin_at;
  std::vector<binding_spec> in;
  std::optional<config_node> with;
  std::optional<config_node> when;  // a string
  std::optional<reference_spec> each;
  std::size_t parallel = 1;
  bool collect = false;  // on_error = "collect"
  std::optional<repeat_spec> repeat;
  retry_spec retry;
  std::vector<reference_spec> after;
  std::optional<duration> timeout;
  bool skip_on_error = false;           // fallback = "skip"
  std::optional<config_node> fallback;  // a table of values by out-port

  // As messages call it.
  [[nodiscard]] std::string title() const {
    return (is_tool ? "tool " : "stage ") + id;
  }
};

// One [tool.x] table: a stage that a model calls. In-ports to which the file
// binds nothing are the arguments.
struct tool_spec {
  stage_spec call;
  std::string describe;             // tells the model what it does
  std::optional<duration> approve;  // a person is asked first, so long
  bool poisoned = false;            // has a fault, which was reported
};

// One [[test]].
struct test_spec {
  std::string name;
  position at;
  std::vector<std::string> tags;
  std::optional<config_node> input;     // a table of values
  std::optional<config_node> fake;      // by stage, a table by out-port
  std::optional<config_node> script;    // by stage, a list of such tables
  std::vector<reference_spec> only;     // names of stages
  std::vector<reference_spec> approve;  // stages at which a person says yes
  std::vector<config_node> expect;      // strings
  std::vector<config_node> snapshot;    // strings
  std::filesystem::path trace;          // absolute, or from the working folder
  position trace_at;
  bool with_model = false;  // mode = "model"
  std::size_t times = 1;
  std::size_t pass = 1;
};

struct env_spec {
  value_data value;
  tinyphi::type type;
  position at;
  bool in_text = false;   // a text of the file has ${env.NAME} in it
  bool poisoned = false;  // has a fault, which was reported
};

// One [prompt.x] or [mcp.x] table: parameters of a stage that takes it with
// `template`, or with `server`.
struct shared_params {
  position at;
  config_node params;     // a table
  bool poisoned = false;  // has a fault, which was reported
};

// One [type.x] table.
struct type_spec {
  tinyphi::type type;  // any, if it has a fault, which was reported
  position at;
  std::set<std::string> refers;  // to such tables
  bool used = false;             // by an input
};

struct pipeline_spec {
  std::string name;
  std::string hash;  // of all but the tests
  std::string version;
  std::string summary;
  std::map<std::string, env_spec, std::less<>> env;
  std::optional<duration> deadline;
  request_limits limits;
  // Where the file has those that it sets.
  std::map<std::string, position, std::less<>> limits_at;
  std::vector<input_spec> inputs;
  std::vector<output_spec> outputs;
  std::map<std::string, model_spec, std::less<>> models;  // never empty
  // Where the file has them; a model that it does not name has no place.
  std::map<std::string, position, std::less<>> models_at;
  std::map<std::string, rules_spec, std::less<>> rules;
  std::map<std::string, secret_spec, std::less<>> secrets;
  std::map<std::string, shared_params, std::less<>> prompts;
  std::map<std::string, shared_params, std::less<>> mcp_servers;
  std::map<std::string, type_spec, std::less<>> types;
  std::map<std::string, tool_spec, std::less<>> tools;
  std::vector<stage_spec> stages;
  std::vector<switch_spec> switches;
  std::vector<flow_grant_spec> flow_grants;
  std::vector<trigger_spec> triggers;
  allowed_places allowed;
  // Where the file has its entries, by their key; not those of a caller.
  std::map<std::string, std::vector<position>, std::less<>> allowed_at;
  std::vector<test_spec> tests;
  // A part of it stands under a misspelt name, which was reported: what refers
  // to that part must not be reported as well.
  bool incomplete = false;
  // Made of a tool: it need not use what the file declares.
  bool is_part = false;
  std::vector<library_file> libraries;  // that the file includes
};

// Reads a pipeline file's text. `file` is its path: relative paths in it start
// at its folder, and a file without a name is called after it. `env` gives the
// values of [env] names, `libraries` the files that it includes (see
// host_options). All that is wrong is added to `faults`; what could be
// understood is returned all the same, nothing if the file or a library cannot
// be read or is not TOML.
[[nodiscard]] std::optional<pipeline_spec> read_spec(
    std::string_view text, const std::filesystem::path& file,
    const std::function<std::optional<std::string>(const std::string&)>& env,
    std::vector<diagnostic>& faults, const library_reader& libraries = {});

// A text in `data` longer than max_bytes, a list longer than max_items, or a
// text that is not UTF-8; nothing if there is none. To stand behind the name of
// what `data` is: " is 5 bytes, ...".
[[nodiscard]] std::optional<error> find_size_fault(const value_data& data,
                                                   std::size_t max_bytes,
                                                   std::size_t max_items);

// `data` as a value for the input, or why it cannot be one: another type, a
// text longer than max_bytes, a list longer than max_items, or a text that is
// not UTF-8.
[[nodiscard]] result<value_data> check_input(const input_spec& input,
                                             const value_data& data);

// A node of the file as data: a table is a record, an array a list.
[[nodiscard]] value_data node_data(const config_node& node);

// The [type.x] tables by name.
[[nodiscard]] type_table types_of(const pipeline_spec& spec);

// `text` from the command line or the environment as a value of `type`; nothing
// if it is not one. Only text, bool, int and float have a form as text.
[[nodiscard]] std::optional<value_data> parse_value(const type& type,
                                                    std::string_view text);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/spec.ipp"
#endif

#endif  // TINYPHI_PIPELINE_SPEC_H_
