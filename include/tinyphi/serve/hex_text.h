// SPDX-License-Identifier: MIT
// Bytes in hexadecimal: ids and digests.
#ifndef TINYPHI_SERVE_HEX_TEXT_H_
#define TINYPHI_SERVE_HEX_TEXT_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

// Two lower-case digits for each byte.
[[nodiscard]] inline std::string hex_text(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const std::uint8_t b : bytes) {
    out += digits[b >> 4];
    out += digits[b & 15];
  }
  return out;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_HEX_TEXT_H_
