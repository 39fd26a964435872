// SPDX-License-Identifier: MIT
// Sums of products of bytes for tokens that lie side by side, together: ARM's
// matrix instructions multiply two of them with two rows.
#if defined(TINYPHI_KERNELS_DOT_SUMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_DOT_SUMS_INL_H_
#undef TINYPHI_KERNELS_DOT_SUMS_INL_H_
#else
#define TINYPHI_KERNELS_DOT_SUMS_INL_H_
#endif

#include "tinyphi/kernels/dot_sum-inl.h"

// Only where the compiler may assume them.
#undef TINYPHI_I8MM
#if HWY_ARCH_ARM_A64 && defined(__ARM_FEATURE_MATMUL_INT8)
#define TINYPHI_I8MM 1
#else
#define TINYPHI_I8MM 0
#endif

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

// A dot_sum for each of M tokens; see there.
template <std::size_t Run, std::size_t M,
          bool InPairs = TINYPHI_I8MM&& M % 2 == 0>
class dot_sums {
 public:
  HWY_INLINE dot_sums() {}
  // Tokens in order.
  HWY_INLINE void start(std::size_t t, i32_vec value) { sums_[t].start(value); }
  HWY_INLINE void add(std::size_t j, u8_vec w, const std::int8_t* x) {
    TINYPHI_UNROLL for (std::size_t t = 0; t < M; ++t) {
      sums_[t].add(j, w, x + t * 4);
    }
  }
  [[nodiscard]] HWY_INLINE i32_vec total(std::size_t t) const {
    return sums_[t].total();
  }

 private:
  dot_sum<Run> sums_[M];
};

#if TINYPHI_I8MM
// Two units of two rows times two units of two tokens give 2 x 2 sums: of
// tokens t and t + 1 (even t), totals_[t] has those of the first two rows,
// totals_[t + 1] those of the others.
template <std::size_t Run, std::size_t M>
class dot_sums<Run, M, true> {
 public:
  HWY_INLINE dot_sums() {}
  HWY_INLINE void start(std::size_t t, i32_vec value) {
    totals_[t] = value;
    if (t % 2 == 0) return;
    totals_[t].raw = vzip1q_s32(totals_[t - 1].raw, value.raw);
    totals_[t - 1] = totals_[t];
  }
  HWY_INLINE void add(std::size_t j, u8_vec w, const std::int8_t* x) {
    const int32x4_t unit = vreinterpretq_s32_u8(w.raw);
    if (j % 2 == 0) w_ = unit;
    const int8x16_t low = vreinterpretq_s8_s32(vzip1q_s32(w_, unit));
    const int8x16_t high = vreinterpretq_s8_s32(vzip2q_s32(w_, unit));
    TINYPHI_UNROLL for (std::size_t t = 0; t < M; t += 2) {
      const int8x8_t two = vld1_s8(x + t * 4);
      const int32x4_t tokens = vreinterpretq_s32_s8(vcombine_s8(two, two));
      if (j % 2 == 0) {
        x_[t / 2] = tokens;
        continue;
      }
      const auto four = vreinterpretq_s8_s32(vzip1q_s32(x_[t / 2], tokens));
      totals_[t].raw = vmmlaq_s32(totals_[t].raw, low, four);
      totals_[t + 1].raw = vmmlaq_s32(totals_[t + 1].raw, high, four);
    }
  }
  [[nodiscard]] HWY_INLINE i32_vec total(std::size_t t) const {
    const int32x4_t low = totals_[t / 2 * 2].raw,
                    high = totals_[t / 2 * 2 + 1].raw;
    return i32_vec{t % 2 == 0 ? vuzp1q_s32(low, high) : vuzp2q_s32(low, high)};
  }

 private:
  i32_vec totals_[M];
  int32x4_t w_, x_[M / 2];
};
#endif

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
