// SPDX-License-Identifier: MIT
// Texts that expressions make of texts and values.
#ifndef TINYPHI_PIPELINE_EXPRESSION_TEXTS_IPP_
#define TINYPHI_PIPELINE_EXPRESSION_TEXTS_IPP_

#include <string.h>
#include <utf8proc.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "tinyphi/base/plain_text.h"
#include "tinyphi/base/utf8.h"
#include "tinyphi/pipeline/expression/expression.h"

TINYPHI_NAMESPACE_BEGIN
namespace detail {

inline std::string changed_case(std::string_view text, bool upper) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const utf8_char c = decode_utf8(text.substr(i));
    const auto code = static_cast<utf8proc_int32_t>(c.code_point);
    append_utf8(out, static_cast<char32_t>(upper ? utf8proc_toupper(code)
                                                 : utf8proc_tolower(code)));
    i += c.length;
  }
  return out;
}

inline std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin);
}

// Without the line break behind the last of them.
inline std::string_view first_lines(std::string_view text, std::int64_t n) {
  std::size_t end = 0;
  for (; n > 0 && end < text.size(); --n) {
    const std::size_t newline = text.find('\n', end);
    if (newline == std::string_view::npos) return text;
    end = newline + (n > 1 ? 1 : 0);
  }
  return text.substr(0, end);
}

// In linear time, which std::string does not promise.
inline bool has_part(std::string_view text, std::string_view part) {
  return part.empty() ||
         memmem(text.data(), text.size(), part.data(), part.size()) != nullptr;
}

// Half away from zero, at `digits` behind the point.
inline double rounded(double x, std::int64_t digits) {
  // A double has no more digits than these.
  if (digits > 308 || !std::isfinite(x)) return x;
  if (digits < -308) return 0;
  const double scale =
      std::pow(10.0, static_cast<double>(digits < 0 ? -digits : digits));
  // Adding 0 makes 0 of -0.
  if (digits < 0) return std::round(x / scale) * scale + 0.0;
  const double scaled = x * scale;
  constexpr double first_whole = 0x1p52;  // from here on all are whole
  return std::fabs(scaled) < first_whole ? std::round(scaled) / scale + 0.0 : x;
}

}  // namespace detail

TINYPHI_FUNC std::string printed(const value_data& data, const type& t) {
  if (const auto* text = data.get<std::string>()) return *text;
  if (const auto* b = data.get<bool>()) return *b ? "true" : "false";
  const auto* n = data.get<std::int64_t>();
  if (n == nullptr) {
    const auto x = data.number();
    // The sign of what is not a number depends on the processor.
    if (x && std::isnan(*x)) return "nan";
    return x ? plain_number(*x, 12) : std::string();
  }
  const auto in_units =
      [&](std::initializer_list<std::pair<std::int64_t, std::string_view>>
              units) {
        for (const auto& [factor, suffix] : units) {
          if (*n != 0 && *n % factor == 0) {
            return std::to_string(*n / factor) + std::string(suffix);
          }
        }
        return "0" + std::string(std::prev(units.end())->second);
      };
  if (t.is(type_kind::duration)) {
    return in_units({{3'600'000, "h"}, {60'000, "m"}, {1000, "s"}, {1, "ms"}});
  }
  if (t.is(type_kind::size)) {
    return in_units({{1 << 20, "MiB"}, {1 << 10, "KiB"}, {1, "B"}});
  }
  return std::to_string(*n);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_EXPRESSION_TEXTS_IPP_
