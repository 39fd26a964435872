// SPDX-License-Identifier: MIT
// Places and decoding inside packed strips (layouts: tensor/packed.h).
#if defined(TINYPHI_KERNELS_STRIPS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_STRIPS_INL_H_
#undef TINYPHI_KERNELS_STRIPS_INL_H_
#else
#define TINYPHI_KERNELS_STRIPS_INL_H_
#endif

#include "tinyphi/kernels/compat-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

template <dtype Type>
struct strip_layout;
// Bytes from group to group, and from a group's place to its units; Q4_0 has
// two groups in a block.
template <>
struct strip_layout<dtype::q8_0> {
  static constexpr std::size_t units = 8;  // of 64 B, in a group
  static std::size_t scales(std::size_t g) { return g * 544; }
  static std::size_t data(std::size_t g) { return g * 544 + 32; }
};
template <>
struct strip_layout<dtype::q4_0> {
  static constexpr std::size_t units = 4;
  static std::size_t scales(std::size_t g) { return g / 2 * 576 + g % 2 * 32; }
  static std::size_t data(std::size_t g) {
    return g / 2 * 576 + 64 + g % 2 * 256;
  }
};

// The f16 scales of rows [r, r + lanes).
HWY_INLINE f32_vec load_scales(const std::byte* scales, std::size_t r) {
  return load_f32(f32_tag(),
                  reinterpret_cast<const hwy::float16_t*>(scales) + r);
}

// Where to prefetch when R strips are read together: past the end of a strip
// come the strips after these.
template <std::size_t R>
HWY_INLINE std::size_t prefetch_place(std::size_t at, std::size_t strip_bytes) {
  return at < strip_bytes ? at : at + (R - 1) * strip_bytes;
}

HWY_INLINE u8_vec load_bytes(const std::byte* from) {
  return hn::LoadU(u8_tag(), reinterpret_cast<const std::uint8_t*>(from));
}
HWY_INLINE u8_vec low_nibbles(u8_vec v) {
  return hn::And(v, hn::Set(u8_tag(), 15));
}
HWY_INLINE u8_vec high_nibbles(u8_vec v) {
  constexpr hn::Repartition<std::uint16_t, u8_tag> d16;
  return low_nibbles(
      hn::BitCast(u8_tag(), hn::ShiftRight<4>(hn::BitCast(d16, v))));
}
HWY_INLINE u8_vec decode_q8(u8_vec v) {
  return zero_point<dtype::q8_0> == 0 ? hn::Xor(v, hn::Set(u8_tag(), 0x80)) : v;
}

// sum + scales * integer sums: the one place where groups meet.
HWY_INLINE f32_vec add_group(f32_vec sum, f32_vec weight_scale, float x_scale,
                             i32_vec integers) {
  constexpr f32_tag d;
  return hn::MulAdd(hn::Mul(weight_scale, hn::Set(d, x_scale)),
                    hn::ConvertTo(d, integers), sum);
}

// sums [n][R][16] of strips s, s + 1, ... to out, no row from rows_end on.
template <std::size_t R>
HWY_INLINE void write_rows(const float* sums, std::size_t n, std::size_t s,
                           std::size_t rows_end, float* out,
                           std::size_t out_stride) {
  const std::size_t rows = HWY_MIN(R * strip_rows, rows_end - s * strip_rows);
  for (std::size_t t = 0; t < n; ++t) {
    std::memcpy(out + t * out_stride + s * strip_rows,
                sums + t * R * strip_rows, rows * sizeof(float));
  }
}

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
