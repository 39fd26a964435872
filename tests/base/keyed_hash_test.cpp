// SPDX-License-Identifier: MIT
#include "tinyphi/base/keyed_hash.h"

#include <array>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "support/test.h"

using namespace tinyphi;

namespace {

// Texts of 16 bytes with the same std::hash in libstdc++, whose steps
// (MurmurHash64A) can be gone back.
std::vector<std::string> texts_that_meet(std::size_t n) {
  constexpr std::uint64_t m = 0xc6a4'a793'5bd1'e995;
  std::uint64_t inverse = m;  // of m modulo 2^64, by Newton's method
  for (int i = 0; i < 6; ++i) inverse *= 2 - m * inverse;
  const auto mix = [](std::uint64_t k, std::uint64_t factor) {
    k *= factor;
    return (k ^ k >> 47) * factor;
  };
  std::vector<std::string> texts;
  for (std::uint64_t first = 0; first < n; ++first) {
    const std::uint64_t start = 0xc70f6907 ^ 16 * m;
    const std::uint64_t after_first = (start ^ mix(first, m)) * m;
    const std::array<std::uint64_t, 2> text{first, mix(after_first, inverse)};
    texts.emplace_back(reinterpret_cast<const char*>(text.data()), 16);
  }
  return texts;
}

// The most of `hashes` that a table of 1024 places has in one.
std::size_t fullest(const std::vector<std::size_t>& hashes) {
  std::array<std::size_t, 1024> places{};
  std::size_t most = 0;
  for (const std::size_t h : hashes) most = std::max(most, ++places[h % 1024]);
  return most;
}

}  // namespace

TEST_CASE("texts made to meet in the standard library's hash do not meet") {
  const auto texts = texts_that_meet(4096);
#if defined(__GLIBCXX__)
  CHECK(std::hash<std::string>{}(texts[0]) ==
        std::hash<std::string>{}(texts[4095]));
#endif
  const keyed_hash hash;
  std::vector<std::size_t> hashes;
  for (const std::string& text : texts) hashes.push_back(hash(text));
  CHECK(std::set(hashes.begin(), hashes.end()).size() == texts.size());
  CHECK(fullest(hashes) < 32);
}

TEST_CASE("keys that differ in few places are spread") {
  const keyed_hash hash;
  for (int shift = 0; shift < 20; ++shift) {
    std::vector<std::size_t> left, right, texts;
    for (std::uint32_t i = 0; i < 4096; ++i) {
      left.push_back(hash(i << shift, 7u));
      right.push_back(hash(7u, i << shift));
      const std::uint32_t bytes = i << shift;
      texts.push_back(hash({reinterpret_cast<const char*>(&bytes), 4}));
    }
    CHECK(fullest(left) < 32);
    CHECK(fullest(right) < 32);
    CHECK(fullest(texts) < 32);
  }
}

TEST_CASE("every byte and the length count, and so does the key") {
  const keyed_hash hash, other;
  const keyed_hash copy = hash;
  std::set<std::size_t> hashes;
  std::string text;
  for (std::size_t n = 0; n < 40; ++n, text += '\0') {
    CHECK(hashes.insert(hash(text)).second);
    CHECK(hash(text) == copy(std::string(text)));
    for (std::size_t i = 0; i < n; ++i) {
      std::string changed = text;
      changed[i] = 'x';
      CHECK(hashes.insert(hash(changed)).second);
    }
  }
  CHECK(hash("x") != other("x"));
  CHECK(hash(1u, 2u) != hash(2u, 1u));
}
