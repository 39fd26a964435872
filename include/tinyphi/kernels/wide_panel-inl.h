// SPDX-License-Identifier: MIT
// Panels rounded once more, to int8 with one scale for 128 columns of a row:
// sums of integers are then four times as long between two scalings. A scaling
// every 32 columns leaves 80 % of Zen 4's dot-product peak, one every 128 94 %.
#if defined(TINYPHI_KERNELS_WIDE_PANEL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_WIDE_PANEL_INL_H_
#undef TINYPHI_KERNELS_WIDE_PANEL_INL_H_
#else
#define TINYPHI_KERNELS_WIDE_PANEL_INL_H_
#endif

#include "tinyphi/kernels/panel-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

inline constexpr std::size_t wide_groups = wide_scale_cols / group_size;

// The largest of each lane's four bytes.
HWY_INLINE f32_vec largest_byte(u8_vec v) {
  constexpr u32_tag d;
  v = hn::Max(v, hn::BitCast(u8_tag(), hn::ShiftRight<16>(hn::BitCast(d, v))));
  v = hn::Max(v, hn::BitCast(u8_tag(), hn::ShiftRight<8>(hn::BitCast(d, v))));
  const auto last = hn::And(hn::BitCast(i32_tag(), v), hn::Set(i32_tag(), 255));
  return hn::ConvertTo(f32_tag(), last);
}

// n units of one vector, 64 bytes apart, that share a scale.
template <std::size_t N>
struct scaled_units {
  std::uint8_t* bytes;
  f32_vec scale, min;

  HWY_INLINE u8_vec at(std::size_t j) const {
    return hn::Load(u8_tag(), bytes + j * 64);
  }
  // Of the weights, as bits, among which NaN's are the largest.
  HWY_INLINE i32_vec largest_magnitude(f32_vec zero_point) const {
    const u8_vec ones = hn::Set(u8_tag(), 255);
    u8_vec high = at(0), low = hn::Xor(high, ones);
    TINYPHI_UNROLL for (std::size_t j = 1; j < N; ++j) {
      high = hn::Max(high, at(j));
      low = hn::Max(low, hn::Xor(at(j), ones));
    }
    const auto magnitude = [&](f32_vec byte) HWY_ATTR {
      const f32_vec level = hn::Sub(byte, zero_point);
      const f32_vec weight = hn::Sub(hn::Mul(scale, level), min);
      return hn::BitCast(i32_tag(), hn::Abs(weight));
    };
    return hn::Max(
        magnitude(largest_byte(high)),
        magnitude(hn::Sub(hn::Set(f32_tag(), 255), largest_byte(low))));
  }
  // Bytes become (byte * factor + shift) / 256, modulo 256.
  HWY_INLINE void round(i32_vec factor, i32_vec shift) const {
    constexpr hn::Repartition<std::uint16_t, f32_tag> d;
    const auto twice = [](i32_vec v) HWY_ATTR {
      const auto low = hn::And(v, hn::Set(i32_tag(), 0xFFFF));
      return hn::BitCast(decltype(d)(), hn::Or(low, hn::ShiftLeft<16>(v)));
    };
    const auto by = twice(factor), add = twice(shift);
    TINYPHI_UNROLL for (std::size_t j = 0; j < N; ++j) {
      const auto both = hn::BitCast(d, at(j));
      const auto even = hn::And(both, hn::Set(d, 0xFF));
      const auto odd = hn::ShiftRight<8>(both);
      const auto new_even = hn::ShiftRight<8>(hn::Add(hn::Mul(even, by), add));
      const auto new_odd =
          hn::And(hn::Add(hn::Mul(odd, by), add), hn::Set(d, 0xFF00));
      hn::Store(hn::BitCast(u8_tag(), hn::Or(new_even, new_odd)), u8_tag(),
                bytes + j * 64);
    }
  }
};

// Rounds the weights of a panel of that kind in place: scale i becomes that of
// columns [128 i, 128 i + 128), bytes signed ones, or with the zero point 128.
template <class Panel, bool Signed>
HWY_NOINLINE void round_panel(panel_memory& memory, std::size_t groups,
                              int zero_point) {
  constexpr f32_tag d;
  constexpr std::size_t units = Panel::scale_cols / 4;
  constexpr std::size_t per_wide = wide_groups * Panel::halves;
  const f32_vec zero = hn::Set(d, static_cast<float>(zero_point));
  const std::size_t n = groups * Panel::halves;
  for (std::size_t v = 0; v < strip_vectors; ++v) {
    float* const scales = memory.scales + v * lanes;
    const auto at = [&](std::size_t i) HWY_ATTR {
      return scaled_units<units>{
          memory.bytes + i * units * 64 + v * lanes * 4,
          hn::Load(d, scales + i * strip_rows),
          Panel::has_min ? hn::Load(d, memory.mins + i * strip_rows + v * lanes)
                         : hn::Zero(d)};
    };
    for (std::size_t begin = 0; begin < n; begin += per_wide) {
      const std::size_t end = HWY_MIN(n, begin + per_wide);
      auto most = hn::Zero(i32_tag());
      for (std::size_t i = begin; i < end; ++i) {
        most = hn::Max(most, at(i).largest_magnitude(zero));
      }
      const f32_vec max = hn::BitCast(d, most);
      const f32_vec inverse = hn::IfThenElseZero(
          hn::Ge(max, hn::Set(d, 1e-30f)), hn::Div(hn::Set(d, 127 * 256), max));
      for (std::size_t i = begin; i < end; ++i) {
        const auto group = at(i);
        const auto factor = hn::NearestInt(hn::Mul(group.scale, inverse));
        const auto half = hn::Set(i32_tag(), (Signed ? 0 : 128 * 256) + 128);
        const auto less = Panel::has_min
                              ? hn::NearestInt(hn::Mul(group.min, inverse))
                              : hn::Mul(factor, hn::Set(i32_tag(), zero_point));
        group.round(factor, hn::Sub(half, less));
      }
      hn::Store(hn::Div(max, hn::Set(d, 127)), d,
                scales + begin / per_wide * strip_rows);
    }
  }
}

// A panel that was rounded, for dot_tile.
template <std::size_t Run>
struct wide_panel {
  static constexpr std::size_t vectors = strip_vectors;
  const panel_memory& memory;
};

// dot_rows with one scaling for 128 columns.
template <std::size_t M, std::size_t Run>
HWY_INLINE void dot_rows(const wide_panel<Run>& rows, std::size_t groups,
                         tile_view x, float* HWY_RESTRICT sums) {
  f32_vec sum[strip_vectors][M];
  load_sums(sums, sum);
  const std::uint8_t* w = rows.memory.bytes;
  const float* w_scale = rows.memory.scales;
  for (std::size_t g = 0; g < groups; w_scale += strip_rows) {
    const std::size_t n = HWY_MIN(wide_groups, groups - g);
    dot_sums<Run, M> acc[strip_vectors];
    TINYPHI_UNROLL for (std::size_t t = 0; t < M; ++t) {
      const auto start = hn::Set(i32_tag(), Run == 0 ? 0 : -128 * x.sum[t]);
      TINYPHI_UNROLL for (std::size_t v = 0; v < strip_vectors; ++v) {
        acc[v].start(t, start);
      }
    }
    for (const std::size_t end = g + n; g < end; ++g) {
      TINYPHI_UNROLL for (std::size_t j = 0; j < group_size / 4; ++j) {
        TINYPHI_UNROLL for (std::size_t v = 0; v < strip_vectors; ++v) {
          acc[v].add(j, hn::Load(u8_tag(), w + v * lanes * 4), x.q);
        }
        w += 64;
        x.q += x.n * 4;
        asm("" : "+r"(x.q));  // as in add_group
      }
    }
    TINYPHI_UNROLL for (std::size_t v = 0; v < strip_vectors; ++v) {
      add_scaled(hn::Load(f32_tag(), w_scale + v * lanes), x, acc[v], sum[v]);
    }
    x.sum += n * x.n;
    x.scale += n * x.n;
  }
  store_sums(sum, sums);
}

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
