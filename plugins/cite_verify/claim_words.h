// SPDX-License-Identifier: MIT
// The words that matter when two sentences are compared: which ones carry no
// meaning, which ones negate, and which forms are the same word or number.
#ifndef TINYPHI_PLUGINS_CITE_VERIFY_CLAIM_WORDS_H_
#define TINYPHI_PLUGINS_CITE_VERIFY_CLAIM_WORDS_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN
namespace cite::detail {

// Words that a sentence can change without saying something else. Words that
// are about amounts, order, conditions, or duties are not among them, nor is
// "on", the opposite of "off".
inline bool is_function_word(std::string_view word) {
  static constexpr auto words = std::to_array<std::string_view>(
      {"a",    "also",  "an",    "and",    "are",   "as",    "at",    "be",
       "been", "being", "by",    "can",    "could", "did",   "do",    "does",
       "for",  "from",  "had",   "has",    "have",  "he",    "her",   "here",
       "his",  "i",     "in",    "into",   "is",    "it",    "its",   "me",
       "my",   "of",    "our",   "please", "shall", "she",   "so",    "than",
       "that", "the",   "their", "them",   "then",  "there", "these", "they",
       "this", "those", "to",    "too",    "us",    "was",   "we",    "were",
       "what", "which", "who",   "whom",   "whose", "will",  "with",  "would",
       "you",  "your"});
  static_assert(std::is_sorted(words.begin(), words.end()));
  return std::binary_search(words.begin(), words.end(), word);
}

// Whether `word`, which is English or German, denies or excepts what follows.
// Those that end in n't are not among them.
inline bool is_negation(std::string_view word) {
  static constexpr auto words = std::to_array<std::string_view>(
      {"ausser",  "cannot",  "except",  "excluding", "hardly", "instead",
       "kein",    "keine",   "keinem",  "keinen",    "keiner", "keines",
       "keins",   "neither", "never",   "nicht",     "nichts", "nie",
       "niemals", "niemand", "no",      "nobody",    "non",    "none",
       "nor",     "not",     "nothing", "nowhere",   "ohne",   "weder",
       "without"});
  static_assert(std::is_sorted(words.begin(), words.end()));
  return std::binary_search(words.begin(), words.end(), word);
}

// n't without its apostrophe.
inline bool is_contracted_negation(std::string_view word) {
  static constexpr auto words = std::to_array<std::string_view>(
      {"arent", "cant", "couldnt", "didnt", "doesnt", "dont", "hadnt", "hasnt",
       "havent", "isnt", "mustnt", "neednt", "shouldnt", "wasnt", "werent",
       "wont", "wouldnt"});
  static_assert(std::is_sorted(words.begin(), words.end()));
  return std::binary_search(words.begin(), words.end(), word);
}

// Words are in Unicode's decomposed form.
inline bool is_number_word(std::string_view word) {
  static constexpr auto words = std::to_array<std::string_view>(
      {"acht",   "drei",       "eight",   "eleven", "elf",  "five",
       "four",   "fu\u0308nf", "hundred", "neun",   "nine", "one",
       "sechs",  "seven",      "sieben",  "six",    "ten",  "three",
       "twelve", "two",        "vier",    "zehn",   "zwei", "zwo\u0308lf"});
  return std::find(words.begin(), words.end(), word) != words.end();
}

// `word` without the s of a plural or of a verb's third person.
inline std::string without_s(std::string word) {
  const std::string_view w = word;
  if (w.size() < 4 || w.ends_with("ss") || w.ends_with("us") ||
      w.ends_with("is") || !w.ends_with('s')) {
    return word;
  }
  if (w.ends_with("ies") && w.size() > 4)
    return word.replace(w.size() - 3, 3, "y");
  const bool with_e = w.ends_with("ches") || w.ends_with("shes") ||
                      w.ends_with("sses") || w.ends_with("xes") ||
                      w.ends_with("oes");
  word.resize(w.size() - (with_e ? 2 : 1));
  return word;
}

// A number with a decimal point: "3,5" is 3.5. Three digits behind a comma are
// a group of thousands, as in "1,000", unless a zero stands before it.
inline std::string with_decimal_point(std::string number) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  for (std::size_t i = 0; i < number.size(); ++i) {
    if (number[i] != ',') continue;
    std::size_t end = i + 1;
    while (end < number.size() && is_digit(number[end])) ++end;
    const bool after_zero =
        i > 0 && number[i - 1] == '0' && (i == 1 || !is_digit(number[i - 2]));
    if (end - i != 4 || after_zero) number[i] = '.';
  }
  return number;
}

}  // namespace cite::detail
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_CITE_VERIFY_CLAIM_WORDS_H_
