// SPDX-License-Identifier: MIT
// Norms, rotary positions and activation functions. Tails run the same code on
// vectors of one lane, so an element's bits do not depend on its place.
#if defined(TINYPHI_KERNELS_ELEMENTWISE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_ELEMENTWISE_INL_H_
#undef TINYPHI_KERNELS_ELEMENTWISE_INL_H_
#else
#define TINYPHI_KERNELS_ELEMENTWISE_INL_H_
#endif

#include "tinyphi/kernels/quantize-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

using one_tag = hn::CappedTag<float, 1>;

// Sum of (x[i] - mean)^2: four vectors of partial sums, then their lanes, then
// the tail; the order depends on n alone.
HWY_INLINE float sum_of_squares(const float* x, float mean, std::size_t n) {
  constexpr f32_tag d;
  const auto center = hn::Set(d, mean);
  f32_vec sum[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  std::size_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    TINYPHI_UNROLL for (std::size_t j = 0; j < 4; ++j) {
      const auto v = hn::Sub(hn::LoadU(d, x + i + j * lanes), center);
      sum[j] = hn::MulAdd(v, v, sum[j]);
    }
  }
  float total = hn::GetLane(hn::SumOfLanes(
      d, hn::Add(hn::Add(sum[0], sum[1]), hn::Add(sum[2], sum[3]))));
  for (; i < n; ++i) total += (x[i] - mean) * (x[i] - mean);
  return total;
}

HWY_INLINE float sum_of(const float* x, std::size_t n) {
  constexpr f32_tag d;
  auto sum = hn::Zero(d);
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) sum = hn::Add(sum, hn::LoadU(d, x + i));
  float total = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; i < n; ++i) total += x[i];
  return total;
}

HWY_INLINE float inverse_root(float sum, float eps, std::size_t n) {
  constexpr one_tag d;
  const auto mean = hn::Set(d, sum / static_cast<float>(n) + eps);
  return 1 / hn::GetLane(hn::Sqrt(mean));
}

struct rms_normed {
  const float *x, *weight;
  float scale;
  template <class D>
  HWY_INLINE hn::Vec<D> operator()(D d, std::size_t i) const {
    const auto v = hn::Mul(hn::LoadU(d, x + i), hn::Set(d, scale));
    return hn::Mul(v, hn::LoadU(d, weight + i));
  }
};

inline HWY_NOINLINE void rms_norm(const float* x, const float* weight,
                                  float eps, std::size_t n,
                                  column_range columns,
                                  const activation_row& out) {
  const float scale = inverse_root(sum_of_squares(x, 0, n), eps, n);
  const std::size_t at = columns.begin;
  write_row(columns.end - at, out, rms_normed{x + at, weight + at, scale});
}

struct layer_normed {
  const float *x, *weight, *bias;
  float mean, scale;
  template <class D>
  HWY_INLINE hn::Vec<D> operator()(D d, std::size_t i) const {
    const auto v = hn::Mul(hn::Sub(hn::LoadU(d, x + i), hn::Set(d, mean)),
                           hn::Set(d, scale));
    return hn::MulAdd(v, hn::LoadU(d, weight + i), hn::LoadU(d, bias + i));
  }
};

inline HWY_NOINLINE void layer_norm(const float* x, const float* weight,
                                    const float* bias, float eps, std::size_t n,
                                    column_range columns,
                                    const activation_row& out) {
  const float mean = sum_of(x, n) / static_cast<float>(n);
  const float scale = inverse_root(sum_of_squares(x, mean, n), eps, n);
  const std::size_t at = columns.begin;
  write_row(columns.end - at, out,
            layer_normed{x + at, weight + at, bias + at, mean, scale});
}

template <class D>
HWY_INLINE void rope_at(D d, float* x, float* y, const float* cos,
                        const float* sin) {
  const auto a = hn::LoadU(d, x), b = hn::LoadU(d, y);
  const auto c = hn::LoadU(d, cos), s = hn::LoadU(d, sin);
  hn::StoreU(hn::NegMulAdd(b, s, hn::Mul(a, c)), d, x);
  hn::StoreU(hn::MulAdd(a, s, hn::Mul(b, c)), d, y);
}

inline HWY_NOINLINE void rope(float* x, const float* cos, const float* sin,
                              std::size_t half) {
  std::size_t i = 0;
  for (; i + lanes <= half; i += lanes) {
    rope_at(f32_tag(), x + i, x + half + i, cos + i, sin + i);
  }
  for (; i < half; ++i) {
    rope_at(one_tag(), x + i, x + half + i, cos + i, sin + i);
  }
}

// x / (1 + e^(-slope x))
template <class D>
HWY_INLINE hn::Vec<D> gated(D d, hn::Vec<D> x, float slope) {
  const auto e = exp(d, hn::Mul(x, hn::Set(d, -slope)));
  return hn::Div(x, hn::Add(hn::Set(d, 1.f), e));
}

struct swiglu_gated {
  const float *gate, *up;
  template <class D>
  HWY_INLINE hn::Vec<D> operator()(D d, std::size_t i) const {
    return hn::Mul(hn::LoadU(d, up + i), gated(d, hn::LoadU(d, gate + i), 1.f));
  }
};

inline HWY_NOINLINE void swiglu(const float* gate, const float* up,
                                std::size_t n, const activation_row& out) {
  write_row(n, out, swiglu_gated{gate, up});
}

struct gegelu_gated {
  const float* x;
  float limit;
  template <class D>
  HWY_INLINE hn::Vec<D> operator()(D d, std::size_t i) const {
    hn::Vec<D> a, b;
    if constexpr (hn::MaxLanes(D()) == 1) {
      a = hn::Set(d, x[2 * i]);
      b = hn::Set(d, x[2 * i + 1]);
    } else {
      hn::LoadInterleaved2(d, x + 2 * i, a, b);
    }
    // Infinities and NaN pass.
    const auto top = hn::Set(d, limit), bottom = hn::Set(d, -limit);
    const auto inf = hn::Inf(d);
    a = hn::IfThenElse(hn::Lt(hn::Abs(a), inf), hn::Min(top, a), a);
    b = hn::IfThenElse(hn::Lt(hn::Abs(b), inf),
                       hn::Min(top, hn::Max(bottom, b)), b);
    return hn::Mul(gated(d, a, 1.702f), hn::Add(b, hn::Set(d, 1.f)));
  }
};

inline HWY_NOINLINE void gegelu(const float* x, float limit, std::size_t n,
                                const activation_row& out) {
  write_row(n, out, gegelu_gated{x, limit});
}

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
