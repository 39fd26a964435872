// SPDX-License-Identifier: MIT
// Characters of ASCII in any locale, and HTML's entities for them.
#ifndef TINYPHI_PLUGINS_GUARD_ASCII_H_
#define TINYPHI_PLUGINS_GUARD_ASCII_H_

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN
namespace guard::detail {

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
inline bool is_word(char c) { return is_digit(c) || is_letter(c) || c == '_'; }
inline bool is_in(char c, std::string_view set) {
  return c != '\0' && set.find(c) != std::string_view::npos;
}
inline char in_lower_case(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
inline std::string in_lower_case(std::string text) {
  for (char& c : text) c = in_lower_case(c);
  return text;
}

// "&#105;" or "&#x69" at the front: the character, and its length in the text.
inline std::optional<std::pair<char32_t, std::size_t>> numeric_entity(
    std::string_view text) {
  constexpr std::size_t longest = 10;
  if (!text.starts_with("&#")) return std::nullopt;
  const bool hex = text.size() > 2 && in_lower_case(text[2]) == 'x';
  char32_t value = 0;
  const std::size_t first = hex ? 3 : 2;
  std::size_t i = first;
  for (; i < std::min(text.size(), longest); ++i) {
    const char c = in_lower_case(text[i]);
    if (is_digit(c)) {
      value = value * (hex ? 16 : 10) + static_cast<char32_t>(c - '0');
    } else if (hex && c >= 'a' && c <= 'f') {
      value = value * 16 + static_cast<char32_t>(c - 'a' + 10);
    } else {
      break;
    }
  }
  if (i == first || value == 0 || value > 0x10FFFF ||
      (value >= 0xD800 && value < 0xE000)) {
    return std::nullopt;
  }
  if (i < text.size() && text[i] == ';') ++i;
  return std::pair{value, i};
}

}  // namespace guard::detail
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_GUARD_ASCII_H_
