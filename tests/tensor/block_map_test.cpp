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

TEST_CASE("fifth bits move to where packed_blocks.h says") {
  block_q5_0 q5[strip_rows] = {};
  q5[3].qh[1] = 0x40;  // bit 14: column 14 = 4 * 3 + 2
  packed_block<block_q5_0> p5 = {};
  pack_block(q5, 1, p5);
  CHECK(p5.qh[1][3] == 1u << (2 * 8 + 3));
  CHECK(p5.qh[0][3] == 0);
}

}  // namespace
}  // namespace tinyphi
