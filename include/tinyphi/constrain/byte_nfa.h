// SPDX-License-Identifier: MIT
// Nondeterministic automata over bytes, as they are put together before they
// become a byte_automaton.
#ifndef TINYPHI_CONSTRAIN_BYTE_NFA_H_
#define TINYPHI_CONSTRAIN_BYTE_NFA_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/constrain/byte_automaton.h"
#include "tinyphi/constrain/utf8_ranges.h"

TINYPHI_NAMESPACE_BEGIN

// States with edges for ranges of bytes, and free moves that take no byte; some
// moves are open at the text's beginning only, or at its end only.
class byte_nfa {
 public:
  using state = std::uint32_t;
  static constexpr std::size_t max_states = 65536;
  enum class move : std::uint8_t { always, at_begin, at_end };

  // Returns a state; when there are too many, the last one, and full().
  state add();
  [[nodiscard]] bool full() const { return full_; }
  void edge(state from, std::uint8_t first, std::uint8_t last, state to);
  void edge(state from, const byte_set& bytes, state to);
  void free_move(state from, state to, move m = move::always);
  // Edges from `from` to `to` that spell the characters of the ranges.
  void characters(state from, const std::vector<code_point_range>& ranges,
                  state to);
  // A rule of a grammar from `from` to `to`.
  void call(state from, std::uint32_t rule, state to);
  // A copy of `a` from `from` to `to`.
  void copy(const byte_automaton& a, state from, state to);

  // The smallest automaton of the texts that lead from `start` to `accepting`;
  // limit if it has more states than a byte_automaton may have.
  [[nodiscard]] result<byte_automaton> determinized(state start,
                                                    state accepting) const;

  // As determinized, with calls, and not made small: state 0 is where texts
  // begin. limit beyond byte_automaton::max_states states.
  struct call_edge {
    std::uint32_t rule;
    state to;
  };
  struct with_calls {
    std::array<std::uint8_t, 256> classes{};
    std::size_t n_classes = 0;
    std::vector<byte_automaton::state> next;  // [states][classes]
    std::vector<bool> accepting;
    std::vector<std::vector<call_edge>> calls;  // by state
  };
  [[nodiscard]] result<with_calls> determinized_calls(state start,
                                                      state accepting) const;

 private:
  friend class subset_construction;
  struct byte_edge {
    std::uint8_t first, last;
    state to;
  };
  struct free_edge {
    move when;
    state to;
  };
  struct node {
    std::vector<byte_edge> edges;
    std::vector<free_edge> moves;
    std::vector<call_edge> calls;
  };
  std::vector<node> nodes_;
  bool full_ = false;
};

[[nodiscard]] error too_many_states();

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/constrain/byte_nfa.ipp"
#endif

#endif  // TINYPHI_CONSTRAIN_BYTE_NFA_H_
