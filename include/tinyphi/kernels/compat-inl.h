// SPDX-License-Identifier: MIT
// What all kernels share: vector types that fit a strip, the integer dot
// product with its differences between Highway 1.0.3 and later, exp.
#if defined(TINYPHI_KERNELS_COMPAT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_COMPAT_INL_H_
#undef TINYPHI_KERNELS_COMPAT_INL_H_
#else
#define TINYPHI_KERNELS_COMPAT_INL_H_
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include "tinyphi/kernels/kernels.h"

#undef TINYPHI_HWY
#define TINYPHI_HWY (HWY_MAJOR * 10000 + HWY_MINOR * 100 + HWY_PATCH)

// VNNI is the point of AVX-512 for us, but Highway promises it only from
// AVX3_DL on, which 1.0.3 gets wrong and later versions up to 1.2 omit. Where
// AVX3_DL is not compiled, our AVX3 code uses VNNI (as inline assembly, which
// needs no compiler flag) and kernels.ipp keeps other CPUs away from it.
#undef TINYPHI_WIDEN_AVX3
#define TINYPHI_WIDEN_AVX3                                     \
  ((HWY_TARGETS & HWY_AVX3) && !(HWY_TARGETS & HWY_AVX3_DL) && \
   HWY_STATIC_TARGET != HWY_AVX3)

#undef TINYPHI_VNNI
#if HWY_ARCH_X86 && ((HWY_TARGET == HWY_AVX3 &&                           \
                      (TINYPHI_WIDEN_AVX3 || defined(__AVX512VNNI__))) || \
                     (HWY_TARGET <= HWY_AVX3_DL && TINYPHI_HWY >= 10004))
#define TINYPHI_VNNI 1
#else
#define TINYPHI_VNNI 0
#endif

#undef TINYPHI_MADDUBS
#define TINYPHI_MADDUBS \
  (HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_SSSE3)

// Dot products of signed bytes: there types with weights beyond 127 are decoded
// to signed bytes, elsewhere to unsigned ones.
#undef TINYPHI_SIGNED
#define TINYPHI_SIGNED (TINYPHI_MADDUBS || HWY_ARCH_ARM_A64)

// Targets without byte vectors run reference.h.
#undef TINYPHI_SIMD
#define TINYPHI_SIMD (HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128)

// Arrays of vectors stay in registers only when every index is a constant.
#undef TINYPHI_UNROLL
#if defined(__clang__)
#define TINYPHI_UNROLL _Pragma("clang loop unroll(full)")
#else
#define TINYPHI_UNROLL _Pragma("GCC unroll 16")
#endif

HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if TINYPHI_SIMD

// A strip's 16 rows are `parts` vectors: 1 of AVX-512, 2 of AVX2, 4 of SSE.
using f32_tag = hn::CappedTag<float, strip_rows>;
using i32_tag = hn::Rebind<std::int32_t, f32_tag>;
using u8_tag = hn::Repartition<std::uint8_t, f32_tag>;
using i8_tag = hn::Repartition<std::int8_t, f32_tag>;
using f32_vec = hn::Vec<f32_tag>;
using i32_vec = hn::Vec<i32_tag>;
using u8_vec = hn::Vec<u8_tag>;
using i8_vec = hn::Vec<i8_tag>;
inline constexpr std::size_t lanes = hn::MaxLanes(f32_tag());
inline constexpr std::size_t parts = strip_rows / lanes;

// f32 vectors from any stored type.
template <class D>
HWY_INLINE hn::Vec<D> load_f32(D d, const float* from) {
  return hn::LoadU(d, from);
}
template <class D>
HWY_INLINE hn::Vec<D> load_f32(D d, const hwy::float16_t* from) {
  return hn::PromoteTo(d, hn::LoadU(hn::Rebind<hwy::float16_t, D>(), from));
}
template <class D>
HWY_INLINE hn::Vec<D> load_f32(D d, const hwy::bfloat16_t* from) {
  return hn::PromoteTo(d, hn::LoadU(hn::Rebind<hwy::bfloat16_t, D>(), from));
}

// Four int8 in every lane; from memory, because copies between registers
// compete with VNNI for a port on Intel.
HWY_INLINE i8_vec broadcast4(const std::int8_t* from) {
  std::int32_t four;
  std::memcpy(&four, from, 4);
  return hn::BitCast(i8_tag(), hn::Set(i32_tag(), four));
}

// ---- Integer dot products

#if TINYPHI_MADDUBS
using i16_tag = hn::Repartition<std::int16_t, i32_tag>;
using i16_vec = hn::Vec<i16_tag>;

// Neighbouring products in pairs; they saturate, so keep w * x * 2 in 16 bits.
HWY_INLINE i16_vec product_pairs(u8_vec w, i8_vec x) {
#if HWY_TARGET == HWY_AVX2
  return i16_vec{_mm256_maddubs_epi16(w.raw, x.raw)};
#else
  return i16_vec{_mm_maddubs_epi16(w.raw, x.raw)};
#endif
}
// x with the signs of w; |w| <= 128 and |x| <= 127 leave no pair outside int16.
HWY_INLINE i8_vec copy_signs(i8_vec x, i8_vec w) {
#if HWY_TARGET == HWY_AVX2
  return i8_vec{_mm256_sign_epi8(x.raw, w.raw)};
#else
  return i8_vec{_mm_sign_epi8(x.raw, w.raw)};
#endif
}
HWY_INLINE i32_vec add_neighbours(i16_vec v) {
#if HWY_TARGET == HWY_AVX2
  return i32_vec{_mm256_madd_epi16(v.raw, _mm256_set1_epi16(1))};
#else
  return i32_vec{_mm_madd_epi16(v.raw, _mm_set1_epi16(1))};
#endif
}
#elif HWY_ARCH_ARM_A64
HWY_INLINE i32_vec dot_i8(i32_vec acc, i8_vec w, i8_vec x) {
#if defined(__ARM_FEATURE_DOTPROD)
  return i32_vec{vdotq_s32(acc.raw, w.raw, x.raw)};
#else
  const int16x8_t low = vmull_s8(vget_low_s8(w.raw), vget_low_s8(x.raw));
  const int16x8_t high = vmull_high_s8(w.raw, x.raw);
  return hn::Add(acc, i32_vec{vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high))});
#endif
}
#elif !TINYPHI_VNNI
HWY_INLINE i32_vec dot_u8(i32_vec acc, u8_vec w, i8_vec x) {
#if TINYPHI_HWY >= 10006
  return hn::SumOfMulQuadAccumulate(i32_tag(), w, x, acc);
#else
  const hn::Repartition<std::int16_t, i32_tag> i16;
  const hn::Repartition<std::uint16_t, i32_tag> u16;
  const auto w_even = hn::And(hn::BitCast(i16, w), hn::Set(i16, 0xFF));
  const auto w_odd = hn::BitCast(i16, hn::ShiftRight<8>(hn::BitCast(u16, w)));
  const auto x_even = hn::ShiftRight<8>(hn::ShiftLeft<8>(hn::BitCast(i16, x)));
  const auto x_odd = hn::ShiftRight<8>(hn::BitCast(i16, x));
  auto more = hn::Zero(i32_tag());
  acc = hn::ReorderWidenMulAccumulate(i32_tag(), w_even, x_even, acc, more);
  acc = hn::ReorderWidenMulAccumulate(i32_tag(), w_odd, x_odd, acc, more);
  return hn::Add(acc, more);
#endif
}
#endif

// An exact sum of products of bytes, four neighbours to a lane. Run: see
// formats-inl.h; the number of add() calls is a multiple of it.
template <std::size_t Run>
class dot_sum {
 public:
  // Not the implicit one: it would not be compiled for this target.
  HWY_INLINE dot_sum() {}
  HWY_INLINE void start(i32_vec value) { total_ = value; }
  // Adds w times the four int8 at x. j counts the calls since start().
  HWY_INLINE void add([[maybe_unused]] std::size_t j, u8_vec w,
                      const std::int8_t* x) {
#if TINYPHI_VNNI
    // Not the intrinsic: GCC 12 spills its accumulators. The broadcast from
    // memory costs no port that the product needs (Zen 4: 79 % of peak instead
    // of 68 % with a broadcast of its own).
    using four [[gnu::may_alias]] = std::int32_t;
    asm("vpdpbusd %2%{1to16%}, %1, %0"
        : "+v"(total_.raw)
        : "v"(w.raw), "m"(*reinterpret_cast<const four*>(x)));
#elif TINYPHI_MADDUBS
    if constexpr (Run == 0) {
      const i8_vec signed_w = hn::BitCast(i8_tag(), w);
      const auto pairs = product_pairs(hn::BitCast(u8_tag(), hn::Abs(signed_w)),
                                       copy_signs(broadcast4(x), signed_w));
      total_ = hn::Add(total_, add_neighbours(pairs));
    } else {
      const auto pairs = product_pairs(w, broadcast4(x));
      pairs_ = j % Run == 0 ? pairs : hn::Add(pairs_, pairs);
      if (j % Run == Run - 1) {
        total_ = hn::Add(total_, add_neighbours(pairs_));
      }
    }
#elif HWY_ARCH_ARM_A64
    total_ = dot_i8(total_, hn::BitCast(i8_tag(), w), broadcast4(x));
#else
    total_ = dot_u8(total_, w, broadcast4(x));
#endif
  }
  [[nodiscard]] HWY_INLINE i32_vec total() const { return total_; }

 private:
  i32_vec total_;
#if TINYPHI_MADDUBS
  i16_vec pairs_;
#endif
};

// e^x, relative error below 2e-7; 0 and infinity where f32 ends, NaN for NaN.
template <class D>
HWY_INLINE hn::Vec<D> exp(D d, hn::Vec<D> x) {
  const hn::Rebind<std::int32_t, D> di;
  // Max and Min return their second operand if one is NaN (x86).
  [[maybe_unused]] const auto given = x;
  x = hn::Min(hn::Set(d, 89.f), hn::Max(hn::Set(d, -105.f), x));
  const auto n = hn::NearestInt(hn::Mul(x, hn::Set(d, 1.44269504f)));
  const auto nf = hn::ConvertTo(d, n);
  // x - n ln 2 in two steps: n times the first constant is exact.
  auto r = hn::NegMulAdd(nf, hn::Set(d, 0.693359375f), x);
  r = hn::NegMulAdd(nf, hn::Set(d, -2.12194440e-4f), r);
  // Taylor: |r| <= 0.35 leaves less than 1e-8 after the seventh power.
  auto p = hn::Set(d, 1.f / 5040);
  p = hn::MulAdd(p, r, hn::Set(d, 1.f / 720));
  p = hn::MulAdd(p, r, hn::Set(d, 1.f / 120));
  p = hn::MulAdd(p, r, hn::Set(d, 1.f / 24));
  p = hn::MulAdd(p, r, hn::Set(d, 1.f / 6));
  p = hn::MulAdd(p, r, hn::Set(d, 0.5f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.f));
  // 2^n in two factors, so that subnormal results round once.
  const auto half = hn::ShiftRight<1>(n);
  const auto bias = hn::Set(di, 127);
  const auto two_half = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(half, bias)));
  const auto two_rest =
      hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::Sub(n, half), bias)));
  const auto result = hn::Mul(hn::Mul(p, two_half), two_rest);
#if HWY_ARCH_ARM  // whose Min and Max drop NaN
  return hn::IfThenElse(hn::Eq(given, given), result, given);
#else
  return result;
#endif
}

#endif  // TINYPHI_SIMD

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
