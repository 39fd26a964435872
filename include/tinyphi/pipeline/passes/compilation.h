// SPDX-License-Identifier: MIT
// What the passes of the compiler share. They run in the order of compile.ipp,
// each adds to the graph and to the faults. A fault poisons what it is about,
// and later passes are silent about that: one cause, one message.
#ifndef TINYPHI_PIPELINE_PASSES_COMPILATION_H_
#define TINYPHI_PIPELINE_PASSES_COMPILATION_H_

#include <algorithm>
#include <cstddef>
#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/pipeline/graph.h"

TINYPHI_NAMESPACE_BEGIN

// A stage or a switch: first all stages, then all switches.
using node_index = std::size_t;

// What is known of a stage while it is compiled.
struct stage_notes {
  bool known = false;       // its plugin was found
  bool configured = false;  // its parameters have no fault
  bool complete = false;    // all its in-ports are known
  // A name in its bindings is of no port, and may be meant for one that is
  // open.
  bool misbound = false;
  bool open_outputs_known = true;
  // Its parameters, those of its [prompt.x] included; null: none.
  const config_node* with = nullptr;
  std::optional<expression_tree> when;
  call_facts call;
};

struct switch_notes {
  std::vector<std::optional<expression_tree>> cases;
};

struct compilation {
  compilation(const pipeline_spec& s, const registry& r, const host_options& o,
              std::vector<std::filesystem::path> from, graph& out,
              std::vector<diagnostic>& all)
      : spec(s),
        plugins(r),
        options(o),
        callers(std::move(from)),
        g(out),
        faults(all),
        used(out.used) {}

  const pipeline_spec& spec;
  const registry& plugins;
  const host_options& options;
  std::vector<std::filesystem::path> callers;  // this file is the last
  std::deque<stage_type> called;  // files that are called, as stages
  std::deque<config_node> filled_templates;
  graph& g;
  std::vector<diagnostic>& faults;
  std::vector<stage_notes> stages;
  std::vector<switch_notes> switches;
  // By node: the nodes that it waits for.
  std::vector<std::vector<node_index>> needs;
  std::vector<node_index> order;  // each behind what it needs
  used_names& used;               // of `g`
  // Names of nothing that a message was about: whoever misspelt what he
  // declared hears of it once, not at each place that refers to it.
  mutable std::set<std::string, std::less<>> told;

  [[nodiscard]] bool is_first(std::string_view unknown) const {
    return told.emplace(unknown).second;
  }
  void report(fault code, position at, std::string message) {
    faults.push_back({code, at, std::move(message)});
  }

  [[nodiscard]] std::optional<std::size_t> find_stage(
      std::string_view id) const {
    const auto it = std::ranges::find(g.stages, id, &graph_stage::id);
    if (it == g.stages.end()) return std::nullopt;
    return static_cast<std::size_t>(it - g.stages.begin());
  }
  // The node that gives a slot its value; nothing for an input.
  [[nodiscard]] std::optional<node_index> node_of(std::size_t slot) const {
    if (g.slots[slot].stage != no_stage) return g.slots[slot].stage;
    if (const auto s = switch_of(g, slot)) return g.stages.size() + *s;
    return std::nullopt;
  }
  void need(node_index node, std::optional<node_index> other) {
    if (!other) return;
    auto& all = needs[node];
    if (std::ranges::find(all, *other) == all.end()) all.push_back(*other);
  }
  [[nodiscard]] std::string node_name(node_index node) const {
    return node < g.stages.size() ? g.stages[node].id
                                  : g.switches[node - g.stages.size()].name;
  }
};

// The passes, in their order.
void add_tools(compilation& c);      // tools.ipp
void add_ports(compilation& c);      // ports.ipp
void resolve_names(compilation& c);  // resolve.ipp
bool sort_nodes(compilation& c);     // order.ipp; false: a cycle
void follow_values(compilation& c);  // types.ipp, presence.ipp, flow.ipp
void check_budgets(compilation& c);  // budget.ipp
void check_files(compilation& c);    // files.ipp
void report_unused(compilation& c);  // unused.ipp

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_PASSES_COMPILATION_H_
