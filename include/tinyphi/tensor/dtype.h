// SPDX-License-Identifier: MIT
// Element types of stored tensors: names, block sizes, GGUF ids.
#ifndef TINYPHI_TENSOR_DTYPE_H_
#define TINYPHI_TENSOR_DTYPE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "tinyphi/base/ascii.h"
#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

enum class dtype : std::uint8_t {
  f32,
  f16,
  bf16,
  q8_0,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k,
  iq4_nl,
  iq4_xs,
};

struct dtype_info {
  dtype type;
  std::string_view name;     // as GGUF tools print it
  std::uint32_t gguf_id;     // ggml_type in ggml.h
  std::uint32_t block_size;  // elements per block along a row
  std::uint32_t block_bytes;
};

inline constexpr std::array<dtype_info, 15> dtypes{{
    {dtype::f32, "F32", 0, 1, 4},
    {dtype::f16, "F16", 1, 1, 2},
    {dtype::bf16, "BF16", 30, 1, 2},
    {dtype::q8_0, "Q8_0", 8, 32, 34},
    {dtype::q4_0, "Q4_0", 2, 32, 18},
    {dtype::q4_1, "Q4_1", 3, 32, 20},
    {dtype::q5_0, "Q5_0", 6, 32, 22},
    {dtype::q5_1, "Q5_1", 7, 32, 24},
    {dtype::q2_k, "Q2_K", 10, 256, 84},
    {dtype::q3_k, "Q3_K", 11, 256, 110},
    {dtype::q4_k, "Q4_K", 12, 256, 144},
    {dtype::q5_k, "Q5_K", 13, 256, 176},
    {dtype::q6_k, "Q6_K", 14, 256, 210},
    {dtype::iq4_nl, "IQ4_NL", 20, 32, 18},
    {dtype::iq4_xs, "IQ4_XS", 23, 256, 136},
}};

[[nodiscard]] constexpr const dtype_info& info(dtype type) {
  return dtypes[static_cast<std::size_t>(type)];
}
[[nodiscard]] constexpr std::string_view to_string(dtype type) {
  return info(type).name;
}
[[nodiscard]] constexpr bool is_quantized(dtype type) {
  return info(type).block_size > 1;
}
// `name` in any letter case.
[[nodiscard]] constexpr std::optional<dtype> parse_dtype(
    std::string_view name) {
  for (const dtype_info& d : dtypes) {
    bool same = d.name.size() == name.size();
    for (std::size_t i = 0; same && i < name.size(); ++i) {
      same = ascii::lower(d.name[i]) == ascii::lower(name[i]);
    }
    if (same) return d.type;
  }
  return std::nullopt;
}

// Bytes of one row of `cols` elements; cols is a multiple of the block size.
[[nodiscard]] constexpr std::size_t row_bytes(dtype type, std::size_t cols) {
  return cols / info(type).block_size * info(type).block_bytes;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_TENSOR_DTYPE_H_
