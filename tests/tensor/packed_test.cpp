// SPDX-License-Identifier: MIT
#include "tinyphi/tensor/packed.h"

#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "support/test.h"

namespace tinyphi {
namespace {

using Catch::Contains;

std::vector<std::vector<std::byte>> random_rows(dtype type, std::size_t rows,
                                                std::size_t cols) {
  std::mt19937 random(static_cast<unsigned>(rows * 1000 + cols));
  std::vector<std::vector<std::byte>> all(rows);
  for (auto& row : all) {
    row.resize(row_bytes(type, cols));
    for (auto& b : row) b = static_cast<std::byte>(random());
  }
  return all;
}

packed_matrix packed(dtype type,
                     const std::vector<std::vector<std::byte>>& rows,
                     std::size_t cols) {
  auto m = make_packed(type, rows.size(), cols);
  REQUIRE_OK(m);
  for (std::size_t s = 0; s < m->n_strips(); ++s) {
    std::vector<const std::byte*> at;
    for (std::size_t r = s * strip_rows;
         r < std::min(rows.size(), (s + 1) * strip_rows); ++r) {
      at.push_back(rows[r].data());
    }
    pack_strip(*m, s, at.data(), at.size());
  }
  return *std::move(m);
}

TEST_CASE("unpacking gives back every byte of every row") {
  for (const dtype_info& d : dtypes) {
    for (const std::size_t rows : {1u, 15u, 16u, 17u, 40u}) {
      for (const std::size_t cols : {32u, 64u, 96u, 256u, 768u}) {
        if (cols % d.block_size != 0) continue;
        INFO(d.name << " " << rows << " x " << cols);
        const auto stored = random_rows(d.type, rows, cols);
        const packed_matrix m = packed(d.type, stored, cols);
        std::vector<std::byte> row(row_bytes(d.type, cols));
        for (std::size_t r = 0; r < rows; ++r) {
          unpack_row(m, r, row.data());
          REQUIRE(row == stored[r]);
        }
      }
    }
  }
}

TEST_CASE("unquantized rows may have any length") {
  const auto stored = random_rows(dtype::f16, 3, 7);
  const packed_matrix m = packed(dtype::f16, stored, 7);
  std::vector<std::byte> row(14);
  unpack_row(m, 2, row.data());
  CHECK(row == stored[2]);
}

TEST_CASE("strips have the sizes and places that packed.h draws") {
  CHECK(packed_strip_bytes(dtype::f32, 64) == 64 * 64);
  CHECK(packed_strip_bytes(dtype::bf16, 64) == 64 * 32);
  CHECK(packed_strip_bytes(dtype::q8_0, 64) == 1088);
  CHECK(packed_strip_bytes(dtype::q8_0, 32) == 1088);  // paired with zeros
  CHECK(packed_strip_bytes(dtype::q4_0, 64) == 576);
  CHECK(packed_strip_bytes(dtype::q4_0, 32) == 576);  // paired with zeros
  const std::pair<dtype, std::size_t> bytes_of_256[] = {
      {dtype::iq4_nl, 4 * 576}, {dtype::q4_1, 4 * 640}, {dtype::q5_0, 4 * 704},
      {dtype::q5_1, 4 * 768},   {dtype::q2_k, 1344},    {dtype::q3_k, 1792},
      {dtype::q4_k, 2304},      {dtype::q5_k, 2816},    {dtype::q6_k, 3392},
      {dtype::iq4_xs, 2176}};
  for (const auto& [type, bytes] : bytes_of_256) {
    INFO(to_string(type));
    CHECK(packed_strip_bytes(type, 256) == bytes);
  }

  std::vector<std::byte> row(36);  // two Q4_0 blocks
  for (std::size_t i = 0; i < 36; ++i) row[i] = static_cast<std::byte>(i + 1);
  const packed_matrix m = packed(dtype::q4_0, {row, row}, 64);
  const std::byte* strip = m.strip(0);
  CHECK(strip[2] == row[0]);                  // d of block 0, row 1
  CHECK(strip[32 + 2] == row[18]);            // d of block 1, row 1
  CHECK(strip[64 + 4] == row[2]);             // unit 0, row 1
  CHECK(strip[64 + 3 * 64 + 7] == row[17]);   // last byte of block 0
  CHECK(strip[64 + 256 + 4] == row[18 + 2]);  // block 1, unit 0

  std::vector<std::byte> q8(34, std::byte{0x01});
  CHECK(packed(dtype::q8_0, {q8}, 32).strip(0)[64] == std::byte{0x81});
}

TEST_CASE("a matrix that cannot be is an error, not a crash") {
  CHECK_THAT(tinyphi_test::message_of(make_packed(dtype::q8_0, 16, 40)),
             Contains("Q8_0 needs rows of a multiple of 32 columns, found 40"));
  const std::size_t huge = std::numeric_limits<std::size_t>::max() / 32 * 32;
  for (const auto& [rows, cols] :
       {std::pair{huge, std::size_t{32}}, std::pair{std::size_t{16}, huge},
        std::pair{std::size_t{1} << 32, std::size_t{1} << 32}}) {
    const auto m = make_packed(dtype::q4_0, rows, cols);
    REQUIRE_FALSE(m);
    CHECK(m.error().code == error_code::limit);
    CHECK_THAT(m.error().message, Contains("out of memory"));
  }
}

TEST_CASE("an empty matrix has no strips") {
  const auto m = make_packed(dtype::f32, 0, 64);
  REQUIRE_OK(m);
  CHECK(m->n_strips() == 0);
}

}  // namespace
}  // namespace tinyphi
