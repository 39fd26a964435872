// SPDX-License-Identifier: MIT
// Words of ASCII, and HTML's entities for characters.
#ifndef TINYPHI_PLUGINS_GUARD_ASCII_H_
#define TINYPHI_PLUGINS_GUARD_ASCII_H_

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "tinyphi/base/ascii.h"

TINYPHI_NAMESPACE_BEGIN
namespace guard::detail {

using ascii::is_digit;
using ascii::is_letter;
inline bool is_word(char c) { return is_digit(c) || is_letter(c) || c == '_'; }
inline bool is_in(char c, std::string_view set) {
  return c != '\0' && set.find(c) != std::string_view::npos;
}

// "&#105;" or "&#x69" at the front: the character, and its length in the text.
inline std::optional<std::pair<char32_t, std::size_t>> numeric_entity(
    std::string_view text) {
  constexpr std::size_t longest = 10;
  if (!text.starts_with("&#")) return std::nullopt;
  const bool hex = text.size() > 2 && ascii::lower(text[2]) == 'x';
  const int base = hex ? 16 : 10;
  char32_t value = 0;
  const std::size_t first = hex ? 3 : 2;
  std::size_t i = first;
  for (; i < std::min(text.size(), longest); ++i) {
    const int digit = ascii::hex_digit(text[i]);
    if (digit < 0 || digit >= base) break;
    value = value * static_cast<char32_t>(base) + static_cast<char32_t>(digit);
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
