// SPDX-License-Identifier: MIT
// Ranges of code points as sequences of ranges of bytes, and sets of characters
// as ranges.
#ifndef TINYPHI_CONSTRAIN_UTF8_RANGES_H_
#define TINYPHI_CONSTRAIN_UTF8_RANGES_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tinyphi/base/utf8.h"
#include "tinyphi/schema/regex_syntax.h"

TINYPHI_NAMESPACE_BEGIN

// The UTF-8 texts whose first byte lies in the first range, and so on.
struct utf8_sequence {
  struct bytes {
    std::uint8_t first = 0, last = 0;  // both are in it
    friend bool operator==(const bytes&, const bytes&) = default;
  };
  std::array<bytes, 4> ranges{};
  std::size_t size = 0;
};

namespace detail {

// Below 0x80 one byte, below 0x800 two, below 0x10000 three, then four.
inline constexpr char32_t utf8_limits[] = {0x80, 0x800, 0x10000, 0x110000};

// As each_utf8_sequence, for code points that have the same number of bytes:
// cuts the range where trailing bytes would not be whole ranges.
template <typename F>
void each_aligned_sequence(char32_t first, char32_t last, std::size_t size,
                           F&& f) {
  while (first <= last) {
    char32_t end = last;
    for (std::size_t i = 1; i < size; ++i) {
      const char32_t mask = (char32_t{1} << (6 * i)) - 1;
      if ((first & ~mask) == (end & ~mask)) continue;
      if ((first & mask) != 0) {
        end = first | mask;
      } else if ((end & mask) != mask) {
        end = (end & ~mask) - 1;
      }
    }
    std::string from, to;
    append_utf8(from, first);
    append_utf8(to, end);
    utf8_sequence s;
    s.size = size;
    for (std::size_t i = 0; i < size; ++i) {
      s.ranges[i] = {static_cast<std::uint8_t>(from[i]),
                     static_cast<std::uint8_t>(to[i])};
    }
    f(s);
    first = end + 1;
  }
}

}  // namespace detail

// Calls f(sequence) so that the sequences together spell the code points first
// to last, each once, and no surrogates.
template <typename F>
void each_utf8_sequence(code_point_range range, F&& f) {
  constexpr char32_t low = 0xD800, high = 0xDFFF;
  if (range.first < low && range.last > high) {
    each_utf8_sequence({range.first, low - 1}, f);
    range.first = high + 1;
  }
  if (range.first >= low && range.first <= high) range.first = high + 1;
  if (range.last >= low && range.last <= high) range.last = low - 1;
  char32_t begin = 0;
  for (std::size_t size = 1; size <= 4; ++size) {
    const char32_t limit = detail::utf8_limits[size - 1];
    const char32_t first = std::max(range.first, begin);
    const char32_t last = std::min<char32_t>(range.last, limit - 1);
    if (first <= last) detail::each_aligned_sequence(first, last, size, f);
    begin = limit;
  }
}

// The characters of a set in ascending ranges that do not touch. A set without
// categories and without ignore_case takes no time to speak of; the others are
// asked for each code point, which takes some ten milliseconds.
[[nodiscard]] inline std::vector<code_point_range> ranges_of(
    const char_set& set) {
  constexpr char32_t end = 0x110000;
  std::vector<code_point_range> out;
  if (set.categories == 0 && !set.ignore_case) {
    std::vector<code_point_range> sorted = set.ranges;
    std::ranges::sort(sorted, {}, &code_point_range::first);
    for (const code_point_range& r : sorted) {
      if (!out.empty() && r.first <= out.back().last + 1) {
        out.back().last = std::max(out.back().last, r.last);
      } else {
        out.push_back(r);
      }
    }
    if (!set.negated) return out;
    std::vector<code_point_range> others;
    char32_t next = 0;
    for (const code_point_range& r : out) {
      if (r.first > next) others.push_back({next, r.first - 1});
      next = r.last + 1;
    }
    if (next < end) others.push_back({next, end - 1});
    return others;
  }
  for (char32_t c = 0; c < end; ++c) {
    if (!set.contains(c)) continue;
    if (!out.empty() && out.back().last + 1 == c) {
      out.back().last = c;
    } else {
      out.push_back({c, c});
    }
  }
  return out;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_CONSTRAIN_UTF8_RANGES_H_
