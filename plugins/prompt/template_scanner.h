// SPDX-License-Identifier: MIT
// The words and marks inside a template's tags.
#ifndef TINYPHI_PLUGINS_PROMPT_TEMPLATE_SCANNER_H_
#define TINYPHI_PLUGINS_PROMPT_TEMPLATE_SCANNER_H_

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "plugins/prompt/template.h"

TINYPHI_NAMESPACE_BEGIN
namespace prompts {
namespace detail {

// A position in a template and the first fault found. What may fail returns
// false once it has said why.
class template_scanner {
 protected:
  explicit template_scanner(std::string_view text) : text_(text) {}

  bool fail(std::size_t offset, std::string message) {
    fault_ = {offset, std::move(message)};
    return false;
  }
  bool fail(std::string message) { return fail(at_, std::move(message)); }

  // The escapes are \\, \n, \t and the quotes.
  bool quoted(std::string& out) {
    const std::size_t begin = at_;
    const char quote = begin < text_.size() ? text_[begin] : '\0';
    if (quote != '\'' && quote != '"') return fail("a quoted text is missing");
    for (++at_; at_ < text_.size(); ++at_) {
      char c = text_[at_];
      if (c == quote) return ++at_, true;
      if (c == '\\' && at_ + 1 < text_.size()) {
        c = text_[++at_];
        c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
      }
      out += c;
    }
    return fail(begin, "the quoted text has no end");
  }

  bool close(std::string_view mark) {
    skip_space();
    eat_space_ = text_.substr(at_).starts_with('-');
    if (eat_space_) ++at_;
    if (!text_.substr(at_).starts_with(mark)) {
      return fail("'" + std::string(mark) + "' is missing");
    }
    at_ += mark.size();
    return true;
  }

  void skip_space() {
    at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size());
  }
  bool accept(std::string_view mark) {
    skip_space();
    if (!text_.substr(at_).starts_with(mark)) return false;
    at_ += mark.size();
    return true;
  }
  bool accept_word(std::string_view word) {
    const std::size_t before = at_;
    if (name() == word) return true;
    at_ = before;
    return false;
  }
  // A name, or nothing.
  std::string_view name() {
    skip_space();
    const std::size_t begin = at_;
    const auto is_letter = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    };
    while (at_ < text_.size() &&
           (is_letter(text_[at_]) ||
            (at_ > begin && text_[at_] >= '0' && text_[at_] <= '9'))) {
      ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool eat_space_ = false;  // "-%}" was read
  template_fault fault_;
};

}  // namespace detail
}  // namespace prompts
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_PROMPT_TEMPLATE_SCANNER_H_
