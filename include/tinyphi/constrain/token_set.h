// SPDX-License-Identifier: MIT
// A set of token ids as a bitmap over the vocabulary: what may come next.
#ifndef TINYPHI_CONSTRAIN_TOKEN_SET_H_
#define TINYPHI_CONSTRAIN_TOKEN_SET_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tinyphi/config.h"
#include "tinyphi/text/vocabulary.h"

TINYPHI_NAMESPACE_BEGIN

// Ids below size(); operations on two sets need sets of one size.
class token_set {
 public:
  token_set() = default;
  explicit token_set(std::size_t size)
      : words_((size + 63) / 64), size_(size) {}

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool contains(token_id id) const {
    const auto i = static_cast<std::size_t>(id);
    return i < size_ && (words_[i / 64] >> (i % 64) & 1) != 0;
  }
  void insert(token_id id) {
    const auto i = static_cast<std::size_t>(id);
    words_[i / 64] |= std::uint64_t{1} << (i % 64);
  }
  void erase(token_id id) {
    const auto i = static_cast<std::size_t>(id);
    words_[i / 64] &= ~(std::uint64_t{1} << (i % 64));
  }
  // Empties it; the size stays.
  void clear() { words_.assign(words_.size(), 0); }
  [[nodiscard]] std::size_t count() const {
    std::size_t n = 0;
    for (const std::uint64_t w : words_)
      n += static_cast<std::size_t>(std::popcount(w));
    return n;
  }
  token_set& operator|=(const token_set& other) {
    for (std::size_t i = 0; i < words_.size(); ++i)
      words_[i] |= other.words_[i];
    return *this;
  }
  // Without those of the other.
  token_set& operator-=(const token_set& other) {
    for (std::size_t i = 0; i < words_.size(); ++i)
      words_[i] &= ~other.words_[i];
    return *this;
  }
  // Calls f(id) in ascending order.
  template <typename F>
  void for_each(F&& f) const {
    for (std::size_t i = 0; i < words_.size(); ++i)
      for (std::uint64_t w = words_[i]; w != 0; w &= w - 1)
        f(static_cast<token_id>(i * 64 +
                                static_cast<std::size_t>(std::countr_zero(w))));
  }
  [[nodiscard]] std::span<const std::uint64_t> words() const { return words_; }

  friend bool operator==(const token_set&, const token_set&) = default;

 private:
  std::vector<std::uint64_t> words_;
  std::size_t size_ = 0;
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_CONSTRAIN_TOKEN_SET_H_
