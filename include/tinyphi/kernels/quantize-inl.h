// SPDX-License-Identifier: MIT
// A row of activations, in the forms that are wanted of it: f32, and int8 one
// group of 32 columns at a time.
#if defined(TINYPHI_KERNELS_QUANTIZE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_QUANTIZE_INL_H_
#undef TINYPHI_KERNELS_QUANTIZE_INL_H_
#else
#define TINYPHI_KERNELS_QUANTIZE_INL_H_
#endif

#include "tinyphi/kernels/compat-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

// Sum of 16 bytes.
HWY_INLINE std::int32_t sum_of(const std::int8_t* q) {
  constexpr hn::Full128<std::uint8_t> d;
  constexpr hn::Full128<std::uint64_t> d64;
  const auto bytes = hn::Load(d, reinterpret_cast<const std::uint8_t*>(q));
  const auto sums = hn::SumsOf8(hn::Xor(bytes, hn::Set(d, 0x80)));
  return static_cast<std::int32_t>(hn::GetLane(hn::SumOfLanes(d64, sums))) -
         16 * 128;
}

template <std::size_t ScaleCols>
HWY_INLINE void round_columns(const float* x, std::size_t n,
                              const q8_activations& out, std::size_t token,
                              std::size_t column) {
  constexpr f32_tag d;
  constexpr i32_tag di;
  constexpr hn::Rebind<std::int8_t, f32_tag> di8;
  const std::size_t first = token / tile_tokens * tile_tokens;
  const std::size_t tokens = HWY_MIN(tile_tokens, out.m - first);
  std::size_t at = first * (out.cols / group_size) +
                   column / group_size * tokens + token - first;
  std::int8_t* to =
      out.q + first * out.cols + (column / 4 * tokens + token - first) * 4;
  float* const scales = out.scale;
  std::int32_t *const sums = out.sum, *const half_sums = out.half_sum;
  for (std::size_t k = 0; k < n;) {
    const std::size_t end =
        ScaleCols == group_size ? k + group_size : HWY_MIN(n, k + ScaleCols);
    auto most = hn::Zero(di);
    for (std::size_t g = k; g < end; g += group_size) {
      TINYPHI_UNROLL for (std::size_t i = 0; i < group_size; i += lanes) {
        const auto bits = hn::BitCast(di, hn::Abs(hn::LoadU(d, x + g + i)));
        most = hn::Max(most, bits);
      }
    }
    const auto [scale, inverse] = rounding_of(most);
    const std::size_t begin = at;
    std::int32_t sum = 0;
    for (; k < end; k += group_size, at += tokens) {
      alignas(64) std::int8_t q[group_size] = {};
      if (inverse != 0) {
        TINYPHI_UNROLL for (std::size_t i = 0; i < group_size; i += lanes) {
          const auto v = hn::NearestInt(
              hn::Mul(hn::LoadU(d, x + k + i), hn::Set(d, inverse)));
          hn::StoreU(hn::DemoteTo(di8, v), di8, q + i);
        }
      }
      TINYPHI_UNROLL for (std::size_t i = 0; i < group_size; i += 4) {
        std::memcpy(to, q + i, 4);
        to += tokens * 4;
      }
      const std::int32_t half_sum = sum_of(q);
      scales[at] = scale;
      half_sums[at] = half_sum;
      sum += half_sum + sum_of(q + group_size / 2);
    }
    for (std::size_t i = begin; i < at; i += tokens) sums[i] = sum;
  }
}

// Rounds n columns of a token, from `column` on.
inline HWY_NOINLINE void quantize_q8(const float* x, std::size_t n,
                                     const q8_activations& out,
                                     std::size_t token, std::size_t column) {
  if (out.scale_cols == group_size) {
    round_columns<group_size>(x, n, out, token, column);
  } else {
    round_columns<wide_scale_cols>(x, n, out, token, column);
  }
}

// Writes n columns of a row. make(d, i) returns those from i on, as many as d
// has lanes. Rounding follows at a distance: in the same loop, each waits for
// the other's latencies (swiglu of 768 columns: 40 ns a group, 25 so).
template <class Make>
HWY_INLINE void write_row(std::size_t n, const activation_row& out,
                          const Make& make) {
  constexpr f32_tag d;
  constexpr hn::CappedTag<float, 1> d1;
  alignas(64) float near[16 * group_size];
  const std::size_t step = out.q8 == nullptr ? n : 16 * group_size;
  for (std::size_t begin = 0; begin < n; begin += step) {
    const std::size_t end = HWY_MIN(n, begin + step);
    float* to = out.f32 != nullptr ? out.f32 + begin : near;
    std::size_t i = begin;
    for (; i + lanes <= end; i += lanes) {
      hn::StoreU(make(d, i), d, to + i - begin);
    }
    for (; i < end; ++i) hn::StoreU(make(d1, i), d1, to + i - begin);
    if (out.q8 != nullptr) {
      HWY_NAMESPACE::quantize_q8(to, end - begin, *out.q8, out.token,
                                 out.column + begin);
    }
  }
}

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
