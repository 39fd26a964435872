// SPDX-License-Identifier: MIT
// Which of many words a text holds, in one walk over it (Aho and Corasick,
// 1975).
#ifndef TINYPHI_PLUGINS_GUARD_KEYWORDS_H_
#define TINYPHI_PLUGINS_GUARD_KEYWORDS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/ascii.h"

TINYPHI_NAMESPACE_BEGIN
namespace guard {

// ASCII letters match in either case. Any thread may search.
class keyword_set {
 public:
  // Of all words together: a state is a byte of a word, and has 16 bits.
  static constexpr std::size_t max_bytes = 32768;

  // Words are not empty, max_bytes in sum at most, none of them twice.
  explicit keyword_set(const std::vector<std::string>& words) {
    for (const std::string& word : words) {
      for (const char c : word) {
        std::uint8_t& column = columns_[byte(c)];
        if (column == 0) column = ++n_columns_;
      }
    }
    for (std::size_t c = 'A'; c <= 'Z'; ++c) columns_[c] = columns_[c + 32];
    add_state();
    for (std::size_t i = 0; i < words.size(); ++i) add(words[i], i);
    link();
  }

  // Calls found(index of a word, offset behind it) for every place of a word,
  // in the order of these offsets. Time: the text's bytes, times the number of
  // words that end at one place.
  template <class Found>
  void search(std::string_view text, Found&& found) const {
    std::size_t s = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      s = next_[s * width() + columns_[static_cast<unsigned char>(text[i])]];
      std::size_t w = states_[s].word != none ? s : states_[s].shorter;
      for (; w != 0; w = states_[w].shorter) {
        found(std::size_t{states_[w].word}, i + 1);
      }
    }
  }

 private:
  static constexpr std::uint16_t none =
      std::numeric_limits<std::uint16_t>::max();
  struct state {
    std::uint16_t word = none;   // that ends here
    std::uint16_t shorter = 0;   // state of the longest other word that does
    std::uint16_t fallback = 0;  // state of the longest proper suffix
  };

  // A letter's column is that of the small one.
  static std::size_t byte(char c) {
    return static_cast<unsigned char>(ascii::lower(c));
  }
  [[nodiscard]] std::size_t width() const { return n_columns_ + 1u; }

  std::uint16_t add_state() {
    states_.emplace_back();
    next_.resize(next_.size() + width());
    return static_cast<std::uint16_t>(states_.size() - 1);
  }

  void add(const std::string& word, std::size_t index) {
    std::size_t s = 0;
    for (const char c : word) {
      const std::size_t edge = s * width() + columns_[byte(c)];
      if (next_[edge] == 0) {
        const std::uint16_t fresh = add_state();
        next_[edge] = fresh;
      }
      s = next_[edge];
    }
    states_[s].word = static_cast<std::uint16_t>(index);
  }

  // Breadth first: where a state has no edge, its fallback's is taken.
  void link() {
    std::vector<std::size_t> order{0};
    for (std::size_t k = 0; k < order.size(); ++k) {
      const std::size_t s = order[k];
      for (std::size_t c = 0; c < width(); ++c) {
        std::uint16_t& to = next_[s * width() + c];
        const std::uint16_t other =
            s == 0 ? std::uint16_t{0}
                   : next_[states_[s].fallback * width() + c];
        if (to == 0) {
          to = other;
          continue;
        }
        states_[to].fallback = other;
        states_[to].shorter =
            states_[other].word != none ? other : states_[other].shorter;
        order.push_back(to);
      }
    }
  }

  std::array<std::uint8_t, 256> columns_{};  // 0: in no word
  std::uint8_t n_columns_ = 0;               // a word has at most 229 of them
  std::vector<state> states_;
  std::vector<std::uint16_t> next_;  // [state][column]
};

}  // namespace guard
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_GUARD_KEYWORDS_H_
