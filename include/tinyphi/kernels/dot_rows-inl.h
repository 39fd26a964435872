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
#include "tinyphi/kernels/packed_rows-inl.h"

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

// Adds the integer sums of M tokens, scaled, to theirs.
template <class Integers, std::size_t M>
HWY_INLINE void add_scaled(f32_vec scale, const tile_view& x,
                           const Integers& integers, f32_vec (&sum)[M]) {
  constexpr f32_tag d;
  TINYPHI_UNROLL for (std::size_t t = 0; t < M; ++t) {
    sum[t] = hn::MulAdd(hn::Mul(scale, hn::Set(d, x.scale[t])),
                        hn::ConvertTo(d, integers.total(t)), sum[t]);
  }
}

// Adds group g of a block, which x stands at, to the sums.
template <class Rows, std::size_t M, class Block>
HWY_INLINE void add_group(const Block& block, std::size_t g, int zero_point,
                          const tile_view& x,
                          f32_vec (&sum)[Rows::vectors][M]) {
  constexpr f32_tag df;
  constexpr std::size_t units = Rows::scale_cols / 4;
  constexpr std::size_t halves = group_size / Rows::scale_cols;
  TINYPHI_UNROLL for (std::size_t half = 0; half < halves; ++half) {
    std::int32_t x_sum[M];
    dot_sums<Rows::run, M> acc[Rows::vectors];
    TINYPHI_UNROLL for (std::size_t t = 0; t < M; ++t) {
      x_sum[t] = halves == 1 ? x.sum[t]
                 : half == 0 ? x.half_sum[t]
                             : x.sum[t] - x.half_sum[t];
      const auto start = hn::Set(i32_tag(), -zero_point * x_sum[t]);
      TINYPHI_UNROLL for (std::size_t v = 0; v < Rows::vectors; ++v) {
        acc[v].start(t, start);
      }
    }
    // Units that share their bytes follow each other.
    const std::size_t step = x.n * 4;
    const std::int8_t* const first = x.q + half * units * step;
    const std::int8_t* q[2] = {first, first + units / 2 * step};
    TINYPHI_UNROLL for (std::size_t i = 0; i < units; ++i) {
      const std::size_t side = Rows::paired ? i % 2 : 0;
      const std::size_t j = Rows::paired ? i / 2 + i % 2 * (units / 2) : i;
      TINYPHI_UNROLL for (std::size_t v = 0; v < Rows::vectors; ++v) {
        block.prefetch(v, g, half * units + i);
        const u8_vec w = block.unit(v, g, half * units + j);
        acc[v].add(i, w, q[side]);
      }
      q[side] += step;
      // Or GCC 12 keeps an address for every token and unit on the stack.
      if (!__builtin_constant_p(step)) asm("" : "+r"(q[side]));
    }
    TINYPHI_UNROLL for (std::size_t v = 0; v < Rows::vectors; ++v) {
      add_scaled(block.scale(v, g, half), x, acc[v], sum[v]);
      if constexpr (Rows::has_min) {
        const f32_vec min = block.min(v, g, half);
        TINYPHI_UNROLL for (std::size_t t = 0; t < M; ++t) {
          const float shift = x.scale[t] * static_cast<float>(x_sum[t]);
          sum[v][t] = hn::NegMulAdd(min, hn::Set(df, shift), sum[v][t]);
        }
      }
    }
  }
}

// Sums [M][Vectors][lanes] into registers and back.
template <std::size_t Vectors, std::size_t M>
HWY_INLINE void load_sums(const float* HWY_RESTRICT sums,
                          f32_vec (&sum)[Vectors][M]) {
  TINYPHI_UNROLL for (std::size_t v = 0; v < Vectors; ++v) {
    TINYPHI_UNROLL for (std::size_t t = 0; t < M; ++t) {
      sum[v][t] = hn::Load(f32_tag(), sums + (t * Vectors + v) * lanes);
    }
  }
}
template <std::size_t Vectors, std::size_t M>
HWY_INLINE void store_sums(const f32_vec (&sum)[Vectors][M],
                           float* HWY_RESTRICT sums) {
  TINYPHI_UNROLL for (std::size_t v = 0; v < Vectors; ++v) {
    TINYPHI_UNROLL for (std::size_t t = 0; t < M; ++t) {
      hn::Store(sum[v][t], f32_tag(), sums + (t * Vectors + v) * lanes);
    }
  }
}

// Adds `groups` groups of columns, from a block's first on, to sums
// [M][Rows::vectors][lanes].
template <std::size_t M, class Rows>
HWY_INLINE void dot_rows(const Rows& rows, std::size_t groups, tile_view x,
                         float* HWY_RESTRICT sums) {
  f32_vec sum[Rows::vectors][M];
  load_sums(sums, sum);
  for (std::size_t b = 0; b < groups; b += Rows::block_groups) {
    const auto& block = rows.at(b);
    const std::size_t end = HWY_MIN(Rows::block_groups, groups - b);
    for (std::size_t g = 0; g < end; g += Rows::chunk) {
      TINYPHI_UNROLL for (std::size_t i = 0; i < Rows::chunk; ++i) {
        add_group<Rows>(block, g + i, rows.zero_point, x, sum);
        x.q += group_size * x.n;
        x.sum += x.n;
        x.half_sum += x.n;
        x.scale += x.n;
      }
    }
  }
  store_sums(sum, sums);
}

// sums [n][16 R] to the first `rows` of 16 R rows, which are all but at the end
// of a matrix.
template <std::size_t R>
HWY_INLINE void write_rows(const float* sums, std::size_t n, std::size_t rows,
                           const product_rows& to) {
  constexpr f32_tag d;
  for (std::size_t t = 0; t < n; ++t, sums += R * strip_rows) {
    float* out = to.out + t * to.stride;
    std::size_t r = 0;
    for (; r + lanes <= HWY_MIN(rows, R * strip_rows); r += lanes) {
      auto sum = hn::Load(d, sums + r);
      if (to.bias != nullptr) sum = hn::Add(sum, hn::LoadU(d, to.bias + r));
      if (to.add) sum = hn::Add(hn::LoadU(d, out + r), sum);
      hn::StoreU(sum, d, out + r);
    }
    for (; r < HWY_MIN(rows, R * strip_rows); ++r) {
      const float sum = to.bias != nullptr ? sums[r] + to.bias[r] : sums[r];
      out[r] = to.add ? out[r] + sum : sum;
    }
  }
}
// From row r and token t on.
HWY_INLINE product_rows from(const product_rows& out, std::size_t r,
                             std::size_t t) {
  return {out.out + t * out.stride + r, out.stride,
          out.bias == nullptr ? nullptr : out.bias + r, out.add};
}

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
