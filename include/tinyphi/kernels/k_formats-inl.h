// SPDX-License-Identifier: MIT
// How the types of 256 columns and IQ4_NL are decoded (formats-inl.h says what
// a format is), and the list of all formats.
#if defined(TINYPHI_KERNELS_K_FORMATS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_K_FORMATS_INL_H_
#undef TINYPHI_KERNELS_K_FORMATS_INL_H_
#else
#define TINYPHI_KERNELS_K_FORMATS_INL_H_
#endif

#include "tinyphi/kernels/formats-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

// All types that have a format, for switches.
#undef TINYPHI_FORMATS
#define TINYPHI_FORMATS(X) \
  X(q8_0)                  \
  X(q4_0)                  \
  X(q4_1)                  \
  X(q5_0)                  \
  X(q5_1) X(q2_k) X(q3_k) X(q4_k) X(q5_k) X(q6_k) X(iq4_nl) X(iq4_xs)

// An integer times the block's f16.
HWY_INLINE f32_vec times(const lanes_of<f16>& d, i32_vec integer,
                         std::size_t r) {
  return hn::Mul(load_halves(d, r), hn::ConvertTo(f32_tag(), integer));
}

template <>
struct format<dtype::q2_k> : block_format<block_q2_k> {
  static constexpr bool has_min = true;
  static constexpr std::size_t run = 4;
  static HWY_INLINE u8_vec unit(const std::byte* block, std::size_t g,
                                std::size_t j, std::size_t r) {
    return bit_pairs(load_bytes(at(block).qs[g / 4 * 8 + j], r), g % 4);
  }
  static HWY_INLINE f32_vec scale(const std::byte* block, std::size_t g,
                                  std::size_t half, std::size_t r) {
    const auto both = load_integers(at(block).scales[2 * g + half], r);
    return times(at(block).d, bits(both, 0, 4), r);
  }
  static HWY_INLINE f32_vec min(const std::byte* block, std::size_t g,
                                std::size_t half, std::size_t r) {
    const auto both = load_integers(at(block).scales[2 * g + half], r);
    return times(at(block).dmin, bits(both, 4, 4), r);
  }
};

template <>
struct format<dtype::q3_k> : block_format<block_q3_k> {
  static constexpr int zero_point = 4;
  static constexpr std::size_t run = 4;
  static HWY_INLINE u8_vec unit(const std::byte* block, std::size_t g,
                                std::size_t j, std::size_t r) {
    const auto& b = at(block);
    return hn::Or(bit_pairs(load_bytes(b.qs[g / 4 * 8 + j], r), g % 4),
                  where_bit(load_bytes(b.hmask[j], r), g, 4));
  }
  static HWY_INLINE f32_vec scale(const std::byte* block, std::size_t g,
                                  std::size_t half, std::size_t r) {
    const auto& b = at(block);
    const auto low = bits(load_integers(b.scales_low[g], r), 4 * half, 4);
    const auto high =
        bits(load_integers(b.scales_high[g / 2], r), g % 2 * 4 + 2 * half, 2);
    const auto scale = hn::Or(low, hn::ShiftLeft<4>(high));
    return times(b.d, hn::Sub(scale, hn::Set(i32_tag(), 32)), r);
  }
};

// Scales and mins of 6 bits, and nibbles of two groups in the same bytes.
template <class Block>
struct six_bit_scales : block_format<Block> {
  using block_format<Block>::at;
  static constexpr bool has_min = true;
  static HWY_INLINE u8_vec nibbles(const std::byte* block, std::size_t g,
                                   std::size_t j, std::size_t r) {
    const u8_vec v = load_bytes(at(block).qs[g / 2 * 8 + j], r);
    return g % 2 == 0 ? low_nibbles(v) : high_nibbles(v);
  }
  // From bit 0 (scale) or 2 (min) of a nibble of scales_high on.
  static HWY_INLINE i32_vec six_bits(const std::byte* block, std::size_t g,
                                     std::size_t at_bit, std::size_t r) {
    const auto& b = at(block);
    const auto low = bits(load_integers(b.scales_low[g], r), 2 * at_bit, 4);
    const auto high =
        bits(load_integers(b.scales_high[g / 2], r), g % 2 * 4 + at_bit, 2);
    return hn::Or(low, hn::ShiftLeft<4>(high));
  }
  static HWY_INLINE f32_vec scale(const std::byte* block, std::size_t g,
                                  std::size_t, std::size_t r) {
    return times(at(block).d, six_bits(block, g, 0, r), r);
  }
  static HWY_INLINE f32_vec min(const std::byte* block, std::size_t g,
                                std::size_t, std::size_t r) {
    return times(at(block).dmin, six_bits(block, g, 2, r), r);
  }
};

template <>
struct format<dtype::q4_k> : six_bit_scales<block_q4_k> {
  static constexpr std::size_t run = 8;
  static HWY_INLINE u8_vec unit(const std::byte* block, std::size_t g,
                                std::size_t j, std::size_t r) {
    return nibbles(block, g, j, r);
  }
};

template <>
struct format<dtype::q5_k> : six_bit_scales<block_q5_k> {
  static constexpr std::size_t run = 4;
  static HWY_INLINE u8_vec unit(const std::byte* block, std::size_t g,
                                std::size_t j, std::size_t r) {
    return hn::Or(nibbles(block, g, j, r),
                  where_bit(load_bytes(at(block).qh[j], r), g, 16));
  }
};

template <>
struct format<dtype::q6_k> : block_format<block_q6_k> {
  static constexpr int zero_point = 32;
  static constexpr std::size_t run = 2;
  static HWY_INLINE u8_vec unit(const std::byte* block, std::size_t g,
                                std::size_t j, std::size_t r) {
    const auto& b = at(block);
    const u8_vec v = load_bytes(b.ql[g / 4 * 16 + g % 2 * 8 + j], r);
    const u8_vec low = g % 4 < 2 ? low_nibbles(v) : high_nibbles(v);
    const u8_vec high = bit_pairs(load_bytes(b.qh[g / 4 * 8 + j], r), g % 4);
    return hn::Or(
        low,
        hn::BitCast(u8_tag(), hn::ShiftLeft<4>(hn::BitCast(i32_tag(), high))));
  }
  static HWY_INLINE f32_vec scale(const std::byte* block, std::size_t g,
                                  std::size_t half, std::size_t r) {
    const auto& b = at(block);
    return times(b.d, load_integers(b.scales[2 * g + half], r), r);
  }
};

// iq4_levels of nibbles, as Q8_0's bytes.
HWY_INLINE u8_vec iq4_bytes(u8_vec nibbles) {
  alignas(16) static constexpr std::uint8_t table[16] = {
      1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};
  return hn::TableLookupBytes(hn::LoadDup128(u8_tag(), table), nibbles);
}

template <>
struct format<dtype::iq4_nl> : nibble_format<block_iq4_nl> {
  static constexpr int zero_point = 128;
  static constexpr std::size_t run = 0;
  static HWY_INLINE u8_vec unit(const std::byte* block, std::size_t g,
                                std::size_t j, std::size_t r) {
    return iq4_bytes(nibble_format::unit(block, g, j, r));
  }
};

template <>
struct format<dtype::iq4_xs> : block_format<block_iq4_xs> {
  static constexpr bool paired = true;
  static constexpr int zero_point = 128;
  static constexpr std::size_t run = 0;
  static HWY_INLINE u8_vec unit(const std::byte* block, std::size_t g,
                                std::size_t j, std::size_t r) {
    const u8_vec v = load_bytes(at(block).qs[g * 4 + j % 4], r);
    return iq4_bytes(j < 4 ? low_nibbles(v) : high_nibbles(v));
  }
  static HWY_INLINE f32_vec scale(const std::byte* block, std::size_t g,
                                  std::size_t, std::size_t r) {
    const auto& b = at(block);
    const auto word =
        hn::BitCast(i32_tag(), hn::LoadU(u32_tag(), b.scales_l + r));
    const auto high = bits(load_integers(b.scales_h, r), 2 * g, 2);
    const auto scale = hn::Or(bits(word, 4 * g, 4), hn::ShiftLeft<4>(high));
    return times(b.d, hn::Sub(scale, hn::Set(i32_tag(), 32)), r);
  }
};

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
