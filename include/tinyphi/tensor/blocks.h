// SPDX-License-Identifier: MIT
// The blocks of quantized rows as GGUF files store them, and the value of each
// weight: what dequantizers, kernels and their tests mean by a format.
#ifndef TINYPHI_TENSOR_BLOCKS_H_
#define TINYPHI_TENSOR_BLOCKS_H_

#include <cstddef>
#include <cstdint>

#include "tinyphi/base/half.h"
#include "tinyphi/tensor/dtype.h"

TINYPHI_NAMESPACE_BEGIN

// Weight k of a block is
//
//   x = scale(block, k) * level(block, k) - min(block, k)
//
// A level is an integer. Scale and min are f32 and shared by `per_scale`
// columns. A scale has at most 18 bits and a level at most 7, 25 never meet:
// the product is exact in f32, so that only the subtraction rounds and a fused
// multiply-add changes nothing.
//
// Levels of more than four bits are split: low nibbles here, high bits there.
// Sub-block s of 32 columns is [32 s, 32 s + 32). Fields have ggml's names.

struct block_q8_0 {
  static constexpr dtype type = dtype::q8_0;
  static constexpr std::size_t columns = 32, per_scale = 32;
  f16 d;
  std::int8_t q[32];
};

// Nibbles: low ones are columns 0 to 15, high ones 16 to 31; so in all types of
// 32 columns.
struct block_q4_0 {
  static constexpr dtype type = dtype::q4_0;
  static constexpr std::size_t columns = 32, per_scale = 32;
  f16 d;
  std::uint8_t qs[16];
};

struct block_q4_1 {
  static constexpr dtype type = dtype::q4_1;
  static constexpr std::size_t columns = 32, per_scale = 32;
  f16 d, m;
  std::uint8_t qs[16];
};

// Bit k of qh, read as a little-endian number, is the fifth bit of column k.
struct block_q5_0 {
  static constexpr dtype type = dtype::q5_0;
  static constexpr std::size_t columns = 32, per_scale = 32;
  f16 d;
  std::uint8_t qh[4], qs[16];
};

struct block_q5_1 {
  static constexpr dtype type = dtype::q5_1;
  static constexpr std::size_t columns = 32, per_scale = 32;
  f16 d, m;
  std::uint8_t qh[4], qs[16];
};

// A nibble stands for one of iq4_levels.
struct block_iq4_nl {
  static constexpr dtype type = dtype::iq4_nl;
  static constexpr std::size_t columns = 32, per_scale = 32;
  f16 d;
  std::uint8_t qs[16];
};

// Per 16 columns a scale (low nibble) and a min (high). Bit pair j of qs[32 c +
// i] is column 128 c + 32 j + i.
struct block_q2_k {
  static constexpr dtype type = dtype::q2_k;
  static constexpr std::size_t columns = 256, per_scale = 16;
  std::uint8_t scales[16], qs[64];
  f16 d, dmin;
};

// qs as in Q2_K; bit s of hmask[i], column 32 s + i, adds 4. The 16 scales have
// 6 bits, minus 32: low nibbles in bytes 0 to 7 (scales 0 to 7, then 8 to 15 in
// the high nibbles), the rest in bit pairs of bytes 8 to 11: pair j of byte
// 8 + i belongs to scale 4 j + i.
struct block_q3_k {
  static constexpr dtype type = dtype::q3_k;
  static constexpr std::size_t columns = 256, per_scale = 16;
  std::uint8_t hmask[32], qs[64], scales[12];
  f16 d;
};

// Eight scales and mins of 6 bits: the first four in the low 6 bits of bytes 0
// to 3 and 4 to 7; of the others low nibbles (scale) and high nibbles (min) of
// bytes 8 to 11, and two more bits at the top of bytes 0 to 3 and 4 to 7. The
// low nibbles of qs[32 c ...] are sub-block 2 c, the high ones 2 c + 1.
struct block_q4_k {
  static constexpr dtype type = dtype::q4_k;
  static constexpr std::size_t columns = 256, per_scale = 32;
  f16 d, dmin;
  std::uint8_t scales[12], qs[128];
};

// As Q4_K; bit s of qh[i] is the fifth bit of column 32 s + i.
struct block_q5_k {
  static constexpr dtype type = dtype::q5_k;
  static constexpr std::size_t columns = 256, per_scale = 32;
  f16 d, dmin;
  std::uint8_t scales[12], qh[32], qs[128];
};

// The low nibbles of ql[64 c + i] are column 128 c + i, the high ones column
// 128 c + 64 + i. Bit pair j of qh[32 c + i] is column 128 c + 32 j + i.
struct block_q6_k {
  static constexpr dtype type = dtype::q6_k;
  static constexpr std::size_t columns = 256, per_scale = 16;
  std::uint8_t ql[128], qh[64];
  std::int8_t scales[16];
  f16 d;
};

// Eight scales of 6 bits, minus 32: nibble s of scales_l, bit pair s of
// scales_h. Sub-block s is qs[16 s ...], as a block of IQ4_NL.
struct block_iq4_xs {
  static constexpr dtype type = dtype::iq4_xs;
  static constexpr std::size_t columns = 256, per_scale = 32;
  f16 d;
  std::uint16_t scales_h;
  std::uint8_t scales_l[4], qs[128];
};

inline constexpr std::int8_t iq4_levels[16] = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

// Calls f(Block{}) with the block of `type`, which is_quantized.
template <class F>
constexpr decltype(auto) with_block(dtype type, F&& f) {
  switch (type) {
    default:
    case dtype::q8_0:
      return f(block_q8_0{});
    case dtype::q4_0:
      return f(block_q4_0{});
    case dtype::q4_1:
      return f(block_q4_1{});
    case dtype::q5_0:
      return f(block_q5_0{});
    case dtype::q5_1:
      return f(block_q5_1{});
    case dtype::iq4_nl:
      return f(block_iq4_nl{});
    case dtype::q2_k:
      return f(block_q2_k{});
    case dtype::q3_k:
      return f(block_q3_k{});
    case dtype::q4_k:
      return f(block_q4_k{});
    case dtype::q5_k:
      return f(block_q5_k{});
    case dtype::q6_k:
      return f(block_q6_k{});
    case dtype::iq4_xs:
      return f(block_iq4_xs{});
  }
}

// ---- Parts that several blocks share

namespace detail {

// The nibble of column k of 32 in 16 bytes.
[[nodiscard]] inline int nibble(const std::uint8_t* qs, std::size_t k) {
  return qs[k % 16] >> (k / 16 * 4) & 15;
}
// The nibble of column k of 64 in 32 bytes.
[[nodiscard]] inline int nibble_of_64(const std::uint8_t* qs, std::size_t k) {
  return qs[k / 64 * 32 + k % 32] >> (k % 64 / 32 * 4) & 15;
}
// The two bits of column k of 128 in 32 bytes.
[[nodiscard]] inline int bit_pair(const std::uint8_t* qs, std::size_t k) {
  return qs[k / 128 * 32 + k % 32] >> (k % 128 / 32 * 2) & 3;
}
// The bit of column k of 256 in 32 bytes.
[[nodiscard]] inline int bit_of(const std::uint8_t* qh, std::size_t k) {
  return qh[k % 32] >> (k / 32) & 1;
}
// The bit of column k of 32 in 4 bytes, as a fifth one.
[[nodiscard]] inline int fifth_bit(const std::uint8_t* qh, std::size_t k) {
  return (qh[k / 8] >> (k % 8) & 1) << 4;
}
[[nodiscard]] inline float product(f16 d, int scale) {
  return to_float(d) * static_cast<float>(scale);
}

// The 6-bit scale (min: from = 4) of sub-block s in Q4_K and Q5_K.
[[nodiscard]] inline int six_bits(const std::uint8_t* scales, std::size_t s,
                                  std::size_t from) {
  if (s < 4) return scales[from + s] & 63;
  return (scales[4 + s] >> from & 15) | scales[from + s - 4] >> 6 << 4;
}

// Scale s of Q3_K, 0 to 63.
[[nodiscard]] inline int q3_k_scale(const std::uint8_t* scales, std::size_t s) {
  return (scales[s % 8] >> (s / 8 * 4) & 15) |
         (scales[8 + s % 4] >> (s / 4 * 2) & 3) << 4;
}

}  // namespace detail

// ---- Weight k of a block

[[nodiscard]] inline int level(const block_q8_0& b, std::size_t k) {
  return b.q[k];
}
[[nodiscard]] inline int level(const block_q4_0& b, std::size_t k) {
  return detail::nibble(b.qs, k) - 8;
}
[[nodiscard]] inline int level(const block_q4_1& b, std::size_t k) {
  return detail::nibble(b.qs, k);
}
[[nodiscard]] inline int level(const block_q5_0& b, std::size_t k) {
  return detail::fifth_bit(b.qh, k) + detail::nibble(b.qs, k) - 16;
}
[[nodiscard]] inline int level(const block_q5_1& b, std::size_t k) {
  return detail::fifth_bit(b.qh, k) + detail::nibble(b.qs, k);
}
[[nodiscard]] inline int level(const block_iq4_nl& b, std::size_t k) {
  return iq4_levels[detail::nibble(b.qs, k)];
}
[[nodiscard]] inline int level(const block_q2_k& b, std::size_t k) {
  return detail::bit_pair(b.qs, k);
}
[[nodiscard]] inline int level(const block_q3_k& b, std::size_t k) {
  return detail::bit_of(b.hmask, k) * 4 + detail::bit_pair(b.qs, k) - 4;
}
[[nodiscard]] inline int level(const block_q4_k& b, std::size_t k) {
  return detail::nibble_of_64(b.qs, k);
}
[[nodiscard]] inline int level(const block_q5_k& b, std::size_t k) {
  return detail::bit_of(b.qh, k) * 16 + detail::nibble_of_64(b.qs, k);
}
[[nodiscard]] inline int level(const block_q6_k& b, std::size_t k) {
  const int low = b.ql[k / 128 * 64 + k % 64] >> (k % 128 / 64 * 4) & 15;
  return detail::bit_pair(b.qh, k) * 16 + low - 32;
}
[[nodiscard]] inline int level(const block_iq4_xs& b, std::size_t k) {
  return iq4_levels[detail::nibble(b.qs + k / 32 * 16, k % 32)];
}

template <class Block>
[[nodiscard]] inline float scale(const Block& b, std::size_t) {
  return to_float(b.d);
}
[[nodiscard]] inline float scale(const block_q2_k& b, std::size_t k) {
  return detail::product(b.d, b.scales[k / 16] & 15);
}
[[nodiscard]] inline float scale(const block_q3_k& b, std::size_t k) {
  return detail::product(b.d, detail::q3_k_scale(b.scales, k / 16) - 32);
}
[[nodiscard]] inline float scale(const block_q4_k& b, std::size_t k) {
  return detail::product(b.d, detail::six_bits(b.scales, k / 32, 0));
}
[[nodiscard]] inline float scale(const block_q5_k& b, std::size_t k) {
  return detail::product(b.d, detail::six_bits(b.scales, k / 32, 0));
}
[[nodiscard]] inline float scale(const block_q6_k& b, std::size_t k) {
  return detail::product(b.d, b.scales[k / 16]);
}
[[nodiscard]] inline float scale(const block_iq4_xs& b, std::size_t k) {
  const std::size_t s = k / 32;
  const int low = b.scales_l[s / 2] >> (s % 2 * 4) & 15;
  const int high = b.scales_h >> (s * 2) & 3;
  return detail::product(b.d, (low | high << 4) - 32);
}

template <class Block>
[[nodiscard]] inline float min(const Block&, std::size_t) {
  return 0;
}
[[nodiscard]] inline float min(const block_q4_1& b, std::size_t) {
  return -to_float(b.m);
}
[[nodiscard]] inline float min(const block_q5_1& b, std::size_t) {
  return -to_float(b.m);
}
[[nodiscard]] inline float min(const block_q2_k& b, std::size_t k) {
  return detail::product(b.dmin, b.scales[k / 16] >> 4);
}
[[nodiscard]] inline float min(const block_q4_k& b, std::size_t k) {
  return detail::product(b.dmin, detail::six_bits(b.scales, k / 32, 4));
}
[[nodiscard]] inline float min(const block_q5_k& b, std::size_t k) {
  return detail::product(b.dmin, detail::six_bits(b.scales, k / 32, 4));
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_TENSOR_BLOCKS_H_
