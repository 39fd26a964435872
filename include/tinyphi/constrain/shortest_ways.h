// SPDX-License-Identifier: MIT
// From each state of a grammar's automata, the shortest way to its rule's end:
// what it costs in tokens, and which moves lead to no end at all.
#ifndef TINYPHI_CONSTRAIN_SHORTEST_WAYS_H_
#define TINYPHI_CONSTRAIN_SHORTEST_WAYS_H_

#include <cstddef>
#include <cstdint>
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

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/constrain/shortest_ways.ipp"
#endif

#endif  // TINYPHI_CONSTRAIN_SHORTEST_WAYS_H_
