// SPDX-License-Identifier: MIT
// A strip's columns, decoded once for many tokens, whose tiles then run over
// bytes in L1, whatever the stored type was.
#if defined(TINYPHI_KERNELS_PANEL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_PANEL_INL_H_
#undef TINYPHI_KERNELS_PANEL_INL_H_
#else
#define TINYPHI_KERNELS_PANEL_INL_H_
#endif

#include "tinyphi/kernels/dot_rows-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

inline constexpr std::size_t panel_groups = 16;  // 512 columns: 8 KiB of bytes

struct panel_memory {
  alignas(64) std::uint8_t bytes[panel_groups * group_size * strip_rows];
  alignas(64) float scales[panel_groups * 2 * strip_rows];
  alignas(64) float mins[panel_groups * 2 * strip_rows];
};

// The memory as rows for dot_rows; the traits are those of the stored type.
template <std::size_t ScaleCols, bool HasMin, std::size_t Run>
struct panel_rows {
  static constexpr std::size_t vectors = strip_vectors;
  static constexpr std::size_t block_groups = panel_groups;
  static constexpr std::size_t chunk = 1;
  static constexpr std::size_t scale_cols = ScaleCols;
  static constexpr bool has_min = HasMin;
  static constexpr bool paired = false;
  static constexpr std::size_t run = Run;
  static constexpr std::size_t halves = group_size / ScaleCols;

  const panel_memory& memory;
  int zero_point;

  HWY_INLINE const panel_rows& at(std::size_t) const { return *this; }
  HWY_INLINE u8_vec unit(std::size_t v, std::size_t g, std::size_t j) const {
    return hn::Load(u8_tag(), memory.bytes + (g * 8 + j) * 64 + v * lanes * 4);
  }
  HWY_INLINE f32_vec scale(std::size_t v, std::size_t g,
                           std::size_t half) const {
    return hn::Load(f32_tag(), memory.scales + place(v, g, half));
  }
  HWY_INLINE f32_vec min(std::size_t v, std::size_t g, std::size_t half) const {
    return hn::Load(f32_tag(), memory.mins + place(v, g, half));
  }
  HWY_INLINE void prefetch(std::size_t, std::size_t, std::size_t) const {}

  static HWY_INLINE std::size_t place(std::size_t v, std::size_t g,
                                      std::size_t half) {
    return (g * halves + half) * strip_rows + v * lanes;
  }
};

template <dtype Type, std::size_t Run>
using panel_of =
    panel_rows<format<Type>::scale_cols, format<Type>::has_min, Run>;

// Group g of a block becomes group `to_g` of the panel.
template <class Panel, class Block>
HWY_INLINE void decode_group(const Block& block, std::size_t g,
                             panel_memory& to, std::size_t to_g) {
  for (std::size_t v = 0; v < strip_vectors; ++v) {
    TINYPHI_UNROLL for (std::size_t j = 0; j < 8; ++j) {
      block.prefetch(v, g, j);
      hn::Store(block.unit(v, g, j), u8_tag(),
                to.bytes + (to_g * 8 + j) * 64 + v * lanes * 4);
    }
    TINYPHI_UNROLL for (std::size_t half = 0; half < Panel::halves; ++half) {
      const std::size_t at = Panel::place(v, to_g, half);
      hn::Store(block.scale(v, g, half), f32_tag(), to.scales + at);
      if constexpr (Panel::has_min) {
        hn::Store(block.min(v, g, half), f32_tag(), to.mins + at);
      }
    }
  }
}

// Groups [begin, begin + n) of a strip, whole chunks; bytes signed or not. The
// next panel is prefetched, which has the time that tokens take for this one:
// on Zen 4 with Q4_0 115 -> 151 GMAC/s for 16 tokens, 163 -> 168 for 256.
template <dtype Type, bool Signed>
HWY_NOINLINE void decode_panel(const std::byte* strip, std::size_t strip_bytes,
                               std::size_t begin, std::size_t n,
                               panel_memory& to) {
  constexpr std::size_t run = Signed ? 0 : any_run;
  constexpr std::size_t ahead = panel_groups * format<Type>::group_bytes;
  using rows = packed_rows<Type, 1, run, ahead>;
  const rows from{strip, strip_bytes};
  for (std::size_t done = 0; done < n;) {
    const auto block = from.at(begin + done);
    std::size_t g = (begin + done) % rows::block_groups;
    const std::size_t end = HWY_MIN(rows::block_groups, g + n - done);
    for (; g < end; g += rows::chunk, done += rows::chunk) {
      TINYPHI_UNROLL for (std::size_t i = 0; i < rows::chunk; ++i) {
        decode_group<panel_of<Type, run>>(block, g + i, to, done + i);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
