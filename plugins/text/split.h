// SPDX-License-Identifier: MIT
// Cuts a text into parts: paragraphs, lines or sentences, as many of them
// together as fit into a size; or as many words as fit into a number of tokens.
#ifndef TINYPHI_PLUGINS_TEXT_SPLIT_H_
#define TINYPHI_PLUGINS_TEXT_SPLIT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/text/sentences.h"
#include "tinyphi/base/cancel.h"
#include "tinyphi/base/utf8.h"
#include "tinyphi/text/tokenizer.h"

TINYPHI_NAMESPACE_BEGIN

enum class split_by : std::uint8_t { paragraph, line, sentence, tokens };

struct split_options {
  // A character has four bytes, and a text may get one token before them.
  static constexpr std::size_t min_tokens = 8;

  split_by by = split_by::paragraph;
  std::size_t size = 0;     // of a part; 0: a part is one unit
  std::size_t overlap = 0;  // at most half of size
  // Tokens are what it counts; null for all else, which counts characters.
  const tokenizer* tokens = nullptr;
  std::size_t max_parts = 10'000;
  stop_condition stop;
};

// Parts are in the order of the text and end without white space; all else of
// the text is in one of them. With a size, a part has as many units as
// fit. A unit that is larger is cut between words, and a word that is larger
// between characters. With an overlap, a part begins with the last units or
// words of the one before it, as many as fit into that. Errors: limit for more
// than max_parts, and those of stop. Time: linear in the text.
[[nodiscard]] inline result<std::vector<std::string>> split_text(
    std::string_view text, const split_options& options);

namespace detail {

// A piece of the text that is not cut, and where it begins and ends in what is
// counted, characters or tokens.
struct split_piece {
  std::size_t begin = 0, end = 0;  // bytes
  std::size_t from = 0, to = 0;
};

class text_splitter {
 public:
  text_splitter(std::string_view text, const split_options& options)
      : text_(text), options_(options) {}

  result<std::vector<std::string>> split() {
    for_units([&](std::size_t begin, std::size_t end) { add(begin, end); });
    TINYPHI_CHECK_OK(options_.stop.check());
    std::vector<std::string> parts;
    for (std::size_t first = 0, fresh = 0; fresh < pieces_.size();) {
      TINYPHI_CHECK_OK(options_.stop.check());
      if (parts.size() == options_.max_parts) {
        return error{error_code::limit, "the text has more than " +
                                            std::to_string(options_.max_parts) +
                                            " parts; give a greater size"};
      }
      const std::size_t end = part_end(first, fresh);
      parts.emplace_back(range(first, end));
      fresh = end;
      first = overlap_begin(first, end);
    }
    return parts;
  }

 private:
  static bool is_blank(std::string_view line) {
    return line.find_first_not_of(" \t\r") == std::string_view::npos;
  }

  // Calls found(begin, end) for every unit, which is not empty.
  template <class Found>
  void for_units(Found&& found) const {
    switch (options_.by) {
      case split_by::paragraph:
      case split_by::line:
        return for_lines(options_.by == split_by::paragraph, found);
      case split_by::sentence:
        return for_sentences(found);
      case split_by::tokens:
        return for_words(0, text_.size(), found);
    }
  }

  template <class Found>
  void for_lines(bool joined, Found& found) const {
    std::size_t begin = 0, end = 0;  // of the unit so far
    for (std::size_t i = 0; i < text_.size();) {
      const std::size_t next = std::min(text_.find('\n', i), text_.size());
      const std::string_view line = text_.substr(i, next - i);
      const bool blank = is_blank(line);
      if (end > begin && (blank || !joined)) {
        found(begin, end);
        end = begin;
      }
      if (!blank) {
        if (end == begin) begin = i;
        end = i + line.find_last_not_of(" \t\r") + 1;
      }
      i = next + 1;
    }
    if (end > begin) found(begin, end);
  }

  template <class Found>
  void for_sentences(Found& found) const {
    std::string_view rest = text_;
    bool begins_line = true;
    rest.remove_prefix(
        std::min(rest.find_first_not_of(" \t\r\n"), rest.size()));
    while (!rest.empty() && !options_.stop.reason()) {
      const std::size_t begin = text_.size() - rest.size();
      const auto s = sentences::take_sentence(rest, begins_line);
      std::size_t end = text_.size() - rest.size() - s.gap.size();
      while (end > begin && sentences::is_space(text_[end - 1])) --end;
      if (end > begin) found(begin, end);
      begins_line = s.gap.find('\n') != std::string_view::npos;
    }
  }

  template <class Found>
  void for_words(std::size_t begin, std::size_t end, Found&& found) const {
    while (begin < end) {
      const auto word = [&](std::size_t i) {
        return !sentences::is_space(text_[i]);
      };
      while (begin < end && !word(begin)) ++begin;
      std::size_t stop = begin;
      while (stop < end && word(stop)) ++stop;
      if (stop > begin) found(begin, stop);
      begin = stop;
    }
  }

  [[nodiscard]] std::size_t count(std::string_view text) const {
    return options_.tokens ? options_.tokens->encode(text).size()
                           : count_characters(text);
  }

  // What stands between two pieces, where they are in one part.
  [[nodiscard]] std::size_t gap_size(std::string_view gap) const {
    if (options_.tokens == nullptr) return count_characters(gap);
    if (gap.size() > 1) return options_.tokens->encode(gap).size();
    return gap == " " || gap.empty() ? 0 : 1;  // a blank is part of its word
  }

  // Adds a unit, or what it is cut into.
  void add(std::size_t begin, std::size_t end) {
    if (options_.stop.reason()) return;  // reported by split()
    if (add_whole(begin, end)) return;
    for_words(begin, end, [&](std::size_t first, std::size_t last) {
      if (add_whole(first, last)) return;
      for (std::size_t i = first; i < last;) {
        const std::size_t n = decode_utf8(text_.substr(i)).length;
        add_piece(i, i + n, count(text_.substr(i, n)));
        i += n;
      }
    });
  }

  bool add_whole(std::size_t begin, std::size_t end) {
    const std::size_t n =
        options_.size == 0 ? 0 : count(text_.substr(begin, end - begin));
    if (n > options_.size) return false;
    add_piece(begin, end, n);
    return true;
  }

  void add_piece(std::size_t begin, std::size_t end, std::size_t size) {
    const std::size_t last = pieces_.empty() ? 0 : pieces_.back().end;
    const std::size_t to = pieces_.empty() ? 0 : pieces_.back().to;
    const std::size_t from = to + gap_size(text_.substr(last, begin - last));
    pieces_.push_back({begin, end, from, from + size});
  }

  // The text of the pieces [first, end).
  [[nodiscard]] std::string_view range(std::size_t first,
                                       std::size_t end) const {
    return text_.substr(pieces_[first].begin,
                        pieces_[end - 1].end - pieces_[first].begin);
  }

  [[nodiscard]] std::size_t size(std::size_t first, std::size_t end) const {
    return pieces_[end - 1].to - pieces_[first].from;
  }

  // The end of the part that begins with piece `first`, or behind that, and has
  // piece `fresh`, which no part has yet.
  [[nodiscard]] std::size_t part_end(std::size_t& first,
                                     std::size_t fresh) const {
    std::size_t end = fresh + 1;
    if (options_.size == 0) return end;
    while (first < fresh && size(first, end) > options_.size) ++first;
    while (end < pieces_.size() && size(first, end + 1) <= options_.size) ++end;
    if (options_.tokens == nullptr) return end;
    // Where texts are joined, tokens can be more than those of each.
    for (std::size_t n = 1; count(range(first, end)) > options_.size; n *= 2) {
      if (end == fresh + 1 && first == fresh) break;  // one alone is no more
      if (end == fresh + 1) first = fresh;
      end = std::max(fresh + 1, end - std::min(n, end));
    }
    return end;
  }

  // Where the next part begins: with pieces of the last one, but for its first.
  [[nodiscard]] std::size_t overlap_begin(std::size_t first,
                                          std::size_t end) const {
    std::size_t begin = end;
    while (options_.overlap > 0 && begin > first + 1 &&
           size(begin - 1, end) <= options_.overlap) {
      --begin;
    }
    return begin;
  }

  std::string_view text_;
  const split_options& options_;
  std::vector<split_piece> pieces_;
};

}  // namespace detail

inline result<std::vector<std::string>> split_text(
    std::string_view text, const split_options& options) {
  return detail::text_splitter(text, options).split();
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_TEXT_SPLIT_H_
