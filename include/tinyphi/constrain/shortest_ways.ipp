// SPDX-License-Identifier: MIT
// From each state of a grammar's automata, the shortest way to its rule's end:
// what it costs in tokens, and which moves lead to no end at all.
#ifndef TINYPHI_CONSTRAIN_SHORTEST_WAYS_IPP_
#define TINYPHI_CONSTRAIN_SHORTEST_WAYS_IPP_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "tinyphi/constrain/rule_automaton.h"

TINYPHI_NAMESPACE_BEGIN

// Fills in what rule_automata says of shortest ways. A way is chosen by its
// bytes; then tokens are laid along it that do not cross a rule's border. So
// the first token of the cheapest laying always brings the end one token
// nearer.
class shortest_ways {
 public:
  using state = rule_automata::state;

  explicit shortest_ways(rule_automata& a);
  void find(const token_trie& t);

 private:
  static constexpr std::uint64_t endless = ~std::uint64_t{0};
  // The first move of a way: a byte, or a call.
  struct step {
    std::uint64_t weight = endless;
    bool is_call = false;
    std::uint8_t byte = 0;
    std::uint32_t call = 0;  // of calls_
  };

  void weigh();
  [[nodiscard]] step best_step(state s) const;
  void leave_out_dead_ends();
  void lay_tokens(const token_trie& t);
  [[nodiscard]] std::uint32_t tokens_along(state s, const token_trie& t) const;
  // Adds, and stays `endless`; never more than a rule's cost may be.
  [[nodiscard]] static std::uint64_t sum(std::uint64_t a, std::uint64_t b);
  [[nodiscard]] std::uint64_t rule_cost(std::uint32_t r, std::uint64_t base,
                                        std::uint64_t unit) const;

  rule_automata* a_;
  std::vector<std::vector<std::uint8_t>> bytes_;  // by rule: one of each class
  std::vector<step> steps_;                       // by state
  std::vector<std::uint64_t> weight_;  // by state: 0 where its rule may end
  std::vector<std::uint64_t> rule_weight_, unit_weight_;  // by rule
  std::vector<std::uint32_t> rule_tokens_;                // by rule
};

TINYPHI_FUNC shortest_ways::shortest_ways(rule_automata& a)
    : a_(&a),
      steps_(a.states_.size()),
      weight_(a.states_.size(), endless),
      rule_weight_(a.rules_.size(), endless),
      unit_weight_(a.rules_.size(), endless),
      rule_tokens_(a.rules_.size(), rule_automata::endless) {
  for (const auto& classes : a.classes_) {
    std::array<bool, 256> seen{};
    auto& bytes = bytes_.emplace_back();
    for (unsigned b = 0; b < 256; ++b) {
      if (!std::exchange(seen[classes[b]], true)) {
        bytes.push_back(static_cast<std::uint8_t>(b));
      }
    }
  }
}

TINYPHI_FUNC void shortest_ways::find(const token_trie& t) {
  weigh();
  leave_out_dead_ends();
  lay_tokens(t);
}

TINYPHI_FUNC std::uint64_t shortest_ways::sum(std::uint64_t a,
                                              std::uint64_t b) {
  constexpr std::uint64_t most = std::uint64_t{1} << 60;
  if (a == endless || b == endless) return endless;
  return std::min(most, a + b);
}

TINYPHI_FUNC std::uint64_t shortest_ways::rule_cost(std::uint32_t r,
                                                    std::uint64_t base,
                                                    std::uint64_t unit) const {
  const rule_automata::rule& rule = a_->rules_[r];
  const std::uint32_t done = a_->states_[rule.start].within_item ? 1 : 0;
  std::uint64_t cost = base;
  if (rule.min > done) {
    if (unit == endless) return endless;
    const std::uint64_t owed = rule.min - done;
    cost = sum(cost, std::min(unit, std::uint64_t{1} << 28) * owed);
  }
  return cost;
}

TINYPHI_FUNC shortest_ways::step shortest_ways::best_step(state s) const {
  const rule_automata::info& i = a_->states_[s];
  step best;
  for (const std::uint8_t b : bytes_[i.rule]) {
    const auto move = a_->next(s, b);
    if (move.to == rule_automata::dead) continue;
    const std::uint64_t w = sum(1, move.counts ? 0 : weight_[move.to]);
    if (w < best.weight) best = {w, false, b, 0};
  }
  for (std::uint32_t k = i.first_call; k < i.first_call + i.n_calls; ++k) {
    const rule_automata::call& c = a_->calls_[k];
    // One more than the callee's, so that each move of a way comes nearer.
    const std::uint64_t w =
        sum(sum(1, rule_weight_[c.rule]), c.counts ? 0 : weight_[c.to]);
    if (w < best.weight) best = {w, true, 0, k};
  }
  return best;
}

// Looks at all states until nothing changes. Moves mostly lead to states with
// higher numbers, so that few rounds are needed.
TINYPHI_FUNC void shortest_ways::weigh() {
  for (bool changed = true; changed;) {
    changed = false;
    for (state s = static_cast<state>(steps_.size()); s-- > 0;) {
      const rule_automata::info& i = a_->states_[s];
      const step found = best_step(s);
      if (found.weight < steps_[s].weight) {
        steps_[s] = found;
        changed = true;
      }
      if (i.ends == rule_automata::ending::counted) {
        unit_weight_[i.rule] = steps_[s].weight;
      }
      const std::uint64_t w =
          i.ends == rule_automata::ending::never ? steps_[s].weight : 0;
      changed |= w < weight_[s];
      weight_[s] = w;
    }
    for (std::uint32_t r = 0; r < rule_weight_.size(); ++r) {
      const std::uint64_t w =
          rule_cost(r, weight_[a_->rules_[r].start], unit_weight_[r]);
      changed |= w < rule_weight_[r];
      rule_weight_[r] = w;
    }
  }
}

TINYPHI_FUNC void shortest_ways::leave_out_dead_ends() {
  for (state& to : a_->next_) {
    if (to == rule_automata::dead) continue;
    if ((to & rule_automata::counting_bit) == 0 && weight_[to] == endless) {
      to = rule_automata::dead;
    }
  }
  for (state s = 0; s < steps_.size(); ++s) {
    rule_automata::info& i = a_->states_[s];
    const auto begin = a_->calls_.begin() + i.first_call;
    const auto end = begin + i.n_calls;
    // The order stays, and with it the numbers of the calls that are left: a
    // step's call is looked up again.
    const auto kept = std::stable_partition(begin, end, [&](const auto& c) {
      return rule_weight_[c.rule] != endless &&
             (c.counts || weight_[c.to] != endless);
    });
    i.n_calls = static_cast<std::uint32_t>(kept - begin);
    steps_[s] = best_step(s);
  }
}

// The fewest tokens along the way of `s`, as far as is known by now.
TINYPHI_FUNC std::uint32_t shortest_ways::tokens_along(
    state s, const token_trie& t) const {
  const auto base = [&](state x) { return a_->states_[x].base; };
  const step& first = steps_[s];
  if (first.weight == endless) return rule_automata::endless;
  if (first.is_call) {
    const rule_automata::call& c = a_->calls_[first.call];
    const std::uint64_t rest = c.counts ? 0 : base(c.to);
    if (rule_tokens_[c.rule] == rule_automata::endless ||
        rest == rule_automata::endless) {
      return rule_automata::endless;
    }
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(rule_tokens_[c.rule] + rest, 1u << 31));
  }
  std::uint32_t best = rule_automata::endless;
  token_trie::node v = token_trie::root;
  for (state at = s;;) {
    const step& now = steps_[at];
    v = t.child(v, now.byte);
    if (v == token_trie::none) return best;
    const auto move = a_->next(at, now.byte);
    const std::uint32_t rest = move.counts ? 0 : base(move.to);
    if (!t.tokens(v).empty() && rest != rule_automata::endless) {
      best = std::min(best, rest + 1);
    }
    if (move.counts || weight_[move.to] == 0 || steps_[move.to].is_call) {
      return best;
    }
    at = move.to;
  }
}

TINYPHI_FUNC void shortest_ways::lay_tokens(const token_trie& t) {
  for (rule_automata::info& i : a_->states_) {
    if (i.ends != rule_automata::ending::never) i.base = 0;
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (state s = static_cast<state>(steps_.size()); s-- > 0;) {
      rule_automata::info& i = a_->states_[s];
      if (i.ends == rule_automata::ending::always) continue;
      const std::uint32_t n = tokens_along(s, t);
      std::uint32_t& kept = i.ends == rule_automata::ending::counted
                                ? a_->rules_[i.rule].unit
                                : i.base;
      if (i.ends == rule_automata::ending::counted && kept == 0) {
        kept = rule_automata::endless;
      }
      changed |= n < kept;
      kept = std::min(kept, n);
    }
    for (std::uint32_t r = 0; r < rule_tokens_.size(); ++r) {
      const rule_automata::rule& rule = a_->rules_[r];
      const std::uint32_t base = a_->states_[rule.start].base;
      const std::uint64_t cost =
          rule_cost(r, base == rule_automata::endless ? endless : base,
                    rule.unit == rule_automata::endless ? endless : rule.unit);
      const auto n = cost == endless
                         ? rule_automata::endless
                         : static_cast<std::uint32_t>(
                               std::min<std::uint64_t>(cost, 1u << 31));
      changed |= n < rule_tokens_[r];
      rule_tokens_[r] = std::min(rule_tokens_[r], n);
    }
  }
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_CONSTRAIN_SHORTEST_WAYS_IPP_
