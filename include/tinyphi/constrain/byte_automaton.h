// SPDX-License-Identifier: MIT
// Deterministic automata over bytes, and how they are made of each other. Every
// state but `dead` can still reach an accepting one.
#ifndef TINYPHI_CONSTRAIN_BYTE_AUTOMATON_H_
#define TINYPHI_CONSTRAIN_BYTE_AUTOMATON_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/constrain/byte_set.h"
#include "tinyphi/schema/regex_syntax.h"

TINYPHI_NAMESPACE_BEGIN

// Immutable once made, minimal and trimmed; any thread. The operations answer
// `limit` when the result would have more than max_states states.
class byte_automaton {
 public:
  using state = std::uint32_t;
  static constexpr state dead = ~state{0};
  static constexpr std::size_t max_states = 4096;

  // Takes no text at all, not even the empty one.
  byte_automaton() = default;

  [[nodiscard]] static byte_automaton literal(std::string_view text);
  // One byte of the set.
  [[nodiscard]] static byte_automaton one_of(const byte_set& bytes);
  // One whole character of the set, in UTF-8; never a surrogate.
  [[nodiscard]] static result<byte_automaton> one_character(
      const char_set& set);
  // All texts of well-formed UTF-8 in which the expression is found (JSON
  // Schema's `pattern`), or which it matches from beginning to end.
  enum class extent : std::uint8_t { found, whole };
  [[nodiscard]] static result<byte_automaton> regex(const regex_syntax& r,
                                                    extent e);
  // Characters of well-formed UTF-8, min to max of them (no_limit: any number).
  static constexpr std::uint32_t no_limit = ~std::uint32_t{0};
  [[nodiscard]] static result<byte_automaton> characters(std::uint32_t min,
                                                         std::uint32_t max);

  [[nodiscard]] static result<byte_automaton> either(
      std::span<const byte_automaton> parts);
  [[nodiscard]] static result<byte_automaton> sequence(
      std::span<const byte_automaton> parts);
  [[nodiscard]] static result<byte_automaton> repeat(const byte_automaton& a,
                                                     std::uint32_t min,
                                                     std::uint32_t max);
  // The texts that both take; those of `a` that `b` does not take.
  [[nodiscard]] static result<byte_automaton> both(const byte_automaton& a,
                                                   const byte_automaton& b);
  [[nodiscard]] static result<byte_automaton> without(const byte_automaton& a,
                                                      const byte_automaton& b);
  // The texts of `a` as they stand between the quotes of a JSON string:
  // printable characters as they are, \" \\ \b \f \n \r \t, and \u00xx
  // (lower-case digits) for the other control characters, so that each text has
  // one spelling.
  [[nodiscard]] static result<byte_automaton> in_json_string(
      const byte_automaton& a);

  // True if it takes no text.
  [[nodiscard]] bool empty() const { return accepting_.empty(); }
  [[nodiscard]] state start() const { return empty() ? dead : 0; }
  [[nodiscard]] state next(state s, std::uint8_t byte) const {
    return s == dead ? dead : next_[s * n_classes_ + classes_[byte]];
  }
  [[nodiscard]] bool accepting(state s) const {
    return s != dead && accepting_[s] != 0;
  }
  [[nodiscard]] std::size_t states() const { return accepting_.size(); }
  // Bytes of one class lead to the same states everywhere.
  [[nodiscard]] std::size_t classes() const { return n_classes_; }
  [[nodiscard]] std::uint8_t class_of(std::uint8_t byte) const {
    return classes_[byte];
  }
  [[nodiscard]] bool accepts(std::string_view text) const;

 private:
  friend class automaton_builder;
  std::array<std::uint8_t, 256> classes_{};
  std::size_t n_classes_ = 1;
  std::vector<state> next_;  // [states][classes]
  std::vector<std::uint8_t> accepting_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/constrain/byte_automaton.ipp"
#endif

#endif  // TINYPHI_CONSTRAIN_BYTE_AUTOMATON_H_
