// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_BLAKE2B_IPP_
#define TINYPHI_SERVE_BLAKE2B_IPP_

#include <algorithm>
#include <bit>
#include <cstring>

#include "tinyphi/base/bytes.h"
#include "tinyphi/serve/blake2b.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// RFC 7693, 2.6: the fractional parts of the square roots of the first eight
// primes.
inline constexpr std::uint64_t blake2b_start[8] = {
    0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B,
    0xA54FF53A5F1D36F1, 0x510E527FADE682D1, 0x9B05688C2B3E6C1F,
    0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179};

// RFC 7693, 2.7; rounds 10 and 11 are 0 and 1 again.
inline constexpr std::uint8_t blake2b_order[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

inline void blake2b_mix(std::uint64_t& a, std::uint64_t& b, std::uint64_t& c,
                        std::uint64_t& d, std::uint64_t x, std::uint64_t y) {
  a += b + x;
  d = std::rotr(d ^ a, 32);
  c += d;
  b = std::rotr(b ^ c, 24);
  a += b + y;
  d = std::rotr(d ^ a, 16);
  c += d;
  b = std::rotr(b ^ c, 63);
}

}  // namespace detail

TINYPHI_FUNC blake2b::blake2b() {
  std::ranges::copy(detail::blake2b_start, state_.begin());
  // Parameters: 32 bytes of digest, no key, one leaf.
  state_[0] ^= 0x01010000 ^ sizeof(blake2b_digest);
}

TINYPHI_FUNC void blake2b::add(std::string_view piece) {
  while (!piece.empty()) {
    // A full block waits: the last one is compressed differently.
    if (filled_ == block_.size()) compress(false);
    const std::size_t n = std::min(piece.size(), block_.size() - filled_);
    std::memcpy(block_.data() + filled_, piece.data(), n);
    filled_ += n;
    piece.remove_prefix(n);
  }
}

TINYPHI_FUNC blake2b_digest blake2b::finish() {
  std::fill(block_.begin() + static_cast<std::ptrdiff_t>(filled_), block_.end(),
            std::uint8_t{0});
  compress(true);
  blake2b_digest out;  // the machine is little-endian, as the digest is
  std::memcpy(out.data(), state_.data(), out.size());
  return out;
}

TINYPHI_FUNC void blake2b::compress(bool last) {
  length_ += filled_;
  filled_ = 0;
  std::array<std::uint64_t, 16> m;
  std::memcpy(m.data(), block_.data(), block_.size());
  std::array<std::uint64_t, 16> v;
  std::ranges::copy(state_, v.begin());
  std::ranges::copy(detail::blake2b_start, v.begin() + 8);
  v[12] ^= length_;
  if (last) v[14] = ~v[14];
  for (std::size_t round = 0; round < 12; ++round) {
    const auto& s = detail::blake2b_order[round % 10];
    for (std::size_t i = 0; i < 4; ++i) {
      detail::blake2b_mix(v[i], v[4 + i], v[8 + i], v[12 + i], m[s[2 * i]],
                          m[s[2 * i + 1]]);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      detail::blake2b_mix(v[i], v[4 + (i + 1) % 4], v[8 + (i + 2) % 4],
                          v[12 + (i + 3) % 4], m[s[8 + 2 * i]],
                          m[s[9 + 2 * i]]);
    }
  }
  for (std::size_t i = 0; i < 8; ++i) state_[i] ^= v[i] ^ v[i + 8];
}

TINYPHI_FUNC blake2b_digest blake2b_256(std::string_view text) {
  blake2b h;
  h.add(text);
  return h.finish();
}

TINYPHI_FUNC std::uint64_t stable_number(
    std::string_view purpose, std::initializer_list<std::string_view> texts) {
  blake2b h;
  const auto add = [&](std::string_view text) {
    // With its length: no two lists are one text.
    const std::uint64_t size = text.size();
    h.add({reinterpret_cast<const char*>(&size), sizeof size});
    h.add(text);
  };
  add("tinyphi");
  add(purpose);
  for (const std::string_view text : texts) add(text);
  const blake2b_digest digest = h.finish();
  std::uint64_t n = 0;
  std::memcpy(&n, digest.data(), sizeof n);
  return n == 0 || n == ~std::uint64_t{0} ? 1 : n;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_BLAKE2B_IPP_
