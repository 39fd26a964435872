// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PLUGINS_GUARD_INJECTION_IPP_
#define TINYPHI_PLUGINS_GUARD_INJECTION_IPP_

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "plugins/guard/ascii.h"
#include "plugins/guard/injection.h"
#include "plugins/guard_data.h"
#include "tinyphi/base/utf8.h"

TINYPHI_NAMESPACE_BEGIN
namespace guard {
namespace detail {

// What base64 text without white space says; empty unless it is plain text.
inline std::string decode_plain_base64(std::string_view text) {
  std::string out;
  std::uint32_t bits = 0;
  int n_bits = 0;
  for (const char c : text) {
    const int value = c >= 'A' && c <= 'Z'   ? c - 'A'
                      : c >= 'a' && c <= 'z' ? c - 'a' + 26
                      : is_digit(c)          ? c - '0' + 52
                      : c == '+' || c == '-' ? 62
                                             : 63;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    n_bits += 6;
    if (n_bits < 8) continue;
    n_bits -= 8;
    out += static_cast<char>(bits >> n_bits & 0xFF);
  }
  const bool is_plain =
      find_invalid_utf8(out) == std::string_view::npos &&
      std::ranges::all_of(out, [](char c) {
        return static_cast<unsigned char>(c) >= ' ' || is_in(c, "\t\r\n");
      });
  return is_plain ? out : std::string();
}

// All that is hidden in base64, each on a line.
inline std::string hidden_in_base64(std::string_view text) {
  constexpr std::size_t shortest = 24;  // shorter words are like it
  std::string out;
  for (std::size_t i = 0, begin = 0; i <= text.size(); ++i) {
    if (i < text.size() &&
        (is_letter(text[i]) || is_digit(text[i]) || is_in(text[i], "+/-_"))) {
      continue;
    }
    if (i - begin >= shortest) {
      out += '\n' + decode_plain_base64(text.substr(begin, i - begin));
    }
    begin = i + 1;
  }
  return out;
}

// A Latin letter for one of Cyrillic or Greek that looks like it, or 0.
inline char look_alike(char32_t c) {
  constexpr std::pair<char32_t, char> table[] = {
      {0x430, 'a'}, {0x432, 'b'}, {0x435, 'e'}, {0x43A, 'k'}, {0x43C, 'm'},
      {0x43D, 'h'}, {0x43E, 'o'}, {0x440, 'p'}, {0x441, 'c'}, {0x442, 't'},
      {0x443, 'y'}, {0x445, 'x'}, {0x455, 's'}, {0x456, 'i'}, {0x458, 'j'},
      {0x501, 'd'}, {0x51B, 'q'}, {0x51D, 'w'}, {0x3B1, 'a'}, {0x3B5, 'e'},
      {0x3B9, 'i'}, {0x3BA, 'k'}, {0x3BD, 'v'}, {0x3BF, 'o'}, {0x3C1, 'p'},
      {0x3C4, 't'}, {0x3C5, 'u'}, {0x3C7, 'x'}};
  if (c < 0x3B1 || c > 0x51D) return '\0';
  for (const auto& [foreign, latin] : table) {
    if (foreign == c) return latin;
  }
  return '\0';
}

// The letter that a digit or a dollar stands for in "1gn0r3", or 0.
inline char read_as_letter(char32_t c) {
  constexpr std::string_view signs = "0134578$";
  constexpr std::string_view letters = "oieastbs";
  if (c >= 0x80) return '\0';
  const std::size_t at = signs.find(static_cast<char>(c));
  return at == std::string_view::npos ? '\0' : letters[at];
}

inline bool is_latin(char32_t c) { return c >= 'a' && c <= 'z'; }
inline bool is_space(char32_t c) { return c == ' ' || (c >= 9 && c <= 13); }

using folded_characters = std::vector<char32_t>;

// Appends c in its folded form.
inline void fold_character(char32_t c, folded_characters& out) {
  constexpr std::size_t longest = 18;
  if (c >= 0xE0020 && c <= 0xE007E) c -= 0xE0000;  // tags mirror ASCII
  if (c < 0x80) {
    out.push_back(c >= 'A' && c <= 'Z' ? c + 32 : c);
    return;
  }
  // Their letters are made of parts, which would have to be joined again.
  if ((c >= 0x3041 && c <= 0x30FF) || (c >= 0xAC00 && c <= 0xD7A3)) {
    out.push_back(c);
    return;
  }
  if (c == 0x2018 || c == 0x2019) return out.push_back('\'');
  if (c == 0x201C || c == 0x201D) return out.push_back('"');
  if (c >= 0x2010 && c <= 0x2015) return out.push_back('-');
  std::array<utf8proc_int32_t, longest> parts;
  int boundary = UTF8PROC_BOUNDCLASS_START;
  const utf8proc_ssize_t n = utf8proc_decompose_char(
      static_cast<utf8proc_int32_t>(c), parts.data(), longest,
      static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT |
                                     UTF8PROC_CASEFOLD | UTF8PROC_IGNORE),
      &boundary);
  for (std::size_t k = 0; n > 0 && k < static_cast<std::size_t>(n); ++k) {
    const auto part = static_cast<char32_t>(parts[k]);
    // Marks of Latin, Greek, Cyrillic, and those of Arabic that are left out.
    const bool is_mark =
        (part >= 0x300 && part <= 0x36F) || (part >= 0x64B && part <= 0x65F);
    if (!is_mark) out.push_back(part);
  }
}

// Makes letters of what only looks like them, in words that have others.
inline void unmask_words(folded_characters& text) {
  const auto is_part = [](char32_t c) {
    return is_latin(c) || look_alike(c) != '\0' || read_as_letter(c) != '\0';
  };
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i, latin = 0;
    while (end < text.size() && is_part(text[end])) {
      latin += is_latin(text[end]) ? 1 : 0;
      ++end;
    }
    for (; latin != 0 && i < end; ++i) {
      const char alike = look_alike(text[i]);
      const char read = read_as_letter(text[i]);
      if (alike != '\0') text[i] = static_cast<char32_t>(alike);
      if (read != '\0') text[i] = static_cast<char32_t>(read);
    }
    i = end + 1;
  }
}

// Joins four or more single letters with the same sign between them.
inline void join_letters(folded_characters& text) {
  const auto letter = [&](std::size_t i) {
    return i < text.size() && (is_latin(text[i]) || text[i] >= 0xC0);
  };
  std::size_t out = 0;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i + 1;  // behind the last letter of a run
    if (letter(i) && (i == 0 || !letter(i - 1)) && end < text.size()) {
      const char32_t joint = text[end];
      if (joint < 0x80 && is_in(static_cast<char>(joint), " -._*/|+")) {
        while (end < text.size() && text[end] == joint && letter(end + 1) &&
               !letter(end + 2)) {
          end += 2;
        }
      }
    }
    const std::size_t step = end - i >= 7 ? 2 : 1;
    for (; i < end; i += step) text[out++] = text[i];
    i = end;
  }
  text.resize(out);
}

// A run of white space becomes a blank, or a line feed if one is in it.
inline std::string to_text(const folded_characters& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!is_space(text[i])) {
      append_utf8(out, text[i]);
      continue;
    }
    bool is_line = false;
    for (; i < text.size() && is_space(text[i]); ++i) {
      is_line |= text[i] == '\n';
    }
    --i;
    out += is_line ? '\n' : ' ';
  }
  return out;
}

}  // namespace detail

inline std::string fold_text(std::string_view text,
                             const stop_condition* stop) {
  const auto stopped = [&] { return stop != nullptr && stop->reason(); };
  const std::string all = std::string(text) + detail::hidden_in_base64(text);
  text = all;
  detail::folded_characters folded;
  folded.reserve(text.size());
  for (std::size_t i = 0, n = 1; i < text.size(); ++n) {
    if (n % 4096 == 0 && stopped()) return {};
    if (const auto entity = detail::numeric_entity(text.substr(i))) {
      detail::fold_character(entity->first, folded);
      i += entity->second;
      continue;
    }
    const utf8_char c = decode_utf8(text.substr(i));
    if (c.valid) detail::fold_character(c.code_point, folded);
    i += c.length;
  }
  detail::join_letters(folded);
  if (stopped()) return {};
  detail::unmask_words(folded);
  if (stopped()) return {};
  return detail::to_text(folded);
}

inline const result<rule_set>& injection_rules() {
  static const result<rule_set> rules =
      parse_rules(injection_data, "injection.toml");
  return rules;
}

inline result<verdict> judge_injection(std::string_view text,
                                       std::span<const rule_set> more,
                                       const stop_condition* stop) {
  const result<rule_set>& own = injection_rules();
  if (!own) return own.error();
  std::vector<rule_set> sets{*own};
  sets.insert(sets.end(), more.begin(), more.end());
  return judge(fold_text(text, stop), sets, stop);
}

}  // namespace guard
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_GUARD_INJECTION_IPP_
