// SPDX-License-Identifier: MIT
// What a sentence says, as far as its words show it: content words, numbers
// with what they count, and negations. Two sentences are compared by this.
#ifndef TINYPHI_PLUGINS_CITE_VERIFY_CLAIM_H_
#define TINYPHI_PLUGINS_CITE_VERIFY_CLAIM_H_

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "plugins/cite_verify/claim_words.h"
#include "plugins/fts/words.h"
#include "tinyphi/base/utf8.h"

TINYPHI_NAMESPACE_BEGIN
namespace cite::detail {

// Gives equal words equal numbers, from 1.
class vocabulary {
 public:
  std::uint32_t id(std::string&& word) {
    return ids_
        .try_emplace(std::move(word),
                     static_cast<std::uint32_t>(ids_.size()) + 1)
        .first->second;
  }

 private:
  std::unordered_map<std::string, std::uint32_t> ids_;
};

struct claim_word {
  std::uint32_t id = 0;
  std::uint32_t count = 0;  // the number right before it ("20" of "20 bar"), 0
                            // if there is none
  std::size_t clause = 0;   // clauses end at , ; : dashes and parentheses
  bool is_exact = false;    // a number or the sign of a unit
  bool is_negated = false;  // "not", "no", ... stands before it
};

struct claim {
  std::vector<claim_word> words;  // without function words, in their order
  // Of the words, distinct and sorted: all, the negated ones, and those that
  // are counted, with what counts them.
  std::vector<std::uint32_t> ids, negated;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> counts;
  bool has_bare_negation = false;  // one that negates no word, as in "No."

  [[nodiscard]] bool holds(std::uint32_t id) const {
    return std::binary_search(ids.begin(), ids.end(), id);
  }
  [[nodiscard]] bool negates(std::uint32_t id) const {
    return std::binary_search(negated.begin(), negated.end(), id);
  }
  // Whether it counts this word with other numbers only: "6 kg and 3 bar" has
  // another number of bars than "6 bar".
  [[nodiscard]] bool counts_otherwise(const claim_word& w) const {
    const auto first =
        std::lower_bound(counts.begin(), counts.end(), std::pair(w.id, 0u));
    return first != counts.end() && first->first == w.id &&
           !std::binary_search(first, counts.end(), std::pair(w.id, w.count));
  }
};

// Reads one claim; characters are compared without case and in Unicode's
// compatible form: a sharp s is "ss", and a ligature its letters.
class claim_reader {
 public:
  explicit claim_reader(vocabulary& known) : known_(known) {}

  claim read(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
      const utf8_char c = decode_utf8(text.substr(i));
      i += c.length;
      next_is_digit_ =
          i < text.size() && is_digit(static_cast<unsigned char>(text[i]));
      if (c.valid) {
        take_folded(c.code_point);
      } else {
        take(replacement_character);
      }
    }
    end_token();
    end_clause();
    for (const claim_word& w : out_.words) {
      out_.ids.push_back(w.id);
      if (w.is_negated) out_.negated.push_back(w.id);
      if (w.count != 0) out_.counts.emplace_back(w.id, w.count);
    }
    make_set(out_.ids);
    make_set(out_.negated);
    make_set(out_.counts);
    return std::move(out_);
  }

 private:
  template <class T>
  static void make_set(std::vector<T>& v) {
    std::sort(v.begin(), v.end());
    v.erase(std::unique(v.begin(), v.end()), v.end());
  }

  static bool is_digit(char32_t c) { return c >= '0' && c <= '9'; }

  static bool is_apostrophe(char32_t c) { return c == '\'' || c == 0x2019; }

  // Signs that tell quantities apart: % and the like, degrees, comparisons,
  // currencies.
  static bool is_sign(char32_t c) {
    static constexpr std::u32string_view signs =
        U"%\u2030\u00B0<>=\u00B1\u2264\u2265\u2260";
    return signs.find(c) != signs.npos ||
           utf8proc_category(static_cast<utf8proc_int32_t>(c)) ==
               UTF8PROC_CATEGORY_SC;
  }

  static bool ends_clause(char32_t c) {
    static constexpr std::u32string_view marks = U",;:()\u2013\u2014";
    return marks.find(c) != marks.npos;
  }

  void take_folded(char32_t c) {
    if (c < 0x80) return take(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    if (is_sign(c))
      return take(c);  // an unequal sign would become an equal one
    std::array<utf8proc_int32_t, 64> folded;
    int boundary = 0;
    const auto n = utf8proc_decompose_char(
        static_cast<utf8proc_int32_t>(c), folded.data(),
        static_cast<utf8proc_ssize_t>(folded.size()),
        static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT |
                                       UTF8PROC_CASEFOLD | UTF8PROC_IGNORE),
        &boundary);
    if (n < 0 || static_cast<std::size_t>(n) > folded.size()) return take(c);
    for (utf8proc_ssize_t i = 0; i < n; ++i) {
      take(static_cast<char32_t>(folded[static_cast<std::size_t>(i)]));
    }
  }

  void take(char32_t c) {
    const bool after_digit =
        !token_.empty() && is_digit(static_cast<unsigned char>(token_.back()));
    if (is_digit(c)) {
      if (token_.empty()) is_number_ = true;
      token_ += static_cast<char>(c);
    } else if (after_digit && next_is_digit_ &&
               (c == '.' ||
                (is_number_ && (c == ',' || c == ':' || c == '/')))) {
      token_ += static_cast<char>(c);
    } else if (fts::is_word_character(c)) {
      if (is_number_) end_token();  // "20bar"
      append_utf8(token_, c);
    } else if (is_apostrophe(c)) {
      if (!is_number_ && !token_.empty()) token_ += '\'';
    } else {
      take_separator(c);
    }
    before_ = c;
  }

  void take_separator(char32_t c) {
    end_token();
    const bool is_minus = c == '-' || c == 0x2212 || c == 0x2013;
    if (is_minus && next_is_digit_ && (before_ == ' ' || before_ == '(')) {
      token_ = "-";
      is_number_ = true;
    } else if (is_sign(c)) {
      std::string sign;
      append_utf8(sign, c);
      add(std::move(sign), true);
    } else if (ends_clause(c)) {
      end_clause();
    }
  }

  void end_token() {
    if (token_.empty()) return;
    std::string token = std::exchange(token_, {});
    if (std::exchange(is_number_, false)) {
      add(with_decimal_point(std::move(token)), true);
      count_ = out_.words.back().id;
    } else {
      take_word(std::move(token));
    }
  }

  void take_word(std::string word) {
    word.resize(word.find_last_not_of('\'') + 1);
    bool negates = false;
    if (word.ends_with("n't")) {
      negates = true;
      word.resize(word.size() - 3);
      // What is left of "can't", "won't", and "shan't".
      if (word == "ca" || word == "wo" || word == "sha") word = "will";
    } else if (is_contracted_negation(word)) {
      negates = true;
      word.resize(word.size() - 2);
      if (word == "mustn" || word == "shouldn" || word == "needn") {
        word.pop_back();
      } else {
        word = "will";
      }
    } else {
      negates = is_negation(word);
      drop_suffix(word);
    }
    std::erase(word, '\'');
    if (is_negation(word) || is_function_word(word)) {
      count_ = 0;
    } else {
      add_word(std::move(word));
    }
    negates_ = negates_ || negates;
  }

  // "the pump's" and "we'll" are two words each, "o'clock" is one.
  static void drop_suffix(std::string& word) {
    const std::size_t cut = word.rfind('\'');
    if (cut == word.npos) return;
    for (const std::string_view end : {"s", "ll", "re", "ve", "d", "m"}) {
      if (std::string_view(word).substr(cut + 1) != end) continue;
      word.resize(cut);
      return;
    }
  }

  void add_word(std::string word) {
    const bool counts = is_number_word(word);
    const bool has_digit = std::any_of(word.begin(), word.end(), [](char c) {
      return is_digit(static_cast<unsigned char>(c));
    });
    add(without_s(std::move(word)), has_digit || counts);
    if (counts) count_ = out_.words.back().id;
  }

  void add(std::string word, bool is_exact) {
    out_.words.push_back({.id = known_.id(std::move(word)),
                          .count = std::exchange(count_, 0),
                          .clause = clause_,
                          .is_exact = is_exact,
                          .is_negated = std::exchange(negates_, false)});
  }

  // A negation at the end of a clause, as in "der Motor hat ihn nicht", is
  // about the word before it.
  void end_clause() {
    if (std::exchange(negates_, false)) {
      if (!out_.words.empty() && out_.words.back().clause == clause_) {
        out_.words.back().is_negated = true;
      } else {
        out_.has_bare_negation = true;
      }
    }
    ++clause_;
    count_ = 0;
  }

  vocabulary& known_;
  claim out_;
  std::string token_;
  bool is_number_ = false;  // the token is one, and not a word like "e42"
  bool next_is_digit_ = false;
  bool negates_ = false;     // the next word
  std::uint32_t count_ = 0;  // the number that stood right before
  std::size_t clause_ = 0;
  char32_t before_ = ' ';
};

inline claim read_claim(std::string_view text, vocabulary& known) {
  return claim_reader(known).read(text);
}

}  // namespace cite::detail
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_CITE_VERIFY_CLAIM_H_
