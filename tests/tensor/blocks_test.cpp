// SPDX-License-Identifier: MIT
#include "tinyphi/tensor/blocks.h"

#include <random>

#include "support/test.h"

namespace tinyphi {
namespace {

// The block with only this byte set.
template <class Block>
Block with_byte(std::size_t at, std::uint8_t value) {
  Block b{};
  reinterpret_cast<std::uint8_t*>(&b)[at] = value;
  return b;
}

TEST_CASE("each type has the block of its table row") {
  for (const dtype_info& d : dtypes) {
    if (!is_quantized(d.type)) continue;
    with_block(d.type, [&](auto block) {
      INFO(d.name);
      CHECK(block.type == d.type);
      CHECK(block.columns == d.block_size);
      CHECK(sizeof block == d.block_bytes);
    });
  }
}

// Two columns that share a byte, in each way of sharing.
TEST_CASE("levels lie where blocks.h says") {
  const auto q8 = with_byte<block_q8_0>(2 + 31, 0x80);
  CHECK(level(q8, 31) == -128);
  const auto q4 = with_byte<block_q4_0>(2 + 15, 0x1A);
  CHECK(level(q4, 15) == 10 - 8);
  CHECK(level(q4, 31) == 1 - 8);
  const auto q5 = with_byte<block_q5_0>(2 + 3, 0x01);
  CHECK(level(q5, 24) == 0);
  CHECK(level(q5, 25) == -16);
  const auto nl = with_byte<block_iq4_nl>(2, 0xF0);
  CHECK(level(nl, 0) == -127);
  CHECK(level(nl, 16) == 113);
  const auto q2 = with_byte<block_q2_k>(16 + 33, 0b11'10'01'00);
  CHECK(level(q2, 128 + 1) == 0);
  CHECK(level(q2, 128 + 96 + 1) == 3);
  const auto q3 = with_byte<block_q3_k>(31, 0x40);
  CHECK(level(q3, 6 * 32 + 31) == 0);
  CHECK(level(q3, 7 * 32 + 31) == -4);
  const auto q4_k = with_byte<block_q4_k>(16 + 32, 0x2B);
  CHECK(level(q4_k, 64) == 11);
  CHECK(level(q4_k, 96) == 2);
  const auto q5_k = with_byte<block_q5_k>(16 + 1, 0x08);
  CHECK(level(q5_k, 3 * 32 + 1) == 16);
  CHECK(level(q5_k, 2 * 32 + 1) == 0);
  const auto q6 = with_byte<block_q6_k>(64 + 63, 0x7C);
  CHECK(level(q6, 128 + 63) == 12 - 32);
  CHECK(level(q6, 128 + 127) == 7 - 32);
  CHECK(level(with_byte<block_q6_k>(128 + 32, 0x80), 128 + 96) == 32 - 32);
}

TEST_CASE("scales and mins of 6 bits lie where blocks.h says") {
  block_q4_k b{};
  b.d = b.dmin = {0x3C00};  // 1.0
  b.scales[2] = 0xC5;       // scale 2: 5; scale 6: 3 << 4
  b.scales[8 + 2] = 0x9A;   // ... + 10; min 6: 9
  b.scales[4 + 2] = 0x41;   // min 2: 1; min 6: + (1 << 4)
  CHECK(scale(b, 64) == 5);
  CHECK(min(b, 64) == 1);
  CHECK(scale(b, 192) == 58);
  CHECK(min(b, 192) == 25);
  block_q3_k q3{};
  q3.d = {0x3C00};
  q3.scales[1] = 0xF0;      // low bits of scale 9
  q3.scales[8 + 1] = 0x10;  // high bits of scale 9
  CHECK(scale(q3, 9 * 16) == 31 - 32);
  block_iq4_xs xs{};
  xs.d = {0x3C00};
  xs.scales_h = 2 << 6;
  xs.scales_l[1] = 0x70;  // sub-block 3
  CHECK(scale(xs, 96) == 39 - 32);
}

TEST_CASE("products of scale and level are exact in f32") {
  std::mt19937 random(3);
  for (const dtype_info& d : dtypes) {
    if (!is_quantized(d.type)) continue;
    for (int i = 0; i < 50; ++i) {
      with_block(d.type, [&](auto block) {
        for (std::size_t at = 0; at < sizeof block; ++at) {
          reinterpret_cast<std::uint8_t*>(&block)[at] =
              static_cast<std::uint8_t>(random());
        }
        block.d.bits = static_cast<std::uint16_t>(random() % 0x7C00);
        for (std::size_t k = 0; k < block.columns; ++k) {
          const float s = scale(block, k);
          const int q = level(block, k);
          REQUIRE(static_cast<double>(s) * q ==
                  static_cast<double>(s * static_cast<float>(q)));
        }
      });
    }
  }
}

}  // namespace
}  // namespace tinyphi
