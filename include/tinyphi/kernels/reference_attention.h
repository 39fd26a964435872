// SPDX-License-Identifier: MIT
// The scalar twins of the attention kernels; a part of reference.h.

#include "tinyphi/kernels/reference.h"

#ifndef TINYPHI_KERNELS_REFERENCE_ATTENTION_H_
#define TINYPHI_KERNELS_REFERENCE_ATTENTION_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "tinyphi/base/half.h"
#include "tinyphi/kernels/kernels.h"

TINYPHI_NAMESPACE_BEGIN
namespace reference {

// Where the parts of one head's share of a page begin, and which element of
// them is dimension d of a slot.
struct kv_place {
  std::size_t k, k_scales, v_scales, v;  // bytes
  std::size_t k_index, v_index;
};
[[nodiscard]] inline kv_place place_in_page(const kv_view& kv, std::size_t slot,
                                            std::size_t d) {
  const std::size_t padded = kv_padded(kv.head_dim);
  if (has_int8_keys(kv.type)) {
    const std::size_t scales = kv.offset + page_tokens * padded;
    const std::size_t columns =
        kv.type == kv_type::int8 ? padded : kv_paired(kv.head_dim);
    const std::size_t column =
        kv.type == kv_type::int8 ? d : d / 32 * 16 + d % 16;
    return {kv.offset,
            scales,
            scales + page_tokens * 4,
            scales + page_tokens * 8,
            (d / 4 * page_tokens + slot) * 4 + d % 4,
            (slot / 4 * columns + column) * 4 + slot % 4};
  }
  const std::size_t bytes = kv.type == kv_type::f32 ? 4 : 2;
  return {kv.offset,
          0,
          0,
          kv.offset + page_tokens * kv.head_dim * bytes,
          d * page_tokens + slot,
          slot * padded + d};
}

[[nodiscard]] inline const std::byte* page_of(const kv_view& kv,
                                              std::size_t position) {
  return kv.pages[position / page_tokens];
}

// The integer that a key or a value is stored as.
[[nodiscard]] inline int key_int(const kv_view& kv, std::size_t position,
                                 std::size_t d) {
  const kv_place at = place_in_page(kv, position % page_tokens, d);
  return load<std::uint8_t>(page_of(kv, position) + at.k, at.k_index) - 128;
}
[[nodiscard]] inline int value_int(const kv_view& kv, std::size_t position,
                                   std::size_t d) {
  const kv_place at = place_in_page(kv, position % page_tokens, d);
  const int byte = load<std::uint8_t>(page_of(kv, position) + at.v, at.v_index);
  if (kv.type == kv_type::int8) return byte - 128;
  return (byte >> d % 32 / 16 * 4 & 15) - 8;
}
[[nodiscard]] inline float key_scale(const kv_view& kv, std::size_t position) {
  const std::size_t slot = position % page_tokens;
  return load<float>(
      page_of(kv, position) + place_in_page(kv, slot, 0).k_scales, slot);
}
[[nodiscard]] inline float value_scale(const kv_view& kv,
                                       std::size_t position) {
  const std::size_t slot = position % page_tokens;
  return load<float>(
      page_of(kv, position) + place_in_page(kv, slot, 0).v_scales, slot);
}

[[nodiscard]] inline float key(const kv_view& kv, std::size_t position,
                               std::size_t d) {
  const kv_place at = place_in_page(kv, position % page_tokens, d);
  const std::byte* k = page_of(kv, position) + at.k;
  switch (kv.type) {
    case kv_type::f32:
      return load<float>(k, at.k_index);
    case kv_type::f16:
      return to_float(load<f16>(k, at.k_index));
    default:
      return key_scale(kv, position) *
             static_cast<float>(key_int(kv, position, d));
  }
}
[[nodiscard]] inline float value(const kv_view& kv, std::size_t position,
                                 std::size_t d) {
  const kv_place at = place_in_page(kv, position % page_tokens, d);
  const std::byte* v = page_of(kv, position) + at.v;
  switch (kv.type) {
    case kv_type::f32:
      return load<float>(v, at.v_index);
    case kv_type::f16:
      return to_float(load<f16>(v, at.v_index));
    default:
      return value_scale(kv, position) *
             static_cast<float>(value_int(kv, position, d));
  }
}

inline void store_kv(const kv_view& kv, std::size_t position, const float* k,
                     const float* v) {
  std::byte* page = kv.pages[position / page_tokens];
  const std::size_t slot = position % page_tokens;
  const auto put = [&](std::size_t part, std::size_t i, auto x) {
    std::memcpy(page + part + i * sizeof(x), &x, sizeof(x));
  };
  std::int8_t k8[max_head_dim], v8[max_head_dim];
  if (has_int8_keys(kv.type)) {
    const kv_place at = place_in_page(kv, slot, 0);
    const float v_steps = kv.type == kv_type::int8 ? 127 : 7;
    put(at.k_scales, slot, quantize_vector(k, kv.head_dim, k8));
    put(at.v_scales, slot, quantize_vector(v, kv.head_dim, v8, v_steps));
  }
  for (std::size_t d = 0; d < kv.head_dim; ++d) {
    const kv_place at = place_in_page(kv, slot, d);
    if (kv.type == kv_type::f32) {
      put(at.k, at.k_index, k[d]);
      put(at.v, at.v_index, v[d]);
    } else if (kv.type == kv_type::f16) {
      put(at.k, at.k_index, to_f16(k[d]));
      put(at.v, at.v_index, to_f16(v[d]));
    } else {
      put(at.k, at.k_index, static_cast<std::uint8_t>(k8[d] + 128));
      if (kv.type == kv_type::int8) {
        put(at.v, at.v_index, static_cast<std::uint8_t>(v8[d] + 128));
      } else if (d % 32 < 16) {
        const int high = d + 16 < kv.head_dim ? v8[d + 16] : 0;
        put(at.v, at.v_index,
            static_cast<std::uint8_t>((v8[d] + 8) | (high + 8) << 4));
      }
    }
  }
}

// Adds n positions of one page to a row's sums.
inline void attend_page(const kv_view& kv, const std::size_t* positions,
                        std::size_t n, float scale, const float* q,
                        softmax_sums& sums, float* out) {
  const bool int8 = has_int8_keys(kv.type);
  std::int8_t q8[max_head_dim];
  const float q_scale = int8 ? quantize_vector(q, kv.head_dim, q8) : 0;
  float weights[page_tokens], max = sums.max;
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t p = positions[i];
    float score = 0;
    std::int32_t sum = 0;
    for (std::size_t d = 0; d < kv.head_dim; ++d) {
      if (int8) {
        sum += q8[d] * key_int(kv, p, d);
      } else {
        score += q[d] * key(kv, p, d);
      }
    }
    if (int8) score = static_cast<float>(sum) * q_scale * key_scale(kv, p);
    weights[i] = score * scale;
    max = std::max(max, weights[i]);
  }
  // What was summed before shrinks by e^(old max - new max).
  const float rescale = std::exp(sums.max - max);
  sums.max = max;
  sums.total *= rescale;
  float most = 0;
  for (std::size_t i = 0; i < n; ++i) {
    weights[i] = std::exp(weights[i] - max);
    sums.total += weights[i];
    if (int8)
      most = std::max(most, weights[i] *= value_scale(kv, positions[i]));
  }
  // Weights round to steps of 1/16256 of the largest: two bytes.
  const float steps = 127 * 128, inverse = most < 1e-30f ? 0 : steps / most;
  for (std::size_t d = 0; d < kv.head_dim; ++d) {
    out[d] *= rescale;
    for (std::size_t i = 0; i < n; ++i) {
      out[d] += int8 ? std::nearbyint(weights[i] * inverse) * (most / steps) *
                           static_cast<float>(value_int(kv, positions[i], d))
                     : weights[i] * value(kv, positions[i], d);
    }
  }
}

inline void add_part(const float* part, softmax_sums sums, std::size_t head_dim,
                     softmax_sums& all, float* out) {
  if (sums.total == 0) return;
  const float max = std::max(all.max, sums.max);
  const float old_share = std::exp(all.max - max);
  const float share = std::exp(sums.max - max);
  all = {max, all.total * old_share + sums.total * share};
  for (std::size_t d = 0; d < head_dim; ++d) {
    out[d] = out[d] * old_share + part[d] * share;
  }
}

inline void merge_attention(const float* parts, const softmax_sums* sums,
                            std::size_t n, std::size_t head_dim, float* out) {
  softmax_sums all;
  std::fill_n(out, head_dim, 0.f);
  for (std::size_t i = 0; i < n; ++i) {
    add_part(parts + i * head_dim, sums[i], head_dim, all, out);
  }
  for (std::size_t d = 0; d < head_dim; ++d) out[d] /= all.total;
}

inline void attend(const kv_view& kv, float scale, const attention_row* rows,
                   std::size_t n_rows, softmax_sums* sums) {
  for (std::size_t r = 0; r < n_rows; ++r) {
    const attention_row& row = rows[r];
    softmax_sums all, span;
    float part[max_head_dim] = {};
    std::fill_n(row.out, kv.head_dim, 0.f);
    std::size_t seen[page_tokens], n = 0;
    const auto end_page = [&] {
      if (n > 0) attend_page(kv, seen, n, scale, row.q, span, part);
      n = 0;
    };
    const auto end_span = [&] {
      end_page();
      add_part(part, span, kv.head_dim, all, row.out);
      span = {};
      std::fill_n(part, kv.head_dim, 0.f);
    };
    std::size_t last = 0;
    for (std::size_t i = 0; i < row.n_ranges; ++i) {
      for (std::size_t p = row.ranges[i].begin; p < row.ranges[i].end; ++p) {
        if (p / span_tokens != last / span_tokens) {
          end_span();
        } else if (p / page_tokens != last / page_tokens) {
          end_page();
        }
        seen[n++] = last = p;
      }
    }
    end_span();
    if (sums != nullptr) {
      sums[r] = all;
    } else {
      for (std::size_t d = 0; d < kv.head_dim; ++d) row.out[d] /= all.total;
    }
  }
}

}  // namespace reference
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_KERNELS_REFERENCE_ATTENTION_H_
