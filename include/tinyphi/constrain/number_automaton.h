// SPDX-License-Identifier: MIT
// The JSON numbers between two bounds, as an automaton over their digits:
// bounds are compared digit by digit, so that no rounding moves them.
#ifndef TINYPHI_CONSTRAIN_NUMBER_AUTOMATON_H_
#define TINYPHI_CONSTRAIN_NUMBER_AUTOMATON_H_

#include <cstdint>
#include <optional>
#include <string>

#include "tinyphi/base/error.h"
#include "tinyphi/constrain/byte_automaton.h"
#include "tinyphi/schema/decimal.h"

TINYPHI_NAMESPACE_BEGIN

struct number_bound {
  decimal value;
  bool exclusive = false;
};

struct number_shape {
  bool integer = false;
  std::optional<number_bound> least, most;
  // Whole multiples of it only, and whole numbers: 1 to max_divisor.
  std::uint32_t divisor = 1;
  // Decimals behind the point, for numbers that are no integers.
  std::uint32_t decimals = 16;
};

inline constexpr std::uint32_t max_divisor = 1024;
// Digits of integers, and of a number before its point.
inline constexpr std::uint32_t max_integer_digits = 18, max_whole_digits = 16;

// Texts of numbers of that shape: no leading zero, no -0; an exponent only
// where nothing is asked of the number. Takes no text where there is no such
// number. limit if a bound has more than 18 digits before the point or 16
// behind it.
[[nodiscard]] result<byte_automaton> number_automaton(const number_shape& s);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/constrain/number_automaton.ipp"
#endif

#endif  // TINYPHI_CONSTRAIN_NUMBER_AUTOMATON_H_
