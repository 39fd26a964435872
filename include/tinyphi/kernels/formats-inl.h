// SPDX-License-Identifier: MIT
// How each stored type is decoded inside packed strips (layouts:
// tensor/packed.h): the only per-target code that knows them. A type is one
// struct; matrix products are written once, for all.
#if defined(TINYPHI_KERNELS_FORMATS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_FORMATS_INL_H_
#undef TINYPHI_KERNELS_FORMATS_INL_H_
#else
#define TINYPHI_KERNELS_FORMATS_INL_H_
#endif

#include "tinyphi/kernels/compat-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

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
// The f16 numbers of rows [r, r + lanes).
HWY_INLINE f32_vec load_halves(const std::byte* from, std::size_t r) {
  return load_f32(f32_tag(), reinterpret_cast<const hwy::float16_t*>(from) + r);
}

// sums [n][R][16] of strips s, s + 1, ... to out, no row beyond n_rows.
template <std::size_t R>
HWY_INLINE void write_rows(const float* sums, std::size_t n, std::size_t n_rows,
                           std::size_t s, float* out, std::size_t out_stride) {
  const std::size_t rows = HWY_MIN(R * strip_rows, n_rows - s * strip_rows);
  for (std::size_t t = 0; t < n; ++t, sums += R * strip_rows) {
    float* to = out + t * out_stride + s * strip_rows;
    if (rows == R * strip_rows) {  // of a fixed size, or GCC makes a rep movs
      std::memcpy(to, sums, R * strip_rows * sizeof(float));
    } else {
      std::memcpy(to, sums, rows * sizeof(float));
    }
  }
}

// format<Type> describes blocks of 16 rows and block_groups groups of 32
// columns; g below counts groups inside a block, r is the first of the rows
// that a vector holds. A weight is scale * (byte - zero_point) - min.
//
//   scale_cols   columns that share a scale (and a min): 32 or 16
//   has_min      whether there are mins; zero_point is then 0
//   run          how many units' products may be added in 16 bits before they
//                would overflow; 0 if the bytes are signed (x86 before VNNI)
//   paired       units j and j + 4 are the nibbles of the same bytes
//   unit         bytes of columns [4 j, 4 j + 4) of the group, row after row
//   scale, min   of the group's first or second 16 columns (half; 0 if shared)
//   quick        whether decoding is so cheap that few tokens do without panel
template <dtype Type>
struct format;

// All types that have one, for switches.
#undef TINYPHI_FORMATS
#define TINYPHI_FORMATS(X) X(q8_0) X(q4_0)

struct plain_scales {
  static constexpr std::size_t scale_cols = 32;
  static constexpr bool has_min = false;
  static constexpr bool paired = false;
  static f32_vec min(const std::byte*, std::size_t, std::size_t, std::size_t) {
    return hn::Zero(f32_tag());
  }
};

// Without an unsigned dot product of bytes, Q8_0 stays signed.
template <>
struct format<dtype::q8_0> : plain_scales {
  static constexpr std::size_t block_bytes = 1088, block_groups = 2;
  static constexpr int zero_point = TINYPHI_MADDUBS ? 0 : 128;
  static constexpr std::size_t run = 0;
  static constexpr bool quick = true;
  static HWY_INLINE u8_vec unit(const std::byte* block, std::size_t g,
                                std::size_t j, std::size_t r) {
    const u8_vec v = load_bytes(block + 64 + g * 512 + j * 64 + r * 4);
    return TINYPHI_MADDUBS ? hn::Xor(v, hn::Set(u8_tag(), 0x80)) : v;
  }
  static HWY_INLINE f32_vec scale(const std::byte* block, std::size_t g,
                                  std::size_t, std::size_t r) {
    return load_halves(block + g * 32, r);
  }
};

template <>
struct format<dtype::q4_0> : plain_scales {
  static constexpr std::size_t block_bytes = 576, block_groups = 2;
  static constexpr int zero_point = 8;
  static constexpr bool paired = true;
  static constexpr std::size_t run = 8;
  static constexpr bool quick = true;
  static HWY_INLINE u8_vec unit(const std::byte* block, std::size_t g,
                                std::size_t j, std::size_t r) {
    const u8_vec v = load_bytes(block + 64 + g * 256 + j % 4 * 64 + r * 4);
    return j < 4 ? low_nibbles(v) : high_nibbles(v);
  }
  static HWY_INLINE f32_vec scale(const std::byte* block, std::size_t g,
                                  std::size_t, std::size_t r) {
    return load_halves(block + g * 32, r);
  }
};

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
