// SPDX-License-Identifier: MIT
// What tokenizers ask about characters, and bytes that may not be UTF-8 as
// text.
#ifndef TINYPHI_TEXT_UNICODE_H_
#define TINYPHI_TEXT_UNICODE_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "tinyphi/base/utf8.h"

TINYPHI_NAMESPACE_BEGIN

// The property White_Space of Unicode 15.
[[nodiscard]] constexpr bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

// How many U+FFFD stand for bytes that are not UTF-8.
enum class replacement {
  per_byte,      // one for each byte
  per_sequence,  // one for a valid beginning of a character together
};

[[nodiscard]] inline std::string replace_invalid_utf8(std::string_view bytes,
                                                      replacement how) {
  if (how == replacement::per_byte) return to_valid_utf8(bytes);
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const utf8_char c = decode_utf8(bytes);
    std::size_t length = c.length;
    if (c.valid) {
      out.append(bytes.substr(0, length));
    } else {
      for (std::size_t n = 2; n <= 3 && n <= bytes.size(); ++n) {
        if (decode_utf8(bytes.substr(0, n)).truncated) length = n;
      }
      append_utf8(out, replacement_character);
    }
    bytes.remove_prefix(length);
  }
  return out;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_TEXT_UNICODE_H_
