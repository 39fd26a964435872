// SPDX-License-Identifier: MIT
#include "tinyphi/base/half.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "support/test.h"

using namespace tinyphi;

namespace {
std::uint16_t f16_bits(float x) { return to_f16(x).bits; }
}  // namespace

TEST_CASE("known values of f16") {
  CHECK(to_float(f16{0x3C00}) == 1.0f);
  CHECK(to_float(f16{0xC000}) == -2.0f);
  CHECK(to_float(f16{0x7BFF}) == 65504.0f);
  CHECK(to_float(f16{0x0001}) == 0x1p-24f);
  CHECK(to_float(f16{0x0400}) == 0x1p-14f);
  CHECK(std::isinf(to_float(f16{0x7C00})));
  CHECK(std::isnan(to_float(f16{0x7E00})));
  CHECK(std::signbit(to_float(f16{0x8000})));
}

TEST_CASE("every f16 survives the way to f32 and back") {
  for (std::uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const f16 h{static_cast<std::uint16_t>(bits)};
    const float x = to_float(h);
    if (std::isnan(x)) {
      REQUIRE(std::isnan(to_float(to_f16(x))));
    } else {
      REQUIRE(to_f16(x).bits == h.bits);
    }
  }
}

TEST_CASE("f32 rounds to the nearest f16, ties to even") {
  CHECK(f16_bits(1.0f + 0x1p-11f) == 0x3C00);      // tie, to even
  CHECK(f16_bits(1.0f + 3 * 0x1p-11f) == 0x3C02);  // tie, to even
  CHECK(f16_bits(1.0f + 0x1p-11f + 0x1p-20f) == 0x3C01);
  CHECK(f16_bits(0x1p-25f) == 0x0000);  // tie, to even
  CHECK(f16_bits(0x1.8p-25f) == 0x0001);
  CHECK(f16_bits(65519.0f) == 0x7BFF);
  CHECK(f16_bits(65520.0f) == 0x7C00);
  CHECK(f16_bits(-1e9f) == 0xFC00);
  CHECK(f16_bits(std::numeric_limits<float>::infinity()) == 0x7C00);
}

TEST_CASE("bf16 is the upper half of an f32") {
  CHECK(to_float(bf16{0x3F80}) == 1.0f);
  CHECK(to_float(bf16{0xC2F7}) == -123.5f);
}
