// SPDX-License-Identifier: MIT
// The dot product of bytes, which Highway 1.0.3 does not have.
#if defined(TINYPHI_KERNELS_DOT_SUM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_DOT_SUM_INL_H_
#undef TINYPHI_KERNELS_DOT_SUM_INL_H_
#else
#define TINYPHI_KERNELS_DOT_SUM_INL_H_
#endif

#include "tinyphi/kernels/compat-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

// Four int8 in every lane; from memory, because copies between registers
// compete with VNNI for a port on Intel.
HWY_INLINE i8_vec broadcast4(const std::int8_t* from) {
  std::int32_t four;
  std::memcpy(&four, from, 4);
  return hn::BitCast(i8_tag(), hn::Set(i32_tag(), four));
}

#if TINYPHI_MADDUBS
using i16_tag = hn::Repartition<std::int16_t, i32_tag>;
using i16_vec = hn::Vec<i16_tag>;

#undef TINYPHI_MM
#if HWY_TARGET == HWY_AVX2
#define TINYPHI_MM(OPERATION) _mm256_##OPERATION
#else
#define TINYPHI_MM(OPERATION) _mm_##OPERATION
#endif

// Neighbouring products in pairs; they saturate, so keep w * x * 2 in 16 bits.
HWY_INLINE i16_vec product_pairs(u8_vec w, i8_vec x) {
  return i16_vec{TINYPHI_MM(maddubs_epi16)(w.raw, x.raw)};
}
// x with the signs of w; |w| <= 128 and |x| <= 127 leave no pair outside int16.
HWY_INLINE i8_vec copy_signs(i8_vec x, i8_vec w) {
  return i8_vec{TINYPHI_MM(sign_epi8)(x.raw, w.raw)};
}
HWY_INLINE i32_vec add_neighbours(i16_vec v) {
  const auto ones = TINYPHI_MM(set1_epi16)(1);
  return i32_vec{TINYPHI_MM(madd_epi16)(v.raw, ones)};
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

// The Run of a dot_sum of weights whose products may be added `Run` times in 16
// bits before they would overflow; 0 if one already would. Products are added
// in 16 bits only by AVX2 and SSE, and there not with AVX-VNNI.
inline constexpr std::size_t any_run = ~std::size_t{0};
template <std::size_t Run, bool AvxVnni>
inline constexpr std::size_t dot_run = TINYPHI_MADDUBS && !AvxVnni    ? Run
                                       : HWY_ARCH_ARM_A64 && Run == 0 ? 0
                                                                      : any_run;

// An exact sum of products of bytes, four neighbours to a lane. Weights are
// unsigned bytes, or signed ones if Run is 0; otherwise the number of add()
// calls is a multiple of Run.
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
    // of 68 % with a broadcast of its own). Two or three of eight products by
    // VPMADDUBSW instead, in the hope of other ports, gain nothing there.
    using four [[gnu::may_alias]] = std::int32_t;
    asm("vpdpbusd %2%{1to16%}, %1, %0"
        : "+v"(total_.raw)
        : "v"(w.raw), "m"(*reinterpret_cast<const four*>(x)));
#elif TINYPHI_MADDUBS
    if constexpr (Run == any_run) {
      asm(TINYPHI_AVX_VNNI_PREFIX "vpdpbusd %2, %1, %0"
          : "+x"(total_.raw)
          : "x"(w.raw), "x"(broadcast4(x).raw));
    } else if constexpr (Run == 0) {
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

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
