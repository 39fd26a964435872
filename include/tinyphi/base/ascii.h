// SPDX-License-Identifier: MIT
// Characters of ASCII in any locale, and bytes that are written with them.
#ifndef TINYPHI_BASE_ASCII_H_
#define TINYPHI_BASE_ASCII_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN
namespace ascii {

[[nodiscard]] constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
[[nodiscard]] constexpr bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
// A letter, a digit or '_'.
[[nodiscard]] constexpr bool is_word(char c) {
  return is_letter(c) || is_digit(c) || c == '_';
}
// What JSON calls white space.
[[nodiscard]] constexpr bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

[[nodiscard]] constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
[[nodiscard]] inline std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = lower(c);
  return out;
}

// The value of a hexadecimal digit in either case; -1 for another character.
[[nodiscard]] constexpr int hex_digit(char c) {
  const char small = lower(c);
  return is_digit(c)                    ? c - '0'
         : small >= 'a' && small <= 'f' ? small - 'a' + 10
                                        : -1;
}

// Every "%XX" as its byte (RFC 3986); nothing if something else follows a '%'.
[[nodiscard]] inline std::optional<std::string> percent_decoded(
    std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

}  // namespace ascii
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_BASE_ASCII_H_
