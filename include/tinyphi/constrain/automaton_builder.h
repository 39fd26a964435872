// SPDX-License-Identifier: MIT
// A deterministic automaton that is being made: states and edges in any order,
// which minimal() trims and merges.
#ifndef TINYPHI_CONSTRAIN_AUTOMATON_BUILDER_H_
#define TINYPHI_CONSTRAIN_AUTOMATON_BUILDER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/constrain/byte_automaton.h"

TINYPHI_NAMESPACE_BEGIN

class automaton_builder {
 public:
  using state = byte_automaton::state;

  // classes[byte] < n_classes <= 256.
  automaton_builder(const std::array<std::uint8_t, 256>& classes,
                    std::size_t n_classes)
      : classes_(classes), n_classes_(n_classes) {}

  // The first state is where texts begin.
  state add(bool accepting);
  void edge(state from, std::size_t byte_class, state to) {
    next_[from * n_classes_ + byte_class] = to;
  }
  // The smallest automaton that takes the same texts; limit if it has more
  // than byte_automaton::max_states states.
  [[nodiscard]] result<byte_automaton> minimal() &&;

 private:
  // Blocks of states that no text tells apart so far.
  class partition;
  void reach();                     // leaves out what is not reached
  std::vector<bool> alive() const;  // states that can still accept
  void merge_classes(byte_automaton& a) const;

  std::array<std::uint8_t, 256> classes_;
  std::size_t n_classes_;
  std::vector<state> next_;  // [states][classes]
  std::vector<std::uint8_t> accepting_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/constrain/automaton_builder.ipp"
#endif

#endif  // TINYPHI_CONSTRAIN_AUTOMATON_BUILDER_H_
