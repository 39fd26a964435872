// SPDX-License-Identifier: MIT
#include "tinyphi/tensor/packed_blocks.h"

#include "support/test.h"

using namespace tinyphi;

TEST_CASE("packed blocks are whole lines and as large as what they pack") {
  for (const dtype_info& d : dtypes) {
    if (!is_quantized(d.type)) continue;
    with_block(d.type, [&](auto block) {
      using packed = packed_block<decltype(block)>;
      INFO(d.name);
      CHECK(sizeof(packed) == packed::bytes);
      CHECK(sizeof(packed) % 32 == 0);
      const std::size_t stored = sizeof block * packed::blocks * strip_rows;
      // Q3_K and Q6_K fill up the line of their scale.
      CHECK(sizeof(packed) >= stored);
      CHECK(sizeof(packed) <= stored + 32);
    });
  }
}
