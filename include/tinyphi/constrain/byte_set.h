// SPDX-License-Identifier: MIT
// A set of bytes: what an edge of an automaton takes.
#ifndef TINYPHI_CONSTRAIN_BYTE_SET_H_
#define TINYPHI_CONSTRAIN_BYTE_SET_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

class byte_set {
 public:
  constexpr byte_set() = default;
  [[nodiscard]] static constexpr byte_set range(std::uint8_t first,
                                                std::uint8_t last) {
    byte_set s;
    for (unsigned b = first; b <= last; ++b)
      s.insert(static_cast<std::uint8_t>(b));
    return s;
  }
  [[nodiscard]] static constexpr byte_set of(std::uint8_t b) {
    return range(b, b);
  }

  [[nodiscard]] constexpr bool contains(std::uint8_t b) const {
    return (words_[b / 64] >> (b % 64) & 1) != 0;
  }
  constexpr void insert(std::uint8_t b) {
    words_[b / 64] |= std::uint64_t{1} << (b % 64);
  }
  [[nodiscard]] constexpr bool empty() const {
    return (words_[0] | words_[1] | words_[2] | words_[3]) == 0;
  }
  [[nodiscard]] constexpr int count() const {
    int n = 0;
    for (const std::uint64_t w : words_) n += std::popcount(w);
    return n;
  }
  // The least of them; there is one.
  [[nodiscard]] constexpr std::uint8_t first() const {
    unsigned b = 0;
    while (!contains(static_cast<std::uint8_t>(b))) ++b;
    return static_cast<std::uint8_t>(b);
  }
  friend constexpr bool operator==(const byte_set&, const byte_set&) = default;

 private:
  std::array<std::uint64_t, 4> words_{};
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_CONSTRAIN_BYTE_SET_H_
