// SPDX-License-Identifier: MIT
// Activations to int8, one group of 32 columns at a time.
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

inline HWY_NOINLINE void quantize_q8(const float* x, std::size_t x_stride,
                                     std::size_t begin, std::size_t end,
                                     const q8_activations& out) {
  constexpr f32_tag d;
  constexpr i32_tag di;
  constexpr hn::Rebind<std::int8_t, f32_tag> di8;
  const std::size_t groups = out.cols / group_size;
  for (std::size_t t = begin; t < end; ++t) {
    const std::size_t first = t / tile_tokens * tile_tokens;
    const std::size_t n = HWY_MIN(tile_tokens, out.m - first);
    const std::size_t lane = t - first;
    for (std::size_t g = 0; g < groups; ++g) {
      const float* from = x + t * x_stride + g * group_size;
      auto most = hn::Zero(di);
      for (std::size_t i = 0; i < group_size; i += lanes) {
        const auto bits = hn::BitCast(di, hn::Abs(hn::LoadU(d, from + i)));
        most = hn::Max(most, bits);
      }
      const auto [scale, inverse] = round_to_int8(most);

      alignas(64) std::int8_t q[group_size] = {};
      auto sum = hn::Zero(di), half_sum = hn::Zero(di);
      for (std::size_t i = 0; i < group_size && inverse != 0; i += lanes) {
        const auto v = hn::NearestInt(
            hn::Mul(hn::LoadU(d, from + i), hn::Set(d, inverse)));
        hn::StoreU(hn::DemoteTo(di8, v), di8, q + i);
        sum = hn::Add(sum, v);
        if (i + lanes <= group_size / 2) half_sum = sum;
      }
      std::int8_t* to =
          out.q + first * out.cols + (g * group_size / 4 * n + lane) * 4;
      for (std::size_t i = 0; i < group_size; i += 4) {
        std::memcpy(to + i * n, q + i, 4);
      }
      const std::size_t at = first * groups + g * n + lane;
      out.scale[at] = scale;
      out.sum[at] = hn::GetLane(hn::SumOfLanes(di, sum));
      out.half_sum[at] = hn::GetLane(hn::SumOfLanes(di, half_sum));
    }
  }
}

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
