// SPDX-License-Identifier: MIT
// From a description to a proved graph: plugins and ports known, references
// and types right, no cycle, nothing that may be absent where it must not be,
// prompts within the model's context.
//
// An in-port that the file does not bind takes
//   1. the [input] of exactly its name, whether the port is required or not;
//   2. if it is a prompt: the only prompt of the file that does not depend on
//      its stage.
// Nothing else is bound by rule. What stays unbound is a fault, unless it is a
// port of the plugin's own that may be absent.
#ifndef TINYPHI_PIPELINE_COMPILE_H_
#define TINYPHI_PIPELINE_COMPILE_H_

#include <cstddef>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/pipeline/expression.h"
#include "tinyphi/pipeline/registry.h"
#include "tinyphi/pipeline/spec.h"

TINYPHI_NAMESPACE_BEGIN

inline constexpr std::size_t no_stage = std::numeric_limits<std::size_t>::max();

// A place for one value of a request: an input, or an out-port of a stage.
struct graph_slot {
  std::string name;  // "input.question", "find.docs"
  tinyphi::type type;
  std::size_t stage = no_stage;
  bool stream = false;
  bool may_be_absent = false;
  trust label = trust::trusted;  // at most; a request's may be lower
};

struct graph_port {
  port_info info;
  std::vector<std::size_t> from;  // slots; the first that is present counts
  bool required = true;           // absent: the stage is skipped
  bool implicit = false;          // bound by rule, not by the file
};

struct graph_stage {
  std::string id;
  position at;
  stage_info plugin;
  std::vector<graph_port> in;  // fixed ports, then open ones
  std::size_t n_fixed_ports = 0;
  std::vector<port_info> out;  // plain ports, then streams
  std::size_t first_slot = 0;  // of `out`
  std::optional<expression> when;
  std::string when_text;
  std::vector<std::size_t> after;  // stages that must have ended, in order
  std::vector<std::size_t> after_by_name;  // those that the file lists
  std::optional<duration> timeout;
  bool skip_on_error = false;
  bool may_be_absent = false;
  trust label = trust::trusted;
  stage_facts facts;
  std::size_t reserve = 0;   // of a prompt: tokens for those who take it
  std::string reserved_for;  // the stage that may add so many
  std::unique_ptr<stage_setup> setup;
  std::unique_ptr<stage_instance> instance;  // null until create_stages
};

struct graph_output {
  std::string name;
  tinyphi::type type;
  std::vector<std::size_t> from;
  bool stream = false;  // the first that takes a stream, and no other
  std::optional<value_data> default_value;
};

// Immutable once its stages are created; any number of requests share one.
struct graph {
  std::string name;
  std::string version;
  std::string summary;
  std::optional<duration> deadline;
  std::vector<input_spec> inputs;
  std::vector<graph_slot> slots;  // inputs first, in their order
  std::vector<graph_stage> stages;
  std::vector<std::size_t> order;  // of stages, each behind what it needs
  std::vector<graph_output> outputs;
  std::shared_ptr<host> services;
};

// Proves the description. What is wrong is added to `faults`; if that happens
// the graph is null. Nothing is opened but what host_options::describe_model
// opens.
[[nodiscard]] std::shared_ptr<graph> compile_graph(
    const pipeline_spec& spec, const registry& plugins, host_options options,
    const std::filesystem::path& base_dir, std::vector<diagnostic>& faults);

// Creates the stages. The error names the stage and has its own code.
[[nodiscard]] result<void> create_stages(graph& g, std::string_view file);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/compile.ipp"
#endif

#endif  // TINYPHI_PIPELINE_COMPILE_H_
