// SPDX-License-Identifier: MIT
#ifndef TINYPHI_TEXT_PRE_TOKENIZE_IPP_
#define TINYPHI_TEXT_PRE_TOKENIZE_IPP_

#include <utf8proc.h>

#include <cstdint>

#include "tinyphi/base/ascii.h"
#include "tinyphi/text/pre_tokenize.h"
#include "tinyphi/text/unicode.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// Sets of characters, by their names in the expressions.
namespace char_class {
inline constexpr unsigned upper = 1;     // \p{Lu} \p{Lt}
inline constexpr unsigned lower = 2;     // \p{Ll}
inline constexpr unsigned caseless = 4;  // \p{Lm} \p{Lo}
inline constexpr unsigned mark = 8;      // \p{M}
inline constexpr unsigned number = 16;   // \p{N}
inline constexpr unsigned space = 32;    // \s but the two below
inline constexpr unsigned newline = 64;  // \r \n
inline constexpr unsigned other = 128;
inline constexpr unsigned letter = upper | lower | caseless;
}  // namespace char_class

inline unsigned class_of(char32_t c) {
  if (c == U'\r' || c == U'\n') return char_class::newline;
  if (is_white_space(c)) return char_class::space;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT:
      return char_class::upper;
    case UTF8PROC_CATEGORY_LL:
      return char_class::lower;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return char_class::caseless;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
      return char_class::mark;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return char_class::number;
    default:
      return char_class::other;
  }
}

// Positions in one text. Each match function takes where to begin and returns
// where the match ends; `begin` itself (or none) where nothing matches.
class word_matcher {
 public:
  explicit word_matcher(std::string_view text) : text_(text) {}

  static constexpr std::size_t none = std::string_view::npos;

  // The alternatives of the expression, first match wins, as in
  // (?i:'s|'t|'re|'ve|'m|'ll|'d)
  // |[^\r\n\p{L}\p{N}]?\p{L}+
  // |\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
  [[nodiscard]] std::size_t cl100k() const {
    if (const std::size_t end = contraction(0); end > 0) return end;
    for (const std::size_t begin : {after_prefix(), std::size_t{0}}) {
      const std::size_t end = run(begin, char_class::letter);
      if (end > begin) return end;
    }
    return number_symbols_or_space("\r\n");
  }

  // [^\r\n\p{L}\p{N}]?U*L+(?i:'s|'t|'re|'ve|'m|'ll|'d)?
  // |[^\r\n\p{L}\p{N}]?U+L*(?i:'s|'t|'re|'ve|'m|'ll|'d)?
  // |\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
  // with U = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], L = [\p{Ll}\p{Lm}\p{Lo}\p{M}]
  [[nodiscard]] std::size_t o200k() const {
    for (const std::size_t begin : {after_prefix(), std::size_t{0}}) {
      const std::size_t end = upper_then_lower(begin);
      if (end != none) return contraction(end);
    }
    for (const std::size_t begin : {after_prefix(), std::size_t{0}}) {
      const std::size_t end = run(begin, upper_set);
      if (end > begin) return contraction(end);
    }
    return number_symbols_or_space("\r\n/");
  }

 private:
  static constexpr unsigned shared_set =
      char_class::caseless | char_class::mark;
  static constexpr unsigned upper_set = char_class::upper | shared_set;
  static constexpr unsigned lower_set = char_class::lower | shared_set;

  struct char_at {
    unsigned in = 0;  // its class; 0 at the end of the text
    std::size_t end;
  };
  [[nodiscard]] char_at at(std::size_t i) const {
    if (i == text_.size()) return {0, i};
    const utf8_char c = decode_utf8(text_.substr(i));
    return {class_of(c.code_point), i + c.length};
  }

  [[nodiscard]] std::size_t run(std::size_t i, unsigned set) const {
    for (char_at c = at(i); c.in & set; c = at(i)) i = c.end;
    return i;
  }

  // [^\r\n\p{L}\p{N}]?
  [[nodiscard]] std::size_t after_prefix() const {
    const char_at c = at(0);
    constexpr unsigned not_a_prefix =
        char_class::newline | char_class::letter | char_class::number;
    return c.in & not_a_prefix ? 0 : c.end;
  }

  // (?i:'s|'t|'re|'ve|'m|'ll|'d)?  Ignoring case, U+017F is an s.
  [[nodiscard]] std::size_t contraction(std::size_t i) const {
    if (i + 1 >= text_.size() || text_[i] != '\'') return i;
    const auto lower_at = [&](std::size_t k) {
      return k < text_.size() ? ascii::lower(text_[k]) : '\0';
    };
    const char first = lower_at(i + 1), second = lower_at(i + 2);
    if (first == 's' || first == 't' || first == 'm' || first == 'd') {
      return i + 2;
    }
    if (text_.substr(i + 1).starts_with("\u017F")) return i + 3;
    if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') ||
        (first == 'l' && second == 'l')) {
      return i + 3;
    }
    return i;
  }

  // U*L+: where the characters of both sets let U* take all that precedes L+,
  // it must give back the last character of L.
  [[nodiscard]] std::size_t upper_then_lower(std::size_t i) const {
    std::size_t last_shared = none;
    char_at c = at(i);
    for (; c.in & upper_set; c = at(i)) {
      i = c.end;
      if (c.in & shared_set) last_shared = i;
    }
    return c.in & lower_set ? run(i, lower_set) : last_shared;
  }

  // What both expressions end with; `tail` may follow symbols.
  [[nodiscard]] std::size_t number_symbols_or_space(
      std::string_view tail) const {
    std::size_t i = 0;
    for (int n = 0; n < 3 && at(i).in & char_class::number; ++n) i = at(i).end;
    if (i > 0) return i;

    const std::size_t begin = text_[0] == ' ' ? 1 : 0;
    i = run(begin, char_class::other | char_class::mark);
    if (i > begin) {
      while (i < text_.size() && tail.find(text_[i]) != tail.npos) ++i;
      return i;
    }
    return white_space();
  }

  // \s*[\r\n]+|\s+(?!\S)|\s+
  [[nodiscard]] std::size_t white_space() const {
    std::size_t i = 0, last_begin = 0, after_newline = 0;
    char_at c = at(0);
    for (; c.in & (char_class::space | char_class::newline); c = at(i)) {
      last_begin = i;
      i = c.end;
      if (c.in & char_class::newline) after_newline = i;
    }
    if (after_newline > 0) return after_newline;
    return i == text_.size() || last_begin == 0 ? i : last_begin;
  }

  std::string_view text_;
};

}  // namespace detail

TINYPHI_FUNC std::size_t first_word_length(pre_tokenizer pre,
                                           std::string_view text) {
  const detail::word_matcher words(text);
  switch (pre) {
    case pre_tokenizer::cl100k:
      return words.cl100k();
    case pre_tokenizer::o200k:
      return words.o200k();
    case pre_tokenizer::none:
      break;
  }
  return text.size();
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_TEXT_PRE_TOKENIZE_IPP_
