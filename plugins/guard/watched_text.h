// SPDX-License-Identifier: MIT
// A text that grows, read by functions that look ahead, and how they read
// numbers and words of it.
#ifndef TINYPHI_PLUGINS_GUARD_WATCHED_TEXT_H_
#define TINYPHI_PLUGINS_GUARD_WATCHED_TEXT_H_

#include <cstddef>
#include <initializer_list>
#include <string_view>

#include "plugins/guard/ascii.h"

TINYPHI_NAMESPACE_BEGIN
namespace guard::detail {

// The first byte of a letter of two, as most in Europe and the Near East are.
inline bool leads_letter(char c) {
  const auto b = static_cast<unsigned char>(c);
  return b >= 0xC3 && b <= 0xDF;
}

// A text whose reader is told whether it looked behind its end.
class watched_text {
 public:
  // With `more` the text goes on behind its end.
  watched_text(std::string_view text, bool more) : text_(text), more_(more) {}

  // NUL behind the end, and at 0 - 1 and 0 - 2.
  char operator[](std::size_t i) {
    if (i < text_.size()) return text_[i];
    const bool is_before = i >= std::size_t{0} - 2;
    open_ |= more_ && !is_before;
    return '\0';
  }
  [[nodiscard]] std::string_view text() const { return text_; }
  // Whether what was read depends on text that is still to come.
  [[nodiscard]] bool open() const { return open_; }

 private:
  std::string_view text_;
  bool more_;
  bool open_ = false;
};

// Digits from i on, `most` at most.
inline std::size_t digits(watched_text& t, std::size_t i, std::size_t most) {
  std::size_t n = 0;
  while (n < most && is_digit(t[i + n])) ++n;
  return n;
}

inline int number(watched_text& t, std::size_t i, std::size_t n) {
  int value = 0;
  for (std::size_t k = 0; k < n; ++k) value = value * 10 + (t[i + k] - '0');
  return value;
}

// Bytes of the letter at i: 1 in ASCII, 2 for one that leads_letter says, else
// 0.
inline std::size_t letter_length(watched_text& t, std::size_t i) {
  if (is_letter(t[i])) return 1;
  return leads_letter(t[i]) &&
                 (static_cast<unsigned char>(t[i + 1]) & 0xC0) == 0x80
             ? 2
             : 0;
}

// No word goes on at i, and no further group of digits.
inline bool ends(watched_text& t, std::size_t i, std::string_view joints) {
  return !is_word(t[i]) && !(is_in(t[i], joints) && is_digit(t[i + 1]));
}

}  // namespace guard::detail
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_GUARD_WATCHED_TEXT_H_
