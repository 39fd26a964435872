// SPDX-License-Identifier: MIT
#ifndef TINYPHI_TENSOR_PACKED_IPP_
#define TINYPHI_TENSOR_PACKED_IPP_

#include <cstring>
#include <string>
#include <utility>

#include "tinyphi/base/bytes.h"
#include "tinyphi/tensor/block_map.h"
#include "tinyphi/tensor/packed.h"

TINYPHI_NAMESPACE_BEGIN
namespace detail {

// Unquantized types: column k of row r is element k * 16 + r.
template <class T>
inline void pack_columns(const std::byte* const* rows, std::size_t n_rows,
                         std::size_t cols, std::byte* strip) {
  for (std::size_t k = 0; k < cols; ++k) {
    for (std::size_t r = 0; r < n_rows; ++r) {
      std::memcpy(strip + (k * strip_rows + r) * sizeof(T),
                  rows[r] + k * sizeof(T), sizeof(T));
    }
  }
}

template <class T>
inline void unpack_columns(const std::byte* strip, std::size_t r,
                           std::size_t cols, std::byte* row) {
  for (std::size_t k = 0; k < cols; ++k) {
    std::memcpy(row + k * sizeof(T), strip + (k * strip_rows + r) * sizeof(T),
                sizeof(T));
  }
}

}  // namespace detail

TINYPHI_FUNC std::size_t packed_strip_bytes(dtype type, std::size_t cols) {
  if (!is_quantized(type)) return cols * strip_rows * info(type).block_bytes;
  return with_block(type, [cols](auto block) {
    using packed = packed_block<decltype(block)>;
    const std::size_t n = cols / block.columns;
    return (n + packed::blocks - 1) / packed::blocks * sizeof(packed);
  });
}

TINYPHI_FUNC std::size_t packed_matrix::strip_bytes() const {
  return packed_strip_bytes(type, cols);
}

TINYPHI_FUNC result<std::size_t> packed_bytes(dtype type, std::size_t rows,
                                              std::size_t cols) {
  if (cols % info(type).block_size != 0) {
    return error{error_code::invalid_argument,
                 std::string(to_string(type)) +
                     " needs rows of a multiple of " +
                     std::to_string(info(type).block_size) +
                     " columns, found " + std::to_string(cols)};
  }
  // No type needs more than four bytes per element (and a padding block).
  if (!((checked_size(rows) + strip_rows) * (checked_size(cols) + 32) * 4)
           .at_most(std::uint64_t{1} << 62)) {
    return error{error_code::limit, "out of memory: a matrix of " +
                                        std::to_string(rows) + " x " +
                                        std::to_string(cols) + " elements"};
  }
  return (rows + strip_rows - 1) / strip_rows * packed_strip_bytes(type, cols);
}

TINYPHI_FUNC result<packed_matrix> make_packed(dtype type, std::size_t rows,
                                               std::size_t cols) {
  TINYPHI_TRY(const std::size_t n, packed_bytes(type, rows, cols));
  TINYPHI_TRY(auto storage, aligned_array<std::byte>::create(n));
  const std::span<const std::byte> data = storage.span();
  return packed_matrix{type, rows, cols, data, std::move(storage)};
}

TINYPHI_FUNC void pack_strip(dtype type, std::size_t cols,
                             const std::byte* const* rows, std::size_t n_rows,
                             std::byte* strip) {
  TINYPHI_ASSERT(n_rows <= strip_rows);
  if (type == dtype::f32) {
    return detail::pack_columns<float>(rows, n_rows, cols, strip);
  }
  if (!is_quantized(type)) {
    return detail::pack_columns<f16>(rows, n_rows, cols, strip);
  }
  with_block(type, [&](auto block) {
    using block_type = decltype(block);
    using packed = packed_block<block_type>;
    static_assert(sizeof(packed) == packed::bytes);
    auto* const to = reinterpret_cast<packed*>(strip);
    block_type from[strip_rows] = {};
    for (std::size_t b = 0; b < cols / block.columns; ++b) {
      for (std::size_t r = 0; r < n_rows; ++r) {
        std::memcpy(&from[r], rows[r] + b * sizeof block, sizeof block);
      }
      pack_block(from, b % packed::blocks, to[b / packed::blocks]);
    }
  });
}

TINYPHI_FUNC void pack_strip(packed_matrix& to, std::size_t s,
                             const std::byte* const* rows, std::size_t n_rows) {
  pack_strip(to.type, to.cols, rows, n_rows, to.own_strip(s));
}

TINYPHI_FUNC void unpack_row(const packed_matrix& from, std::size_t row,
                             std::byte* to) {
  TINYPHI_ASSERT(row < from.rows);
  const std::byte* strip = from.strip(row / strip_rows);
  const std::size_t r = row % strip_rows;
  if (from.type == dtype::f32) {
    return detail::unpack_columns<float>(strip, r, from.cols, to);
  }
  if (!is_quantized(from.type)) {
    return detail::unpack_columns<f16>(strip, r, from.cols, to);
  }
  with_block(from.type, [&](auto block) {
    using packed = packed_block<decltype(block)>;
    const auto* const all = reinterpret_cast<const packed*>(strip);
    for (std::size_t b = 0; b < from.cols / block.columns; ++b) {
      block = unpack_block(all[b / packed::blocks], b % packed::blocks, r);
      std::memcpy(to + b * sizeof block, &block, sizeof block);
    }
  });
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_TENSOR_PACKED_IPP_
