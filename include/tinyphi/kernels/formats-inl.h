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

#include "tinyphi/kernels/dot_sum-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

using u32_tag = hn::RebindToUnsigned<i32_tag>;

// Four bytes of each of rows [r, r + lanes).
HWY_INLINE u8_vec load_bytes(const unit& from, std::size_t r) {
  return hn::BitCast(u8_tag(), hn::LoadU(u32_tag(), from + r));
}
// Numbers of rows [r, r + lanes).
HWY_INLINE f32_vec load_halves(const lanes_of<f16>& from, std::size_t r) {
  return load_f32(f32_tag(), reinterpret_cast<const hwy::float16_t*>(from) + r);
}
template <class T>
HWY_INLINE i32_vec load_integers(const lanes_of<T>& from, std::size_t r) {
  return hn::PromoteTo(i32_tag(),
                       hn::LoadU(hn::Rebind<T, i32_tag>(), from + r));
}

// Bits [at, at + n) of each lane.
HWY_INLINE i32_vec bits(i32_vec v, std::size_t at, int n) {
  return hn::And(hn::ShiftRightSame(v, static_cast<int>(at)),
                 hn::Set(i32_tag(), (1 << n) - 1));
}
// Bit pair i of each byte.
HWY_INLINE u8_vec bit_pairs(u8_vec v, std::size_t i) {
  const auto down =
      hn::ShiftRightSame(hn::BitCast(i32_tag(), v), static_cast<int>(2 * i));
  return hn::And(hn::BitCast(u8_tag(), down), hn::Set(u8_tag(), 3));
}
// v with those bits of `from`, shifted to the right (or left), that `mask` has.
HWY_INLINE u8_vec with_bits(u8_vec v, u8_vec from, int right,
                            std::uint8_t mask) {
  const auto bits = hn::BitCast(i32_tag(), from);
  const auto moved = right >= 0 ? hn::ShiftRightSame(bits, right)
                                : hn::ShiftLeftSame(bits, -right);
  return hn::OrAnd(v, hn::BitCast(u8_tag(), moved), hn::Set(u8_tag(), mask));
}
// `value` in each byte whose bit i is set.
HWY_INLINE u8_vec where_bit(u8_vec v, std::size_t i, std::uint8_t value) {
  const auto bit = hn::Set(u8_tag(), static_cast<std::uint8_t>(1u << i));
  return hn::IfThenElseZero(hn::TestBit(v, bit), hn::Set(u8_tag(), value));
}

// format<Type> describes blocks of 16 rows and block_groups groups of 32
// columns; g below counts groups inside a block, r is the first of the rows
// that a vector holds. A weight is scale * (byte - zero_point) - min.
//
//   scale_cols   columns that share a scale (and a min): 32 or 16
//   has_min      whether there are mins; zero_point is then 0
//   run          how many units' products may be added in 16 bits before they
//                would overflow; 0 if one already would
//   paired       units j and j + 4 are the nibbles of the same bytes
//   chunk        groups to unroll, so that g % chunk is a constant in unit
//   ahead        how many bytes to prefetch ahead for one token
//   unit         bytes of columns [4 j, 4 j + 4) of the group, row after row
//   scales       what scale and min read; loaded once for a block
//   scale, min   of the group's first or second 16 columns (half; 0 if shared);
//                min only with has_min
//   quick        whether decoding is so cheap that few tokens do without panel
//                (only with AVX-512 for types that take long to compile)
template <dtype Type>
struct format;

template <class Block>
struct block_format {
  using packed = packed_block<Block>;
  static constexpr std::size_t block_bytes = packed::bytes;
  static constexpr std::size_t block_groups =
      packed::blocks * Block::columns / group_size;
  static constexpr std::size_t group_bytes = block_bytes / block_groups;
  static constexpr std::size_t scale_cols = Block::per_scale;
  static constexpr bool has_min = false;
  static constexpr int zero_point = 0;
  static constexpr bool paired = false;
  static constexpr bool quick = false;
  static constexpr std::size_t chunk = 1;
  static constexpr std::size_t ahead = 1024;

  static HWY_INLINE const packed& at(const std::byte* block) {
    return *reinterpret_cast<const packed*>(block);
  }
  struct scales {
    const packed* block;
    HWY_INLINE void load(const std::byte* from) { block = &at(from); }
  };
};

// ---- Types of 32 columns

template <class Block>
struct small_format : block_format<Block> {
  using block_format<Block>::at;
  using typename block_format<Block>::scales;
  static HWY_INLINE f32_vec scale(const scales& from, std::size_t g,
                                  std::size_t, std::size_t r) {
    return load_halves(from.block->d[g], r);
  }
};

template <>
struct format<dtype::q8_0> : small_format<block_q8_0> {
  static constexpr int zero_point = 128;
  static constexpr std::size_t run = 0;
  static constexpr bool quick = true;
  static HWY_INLINE u8_vec unit(const std::byte* block, std::size_t g,
                                std::size_t j, std::size_t r) {
    return load_bytes(at(block).q[g][j], r);
  }
};

template <class Block>
struct nibble_format : small_format<Block> {
  using small_format<Block>::at;
  static constexpr bool paired = true;
  static constexpr std::size_t run = 8;
  static HWY_INLINE u8_vec unit(const std::byte* block, std::size_t g,
                                std::size_t j, std::size_t r) {
    const u8_vec v = load_bytes(at(block).qs[g][j % 4], r);
    return j < 4 ? low_nibbles(v) : high_nibbles(v);
  }
};

template <class Block>
struct five_bit_format : nibble_format<Block> {
  using nibble_format<Block>::at;
  static constexpr std::size_t run = 4;
  static HWY_INLINE u8_vec unit(const std::byte* block, std::size_t g,
                                std::size_t j, std::size_t r) {
    return hn::Or(nibble_format<Block>::unit(block, g, j, r),
                  where_bit(load_bytes(at(block).qh[g], r), j, 16));
  }
};

template <class Base>
struct with_min : Base {
  static constexpr bool has_min = true;
  static HWY_INLINE f32_vec min(const typename Base::scales& from,
                                std::size_t g, std::size_t, std::size_t r) {
    return hn::Neg(load_halves(from.block->m[g], r));
  }
};

template <>
struct format<dtype::q4_0> : nibble_format<block_q4_0> {
  static constexpr int zero_point = 8;
  static constexpr bool quick = true;
};
template <>
struct format<dtype::q4_1> : with_min<nibble_format<block_q4_1>> {};
template <>
struct format<dtype::q5_0> : five_bit_format<block_q5_0> {
  static constexpr int zero_point = 16;
};
template <>
struct format<dtype::q5_1> : with_min<five_bit_format<block_q5_1>> {};

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
