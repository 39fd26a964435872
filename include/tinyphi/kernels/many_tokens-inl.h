// SPDX-License-Identifier: MIT
// matmul_q8 for many tokens: 256 columns of two strips are decoded to bytes in
// L1, and tiles of tokens run over them.
#if defined(TINYPHI_KERNELS_MANY_TOKENS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_MANY_TOKENS_INL_H_
#undef TINYPHI_KERNELS_MANY_TOKENS_INL_H_
#else
#define TINYPHI_KERNELS_MANY_TOKENS_INL_H_
#endif

#include "tinyphi/kernels/strips-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

inline constexpr std::size_t panel_cols = 256;
inline constexpr std::size_t panel_groups = panel_cols / group_size;
inline constexpr std::size_t panel_tokens = 8 * tile_tokens;
inline constexpr std::size_t panel_rows = 2 * strip_rows;

// Two strips' columns, decoded: bytes [cols/4][2][16][4], scales per group.
struct q8_panel {
  alignas(64) std::uint8_t bytes[panel_cols * panel_rows];
  alignas(64) float scales[panel_groups * panel_rows];
};

// Groups [g, g + n) of a strip, to the panel's first or second half.
template <dtype Type>
HWY_INLINE void decode_panel(const std::byte* strip, std::size_t strip_bytes,
                             std::size_t g, std::size_t n, std::size_t half,
                             q8_panel& panel) {
  using layout = strip_layout<Type>;
  for (std::size_t i = 0; i < n; ++i) {
    const std::byte* units = strip + layout::data(g + i);
    const std::size_t next =
        prefetch_place<2>(layout::data(g + i + panel_groups), strip_bytes);
    std::uint8_t* to = panel.bytes + i * group_size * panel_rows + half * 64;
    for (std::size_t at = 0; at < layout::units * 64; at += lanes * 4) {
      if (at % 64 == 0) hwy::Prefetch(strip + next + at);
      const u8_vec v = load_bytes(units + at);
      // Unit j goes to row j of the panel, which is 128 bytes wide.
      std::uint8_t* row = to + at / 64 * 128 + at % 64;
      if constexpr (Type == dtype::q4_0) {
        hn::Store(low_nibbles(v), u8_tag(), row);
        hn::Store(high_nibbles(v), u8_tag(), row + 4 * 128);
      } else {
        hn::Store(decode_q8(v), u8_tag(), row);
      }
    }
    for (std::size_t r = 0; r < strip_rows; r += lanes) {
      hn::Store(load_scales(strip + layout::scales(g + i), r), f32_tag(),
                panel.scales + i * panel_rows + half * strip_rows + r);
    }
  }
}

// One group of two vectors of rows and M tokens. w: bytes [8][128], of which
// it takes 2 vectors; q: [8][n][4]; x_sum, x_scale: [M]; sums: [M][32].
template <dtype Type, std::size_t M>
HWY_INLINE void q8_tile(const std::uint8_t* HWY_RESTRICT w,
                        const float* HWY_RESTRICT w_scale,
                        const std::int8_t* HWY_RESTRICT q, std::size_t n,
                        const std::int32_t* HWY_RESTRICT x_sum,
                        const float* HWY_RESTRICT x_scale,
                        float* HWY_RESTRICT sums) {
  constexpr i32_tag di;
  constexpr f32_tag df;
  alignas(64) std::int32_t integers[2 * M * lanes];
  {
    i32_vec acc0[M], acc1[M];
    TINYPHI_UNROLL for (std::size_t t = 0; t < M; ++t) {
      acc0[t] = acc1[t] = hn::Set(di, -zero_point<Type> * x_sum[t]);
    }
    for (std::size_t j = 0; j < group_size / 4; ++j) {
      const u8_vec w0 = hn::Load(u8_tag(), w + j * 128);
      const u8_vec w1 = hn::Load(u8_tag(), w + j * 128 + lanes * 4);
      TINYPHI_UNROLL for (std::size_t t = 0; t < M; ++t) {
        const i8_vec x = broadcast4(q + (j * n + t) * 4);
        acc0[t] = dot<Type>(acc0[t], w0, x);
        acc1[t] = dot<Type>(acc1[t], w1, x);
      }
    }
    TINYPHI_UNROLL for (std::size_t t = 0; t < M; ++t) {
      hn::Store(acc0[t], di, integers + 2 * t * lanes);
      hn::Store(acc1[t], di, integers + (2 * t + 1) * lanes);
    }
  }
  // A loop of its own: with it inside, GCC 12 spills every sum in every step
  // of the loop above.
  const auto scale0 = hn::Load(df, w_scale);
  const auto scale1 = hn::Load(df, w_scale + lanes);
  for (std::size_t t = 0; t < M; ++t) {
    float* to = sums + t * panel_rows;
    const std::int32_t* from = integers + 2 * t * lanes;
    hn::Store(
        add_group(hn::Load(df, to), scale0, x_scale[t], hn::Load(di, from)), df,
        to);
    hn::Store(add_group(hn::Load(df, to + lanes), scale1, x_scale[t],
                        hn::Load(di, from + lanes)),
              df, to + lanes);
  }
}

// Tokens [t, t + M) of a tile of n, all groups and rows of the panel.
template <dtype Type, std::size_t M>
HWY_INLINE void q8_tiles(const q8_panel& panel, std::size_t groups,
                         const std::int8_t* q, const std::int32_t* x_sum,
                         const float* x_scale, std::size_t n, std::size_t t,
                         float* sums) {
  for (std::size_t r = 0; r < panel_rows; r += 2 * lanes) {
    for (std::size_t g = 0; g < groups; ++g) {
      q8_tile<Type, M>(panel.bytes + g * group_size * panel_rows + r * 4,
                       panel.scales + g * panel_rows + r,
                       q + (g * group_size / 4 * n + t) * 4, n,
                       x_sum + g * n + t, x_scale + g * n + t,
                       sums + t * panel_rows + r);
    }
  }
}

template <dtype Type>
HWY_INLINE void many_tokens(const packed_matrix& w, std::size_t begin,
                            std::size_t end, const q8_activations& x,
                            float* out, std::size_t out_stride) {
  // 24 sums, 2 weights and a broadcast fit 32 registers, 8 sums fit 16.
  constexpr std::size_t wide = lanes == 16 ? tile_tokens : 4;
  q8_panel panel;
  alignas(64) float sums[panel_tokens * panel_rows];
  const std::size_t bytes = w.strip_bytes(), all = x.cols / group_size;
  const std::size_t rows_end = HWY_MIN(w.rows, end * strip_rows);
  for (std::size_t s = begin; s < end; s += 2) {
    // A single last strip stands in for its missing neighbour.
    const std::byte* second = w.strip(HWY_MIN(s + 1, end - 1));
    for (std::size_t t = 0; t < x.m; t += panel_tokens) {
      const std::size_t t_end = HWY_MIN(x.m, t + panel_tokens);
      std::memset(sums, 0, (t_end - t) * panel_rows * sizeof(float));
      for (std::size_t g = 0; g < all; g += panel_groups) {
        const std::size_t groups = HWY_MIN(panel_groups, all - g);
        decode_panel<Type>(w.strip(s), bytes, g, groups, 0, panel);
        decode_panel<Type>(second, bytes, g, groups, 1, panel);
        for (std::size_t tile = t; tile < t_end; tile += tile_tokens) {
          const std::size_t n = HWY_MIN(tile_tokens, x.m - tile);
          const std::int8_t* q = x.q + tile * x.cols + g * group_size * n;
          const std::int32_t* x_sum = x.sum + tile * all + g * n;
          const float* x_scale = x.scale + tile * all + g * n;
          float* to = sums + (tile - t) * panel_rows;
          std::size_t i = 0;
          for (; i + wide <= n; i += wide) {
            q8_tiles<Type, wide>(panel, groups, q, x_sum, x_scale, n, i, to);
          }
          for (; wide > 4 && i + 4 <= n; i += 4) {
            q8_tiles<Type, 4>(panel, groups, q, x_sum, x_scale, n, i, to);
          }
          for (; i < n; ++i) {
            q8_tiles<Type, 1>(panel, groups, q, x_sum, x_scale, n, i, to);
          }
        }
      }
      write_rows<2>(sums, t_end - t, s, rows_end, out + t * out_stride,
                    out_stride);
    }
  }
}

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
