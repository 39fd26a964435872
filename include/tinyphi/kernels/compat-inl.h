// SPDX-License-Identifier: MIT
// What all kernels share: vector types that fit a strip, exp.
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

#include "tinyphi/kernels/avx_vnni.h"
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

// Where kernels exist with AVX-VNNI, too: avx_vnni.h.
#undef TINYPHI_AVX_VNNI
#define TINYPHI_AVX_VNNI (HWY_TARGET == HWY_AVX2)

#undef TINYPHI_MADDUBS
#define TINYPHI_MADDUBS \
  (HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_SSSE3)

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

// A strip's 16 rows are `strip_vectors` vectors: 1 of AVX-512, 2 of AVX2, 4 of
// SSE.
using f32_tag = hn::CappedTag<float, strip_rows>;
using i32_tag = hn::Rebind<std::int32_t, f32_tag>;
using u8_tag = hn::Repartition<std::uint8_t, f32_tag>;
using i8_tag = hn::Repartition<std::int8_t, f32_tag>;
using f32_vec = hn::Vec<f32_tag>;
using i32_vec = hn::Vec<i32_tag>;
using u8_vec = hn::Vec<u8_tag>;
using i8_vec = hn::Vec<i8_tag>;
inline constexpr std::size_t lanes = hn::MaxLanes(f32_tag());
inline constexpr std::size_t strip_vectors = strip_rows / lanes;

HWY_INLINE u8_vec low_nibbles(u8_vec v) {
  return hn::And(v, hn::Set(u8_tag(), 15));
}
HWY_INLINE u8_vec high_nibbles(u8_vec v) {
  constexpr hn::Repartition<std::uint16_t, u8_tag> d16;
  return low_nibbles(
      hn::BitCast(u8_tag(), hn::ShiftRight<4>(hn::BitCast(d16, v))));
}

// f32 vectors from any stored type.
template <class D>
HWY_INLINE hn::Vec<D> load_f32(D d, const float* from) {
  return hn::LoadU(d, from);
}
template <class D>
HWY_INLINE hn::Vec<D> load_f32(D d, const hwy::float16_t* from) {
#if HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_SSSE3
  // Highway's own, where the CPU has none, makes numbers of infinities and NaN.
  const hn::RebindToSigned<D> di;
  const auto* halves = reinterpret_cast<const std::int16_t*>(from);
  const auto half =
      hn::PromoteTo(di, hn::LoadU(hn::Rebind<std::int16_t, D>(), halves));
  const auto sign = hn::And(half, hn::Set(di, -0x7FFFFFFF - 1));
  const auto low = hn::And(hn::ShiftLeft<13>(half), hn::Set(di, 0x0FFFE000));
  const auto bias = hn::Set(di, 112 << 23);
  const auto no_number = hn::Gt(low, hn::Set(di, (31 << 23) - 1));
  const auto large =
      hn::Add(hn::Add(low, bias), hn::IfThenElseZero(no_number, bias));
  const auto subnormal = hn::Mul(hn::ConvertTo(d, low), hn::Set(d, 0x1p-37f));
  const auto magnitude = hn::IfThenElse(hn::Gt(hn::Set(di, 1 << 23), low),
                                        hn::BitCast(di, subnormal), large);
  return hn::BitCast(d, hn::Or(magnitude, sign));
#else
  return hn::PromoteTo(d, hn::LoadU(hn::Rebind<hwy::float16_t, D>(), from));
#endif
}
template <class D>
HWY_INLINE hn::Vec<D> load_f32(D d, const hwy::bfloat16_t* from) {
  return hn::PromoteTo(d, hn::LoadU(hn::Rebind<hwy::bfloat16_t, D>(), from));
}

// How numbers whose magnitudes' bits are at most `most` (lane by lane; as
// integers NaN is the largest of all) round to at most `steps`: x = scale * q.
// The scale is NaN if one is not finite; inverse is 0 then, and if all are too
// small to have one: q is 0.
struct rounding {
  float scale, inverse;
};
HWY_INLINE rounding rounding_of(i32_vec most, float steps = 127) {
  const std::int32_t bits = hn::GetLane(hn::MaxOfLanes(i32_tag(), most));
  float max;
  std::memcpy(&max, &bits, 4);
  if (bits >= 0x7F800000) return {hn::GetLane(hn::NaN(f32_tag())), 0};
  if (max < 1e-30f) return {0, 0};
  return {max / steps, steps / max};
}

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
