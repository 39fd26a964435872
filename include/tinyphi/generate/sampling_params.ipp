// SPDX-License-Identifier: MIT
#ifndef TINYPHI_GENERATE_SAMPLING_PARAMS_IPP_
#define TINYPHI_GENERATE_SAMPLING_PARAMS_IPP_

#include <charconv>
#include <iterator>
#include <string_view>

#include "tinyphi/generate/sampling_params.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// The shortest text that reads back as the value, whatever the locale.
inline std::string number_text(double value) {
  const auto single = static_cast<float>(value);
  char buffer[32];
  const auto written = static_cast<double>(single) == value
                           ? std::to_chars(buffer, std::end(buffer), single)
                           : std::to_chars(buffer, std::end(buffer), value);
  return {buffer, written.ptr};
}

struct number_range {
  std::string_view field;
  double value;
  char open;  // '(' excludes min
  double min, max;
  char close;  // ')' excludes max

  // False for NaN.
  [[nodiscard]] bool holds() const {
    return (open == '(' ? value > min : value >= min) &&
           (close == ')' ? value < max : value <= max);
  }
  [[nodiscard]] error fault() const {
    return {error_code::invalid_argument,
            std::string(field) + " is " + number_text(value) +
                ", allowed are numbers in " + open + number_text(min) + ", " +
                number_text(max) + close};
  }
};

}  // namespace detail

TINYPHI_FUNC result<void> check_sampling(const sampling_params& p,
                                         std::size_t vocab_size) {
  constexpr double end = 2147483648.0;  // 2^31
  const detail::number_range ranges[] = {
      {"temperature", p.temperature, '[', 0, 100, ']'},
      {"top_k", 1.0 * p.top_k, '[', 0, end, ')'},
      {"top_p", p.top_p, '(', 0, 1, ']'},
      {"min_p", p.min_p, '[', 0, 1, ')'},
      {"typical_p", p.typical_p, '(', 0, 1, ']'},
      {"repetition_penalty", p.repetition_penalty, '(', 0, 10, ']'},
      {"presence_penalty", p.presence_penalty, '[', -2, 2, ']'},
      {"frequency_penalty", p.frequency_penalty, '[', -2, 2, ']'},
      {"penalty_window", 1.0 * p.penalty_window, '[', -1, end, ')'},
      {"dry_multiplier", p.dry_multiplier, '[', 0, 100, ']'},
      {"dry_base", p.dry_base, '[', 1, 10, ']'},
      {"dry_allowed_length", 1.0 * p.dry_allowed_length, '[', 0, 65536, ']'},
      {"dry_window", 1.0 * p.dry_window, '[', -1, end, ')'},
      {"mirostat_tau", p.mirostat_tau, '(', 0, 100, ']'},
      {"mirostat_eta", p.mirostat_eta, '(', 0, 1, ']'},
      {"n_logprobs", 1.0 * p.n_logprobs, '[', -1, 20, ']'},
  };
  for (const auto& range : ranges) {
    if (!range.holds()) return range.fault();
  }
  if (p.mirostat != 0 && p.mirostat != 2) {
    return error{error_code::invalid_argument,
                 "mirostat is " + std::to_string(p.mirostat) +
                     ", allowed are 0 (off) and 2"};
  }
  for (const std::string& breaker : p.dry_breakers) {
    if (!breaker.empty()) continue;
    return error{error_code::invalid_argument,
                 "dry_breakers holds an empty string, allowed are strings of "
                 "at least one character"};
  }
  for (const auto& [id, bias] : p.logit_bias) {
    const auto vocab_end = static_cast<double>(vocab_size);
    for (const detail::number_range& range :
         {detail::number_range{"logit_bias: token id", 1.0 * id, '[', 0,
                               vocab_end, ')'},
          detail::number_range{"logit_bias", bias, '[', -100, 100, ']'}}) {
      if (!range.holds()) return range.fault();
    }
  }
  return {};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_SAMPLING_PARAMS_IPP_
