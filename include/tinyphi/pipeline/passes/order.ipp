// SPDX-License-Identifier: MIT
// The order of stages and switches, each behind what it needs. All later passes
// walk in it. Its fault: TP2006.
#ifndef TINYPHI_PIPELINE_PASSES_ORDER_IPP_
#define TINYPHI_PIPELINE_PASSES_ORDER_IPP_

#include "tinyphi/pipeline/passes/compilation.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline void report_cycle(compilation& c, const std::vector<node_index>& path,
                         node_index first) {
  std::string names;
  for (auto it = std::ranges::find(path, first); it != path.end(); ++it) {
    names += c.node_name(*it) + " -> ";
  }
  const std::size_t n_stages = c.g.stages.size();
  c.report(fault::cycle,
           first < n_stages ? c.g.stages[first].at
                            : c.g.switches[first - n_stages].at,
           "stages wait for each other: " + names + c.node_name(first));
}

// The stages that a node waits for, with those that its switches wait for.
inline std::vector<std::size_t> stages_before(const compilation& c,
                                              node_index node) {
  std::vector<std::size_t> found;
  std::vector<node_index> open = c.needs[node];
  std::vector<bool> seen(c.needs.size());
  while (!open.empty()) {
    const node_index now = open.back();
    open.pop_back();
    if (seen[now]) continue;
    seen[now] = true;
    if (now < c.g.stages.size()) {
      found.push_back(now);
    } else {
      open.insert(open.end(), c.needs[now].begin(), c.needs[now].end());
    }
  }
  std::ranges::sort(found);
  return found;
}

}  // namespace detail

// Depth first.
inline bool sort_nodes(compilation& c) {
  enum class mark : char { none, open, done };
  std::vector<mark> marks(c.needs.size(), mark::none);
  struct step {
    node_index node;
    std::size_t next;
  };
  for (node_index root = 0; root < c.needs.size(); ++root) {
    if (marks[root] != mark::none) continue;
    std::vector<step> path{{root, 0}};
    marks[root] = mark::open;
    while (!path.empty()) {
      step& top = path.back();
      const auto& needs = c.needs[top.node];
      if (top.next == needs.size()) {
        marks[top.node] = mark::done;
        c.order.push_back(top.node);
        path.pop_back();
        continue;
      }
      const node_index other = needs[top.next++];
      if (marks[other] == mark::open) {
        std::vector<node_index> round;
        for (const step& s : path) round.push_back(s.node);
        detail::report_cycle(c, round, other);
        return false;
      }
      if (marks[other] == mark::none) {
        marks[other] = mark::open;
        path.push_back({other, 0});
      }
    }
  }
  for (const node_index node : c.order) {
    if (node < c.g.stages.size()) {
      c.g.order.push_back(node);
      c.g.stages[node].after = detail::stages_before(c, node);
    }
  }
  return true;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_PASSES_ORDER_IPP_
