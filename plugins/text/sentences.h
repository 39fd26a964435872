// SPDX-License-Identifier: MIT
// Cuts texts into sentences and finds the citation marks in them, as in
// "So it is. [2]".
#ifndef TINYPHI_PLUGINS_TEXT_SENTENCES_H_
#define TINYPHI_PLUGINS_TEXT_SENTENCES_H_

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN
namespace sentences {

// Sentences are views into the text that they were cut from.
struct sentence {
  std::string_view item;     // "2. " or "- " if it begins an item of a list
  std::string_view text;     // up to its closing punctuation or last marks
  std::string_view closing;  // the "." behind the marks, as in "so [2]."
  std::vector<std::size_t> marks;  // the numbers cited at its end
  std::string_view gap;            // the white space behind it
};

inline bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// Reads "[2]" or "[1, 3]" at the front of `text`, behind blanks. Returns its
// length with the blanks, 0 if there is none.
inline std::size_t read_mark(std::string_view text,
                             std::vector<std::size_t>& numbers) {
  std::size_t i = std::min(text.find_first_not_of(" \t"), text.size());
  if (i == text.size() || text[i] != '[') return 0;
  std::vector<std::size_t> found;
  std::size_t number = 0;
  bool has_digit = false;
  for (++i; i < text.size(); ++i) {
    const char c = text[i];
    if (c >= '0' && c <= '9') {
      number = std::min<std::size_t>(
          number * 10 + static_cast<std::size_t>(c - '0'), 1'000'000);
      has_digit = true;
    } else if ((c == ',' || c == ']') && has_digit) {
      found.push_back(number);
      number = 0, has_digit = false;
      if (c == ']') {
        numbers.insert(numbers.end(), found.begin(), found.end());
        return i + 1;
      }
    } else if (c != ' ') {
      return 0;
    }
  }
  return 0;
}

inline std::size_t read_marks(std::string_view text,
                              std::vector<std::size_t>& numbers) {
  std::size_t n = 0;
  while (const std::size_t more = read_mark(text.substr(n), numbers)) n += more;
  return n;
}

// The length of a sentence's closing punctuation at the front of `text`; 0 if
// the sentence goes on, as in "3.5". Abbreviations such as "e.g." end one.
inline std::size_t end_length(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size() &&
         (text[i] == '.' || text[i] == '!' || text[i] == '?')) {
    ++i;
  }
  if (i == 0) return 0;
  while (i < text.size() &&
         (text[i] == '"' || text[i] == '\'' || text[i] == ')')) {
    ++i;
  }
  const bool at_end = i == text.size() || is_space(text[i]) || text[i] == '[';
  return at_end ? i : 0;
}

// The length of "2. ", "2) ", "- ", "* " or "+ " at the front of `text`, which
// begins a line; 0 if no text of the item follows on that line.
inline std::size_t item_length(std::string_view text) {
  std::size_t i = 0;
  while (i < 2 && i < text.size() && text[i] >= '0' && text[i] <= '9') ++i;
  const std::string_view signs = i > 0 ? ".)" : "-*+";
  if (i == text.size() || signs.find(text[i]) == signs.npos) return 0;
  const std::size_t end = text.find_first_not_of(" \t", i + 1);
  const bool has_text =
      end != text.npos && end > i + 1 && text[end] != '\n' && text[end] != '\r';
  return has_text ? end : 0;
}

// Cuts the next sentence off the front of `rest`. It ends with . ! or ?, with
// marks before or behind that, or with its line. `begins_line`: `rest` starts
// at the front of a line.
inline sentence take_sentence(std::string_view& rest, bool begins_line) {
  sentence s;
  if (begins_line) {
    s.item = rest.substr(0, item_length(rest));
    rest.remove_prefix(s.item.size());
  }
  std::size_t next = rest.size();
  s.text = rest;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    if (rest[i] == '\n') {
      next = i;
      s.text = rest.substr(0, i);
      break;
    }
    if (const std::size_t stop = end_length(rest.substr(i))) {
      s.text = rest.substr(0, i + stop);
      next = i + stop + read_marks(rest.substr(i + stop), s.marks);
      break;
    }
    // Runs of full stops and of marks inside a sentence are skipped as a whole:
    // reading them again from each of their characters would take quadratic
    // time.
    if (rest[i] == '.' || rest[i] == '!' || rest[i] == '?') {
      i = rest.find_first_not_of(".!?", i) - 1;
    }
    if (rest[i] != '[') continue;
    std::vector<std::size_t> marks;
    const std::size_t n = read_marks(rest.substr(i), marks);
    const std::string_view behind = rest.substr(i + n);
    const std::size_t stop = end_length(behind);
    const bool ends = stop > 0 || behind.empty() || behind.front() == '\n';
    if (n == 0) continue;
    if (!ends) {
      i += n - 1;
      continue;
    }
    s.text = rest.substr(0, rest.find_last_not_of(" \t", i - 1) + 1);
    if (i == 0) s.text = {};
    s.closing = behind.substr(0, stop);
    s.marks = std::move(marks);
    next = i + n + stop + read_marks(behind.substr(stop), s.marks);
    break;
  }
  const std::size_t gap_end =
      std::min(rest.find_first_not_of(" \t\r\n", next), rest.size());
  s.gap = rest.substr(next, gap_end - next);
  rest.remove_prefix(gap_end);
  return s;
}

// `text` with `number` in all marks inside it, or without them if that is 0.
// A bracket glued to a word, as in a[1], is not a mark.
inline std::string set_marks(std::string_view text, std::size_t number) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    std::vector<std::size_t> ignored;
    const bool may_be = text[i] == '[' && (i == 0 || is_space(text[i - 1]));
    const std::size_t n = may_be ? read_mark(text.substr(i), ignored) : 0;
    if (n == 0) {
      out += text[i++];
    } else {
      if (number > 0) out += '[' + std::to_string(number) + ']';
      i += n;
    }
  }
  return out;
}

}  // namespace sentences
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_TEXT_SENTENCES_H_
