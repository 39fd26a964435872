// SPDX-License-Identifier: MIT
// The inner product of the integer path: some rows, some tokens, along the
// columns. Sums stay in registers; every sum is, in order of groups,
//   sum = weight scale * token scale * exact integer sum + sum
//   sum = sum - weight min * (token scale * sum of the group's activations)
// so results do not depend on how rows and tokens are dealt out.
#if defined(TINYPHI_KERNELS_DOT_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_DOT_ROWS_INL_H_
#undef TINYPHI_KERNELS_DOT_ROWS_INL_H_
#else
#define TINYPHI_KERNELS_DOT_ROWS_INL_H_
#endif

#include "tinyphi/kernels/dot_sums-inl.h"
#include "tinyphi/kernels/k_formats-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

// Tokens of one tile of q8_activations, from some group on; n: tokens in the
// tile, the distance from one group (or four columns) to the next.
struct tile_view {
  const std::int8_t* q;
  const std::int32_t* sum;
  const std::int32_t* half_sum;
  const float* scale;
  std::size_t n;
};
HWY_INLINE tile_view tile_at(const q8_activations& x, std::size_t token,
                             std::size_t group) {
  const std::size_t first = token / tile_tokens * tile_tokens;
  const std::size_t n = HWY_MIN(tile_tokens, x.m - first);
  const std::size_t at =
      first * (x.cols / group_size) + group * n + token - first;
  return {
      x.q + first * x.cols + (group * group_size / 4 * n + token - first) * 4,
      x.sum + at, x.half_sum + at, x.scale + at, n};
}

// R packed strips, one after the other, as rows for dot_rows.
// Run: the dot_sum's; 0 makes bytes signed.
template <dtype Type, std::size_t R, std::size_t Run>
struct packed_rows {
  using layout = format<Type>;
  static constexpr std::size_t vectors = R * parts;
  static constexpr std::size_t scale_cols = layout::scale_cols;
  static constexpr bool has_min = layout::has_min;
  static constexpr bool paired = layout::paired;
  static constexpr std::size_t run = Run;
  static constexpr int zero_point = Run == 0 ? 0 : layout::zero_point;

  const std::byte* strip;
  std::size_t strip_bytes;

  HWY_INLINE const std::byte* block(std::size_t v, std::size_t g) const {
    return strip + v / parts * strip_bytes +
           g / layout::block_groups * layout::block_bytes;
  }
  HWY_INLINE u8_vec unit(std::size_t v, std::size_t g, std::size_t j) const {
    const u8_vec w = layout::unit(block(v, g), g % layout::block_groups, j,
                                  v % parts * lanes);
    return Run == 0 ? hn::Xor(w, hn::Set(u8_tag(), 0x80)) : w;
  }
  HWY_INLINE f32_vec scale(std::size_t v, std::size_t g,
                           std::size_t half) const {
    return layout::scale(block(v, g), g % layout::block_groups, half,
                         v % parts * lanes);
  }
  HWY_INLINE f32_vec min(std::size_t v, std::size_t g, std::size_t half) const {
    return layout::min(block(v, g), g % layout::block_groups, half,
                       v % parts * lanes);
  }
  // The i-th line of group g's share of what lies 1 KiB ahead, to L2: on Zen 4
  // 98 % of the read bandwidth, against 94 % without and 86 % to L1. Past a
  // strip's end come the strips after these R.
  HWY_INLINE void prefetch(std::size_t v, std::size_t g, std::size_t i) const {
    constexpr std::size_t share = layout::block_bytes / layout::block_groups;
    if (v % parts != 0 || i * 64 >= share) return;
    std::size_t at = g * share + 1024;
    if (at >= strip_bytes) at += (R - 1) * strip_bytes;
    __builtin_prefetch(strip + at + i * 64 + v / parts * strip_bytes, 0, 2);
  }
};

// Adds `groups` groups of columns to sums [M][Rows::vectors][lanes].
template <std::size_t M, class Rows>
HWY_INLINE void dot_rows(const Rows& rows, std::size_t groups, tile_view x,
                         float* HWY_RESTRICT sums) {
  constexpr f32_tag df;
  constexpr i32_tag di;
  constexpr std::size_t vectors = Rows::vectors;
  constexpr std::size_t units = Rows::scale_cols / 4;
  constexpr std::size_t halves = group_size / Rows::scale_cols;
  const std::size_t n = x.n;
  f32_vec sum[vectors][M];
  TINYPHI_UNROLL for (std::size_t v = 0; v < vectors; ++v) {
    TINYPHI_UNROLL for (std::size_t t = 0; t < M; ++t) {
      sum[v][t] = hn::Load(df, sums + (t * vectors + v) * lanes);
    }
  }
  for (std::size_t g = 0; g < groups; ++g) {
    TINYPHI_UNROLL for (std::size_t half = 0; half < halves; ++half) {
      std::int32_t x_sum[M];
      dot_sums<Rows::run, M> acc[vectors];
      TINYPHI_UNROLL for (std::size_t t = 0; t < M; ++t) {
        x_sum[t] = halves == 1 ? x.sum[t]
                   : half == 0 ? x.half_sum[t]
                               : x.sum[t] - x.half_sum[t];
        const auto start = hn::Set(di, -rows.zero_point * x_sum[t]);
        TINYPHI_UNROLL for (std::size_t v = 0; v < vectors; ++v) {
          acc[v].start(t, start);
        }
      }
      // Units that share their bytes follow each other.
      const std::int8_t* q[2] = {x.q, x.q + units / 2 * n * 4};
      TINYPHI_UNROLL for (std::size_t i = 0; i < units; ++i) {
        const std::size_t side = Rows::paired ? i % 2 : 0;
        const std::size_t j = Rows::paired ? i / 2 + i % 2 * (units / 2) : i;
        TINYPHI_UNROLL for (std::size_t v = 0; v < vectors; ++v) {
          rows.prefetch(v, g, half * units + i);
          const u8_vec w = rows.unit(v, g, half * units + j);
          acc[v].add(i, w, q[side]);
        }
        q[side] += n * 4;
        // Or GCC 12 keeps an address for every token and unit on the stack.
        asm("" : "+r"(q[side]));
      }
      x.q += units * n * 4;
      TINYPHI_UNROLL for (std::size_t v = 0; v < vectors; ++v) {
        const f32_vec scale = rows.scale(v, g, half);
        TINYPHI_UNROLL for (std::size_t t = 0; t < M; ++t) {
          sum[v][t] = hn::MulAdd(hn::Mul(scale, hn::Set(df, x.scale[t])),
                                 hn::ConvertTo(df, acc[v].total(t)), sum[v][t]);
        }
        if constexpr (Rows::has_min) {
          const f32_vec min = rows.min(v, g, half);
          TINYPHI_UNROLL for (std::size_t t = 0; t < M; ++t) {
            const float shift = x.scale[t] * static_cast<float>(x_sum[t]);
            sum[v][t] = hn::NegMulAdd(min, hn::Set(df, shift), sum[v][t]);
          }
        }
      }
    }
    x.sum += n;
    x.half_sum += n;
    x.scale += n;
  }
  TINYPHI_UNROLL for (std::size_t v = 0; v < vectors; ++v) {
    TINYPHI_UNROLL for (std::size_t t = 0; t < M; ++t) {
      hn::Store(sum[v][t], df, sums + (t * vectors + v) * lanes);
    }
  }
}

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
