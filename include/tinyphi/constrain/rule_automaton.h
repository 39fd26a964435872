// SPDX-License-Identifier: MIT
// The rules of a grammar as automata that call each other, with the cost of the
// shortest way to an end from each of their states.
#ifndef TINYPHI_CONSTRAIN_RULE_AUTOMATON_H_
#define TINYPHI_CONSTRAIN_RULE_AUTOMATON_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/constrain/grammar.h"
#include "tinyphi/constrain/token_trie.h"

TINYPHI_NAMESPACE_BEGIN

// Within a rule each byte leads to one state and each call comes back to one.
// A repetition with a large count is a rule that counts: `max` and `min` are
// asked of the counter that its caller's frame keeps, instead of copies of what
// is repeated. Every state can reach its rule's end. Immutable; any thread.
class rule_automata {
 public:
  using state = std::uint32_t;
  static constexpr state dead = ~state{0};
  static constexpr std::size_t max_states = 65536;
  static constexpr std::uint32_t no_limit = byte_automaton::no_limit;

  struct call {
    std::uint32_t rule;
    state to;
    bool counts;  // the counter goes up when it comes back
  };
  enum class ending : std::uint8_t {
    never,
    always,
    counted,  // from the rule's min on
  };
  struct rule {
    state start = 0;
    bool free_text = false;
    std::uint32_t min = 0, max = no_limit;  // of a rule that counts
    std::uint32_t unit = 0;                 // tokens of one repetition
  };
  struct byte_move {
    state to = dead;
    bool counts = false;
  };

  // bad_data and limit as grammar::check, and limit if there are too many
  // states. The trie says what a shortest way costs in tokens.
  [[nodiscard]] static result<rule_automata> create(const grammar& g,
                                                    const token_trie& t);

  [[nodiscard]] const rule& start_rule() const { return rules_[start_]; }
  [[nodiscard]] std::size_t states() const { return states_.size(); }
  [[nodiscard]] const rule& rule_at(std::uint32_t r) const { return rules_[r]; }
  [[nodiscard]] const rule& rule_of(state s) const {
    return rules_[states_[s].rule];
  }
  [[nodiscard]] byte_move next(state s, std::uint8_t byte) const {
    const info& i = states_[s];
    const state to = next_[i.row + classes_[i.rule][byte]];
    return to == dead ? byte_move{}
                      : byte_move{to & ~counting_bit, (to & counting_bit) != 0};
  }
  [[nodiscard]] std::span<const call> calls(state s) const {
    const info& i = states_[s];
    return {calls_.data() + i.first_call, i.n_calls};
  }
  // Whether a byte or a call may follow with the counter at n.
  [[nodiscard]] bool may_go_on(state s, std::uint32_t n) const {
    return !states_[s].asks_max || n < rule_of(s).max;
  }
  [[nodiscard]] bool asks_max(state s) const { return states_[s].asks_max; }
  [[nodiscard]] ending ends(state s) const { return states_[s].ends; }
  [[nodiscard]] bool may_end(state s, std::uint32_t n) const {
    const ending e = ends(s);
    return e == ending::always || (e == ending::counted && n >= rule_of(s).min);
  }
  // Tokens from here to the rule's end, with the counter at n: a bound that
  // tokens on the shortest way keep.
  [[nodiscard]] std::uint32_t least(state s, std::uint32_t n) const;
  // The counter's step, which stops where more would make no difference.
  [[nodiscard]] std::uint32_t counted(state s, std::uint32_t n) const {
    const rule& r = rule_of(s);
    return r.max == no_limit && n >= r.min ? n : n + 1;
  }
  [[nodiscard]] std::size_t memory() const;

 private:
  friend class rule_compiler;
  friend class shortest_ways;
  static constexpr state counting_bit = state{1} << 31;
  static constexpr std::uint32_t endless = ~std::uint32_t{0};

  struct info {
    std::size_t row = 0;  // of next_
    std::uint32_t rule = 0, first_call = 0, n_calls = 0;
    std::uint32_t base = endless;  // tokens, without repetitions still owed
    ending ends = ending::never;
    bool asks_max = false;
    bool within_item = false;  // one of the repetitions owed is under way
  };

  std::vector<rule> rules_;
  std::vector<std::array<std::uint8_t, 256>> classes_;  // by rule
  std::vector<info> states_;
  std::vector<state> next_;
  std::vector<call> calls_;
  std::uint32_t start_ = 0;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/constrain/rule_automaton.ipp"
#endif

#endif  // TINYPHI_CONSTRAIN_RULE_AUTOMATON_H_
