// SPDX-License-Identifier: MIT
// A text that grows, read by functions that look ahead.
#ifndef TINYPHI_PLUGINS_GUARD_WATCHED_TEXT_H_
#define TINYPHI_PLUGINS_GUARD_WATCHED_TEXT_H_

#include <cstddef>
#include <string_view>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN
namespace guard::detail {

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

}  // namespace guard::detail
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_GUARD_WATCHED_TEXT_H_
