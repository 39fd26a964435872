// SPDX-License-Identifier: MIT
#include "tinyphi/base/content_hash.h"

#include <catch2/catch.hpp>
#include <cstddef>
#include <set>
#include <span>
#include <vector>

using tinyphi::content_hash_of;

TEST_CASE("a change of any single bit changes the hash") {
  for (const std::size_t n : {1, 7, 8, 9, 31, 32, 33, 64, 71, 100}) {
    std::vector<std::byte> bytes(n);
    for (std::size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::byte>(i);
    std::set<std::uint64_t> hashes{content_hash_of(bytes)};
    for (std::size_t bit = 0; bit < 8 * n; ++bit) {
      const auto one = std::byte{1} << (bit % 8);
      bytes[bit / 8] ^= one;
      hashes.insert(content_hash_of(bytes));
      bytes[bit / 8] ^= one;
    }
    CHECK(hashes.size() == 8 * n + 1);
  }
}

TEST_CASE("length, order and place count, alignment does not") {
  std::vector<std::byte> zeros(200);
  std::set<std::uint64_t> hashes;
  for (std::size_t n = 0; n <= zeros.size(); ++n) {
    hashes.insert(content_hash_of(std::span(zeros).first(n)));
  }
  // A one at each place, and words that change places.
  for (std::byte& b : zeros) {
    b = std::byte{1};
    hashes.insert(content_hash_of(zeros));
    b = std::byte{0};
  }
  CHECK(hashes.size() == 201 + 200);

  std::vector<std::byte> text(64);
  for (std::size_t i = 0; i < 50; ++i) text[i + 3] = static_cast<std::byte>(i);
  const auto here = content_hash_of(std::span(text).subspan(3, 50));
  std::vector<std::byte> moved(text.begin() + 3, text.begin() + 53);
  CHECK(content_hash_of(moved) == here);
}
