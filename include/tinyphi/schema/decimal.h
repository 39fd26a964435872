// SPDX-License-Identifier: MIT
// Decimal numbers as JSON writes them, of any size and precision: compared and
// divided digit by digit, so that no bound is moved by rounding to a double.
#ifndef TINYPHI_SCHEMA_DECIMAL_H_
#define TINYPHI_SCHEMA_DECIMAL_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "tinyphi/base/error.h"

TINYPHI_NAMESPACE_BEGIN

// 0.d1d2d3... * 10^exponent. The digits are somebody else's, begin and end with
// another digit than '0', and are none for zero.
struct decimal {
  bool negative = false;
  std::string_view digits;
  std::int64_t exponent = 0;
};

[[nodiscard]] inline bool is_integer(const decimal& d) {
  return d.digits.empty() ||
         d.exponent >= static_cast<std::int64_t>(d.digits.size());
}

[[nodiscard]] inline std::strong_ordering operator<=>(const decimal& a,
                                                      const decimal& b) {
  const auto sign = [](const decimal& d) {
    return d.digits.empty() ? 0 : d.negative ? -1 : 1;
  };
  if (sign(a) != sign(b)) return sign(a) <=> sign(b);
  const auto magnitude = a.exponent != b.exponent && sign(a) != 0
                             ? a.exponent <=> b.exponent
                             : a.digits.compare(b.digits) <=> 0;
  return sign(a) < 0 ? 0 <=> magnitude : magnitude;
}
[[nodiscard]] inline bool operator==(const decimal& a, const decimal& b) {
  return (a <=> b) == 0;
}

// Whether d is a whole number from 0 to 2^53, and which.
[[nodiscard]] inline std::optional<std::uint64_t> to_count(const decimal& d) {
  if (d.digits.empty()) return 0;
  if (d.negative || !is_integer(d) || d.exponent > 16) return std::nullopt;
  std::uint64_t n = 0;
  for (std::int64_t i = 0; i < d.exponent; ++i) {
    const auto at = static_cast<std::size_t>(i);
    n = n * 10 + (at < d.digits.size()
                      ? static_cast<std::uint64_t>(d.digits[at] - '0')
                      : 0);
  }
  if (n > std::uint64_t{1} << 53) return std::nullopt;
  return n;
}

// The digits of a divisor, at most: then what is left of a division stays
// below 2^60.
inline constexpr std::size_t max_divisor_digits = 18;

// Whether `value` is a whole multiple of `divisor`, which is greater than zero
// and has at most max_divisor_digits digits.
[[nodiscard]] inline bool is_multiple(const decimal& value,
                                      const decimal& divisor) {
  __extension__ using product = unsigned __int128;
  TINYPHI_ASSERT(!divisor.digits.empty() && !divisor.negative &&
                 divisor.digits.size() <= max_divisor_digits);
  if (value.digits.empty()) return true;
  // With both as whole numbers times a power of ten: how many more tens the
  // value has. Neither whole number ends in 0, so fewer are too few.
  std::int64_t tens =
      (value.exponent - static_cast<std::int64_t>(value.digits.size())) -
      (divisor.exponent - static_cast<std::int64_t>(divisor.digits.size()));
  if (tens < 0) return false;
  std::uint64_t d = 0;
  for (const char c : divisor.digits) {
    d = d * 10 + static_cast<std::uint64_t>(c - '0');
  }
  const auto times = [d](std::uint64_t a, std::uint64_t b) {
    return static_cast<std::uint64_t>(static_cast<product>(a) * b % d);
  };
  std::uint64_t left = 0;
  for (const char c : value.digits) {
    left = static_cast<std::uint64_t>(
        (static_cast<product>(left) * 10 + static_cast<unsigned>(c - '0')) % d);
  }
  for (std::uint64_t power = 10 % d; tens > 0; tens /= 2) {
    if (tens % 2 == 1) left = times(left, power);
    power = times(power, power);
  }
  return left == 0;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SCHEMA_DECIMAL_H_
