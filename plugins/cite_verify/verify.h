// SPDX-License-Identifier: MIT
// Binds each sentence of an answer to the passage that it rests on, whatever
// number the model wrote.
#ifndef TINYPHI_PLUGINS_CITE_VERIFY_VERIFY_H_
#define TINYPHI_PLUGINS_CITE_VERIFY_VERIFY_H_

#include <algorithm>
#include <cstddef>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/fts/words.h"
#include "tinyphi/pipeline/value.h"

TINYPHI_NAMESPACE_BEGIN
namespace cite {

struct verify_options {
  double min_overlap = 0.5;  // share of a sentence's words in its passage
  std::string mark = "[no source]";  // put behind a sentence that rests on none
  // An answer's sentence that begins like one of these (in any case) says that
  // nothing is known; it needs no passage.
  std::vector<std::string> refusals = {"I don't know", "I do not know",
                                       "The passages do not"};
};

struct verified_answer {
  std::string text;  // each sentence, then its passage's number: "So. [2]"
  tinyphi::citations citations;  // one for each sentence but refusals
  bool ok = false;  // all rest on a passage, and there is one at least
};

// Passages count from 1, in the order in which the prompt showed them. A
// sentence rests on the passage that holds the greatest share of its words,
// if that is at least min_overlap and the passage (or its headings) holds
// every number in it. Among equals the one that the model named wins.
[[nodiscard]] inline verified_answer verify_citations(
    std::string_view answer, std::span<const document> passages,
    const verify_options& options = {});

namespace detail {

struct sentence {
  std::string_view text;     // up to its closing punctuation or last marks
  std::string_view closing;  // "." behind the marks, as in "so [2]."
  std::vector<std::size_t> marks;  // the numbers cited at its end
  std::string_view gap;            // white space behind it
};

inline bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// Reads "[2]" or "[1, 3]" at the front of `text` (after blanks) and returns
// its length with the blanks; 0 if there is none.
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

// Closing punctuation of a sentence: its length at the front of `text`, 0 if
// the sentence goes on ("3.5", "e.g. this" is not told apart).
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

// Cuts the next sentence off the front of `rest`. It ends with . ! or ?, with
// marks before or behind that, or with its line.
inline sentence take_sentence(std::string_view& rest) {
  sentence s;
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
    // What was read once is passed over: a run of points or of marks inside a
    // sentence would else be read again from each of its characters.
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

// `text` with the marks inside it set to `number`, or left out if that is 0.
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

using word_set = std::set<std::string, std::less<>>;

inline word_set words_of(std::string_view text) {
  const auto all = fts::split_words(text);
  return {all.begin(), all.end()};
}

inline bool is_number(std::string_view word) {
  return std::any_of(word.begin(), word.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

// Share of `words` that `in` holds; stop words count only when there is
// nothing else.
inline double overlap(const word_set& words, const word_set& in) {
  std::size_t n = 0, found = 0;
  for (const bool stop_words : {false, true}) {
    for (const std::string& w : words) {
      if (fts::is_stop_word(w) != stop_words) continue;
      ++n;
      if (in.contains(w)) ++found;
    }
    if (n > 0) break;
  }
  return n > 0 ? static_cast<double>(found) / static_cast<double>(n) : 0;
}

inline bool holds_numbers(const word_set& words, const word_set& in) {
  return std::all_of(words.begin(), words.end(), [&](const std::string& w) {
    return !is_number(w) || in.contains(w);
  });
}

// The sentence of the passage that says most of it.
inline std::string best_quote(const word_set& words, std::string_view passage) {
  std::string_view best;
  double most = -1;
  while (!passage.empty()) {
    const sentence s = take_sentence(passage);
    const double share = overlap(words, words_of(s.text));
    if (share > most) most = share, best = s.text;
  }
  return std::string(best);
}

inline citation bind(const sentence& s, std::span<const document> passages,
                     std::span<const word_set> passage_words,
                     const verify_options& options) {
  citation c;
  c.sentence = set_marks(s.text, 0) + std::string(s.closing);
  const word_set words = words_of(c.sentence);
  bool named = false;
  for (std::size_t i = 0; i < passages.size(); ++i) {
    const double share = overlap(words, passage_words[i]);
    if (share < options.min_overlap) continue;
    if (!holds_numbers(words, passage_words[i])) continue;
    const bool is_named =
        std::find(s.marks.begin(), s.marks.end(), i + 1) != s.marks.end();
    const bool better = c.number == 0 || share > c.overlap ||
                        (share == c.overlap && is_named && !named);
    if (!better) continue;
    c.number = i + 1;
    c.overlap = share;
    named = is_named;
  }
  if (c.number == 0) return c;
  const document& d = passages[c.number - 1];
  c.id = d.id;
  c.source = d.source;
  c.title = d.title;
  c.locator = d.locator;
  c.line = d.line;
  c.quote = best_quote(words, d.text);
  return c;
}

inline bool begins_with_any(std::string_view text,
                            const std::vector<std::string>& starts) {
  const auto words = fts::split_words(text);
  return std::any_of(starts.begin(), starts.end(), [&](const std::string& s) {
    const auto start = fts::split_words(s);
    return !start.empty() && start.size() <= words.size() &&
           std::equal(start.begin(), start.end(), words.begin());
  });
}

}  // namespace detail

inline verified_answer verify_citations(std::string_view answer,
                                        std::span<const document> passages,
                                        const verify_options& options) {
  std::vector<detail::word_set> words;
  for (const document& d : passages) {
    words.push_back(detail::words_of(d.title + ' ' + d.locator + ' ' + d.text));
  }
  verified_answer out;
  bool all_bound = true;
  while (!answer.empty()) {
    const detail::sentence s = detail::take_sentence(answer);
    const bool says_something = !fts::split_words(s.text).empty();
    if (says_something && !detail::begins_with_any(s.text, options.refusals)) {
      citation c = detail::bind(s, passages, words, options);
      all_bound = all_bound && c.number > 0;
      out.text += detail::set_marks(s.text, c.number);
      out.text += s.closing;
      out.text += c.number > 0 ? " [" + std::to_string(c.number) + "]"
                               : " " + options.mark;
      out.citations.push_back(std::move(c));
    } else {
      out.text += s.text;
      out.text += s.closing;
    }
    if (!answer.empty()) out.text += s.gap;
  }
  out.ok = all_bound && !out.citations.empty();
  return out;
}

}  // namespace cite
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_CITE_VERIFY_VERIFY_H_
