// SPDX-License-Identifier: MIT
// Under which conditions values exist. A condition is a variable with outcomes,
// so that alternatives that exclude each other are known to cover everything.
// Its faults: TP2007, TP2020; they are reported where a value is taken.
#ifndef TINYPHI_PIPELINE_PASSES_PRESENCE_IPP_
#define TINYPHI_PIPELINE_PASSES_PRESENCE_IPP_

#include <bit>
#include <map>

#include "tinyphi/pipeline/passes/compilation.h"
#include "tinyphi/pipeline/passes/resolve.ipp"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline std::uint64_t all_outcomes(const guard_variable& v) {
  const std::size_t n = v.reasons.size();
  return n == guard_variable::max_outcomes ? ~std::uint64_t{0}
                                           : (std::uint64_t{1} << n) - 1;
}

// Both must hold; false if they exclude each other.
inline bool add_guard(guard_set& set, graph_guard g) {
  const auto it =
      std::ranges::lower_bound(set, g.variable, {}, &graph_guard::variable);
  if (it == set.end() || it->variable != g.variable) {
    set.insert(it, g);
    return true;
  }
  it->outcomes &= g.outcomes;
  return it->outcomes != 0;
}
inline bool add_guards(guard_set& set, const guard_set& more) {
  return std::ranges::all_of(
      more, [&](const graph_guard& g) { return add_guard(set, g); });
}

// The variables of a graph, and the conditions that expressions are.
class presence_table {
 public:
  explicit presence_table(compilation& c) : c_(c) {}

  std::size_t add(std::vector<std::string> reasons, trust label) {
    c_.g.variables.push_back({std::move(reasons), label, false});
    return c_.g.variables.size() - 1;
  }

  // Whether an optional value is there: outcome 0, or absent: 1.
  graph_guard is_present(std::size_t slot) {
    return {
        variable(present_, slot, {"", c_.g.slots[slot].name + " may be absent"},
                 c_.g.slots[slot].label),
        1};
  }
  // Whether a person has said yes (0); no (1) is also where nobody was asked.
  graph_guard is_approved(std::size_t stage, bool outcome) {
    graph_stage& s = c_.g.stages[stage];
    if (!s.answer) {
      s.answer = add({"a person may say yes at stage " + s.id,
                      "a person may say no at stage " + s.id},
                     trust::user);
      c_.g.variables.back().is_answer = true;
    }
    return {*s.answer, outcome ? std::uint64_t{1} : std::uint64_t{2}};
  }
  // The case of a switch, or a bool that is true (0) or false (1).
  graph_guard is_true(std::size_t slot, bool outcome) {
    const std::size_t stage = c_.g.slots[slot].stage;
    if (stage != no_stage && is_answer(c_.g.stages[stage], slot)) {
      return is_approved(stage, outcome);
    }
    if (const auto s = switch_of(c_.g, slot)) {
      const graph_switch& of = c_.g.switches[*s];
      const std::size_t v = switch_variable(*s);
      const std::uint64_t bit = std::uint64_t{1} << (slot - of.first_slot);
      return {v, outcome ? bit : all_outcomes(c_.g.variables[v]) & ~bit};
    }
    const std::string& name = c_.g.slots[slot].name;
    return {
        variable(truth_, slot, {name + " may be true", name + " may be false"},
                 c_.g.slots[slot].label),
        outcome ? std::uint64_t{1} : std::uint64_t{2}};
  }
  // Whether a stage with a fallback is done (0) or failed (1).
  graph_guard has_failed(std::size_t stage, bool outcome) {
    graph_stage& s = c_.g.stages[stage];
    if (!s.failure) {
      s.failure =
          add({"stage " + s.id + " may be done", "stage " + s.id + " may fail"},
              s.label);
    }
    return {*s.failure, outcome ? std::uint64_t{2} : std::uint64_t{1}};
  }

  // What must hold where a condition has that outcome. False if not all of it
  // can be said by variables that others share; `out` then has what can.
  bool conditions_of(const expression_tree& tree, std::size_t node,
                     bool outcome, guard_set& out, bool& contradiction) {
    const auto add = [&](const guard_set& set) {
      contradiction = !add_guards(out, set) || contradiction;
      return true;
    };
    const expression_node& n = tree.nodes()[node];
    using kind = expression_node::kind;
    if (n.what == kind::path) {
      const auto slot = whole_slot(n);
      return slot && add({is_true(*slot, outcome)});
    }
    if (n.what == kind::call && n.operands.size() == 1) {
      const expression_node& asked = tree.nodes()[n.operands[0]];
      if (n.name == "failed") {
        const auto stage = c_.find_stage(asked.name);
        return stage && add({has_failed(*stage, outcome)});
      }
      const auto slot = n.name == "has" ? whole_slot(asked) : std::nullopt;
      if (!slot) return false;
      const guard_set& guards = c_.g.slots[*slot].guards;
      if (outcome) return add(guards);
      if (guards.size() != 1) return false;
      const graph_guard g = guards.front();
      return add({{g.variable,
                   all_outcomes(c_.g.variables[g.variable]) & ~g.outcomes}});
    }
    if (n.what != kind::operation) return false;
    if (n.operation == expression_operator::negate) {
      return conditions_of(tree, n.operands[0], !outcome, out, contradiction);
    }
    const bool both = n.operation == expression_operator::both && outcome;
    const bool neither = n.operation == expression_operator::either && !outcome;
    if (!both && !neither) return false;
    const bool left =
        conditions_of(tree, n.operands[0], outcome, out, contradiction);
    const bool right =
        conditions_of(tree, n.operands[1], outcome, out, contradiction);
    return left && right;
  }

  // What holds where the first of several values that is present is taken.
  guard_set first_of(const std::vector<guard_set>& all,
                     const std::string& names) {
    if (all.size() == 1) return all.front();
    guard_set shared;
    std::map<std::size_t, std::uint64_t> seen;  // all variables, in any
    for (const guard_set& set : all) {
      for (const graph_guard& g : set) seen[g.variable] |= g.outcomes;
    }
    trust label = trust::trusted;
    for (auto& [v, outcomes] : seen) {
      label = join(label, c_.g.variables[v].label);
      const auto names_it = [variable = v](const guard_set& set) {
        return std::ranges::find(set, variable, &graph_guard::variable) !=
               set.end();
      };
      const bool in_all = std::ranges::all_of(all, names_it);
      if (!in_all) {
        outcomes = all_outcomes(c_.g.variables[v]);
      } else if (outcomes != all_outcomes(c_.g.variables[v])) {
        shared.push_back({v, outcomes});
      }
    }
    if (covers(all, seen)) return shared;
    add_guard(shared,
              {add({"", "none of " + names + " may be present"}, label), 1});
    return shared;
  }

  // Whether wherever `now` holds, one of the others does.
  [[nodiscard]] bool leaves_nothing(const std::vector<guard_set>& others,
                                    const guard_set& now) const {
    std::map<std::size_t, std::uint64_t> seen;
    for (const guard_set& set : others) {
      for (const graph_guard& g : set) {
        seen[g.variable] = all_outcomes(c_.g.variables[g.variable]);
      }
    }
    for (const graph_guard& g : now) seen[g.variable] = g.outcomes;
    return covers(others, seen);
  }

  // Why a value may be absent: "switch gate may choose closed".
  [[nodiscard]] std::string reasons(const guard_set& guards) const {
    std::string text;
    for (const graph_guard& g : guards) {
      const guard_variable& v = c_.g.variables[g.variable];
      for (std::size_t i = 0; i < v.reasons.size(); ++i) {
        if ((g.outcomes >> i & 1) != 0 || v.reasons[i].empty()) continue;
        text += (text.empty() ? "" : ", ") + v.reasons[i];
      }
    }
    return text;
  }

  [[nodiscard]] trust label(const guard_set& guards) const {
    trust all = trust::trusted;
    for (const graph_guard& g : guards) {
      all = join(all, c_.g.variables[g.variable].label);
    }
    return all;
  }

  // The slot that a path names whole.
  [[nodiscard]] std::optional<std::size_t> whole_slot(
      const expression_node& path) const {
    if (path.what != expression_node::kind::path) return std::nullopt;
    const auto it = std::ranges::find(c_.g.slots, path.name, &graph_slot::name);
    if (it == c_.g.slots.end()) return std::nullopt;
    return static_cast<std::size_t>(it - c_.g.slots.begin());
  }

  // Whether the slot tells what a person said.
  [[nodiscard]] bool is_answer(const graph_stage& s, std::size_t slot) const {
    return s.plugin.asks_person && !s.each && !c_.g.slots[slot].optional;
  }

 private:
  static constexpr std::size_t max_combinations = 4096;
  using by_slot = std::map<std::size_t, std::size_t>;

  std::size_t variable(by_slot& known, std::size_t slot,
                       std::vector<std::string> reasons, trust label) {
    const auto it = known.find(slot);
    if (it != known.end()) return it->second;
    return known[slot] = add(std::move(reasons), label);
  }

  std::size_t switch_variable(std::size_t i) {
    const auto it = switches_.find(i);
    if (it != switches_.end()) return it->second;
    const graph_switch& s = c_.g.switches[i];
    std::vector<std::string> reasons;
    for (const auto& one : s.cases) {
      reasons.push_back("switch " + s.name + " may choose " + one.name);
    }
    return switches_[i] = add(std::move(reasons), s.label);
  }

  // Whether in every combination of outcomes one of the sets holds.
  [[nodiscard]] bool covers(
      const std::vector<guard_set>& all,
      const std::map<std::size_t, std::uint64_t>& seen) const {
    std::size_t n = 1;
    for (const auto& [v, outcomes] : seen) {
      n *= static_cast<std::size_t>(std::popcount(outcomes));
      if (n > max_combinations) return false;
    }
    std::map<std::size_t, std::uint64_t> now;  // one outcome of each
    for (std::size_t combination = 0; combination < n; ++combination) {
      std::size_t rest = combination;
      for (const auto& [v, outcomes] : seen) {
        const auto width = static_cast<std::size_t>(std::popcount(outcomes));
        std::uint64_t left = outcomes;
        for (std::size_t skip = rest % width; skip > 0; --skip) {
          left &= left - 1;
        }
        now[v] = left & (~left + 1);
        rest /= width;
      }
      const auto holds = [&](const guard_set& set) {
        return std::ranges::all_of(set, [&](const graph_guard& g) {
          return (now.at(g.variable) & g.outcomes) != 0;
        });
      };
      if (std::ranges::none_of(all, holds)) return false;
    }
    return true;
  }

  compilation& c_;
  by_slot present_;
  by_slot truth_;
  by_slot switches_;
};

}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_PASSES_PRESENCE_IPP_
