// SPDX-License-Identifier: MIT
// A proved pipeline: calls of plugins and files, switches, and the slots that
// hold the values of a request. Made by compile.h, run by executor.h.
#ifndef TINYPHI_PIPELINE_GRAPH_H_
#define TINYPHI_PIPELINE_GRAPH_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/pipeline/expression/expression.h"
#include "tinyphi/pipeline/registry.h"
#include "tinyphi/pipeline/spec.h"

TINYPHI_NAMESPACE_BEGIN

inline constexpr std::size_t no_stage = std::numeric_limits<std::size_t>::max();

// What decides whether values exist: a switch with its cases, a value that may
// be absent, a stage that may fail. Each time a request runs, one outcome of
// each holds.
struct guard_variable {
  static constexpr std::size_t max_outcomes = 64;
  // What messages say if a value exists under other outcomes only, by outcome:
  // "switch gate may choose closed".
  std::vector<std::string> reasons;
  trust label = trust::trusted;  // of the data that decides
  bool is_answer = false;        // of a person; its outcomes are yes and no
};

// A value exists only if `variable` has one of `outcomes`, a set of bits.
struct graph_guard {
  std::size_t variable = 0;
  std::uint64_t outcomes = 0;

  friend bool operator==(const graph_guard&, const graph_guard&) = default;
};
// All must hold; by variable, each once. Empty: the value always exists.
using guard_set = std::vector<graph_guard>;

// A place for one value of a request: an input, a case of a switch, or an
// out-port of a stage.
struct graph_slot {
  std::string name;  // "input.question", "find.docs", "gate.open"
  tinyphi::type type;
  std::size_t stage = no_stage;
  bool stream = false;
  bool optional = false;  // an out-port or input that may be absent by itself
  bool poisoned = false;  // a fault of it was reported; nothing else is
  // Stages that read it; one more if an output or a switch does, which may be
  // as late as the end of the request.
  std::size_t n_readers = 0;
  guard_set guards;
  trust label = trust::trusted;

  [[nodiscard]] bool may_be_absent() const { return !guards.empty(); }
};

// One value that a port or an output may take.
struct graph_source {
  enum class kind : std::uint8_t { slot, item, index, constant };
  kind what = kind::slot;
  std::size_t slot = 0;
  std::vector<std::string> fields;  // of a record, from the outside in
  value_data constant;
  tinyphi::type type;
  std::string name;  // as the file has it
  position at;
};

// What is bound to an in-port or an output.
struct graph_binding {
  std::vector<graph_source> from;  // the first that is present counts;
  bool is_list = false;            // or else a list of those that are
};

struct graph_port {
  port_info info;
  graph_binding binding;
  tinyphi::type type;     // of what is bound
  bool required = true;   // absent: the stage is skipped
  bool implicit = false;  // bound by rule, not by the file
  bool poisoned = false;  // a fault of it was reported; nothing else is
  trust label = trust::trusted;
  std::size_t carried = no_stage;  // by `repeat`: the out-port that it takes
};

// A condition with its text, for messages and pictures.
struct graph_condition {
  expression test;
  std::string text;
};

struct graph_repeat {
  graph_condition until;
  std::size_t max_rounds = 0;
  bool last = false;  // the outputs of the last round count
};

struct graph_stage {
  std::string id;
  position at;
  std::string hash;  // of what the file says of it, and of a file it calls
  stage_info plugin;
  effect effects = effect::none;
  std::vector<graph_port> in;  // fixed ports, then open ones
  std::size_t n_fixed_ports = 0;
  // Plain ports, then open ones, then streams, then `failed` of a collect.
  std::vector<port_info> out;
  std::size_t first_slot = 0;  // of `out`
  std::optional<graph_condition> when;
  bool when_asks_item = false;  // it holds or not for every item apart
  std::optional<graph_source> each;
  std::size_t parallel = 1;
  bool collect = false;
  std::optional<graph_repeat> repeat;
  retry_spec retry;
  std::optional<duration> timeout;
  bool has_fallback = false;
  std::vector<std::optional<value_data>> fallback;  // by out-port
  std::vector<std::size_t> after;  // stages that must have ended, in order
  std::vector<std::size_t> after_by_name;  // those that the file lists
  // The other way round: stages that wait for this one's end, and those that
  // read its text while it is being written, so that they wait for its first
  // piece only. n_waits: how many stages this one waits for, in either way.
  std::vector<std::size_t> before;
  std::vector<std::size_t> read_while_running_by;
  std::size_t n_waits = 0;
  std::vector<std::size_t> reads;  // slots, each once
  guard_set guards;
  std::optional<std::size_t> failure;  // the variable: done, failed
  std::optional<std::size_t> answer;   // the variable: a person's yes, no
  trust label = trust::trusted;        // of its outputs
  call_facts call;
  stage_facts facts;
  std::vector<std::string> tools;  // that it may call
  std::size_t reserve = 0;         // of a prompt: tokens for those who take it
  std::string reserved_for;        // the stage that may add so many
  // Whether an out-port is the list of items that failed.
  [[nodiscard]] bool lists_failures(std::size_t port) const {
    return collect && port + 1 == out.size();
  }

  std::unique_ptr<stage_setup> setup;
  std::shared_ptr<const stage_instance> instance;  // null until create_stages
};

struct graph_switch {
  struct choice {
    std::string name;
    std::optional<graph_condition> test;  // none: else
    position at;
  };
  std::string name;
  position at;
  std::vector<choice> cases;
  std::size_t first_slot = 0;
  std::vector<std::size_t> after;  // stages that must have ended
  trust label = trust::trusted;
};

struct graph_output {
  std::string name;
  tinyphi::type type;
  graph_binding binding;
  bool stream = false;  // the first that takes a stream, and no other
  bool may_be_absent = false;
  bool poisoned = false;  // see graph_slot
  std::optional<value_data> default_value;
  trust label = trust::trusted;
};

// Names of tables that a file uses, those of its libraries among them.
struct used_names {
  std::set<std::string, std::less<>> env;  // by references and expressions
  std::set<std::string, std::less<>> models;
  std::set<std::string, std::less<>> rules;
  std::set<std::string, std::less<>> secrets;
  std::set<std::string, std::less<>> prompts;
  std::set<std::string, std::less<>> mcp_servers;
  std::set<std::string, std::less<>> types;
  std::set<std::string, std::less<>> tools;
  std::set<std::string, std::less<>> grants;  // of [allow].flow
  // Of the rest of [allow]: entries that something needs.
  bool named_files = false;  // data may name files to read
  bool all_hosts = false;
  bool all_programs = false;
  std::set<std::string, std::less<>> hosts;
  std::set<std::string, std::less<>> programs;

  void add_places(const used_names& more) {
    named_files = named_files || more.named_files;
    all_hosts = all_hosts || more.all_hosts;
    all_programs = all_programs || more.all_programs;
    hosts.insert(more.hosts.begin(), more.hosts.end());
    programs.insert(more.programs.begin(), more.programs.end());
  }
};

// Immutable once its stages are created; any number of requests share one.
struct graph {
  std::string file;  // as it was named
  // Of what the file says, but for its tests, and of the files that it calls.
  std::string hash;
  std::string name;
  std::string version;
  std::string summary;
  std::optional<duration> deadline;
  std::vector<trigger_spec> triggers;  // when a daemon runs it by itself
  request_limits limits;
  std::vector<input_spec> inputs;
  std::vector<graph_slot> slots;  // inputs first, in their order
  std::vector<graph_stage> stages;
  std::vector<graph_switch> switches;
  std::vector<std::size_t> order;  // of stages, each behind what it needs
  std::vector<graph_output> outputs;
  std::vector<guard_variable> variables;
  used_names used;
  effect effects = effect::none;          // of all stages
  effect unasked_effects = effect::none;  // of those that wait for no person
  std::deque<std::string> called_files;   // what such stages are called
  tool_table tools;                       // all of the file
  std::shared_ptr<host> services;
};

// Calls `use(slot)` for all that a stage takes as a value.
template <class F>
void each_read(const graph_stage& s, F use) {
  for (const graph_port& p : s.in) {
    for (const graph_source& from : p.binding.from) {
      if (from.what == graph_source::kind::slot) use(from.slot);
    }
  }
}
// The same for all that decides whether and how often it runs.
template <class F>
void each_condition(const graph& g, const graph_stage& s, F use) {
  if (s.when) {
    for (const std::size_t slot : s.when->test.reads()) {
      if (slot < g.slots.size()) use(slot);  // not item, index
    }
  }
  if (s.each && s.each->what == graph_source::kind::slot) use(s.each->slot);
}

// By stage: `stage` itself and all that it waits for, however indirectly.
[[nodiscard]] inline std::vector<bool> leading_to(const graph& g,
                                                  std::size_t stage) {
  std::vector<bool> found(g.stages.size());
  found[stage] = true;
  for (auto it = g.order.rbegin(); it != g.order.rend(); ++it) {
    if (!found[*it]) continue;
    for (const std::size_t before : g.stages[*it].after) found[before] = true;
  }
  return found;
}
// By stage: `stage` itself and all that wait for it, however indirectly.
[[nodiscard]] inline std::vector<bool> following(const graph& g,
                                                 std::size_t stage) {
  std::vector<bool> found(g.stages.size());
  found[stage] = true;
  for (const std::size_t i : g.order) {
    for (const std::size_t before : g.stages[i].after) {
      found[i] = found[i] || found[before];
    }
  }
  return found;
}

// The switch that a slot is a case of; nothing if it is none.
[[nodiscard]] inline std::optional<std::size_t> switch_of(const graph& g,
                                                          std::size_t slot) {
  for (std::size_t i = 0; i < g.switches.size(); ++i) {
    const graph_switch& s = g.switches[i];
    if (slot >= s.first_slot && slot - s.first_slot < s.cases.size()) return i;
  }
  return std::nullopt;
}

// Whether the stage runs only if a person has said yes.
[[nodiscard]] inline bool waits_for_person(const graph& g,
                                           const graph_stage& s) {
  return std::ranges::any_of(s.guards, [&](const graph_guard& guard) {
    return g.variables[guard.variable].is_answer && guard.outcomes == 1;
  });
}

// What stages do that run only if a person says yes at stage `i`; and where
// that stage calls a file, in which a person may be asked, all that follow it.
[[nodiscard]] inline effect effects_behind(const graph& g, std::size_t i) {
  const graph_stage& s = g.stages[i];
  effect all = effect::none;
  if (s.answer) {
    for (const graph_stage& other : g.stages) {
      const graph_guard yes{*s.answer, 1};
      if (std::ranges::find(other.guards, yes) != other.guards.end()) {
        all = all | other.effects;
      }
    }
  } else if (s.plugin.id.starts_with("./")) {
    const std::vector<bool> later = following(g, i);
    for (std::size_t at = 0; at < later.size(); ++at) {
      if (later[at] && at != i) all = all | g.stages[at].effects;
    }
  }
  return all;
}

// Whether a person is asked before the tool runs.
[[nodiscard]] bool asks_person(const file_tool& tool);  // tool.h

// What is wrong with `name` as the name of a stage or a tool at which a person
// is asked; empty: nothing. "note.ask" is one in the file that stage note
// calls.
[[nodiscard]] inline std::string wrong_approval(const graph& g,
                                                std::string_view name) {
  const std::string_view id = name.substr(0, name.find('.'));
  const bool is_inside = id.size() < name.size();
  std::vector<std::string_view> known;
  for (const auto& [tool, shared] : g.tools) {
    if (shared == nullptr || !asks_person(*shared)) continue;
    if (tool == name) return {};
    known.push_back(tool);
  }
  for (const graph_stage& s : g.stages) {
    const bool calls_file = s.plugin.id.starts_with("./");
    if (s.id == id && (is_inside ? calls_file : s.plugin.asks_person)) {
      return {};
    }
    if (s.plugin.asks_person) known.push_back(s.id);
  }
  return (g.tools.empty() ? "no stage " : "no stage and no tool ") +
         quote(name) + " asks a person" + did_you_mean(name, known);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_GRAPH_H_
