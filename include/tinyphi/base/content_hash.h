// SPDX-License-Identifier: MIT
// A hash that tells large blocks of bytes apart as fast as memory gives them.
#ifndef TINYPHI_BASE_CONTENT_HASH_H_
#define TINYPHI_BASE_CONTENT_HASH_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

// Notices accidents: every change of a single bit changes it ("a change of any
// single bit changes the hash", content_hash_test.cpp). It is no protection
// against somebody who searches for another text with the same hash, nor the
// same on machines of another byte order.
//
// Four lanes, because one waits for its own multiplication: the standard
// library's hash has one, and took 0.5 s for the weights of Phi-3-mini where
// reading them takes 0.1 s (Zen 4, two threads).
inline std::uint64_t content_hash_of(std::span<const std::byte> bytes) {
  constexpr std::uint64_t odd = 0x9e3779b97f4a7c15;  // 2^64 / golden ratio
  // Both steps can be undone, so two different words never become one.
  const auto mix = [](std::uint64_t lane, std::uint64_t word) {
    lane = (lane ^ word) * odd;
    return lane ^ (lane >> 32);
  };
  const auto word_at = [](const std::byte* at, std::size_t n) {
    std::uint64_t w = 0;
    std::memcpy(&w, at, n);
    return w;
  };
  std::array<std::uint64_t, 4> lanes{1, 2, 3, 4};
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 32; left -= 32, at += 32) {
    for (std::size_t i = 0; i < 4; ++i) {
      lanes[i] = mix(lanes[i], word_at(at + 8 * i, 8));
    }
  }
  std::uint64_t hash = bytes.size();
  for (; left >= 8; left -= 8, at += 8) hash = mix(hash, word_at(at, 8));
  if (left > 0) hash = mix(hash, word_at(at, left));
  for (const std::uint64_t lane : lanes) hash = mix(std::rotl(hash, 23), lane);
  return mix(hash, 0);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_BASE_CONTENT_HASH_H_
