// SPDX-License-Identifier: MIT
#include "tinyphi/tensor/block_map.h"

#include <cstring>
#include <random>

#include "support/test.h"

namespace tinyphi {
namespace {

TEST_CASE("every bit of a block comes back from every lane") {
  std::mt19937 random(5);
  for (const dtype_info& d : dtypes) {
    if (!is_quantized(d.type)) continue;
    with_block(d.type, [&](auto block) {
      using packed = packed_block<decltype(block)>;
      decltype(block) rows[2][strip_rows];
      packed to;
      for (std::size_t h = 0; h < packed::blocks; ++h) {
        for (auto& row : rows[h]) {
          unsigned char bytes[sizeof row];
          for (auto& b : bytes) b = static_cast<unsigned char>(random());
          std::memcpy(&row, bytes, sizeof row);
        }
        pack_block(rows[h], h, to);
      }
      for (std::size_t h = 0; h < packed::blocks; ++h) {
        for (std::size_t r = 0; r < strip_rows; ++r) {
          INFO(d.name << " block " << h << " lane " << r);
          const auto back = unpack_block(to, h, r);
          REQUIRE(std::memcmp(&back, &rows[h][r], sizeof back) == 0);
        }
      }
    });
  }
}

TEST_CASE("high bits and 6-bit scales move to where packed_blocks.h says") {
  block_q5_0 q5[strip_rows] = {};
  q5[3].qh[1] = 0x40;  // bit 14: column 14 = 4 * 3 + 2
  packed_block<block_q5_0> p5 = {};
  pack_block(q5, 1, p5);
  CHECK(p5.qh[1][3] == 1u << (2 * 8 + 3));
  CHECK(p5.qh[0][3] == 0);

  block_q4_k q4[strip_rows] = {};
  q4[7].scales[5] = 0x25;      // min 1: 0x25
  q4[7].scales[1] = 0x80;      // scale 5: 2 << 4 ...
  q4[7].scales[8 + 1] = 0x07;  // ... + 7
  packed_block<block_q4_k> p4;
  pack_block(q4, 0, p4);
  CHECK(p4.scales_low[1][7] == 0x50);
  CHECK(p4.scales_high[0][7] == 2 << 6);  // min of the odd sub-block
  CHECK(p4.scales_low[5][7] == 0x07);
  CHECK(p4.scales_high[2][7] == 2 << 4);  // scale of the odd sub-block

  block_q3_k q3[strip_rows] = {};
  q3[15].scales[9] = 0x30;  // scale 9: 3 << 4
  packed_block<block_q3_k> p3;
  pack_block(q3, 0, p3);
  CHECK(p3.scales_high[2][15] == 3 << 2);
}

}  // namespace
}  // namespace tinyphi
