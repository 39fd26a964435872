// SPDX-License-Identifier: MIT
// Packing is one permutation per type: a stored row is cut into units (an
// element, or four bytes of a block) and unit u of row r becomes lane r of the
// strip's unit u. Both directions walk the same map.
#ifndef TINYPHI_TENSOR_PACKED_IPP_
#define TINYPHI_TENSOR_PACKED_IPP_

#include <cstring>
#include <string>
#include <utility>

#include "tinyphi/base/bytes.h"
#include "tinyphi/tensor/packed.h"

TINYPHI_NAMESPACE_BEGIN
namespace detail {

// Calls copy(offset in the strip, offset in the stored row, bytes) for every
// unit of the row in lane r.
template <class Copy>
inline void for_each_unit(dtype type, std::size_t cols, std::size_t r,
                          const Copy& copy) {
  const std::size_t block_bytes = info(type).block_bytes;
  if (!is_quantized(type)) {
    for (std::size_t k = 0; k < cols; ++k) {
      copy((k * strip_rows + r) * block_bytes, k * block_bytes, block_bytes);
    }
    return;
  }
  const std::size_t units = (block_bytes - 2) / 4;
  for (std::size_t b = 0; b < cols / info(type).block_size; ++b) {
    // A pair of blocks holds both scale lines before its units.
    const std::size_t pair = b / 2 * 2 * strip_rows * block_bytes;
    const std::size_t scales = pair + b % 2 * 32;
    const std::size_t data = pair + 64 + b % 2 * units * 64;
    copy(scales + 2 * r, b * block_bytes, 2);
    for (std::size_t j = 0; j < units; ++j) {
      copy(data + (j * strip_rows + r) * 4, b * block_bytes + 2 + 4 * j, 4);
    }
  }
}

// Copies a unit; four bytes of Q8_0 change between int8 and int8 + 128, which
// is the unsigned operand of dot-product instructions.
inline void copy_unit(dtype type, std::byte* to, const std::byte* from,
                      std::size_t bytes) {
  std::memcpy(to, from, bytes);
  if (type == dtype::q8_0 && bytes == 4) {
    for (std::size_t i = 0; i < 4; ++i) to[i] ^= std::byte{0x80};
  }
}

}  // namespace detail

TINYPHI_FUNC std::size_t packed_strip_bytes(dtype type, std::size_t cols) {
  switch (type) {
    case dtype::q8_0:
      return (cols / 32 + 1) / 2 * 1088;
    case dtype::q4_0:
      return (cols / 32 + 1) / 2 * 576;
    default:
      return cols * strip_rows * info(type).block_bytes;
  }
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
  for (std::size_t r = 0; r < n_rows; ++r) {
    detail::for_each_unit(
        type, cols, r,
        [&](std::size_t packed, std::size_t stored, std::size_t bytes) {
          detail::copy_unit(type, strip + packed, rows[r] + stored, bytes);
        });
  }
}

TINYPHI_FUNC void pack_strip(packed_matrix& to, std::size_t s,
                             const std::byte* const* rows, std::size_t n_rows) {
  pack_strip(to.type, to.cols, rows, n_rows, to.own_strip(s));
}

TINYPHI_FUNC void unpack_row(const packed_matrix& from, std::size_t row,
                             std::byte* to) {
  TINYPHI_ASSERT(row < from.rows);
  const std::byte* strip = from.strip(row / strip_rows);
  detail::for_each_unit(
      from.type, from.cols, row % strip_rows,
      [&](std::size_t packed, std::size_t stored, std::size_t bytes) {
        detail::copy_unit(from.type, to + stored, strip + packed, bytes);
      });
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_TENSOR_PACKED_IPP_
