// SPDX-License-Identifier: MIT
#include "tinyphi/tensor/tensor.h"

#include <array>

#include "support/test.h"

using namespace tinyphi;

TEST_CASE("a tensor counts all dimensions but the last as rows") {
  std::array<std::byte, 24> bytes{};
  bytes[8] = std::byte{7};
  const tensor_view t{
      .name = "t", .type = dtype::f16, .shape = {3, 2, 2}, .bytes = bytes};
  CHECK(t.rows() == 6);
  CHECK(t.cols() == 2);
  CHECK(t.row(2).size() == 4);
  CHECK(t.row(2).front() == std::byte{7});
}

TEST_CASE("a scalar is one row of one column") {
  const tensor_view t{};
  CHECK(t.rows() == 1);
  CHECK(t.cols() == 1);
  CHECK(to_string(t.shape) == "a scalar");
}

TEST_CASE("shapes are written in brackets") {
  CHECK(to_string(std::vector<std::size_t>{3072, 9216}) == "[3072][9216]");
}
