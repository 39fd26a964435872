// SPDX-License-Identifier: MIT
#include "tinyphi/tensor/dtype.h"

#include "support/test.h"

using namespace tinyphi;

TEST_CASE("parse_dtype takes names in any letter case, and only names") {
  CHECK(parse_dtype("q8_0") == dtype::q8_0);
  CHECK(parse_dtype("Bf16") == dtype::bf16);
  CHECK(!parse_dtype("Q8"));
  CHECK(!parse_dtype("q8_0 "));
  CHECK(!parse_dtype(""));
  for (const dtype_info& d : dtypes) CHECK(parse_dtype(d.name) == d.type);
}

TEST_CASE("the table is in the order of the types") {
  for (const dtype_info& d : dtypes) CHECK(&info(d.type) == &d);
}

TEST_CASE("rows of blocks have their blocks' bytes") {
  CHECK(row_bytes(dtype::f32, 64) == 256);
  CHECK(row_bytes(dtype::bf16, 64) == 128);
  CHECK(row_bytes(dtype::q8_0, 64) == 68);
  CHECK(row_bytes(dtype::q4_0, 64) == 36);
  CHECK(row_bytes(dtype::q6_k, 512) == 420);
}
