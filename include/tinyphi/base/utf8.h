// SPDX-License-Identifier: MIT
// UTF-8: decode, encode, and cut at character borders (RFC 3629).
#ifndef TINYPHI_BASE_UTF8_H_
#define TINYPHI_BASE_UTF8_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

inline constexpr char32_t replacement_character = 0xFFFD;

struct utf8_char {
  char32_t code_point = replacement_character;
  std::uint8_t length = 1;  // bytes consumed; 1 for a byte that is not UTF-8
  bool valid = false;       // false: not the start of a valid sequence
  bool truncated = false;   // false unless the text ends inside a sequence
                            // that was valid so far
};

// Decodes the character at the front of `text`, which must not be empty.
// Overlong forms, surrogates and values above U+10FFFF are not valid.
[[nodiscard]] inline utf8_char decode_utf8(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return static_cast<unsigned char>(text[i]);
  };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1, true, false};
  std::size_t length;
  char32_t code_point;
  unsigned char low = 0x80, high = 0xBF;  // allowed range of the second byte
  if (first >= 0xC2 && first <= 0xDF) {
    length = 2, code_point = first & 0x1Fu;
  } else if (first >= 0xE0 && first <= 0xEF) {
    length = 3, code_point = first & 0x0Fu;
    if (first == 0xE0) low = 0xA0;
    if (first == 0xED) high = 0x9F;
  } else if (first >= 0xF0 && first <= 0xF4) {
    length = 4, code_point = first & 0x07u;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;
  } else {
    return {};
  }
  for (std::size_t i = 1; i < length; ++i) {
    if (i >= text.size()) return {replacement_character, 1, false, true};
    if (byte(i) < low || byte(i) > high) return {};
    code_point = (code_point << 6) | (byte(i) & 0x3Fu);
    low = 0x80, high = 0xBF;
  }
  return {code_point, static_cast<std::uint8_t>(length), true, false};
}

// `code_point` must be a Unicode scalar value.
inline void append_utf8(std::string& out, char32_t code_point) {
  const auto put = [&](char32_t b) { out.push_back(static_cast<char>(b)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | (code_point >> 6));
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | (code_point >> 12));
    put(0x80 | ((code_point >> 6) & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | (code_point >> 18));
    put(0x80 | ((code_point >> 12) & 0x3F));
    put(0x80 | ((code_point >> 6) & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

// Returns the offset of the first byte that is not valid UTF-8, or npos.
[[nodiscard]] inline std::size_t find_invalid_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const utf8_char c = decode_utf8(text.substr(i));
    if (!c.valid) return i;
    i += c.length;
  }
  return std::string_view::npos;
}

// The length of the longest prefix that does not end inside a character.
// Bytes that can never become valid count as characters of their own.
[[nodiscard]] inline std::size_t complete_utf8_length(std::string_view text) {
  for (std::size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const auto b = static_cast<unsigned char>(text[text.size() - back]);
    if ((b & 0xC0) == 0x80) continue;  // a continuation byte: look further
    const bool cut = decode_utf8(text.substr(text.size() - back)).truncated;
    return cut ? text.size() - back : text.size();
  }
  return text.size();
}

// How many characters valid UTF-8 holds.
[[nodiscard]] inline std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

// `text` with every invalid byte replaced by U+FFFD.
[[nodiscard]] inline std::string to_valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const utf8_char c = decode_utf8(text.substr(i));
    if (c.valid) {
      out.append(text.substr(i, c.length));
    } else {
      append_utf8(out, replacement_character);
    }
    i += c.length;
  }
  return out;
}

// Puts '?' in the place of ASCII control characters: names that come from files
// may hold line breaks and terminal sequences.
inline void hide_controls(std::string& text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_BASE_UTF8_H_
