// SPDX-License-Identifier: MIT
// What a file declares and does not use is a slip: a misspelt name, or what was
// forgotten when something else went. Used by compile.ipp only, for graphs
// without faults: a misspelt reference would leave its target unused, too.
#ifndef TINYPHI_PIPELINE_UNUSED_IPP_
#define TINYPHI_PIPELINE_UNUSED_IPP_

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "tinyphi/pipeline/compile.h"

TINYPHI_NAMESPACE_BEGIN

// Names of tables that stages use; a graph does not show them.
struct used_names {
  std::set<std::string, std::less<>> env;  // by expressions
  std::set<std::string, std::less<>> models;
};

namespace detail {

inline std::vector<bool> used_slots(const graph& g) {
  std::vector<bool> used(g.slots.size());
  const auto use = [&](const std::vector<std::size_t>& slots) {
    for (const std::size_t slot : slots) used[slot] = true;
  };
  for (const graph_stage& s : g.stages) {
    for (const graph_port& p : s.in) use(p.from);
    if (s.when) use(s.when->reads());
  }
  for (const graph_output& o : g.outputs) use(o.from);
  return used;
}

}  // namespace detail

inline void report_unused(const pipeline_spec& spec, const graph& g,
                          const used_names& names,
                          std::vector<diagnostic>& faults) {
  const auto report = [&](fault code, position at, std::string message) {
    faults.push_back({code, at, std::move(message)});
  };
  for (const auto& [name, env] : spec.env) {
    if (env.in_text || names.env.contains(name)) continue;
    report(fault::unused_name, env.at, "env " + name + " is never used");
  }
  for (const auto& [name, at] : spec.models_at) {
    if (names.models.contains(name)) continue;
    report(fault::unused_name, at, "model " + name + " is never used");
  }
  const std::vector<bool> used = detail::used_slots(g);
  for (std::size_t i = 0; i < g.inputs.size(); ++i) {
    if (used[i]) continue;
    report(fault::unused_value, g.inputs[i].at,
           "input " + g.inputs[i].name + " is never used");
  }
  for (const graph_stage& s : g.stages) {
    constexpr effect kept = effect::write | effect::net | effect::exec;
    bool needed = has(s.plugin.effects, kept);
    std::string list;
    for (std::size_t i = 0; i < s.out.size(); ++i) {
      needed = needed || used[s.first_slot + i];
      list += (list.empty() ? "" : ", ") + s.out[i].name;
    }
    if (needed) continue;
    report(fault::unused_value, s.at,
           "stage " + s.id + ": nothing uses its outputs (" + list +
               "), and it has no effect");
  }
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_UNUSED_IPP_
