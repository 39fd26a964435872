// SPDX-License-Identifier: MIT
// How IQ4_NL and IQ4_XS are decoded (formats-inl.h says what a format is).
#if defined(TINYPHI_KERNELS_IQ4_FORMATS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_IQ4_FORMATS_INL_H_
#undef TINYPHI_KERNELS_IQ4_FORMATS_INL_H_
#else
#define TINYPHI_KERNELS_IQ4_FORMATS_INL_H_
#endif

#include "tinyphi/kernels/formats-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

// iq4_levels of nibbles, as Q8_0's bytes.
HWY_INLINE u8_vec iq4_bytes(u8_vec nibbles) {
  struct table {
    alignas(16) std::uint8_t bytes[16];
  };
  static constexpr table levels = [] {
    table t{};
    for (std::size_t i = 0; i < 16; ++i) {
      t.bytes[i] = static_cast<std::uint8_t>(iq4_levels[i] + 128);
    }
    return t;
  }();
  return hn::TableLookupBytes(hn::LoadDup128(u8_tag(), levels.bytes), nibbles);
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
  static HWY_INLINE f32_vec scale(const scales& from, std::size_t g,
                                  std::size_t, std::size_t r) {
    const auto& b = *from.block;
    const auto word =
        hn::BitCast(i32_tag(), hn::LoadU(u32_tag(), b.scales_l + r));
    const auto high = bits(load_integers(b.scales_h, r), 2 * g, 2);
    const auto scale = hn::Or(bits(word, 4 * g, 4), hn::ShiftLeft<4>(high));
    return hn::Mul(
        load_halves(b.d, r),
        hn::ConvertTo(f32_tag(), hn::Sub(scale, hn::Set(i32_tag(), 32))));
  }
};

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
