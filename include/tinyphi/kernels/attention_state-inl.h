// SPDX-License-Identifier: MIT
// The state of attention for a few query rows on their way through the pages,
// its online softmax, and what float and int8 caches share.
#if defined(TINYPHI_KERNELS_ATTENTION_STATE_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_ATTENTION_STATE_INL_H_
#undef TINYPHI_KERNELS_ATTENTION_STATE_INL_H_
#else
#define TINYPHI_KERNELS_ATTENTION_STATE_INL_H_
#endif

#include <type_traits>

#include "tinyphi/kernels/compat-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

// Rows that share loads: 4 x 4 vectors of sums fit 32 registers, 2 x 4 fit 16.
inline constexpr std::size_t group_rows =
    HWY_ARCH_X86 && HWY_TARGET > HWY_AVX3 ? 2 : 4;
inline constexpr std::size_t state_rows = 32;
inline constexpr std::size_t state_floats = state_rows * 128;

// Bit i: slot i of the page is seen.
using slot_mask = std::uint64_t;
static_assert(page_tokens == 64);

// Up to state_rows query rows, with state_floats of padded outputs, on their
// way through the pages of one span.
struct attention_state {
  alignas(64) float scores[state_rows][page_tokens];  // and then weights
  alignas(64) float out[state_floats];                // [rows][padded]
  alignas(64) float totals[state_rows][16];           // by lane
  float max[state_rows];
  float rescale[state_rows];  // of what was summed before this page
  slot_mask seen[state_rows];
  // int8 keys only
  alignas(64) std::int8_t q[state_floats];  // [rows][padded]
  float q_scale[state_rows];
  std::int32_t q_sum[state_rows];
  // weight = step * (128 * weights8[row][0] + weights8[row][1])
  alignas(64) std::int8_t weights8[state_rows][2][page_tokens];
  std::int32_t weight_sum[state_rows][2];
  float weight_step[state_rows];
};

// What follows the keys in a head's part of an int8 page (kernels.h).
template <class Byte>
HWY_INLINE auto* int8_key_scales(Byte* part, std::size_t padded) {
  using scale = std::conditional_t<std::is_const_v<Byte>, const float, float>;
  return reinterpret_cast<scale*>(part + page_tokens * padded);
}
template <class Byte>
HWY_INLINE auto* int8_value_scales(Byte* part, std::size_t padded) {
  return int8_key_scales(part, padded) + page_tokens;
}

// Asks for lines that are needed a page later. Into the second level: the first
// would halve the speed, its few fill buffers being what the page in use needs.
HWY_INLINE void fetch(const std::byte* from, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += 64) {
    __builtin_prefetch(from + i, 0, 2);
  }
}

// The slot behind the last that is seen; some are.
HWY_INLINE std::size_t end_of(slot_mask seen) {
  return page_tokens - hwy::Num0BitsAboveMS1Bit_Nonzero64(seen);
}
// The lanes of vector i / lanes of a page whose slots are seen.
HWY_INLINE hn::Mask<f32_tag> seen_lanes(slot_mask seen, std::size_t i) {
  const slot_mask bits = seen >> i;
  return hn::LoadMaskBits(f32_tag(),
                          reinterpret_cast<const std::uint8_t*>(&bits));
}

// Scores of one row up to the last that is seen become e^(score - max); max,
// totals and rescale follow.
HWY_INLINE void update_softmax(attention_state& t, std::size_t row) {
  constexpr f32_tag d;
  float* s = t.scores[row];
  const slot_mask seen = t.seen[row];
  const std::size_t slots = end_of(seen);
  if (~seen != 0) {
    for (std::size_t i = 0; i < slots; i += lanes) {
      hn::Store(hn::IfThenElse(seen_lanes(seen, i), hn::Load(d, s + i),
                               hn::Neg(hn::Inf(d))),
                d, s + i);
    }
  }
  auto max = hn::Set(d, t.max[row]);
  auto most = max;
  for (std::size_t i = 0; i < slots; i += lanes) {
    most = hn::Max(most, hn::Load(d, s + i));
  }
  auto rescale = hn::Set(d, 1.f);
  if (!hn::AllTrue(d, hn::Eq(most, max))) {  // seldom, after the first pages
    const auto old = max;
    max = hn::MaxOfLanes(d, most);
    rescale = exp(d, hn::Sub(old, max));
    t.max[row] = hn::GetLane(max);
  }
  t.rescale[row] = hn::GetLane(rescale);
  auto total = hn::Mul(hn::Load(d, t.totals[row]), rescale);
  for (std::size_t i = 0; i < slots; i += lanes) {
    const auto e = exp(d, hn::Sub(hn::Load(d, s + i), max));
    hn::Store(e, d, s + i);
    total = hn::Add(total, e);
  }
  hn::Store(total, d, t.totals[row]);
}

// Adds another span's softmax of a row. Not inlined, so that the compiler
// cannot round it in two ways.
inline HWY_NOINLINE void add_part(const float* part, softmax_sums sums,
                                  std::size_t head_dim, softmax_sums& all,
                                  float* out) {
  constexpr f32_tag d;
  constexpr hn::CappedTag<float, 1> d1;
  if (sums.total == 0) return;
  if (all.total == 0) {  // mostly the only one
    all = sums;
    std::memcpy(out, part, head_dim * sizeof(float));
    return;
  }
  const auto max = hn::Set(d1, HWY_MAX(all.max, sums.max));
  const float kept = hn::GetLane(exp(d1, hn::Sub(hn::Set(d1, all.max), max)));
  const float share = hn::GetLane(exp(d1, hn::Sub(hn::Set(d1, sums.max), max)));
  all = {hn::GetLane(max), all.total * kept + sums.total * share};
  std::size_t c = 0;
  for (; c + lanes <= head_dim; c += lanes) {
    hn::StoreU(hn::MulAdd(hn::LoadU(d, part + c), hn::Set(d, share),
                          hn::Mul(hn::LoadU(d, out + c), hn::Set(d, kept))),
               d, out + c);
  }
  for (; c < head_dim; ++c) out[c] = out[c] * kept + part[c] * share;
}

inline HWY_NOINLINE void merge_attention(const float* from,
                                         const softmax_sums* sums,
                                         std::size_t n, std::size_t head_dim,
                                         float* out) {
  softmax_sums all;
  std::memset(out, 0, head_dim * sizeof(float));
  for (std::size_t i = 0; i < n; ++i) {
    add_part(from + i * head_dim, sums[i], head_dim, all, out);
  }
  for (std::size_t c = 0; c < head_dim; ++c) out[c] /= all.total;
}

// Rounds n values to integers of at most `steps`, followed by zeros up to a
// multiple of 16, adds them up in `sum`, and returns their scale: x = scale *
// q; NaN if one is not finite, 0 if all are too small to have an inverse scale.
HWY_INLINE float quantize_vector(const float* x, std::size_t n, std::int8_t* q,
                                 std::int32_t& sum, float steps = 127) {
  constexpr f32_tag d;
  constexpr i32_tag di;
  constexpr hn::Rebind<std::int8_t, f32_tag> di8;
  alignas(64) float padded[max_head_dim];
  const std::size_t end = kv_padded(n);
  std::memset(padded + end - 16, 0, 16 * sizeof(float));
  std::memcpy(padded, x, n * sizeof(float));
  auto most = hn::Zero(di);
  for (std::size_t i = 0; i < end; i += lanes) {
    most = hn::Max(most, hn::BitCast(di, hn::Abs(hn::Load(d, padded + i))));
  }
  const auto [scale, inverse] = rounding_of(most, steps);
  auto all = hn::Zero(di);
  for (std::size_t i = 0; i < end; i += lanes) {
    const auto v =
        hn::NearestInt(hn::Mul(hn::Load(d, padded + i), hn::Set(d, inverse)));
    const auto kept = inverse == 0 ? hn::Zero(di) : v;
    hn::StoreU(hn::DemoteTo(di8, kept), di8, q + i);
    all = hn::Add(all, kept);
  }
  sum = hn::GetLane(hn::SumOfLanes(di, all));
  return scale;
}

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
