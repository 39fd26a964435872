// SPDX-License-Identifier: MIT
// Base64 (RFC 4648) of bytes and of numbers: how OpenAI's client asks for
// embeddings.
#ifndef TINYPHI_BASE_BASE64_H_
#define TINYPHI_BASE_BASE64_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

// With '=' at the end.
[[nodiscard]] inline std::string base64(std::string_view bytes) {
  constexpr std::string_view letters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = bytes.size() - i < 3 ? bytes.size() - i : 3;
    std::uint32_t bits = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      bits =
          (bits << 8) | (j < n ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out += j <= n ? letters[(bits >> (18 - 6 * j)) & 63] : '=';
    }
  }
  return out;
}

// Of the little-endian bytes of floats.
[[nodiscard]] inline std::string base64_floats(std::span<const float> numbers) {
  std::string bytes;
  bytes.reserve(4 * numbers.size());
  for (const float x : numbers) {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    for (int shift = 0; shift < 32; shift += 8) {
      bytes += static_cast<char>((bits >> shift) & 255);
    }
  }
  return base64(bytes);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_BASE_BASE64_H_
