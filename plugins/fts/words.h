// SPDX-License-Identifier: MIT
// Words as the full-text index sees them, and English words that carry no
// meaning of their own in a question.
#ifndef TINYPHI_PLUGINS_FTS_WORDS_H_
#define TINYPHI_PLUGINS_FTS_WORDS_H_

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/utf8.h"

TINYPHI_NAMESPACE_BEGIN
namespace fts {

// What FTS5's unicode61 joins to words: letters, marks, numbers, private use.
[[nodiscard]] inline bool is_word_character(char32_t c) {
  if (c < 0x80) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
  }
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return (category >= UTF8PROC_CATEGORY_LU &&
          category <= UTF8PROC_CATEGORY_NO) ||
         category == UTF8PROC_CATEGORY_CO;
}

// The words of a text in lower case, in their order. "don't" is "dont", and a
// number keeps its decimals: "3.5 bar" is "3.5", "bar".
[[nodiscard]] inline std::vector<std::string> split_words(
    std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  for (std::size_t i = 0; i < text.size();) {
    const utf8_char c = decode_utf8(text.substr(i));
    const std::string_view next = text.substr(i + c.length);
    if (c.valid && is_word_character(c.code_point)) {
      append_utf8(word, static_cast<char32_t>(utf8proc_tolower(
                            static_cast<utf8proc_int32_t>(c.code_point))));
    } else if (c.code_point == '.' && !word.empty() && is_digit(word.back()) &&
               !next.empty() && is_digit(next.front())) {
      word += '.';
    } else if ((c.code_point != '\'' && c.code_point != 0x2019) ||
               word.empty()) {
      if (!word.empty()) words.push_back(std::move(word));
      word.clear();
    }
    i += c.length;
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

// Articles, pronouns, question words, auxiliaries: they say how something is
// asked, not what it is about.
[[nodiscard]] inline bool is_stop_word(std::string_view word) {
  static constexpr auto words = std::to_array<std::string_view>(
      {"a",       "about",    "all",     "also",   "am",     "an",     "and",
       "any",     "are",      "as",      "at",     "be",     "been",   "before",
       "but",     "by",       "can",     "cannot", "cant",   "could",  "did",
       "do",      "does",     "doesnt",  "dont",   "during", "each",   "every",
       "explain", "find",     "for",     "from",   "get",    "had",    "has",
       "have",    "how",      "i",       "if",     "im",     "in",     "into",
       "is",      "isnt",     "it",      "its",    "long",   "many",   "may",
       "me",      "mean",     "means",   "more",   "much",   "must",   "my",
       "need",    "needs",    "no",      "not",    "of",     "often",  "on",
       "or",      "our",      "please",  "see",    "shall",  "should", "so",
       "some",    "than",     "that",    "the",    "their",  "them",   "then",
       "there",   "these",    "they",    "this",   "those",  "time",   "to",
       "up",      "use",      "us",      "was",    "we",     "were",   "what",
       "whats",   "when",     "where",   "which",  "while",  "who",    "whom",
       "whose",   "why",      "will",    "with",   "would",  "you",    "your",
       "tell",    "describe", "happens", "now"});
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace fts
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_FTS_WORDS_H_
