// SPDX-License-Identifier: MIT
// Attention over keys in int8 and values in int8 or int4, by integer dot
// products only: four dimensions of a key, or four positions of a value, at a
// time.
#if defined(TINYPHI_KERNELS_ATTENTION_INT8_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_ATTENTION_INT8_INL_H_
#undef TINYPHI_KERNELS_ATTENTION_INT8_INL_H_
#else
#define TINYPHI_KERNELS_ATTENTION_INT8_INL_H_
#endif

#include "tinyphi/kernels/attention_state-inl.h"
#include "tinyphi/kernels/cached_bytes-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

template <bool AvxVnni, bool Int4Values>
struct int8_cache {
  static constexpr float weight_steps = 127 * 128;

  using keys = whole_bytes<AvxVnni>;
  using values =
      std::conditional_t<Int4Values, half_bytes<AvxVnni>, whole_bytes<AvxVnni>>;

  static HWY_INLINE void begin(const kv_view& kv, const attention_row* rows,
                               std::size_t n, attention_state& t) {
    const std::size_t padded = kv_padded(kv.head_dim);
    for (std::size_t r = 0; r < n; ++r) {
      t.q_scale[r] =
          quantize_vector(rows[r].q, kv.head_dim, t.q + r * padded, t.q_sum[r]);
    }
  }

  // Scores of `Columns` vectors of slots from slot i on.
  template <std::size_t Rows, std::size_t Columns>
  static HWY_INLINE void score_slots(const kv_view& kv, const std::byte* part,
                                     const std::byte* next, float scale,
                                     std::size_t i, std::size_t row,
                                     attention_state& t) {
    constexpr f32_tag d;
    const std::size_t padded = kv_padded(kv.head_dim);
    const float* scales = int8_key_scales(part, padded) + i;
    dot_sum<keys::run> sum[Rows][Columns];
    multiply<keys>(part + i * 4, page_tokens * 4, next + i * 4,
                   (kv.head_dim + 3) / 4, t.q + row * padded, padded,
                   t.q_sum + row, sum);
    TINYPHI_UNROLL for (std::size_t r = 0; r < Rows; ++r) {
      const auto unit = hn::Set(d, t.q_scale[row + r] * scale);
      TINYPHI_UNROLL for (std::size_t v = 0; v < Columns; ++v) {
        const auto key_scale = hn::Load(d, scales + v * lanes);
        hn::Store(hn::Mul(hn::ConvertTo(d, sum[r][v].total()),
                          hn::Mul(unit, key_scale)),
                  d, t.scores[row + r] + i + v * lanes);
      }
    }
  }

  // Keys behind the last that is seen are not read.
  template <std::size_t Rows>
  static HWY_INLINE void score(const kv_view& kv, const std::byte* part,
                               const std::byte* next, float scale,
                               const attention_row*, std::size_t row,
                               attention_state& t) {
    const std::size_t slots = end_of(t.seen[row]);
    std::size_t i = 0;
    for (; i + 2 * lanes < slots; i += 4 * lanes) {
      score_slots<Rows, 4>(kv, part, next, scale, i, row, t);
    }
    for (; i < slots; i += lanes) {
      score_slots<Rows, 1>(kv, part, next, scale, i, row, t);
    }
  }

  // Folds the values' scales into a row's weights, up to the last that is seen,
  // and rounds them to 0..16256, in two bytes each: with one, the tokens beside
  // an attention sink would round to nothing (one weight of 0.94 among 63 of
  // 0.001: 6 % of the sum is lost).
  static HWY_INLINE void round_weights(const kv_view& kv, const std::byte* part,
                                       std::size_t row, attention_state& t) {
    constexpr f32_tag d;
    constexpr i32_tag di;
    constexpr hn::Rebind<std::int8_t, f32_tag> di8;
    const float* scales = int8_value_scales(part, kv_padded(kv.head_dim));
    float* w = t.scores[row];
    const slot_mask seen = t.seen[row];
    const std::size_t slots = end_of(seen);
    auto most = hn::Zero(di);
    for (std::size_t i = 0; i < slots; i += lanes) {
      auto product = hn::Mul(hn::Load(d, w + i), hn::Load(d, scales + i));
      if (~seen != 0) {
        product = hn::IfThenElseZero(seen_lanes(seen, i), product);
      }
      hn::Store(product, d, w + i);
      most = hn::Max(most, hn::BitCast(di, hn::Abs(product)));
    }
    const auto [step, inverse] = rounding_of(most, weight_steps);
    t.weight_step[row] = step;
    if (inverse == 0) std::memset(w, 0, sizeof t.scores[row]);
    auto coarse_sum = hn::Zero(di), fine_sum = hn::Zero(di);
    for (std::size_t i = 0; i < slots; i += lanes) {
      const auto rounded =
          hn::NearestInt(hn::Mul(hn::Load(d, w + i), hn::Set(d, inverse)));
      const auto coarse =
          hn::ShiftRight<7>(hn::Add(rounded, hn::Set(di, 1 << 6)));
      const auto fine = hn::Sub(rounded, hn::ShiftLeft<7>(coarse));
      hn::StoreU(hn::DemoteTo(di8, coarse), di8, t.weights8[row][0] + i);
      hn::StoreU(hn::DemoteTo(di8, fine), di8, t.weights8[row][1] + i);
      coarse_sum = hn::Add(coarse_sum, coarse);
      fine_sum = hn::Add(fine_sum, fine);
    }
    t.weight_sum[row][0] = hn::GetLane(hn::SumOfLanes(di, coarse_sum));
    t.weight_sum[row][1] = hn::GetLane(hn::SumOfLanes(di, fine_sum));
  }

  // out = out * rescale + weights . V for `Columns` vectors of columns that
  // begin at byte b of each unit's n_bytes (times four positions).
  template <std::size_t Rows, std::size_t Columns>
  static HWY_INLINE void add_columns(std::size_t padded, std::size_t n_bytes,
                                     const std::byte* v, const std::byte* next,
                                     std::size_t b, std::size_t row,
                                     attention_state& t) {
    constexpr f32_tag d;
    dot_sum<values::run> sum[2 * Rows][Columns];
    // Slots behind the last that is seen weigh nothing.
    const std::size_t slots = end_of(t.seen[row]);
    multiply<values>(v + b * 4, n_bytes * 4, next + b * 4, (slots + 3) / 4,
                     t.weights8[row][0], page_tokens, t.weight_sum[row], sum);
    TINYPHI_UNROLL for (std::size_t r = 0; r < Rows; ++r) {
      const auto rescale = hn::Set(d, t.rescale[row + r]);
      const auto step = hn::Set(d, t.weight_step[row + r]);
      TINYPHI_UNROLL for (std::size_t i = 0; i < Columns; ++i) {
        const std::size_t column =
            values::column(b + i / values::per_byte * lanes) +
            i % values::per_byte * 16;
        if (Int4Values && column >= padded) continue;
        float* to = t.out + (row + r) * padded + column;
        const auto total = hn::Add(hn::ShiftLeft<7>(sum[2 * r][i].total()),
                                   sum[2 * r + 1][i].total());
        hn::Store(hn::MulAdd(step, hn::ConvertTo(d, total),
                             hn::Mul(hn::Load(d, to), rescale)),
                  d, to);
      }
    }
  }

  template <std::size_t Rows>
  static HWY_INLINE void add_values(const kv_view& kv, const std::byte* v,
                                    const std::byte* next, std::size_t row,
                                    attention_state& t) {
    const std::size_t padded = kv_padded(kv.head_dim);
    const std::size_t n_bytes = Int4Values ? kv_paired(kv.head_dim) : padded;
    // Each needs two sums: as many as the registers hold.
    constexpr std::size_t columns = Rows == group_rows ? 2 : 4;
    constexpr std::size_t step = columns / values::per_byte * lanes;
    std::size_t b = 0;
    for (; b + step <= n_bytes; b += step) {
      add_columns<Rows, columns>(padded, n_bytes, v, next, b, row, t);
    }
    for (; b < n_bytes; b += lanes) {
      add_columns<Rows, values::per_byte>(padded, n_bytes, v, next, b, row, t);
    }
  }
};

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
