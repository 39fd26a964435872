// SPDX-License-Identifier: MIT
// Weights as kernels want them: 16 rows interleaved ("strips"), so that a
// vector's lanes are rows and no sum ever crosses lanes. Loss-free: every
// layout is a permutation of the stored values.
#ifndef TINYPHI_TENSOR_PACKED_H_
#define TINYPHI_TENSOR_PACKED_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "tinyphi/base/aligned.h"
#include "tinyphi/base/error.h"
#include "tinyphi/tensor/dtype.h"
#include "tinyphi/tensor/packed_blocks.h"
#include "tinyphi/tensor/tensor.h"

TINYPHI_NAMESPACE_BEGIN

// Counts the changes of the layouts below: packed weights are kept in files.
inline constexpr int packed_layout_version = 2;

// A packed [rows][cols] matrix: strips of 16 rows one after the other, rows
// padded with zeros to whole strips. One strip:
//
//   F32          cols x 64 B: column k of rows 0..15
//   F16, BF16    cols x 32 B, likewise
//   other types  packed blocks one after the other (packed_blocks.h), the last
//                one filled up with a zero block where it packs two
struct packed_matrix {
  dtype type = dtype::f32;
  std::size_t rows = 0;
  std::size_t cols = 0;
  // The strips, from a cache line on: all of `storage`, or memory of somebody
  // who outlives the matrix (then `storage` is empty).
  std::span<const std::byte> data;
  aligned_array<std::byte> storage = {};

  [[nodiscard]] std::size_t n_strips() const {
    return (rows + strip_rows - 1) / strip_rows;
  }
  [[nodiscard]] std::size_t strip_bytes() const;
  [[nodiscard]] const std::byte* strip(std::size_t s) const {
    return data.data() + s * strip_bytes();
  }
  // To write to; only of a matrix with storage of its own.
  [[nodiscard]] std::byte* own_strip(std::size_t s) {
    TINYPHI_ASSERT(s < n_strips() && storage.size() == data.size());
    return storage.data() + s * strip_bytes();
  }
};

// Bytes of one strip of `cols` columns.
[[nodiscard]] std::size_t packed_strip_bytes(dtype type, std::size_t cols);

// Bytes of all strips. Errors: more than memory can be; cols not a multiple of
// the type's blocks.
[[nodiscard]] result<std::size_t> packed_bytes(dtype type, std::size_t rows,
                                               std::size_t cols);

// An all-zero matrix that owns its strips. Errors: those of packed_bytes(); out
// of memory.
[[nodiscard]] result<packed_matrix> make_packed(dtype type, std::size_t rows,
                                                std::size_t cols);

// Copies up to 16 stored rows into `strip`, which is packed_strip_bytes(type,
// cols) zeros at a cache line; rows beyond n_rows stay zero. rows[i] points to
// row_bytes(type, cols) bytes.
void pack_strip(dtype type, std::size_t cols, const std::byte* const* rows,
                std::size_t n_rows, std::byte* strip);
// The same for strip s of a matrix with storage of its own.
void pack_strip(packed_matrix& to, std::size_t s, const std::byte* const* rows,
                std::size_t n_rows);

// The inverse for one row, to row_bytes(type, cols) bytes; for tests and the
// reference.
void unpack_row(const packed_matrix& from, std::size_t row, std::byte* to);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/tensor/packed.ipp"
#endif

#endif  // TINYPHI_TENSOR_PACKED_H_
