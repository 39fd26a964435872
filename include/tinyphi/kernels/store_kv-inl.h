// SPDX-License-Identifier: MIT
// Keys and values into the cache: converted in vectors, then set down where
// their page wants them.
#if defined(TINYPHI_KERNELS_STORE_KV_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_STORE_KV_INL_H_
#undef TINYPHI_KERNELS_STORE_KV_INL_H_
#else
#define TINYPHI_KERNELS_STORE_KV_INL_H_
#endif

#include "tinyphi/base/half.h"
#include "tinyphi/kernels/attention_state-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

inline void store_f32(std::byte* part, std::size_t slot, const float* k,
                      const float* v, std::size_t head_dim) {
  auto* keys = reinterpret_cast<float*>(part) + slot;
  for (std::size_t c = 0; c < head_dim; ++c) keys[c * page_tokens] = k[c];
  std::memcpy(reinterpret_cast<float*>(part) + page_tokens * head_dim +
                  slot * kv_padded(head_dim),
              v, head_dim * sizeof(float));
}

// x: [n], to: [n rounded up to 16]
HWY_INLINE void to_f16(const float* x, std::size_t n, hwy::float16_t* to) {
#if HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_SSSE3
  // Highway's own, where the CPU has none, does not round to nearest.
  for (std::size_t i = 0; i < n; ++i) {
    const f16 half = tinyphi::to_f16(x[i]);
    std::memcpy(to + i, &half, sizeof half);
  }
#else
  constexpr f32_tag d;
  constexpr hn::Rebind<hwy::float16_t, f32_tag> d16;
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(hn::DemoteTo(d16, hn::LoadU(d, x + i)), d16, to + i);
  }
  if (i == n) return;
  alignas(64) float last[16] = {};
  std::memcpy(last, x + i, (n - i) * sizeof(float));
  hn::StoreU(hn::DemoteTo(d16, hn::Load(d, last)), d16, to + i);
#endif
}

inline void store_f16(std::byte* part, std::size_t slot, const float* k,
                      const float* v, std::size_t head_dim) {
  hwy::float16_t halves[max_head_dim];
  to_f16(k, head_dim, halves);
  auto* keys = reinterpret_cast<hwy::float16_t*>(part) + slot;
  for (std::size_t c = 0; c < head_dim; ++c) keys[c * page_tokens] = halves[c];
  to_f16(v, head_dim,
         reinterpret_cast<hwy::float16_t*>(part) + page_tokens * head_dim +
             slot * kv_padded(head_dim));
}

inline void store_int8_key(std::byte* part, std::size_t slot, const float* k,
                           std::size_t head_dim) {
  std::int8_t q[max_head_dim];
  std::int32_t sum;
  int8_key_scales(part, kv_padded(head_dim))[slot] =
      quantize_vector(k, head_dim, q, sum);
  std::byte* keys = part + slot * 4;
  for (std::size_t c = 0; c < head_dim; c += 4) {
    std::uint32_t four;
    std::memcpy(&four, q + c, 4);
    four ^= 0x80808080u;
    std::memcpy(keys + c * page_tokens, &four, 4);
  }
}

inline void store_int8_value(std::byte* part, std::size_t slot, const float* v,
                             std::size_t head_dim) {
  const std::size_t padded = kv_padded(head_dim);
  std::int8_t q[max_head_dim];
  std::int32_t sum;
  int8_value_scales(part, padded)[slot] = quantize_vector(v, head_dim, q, sum);
  auto* values = reinterpret_cast<std::uint8_t*>(
      part + kv_key_bytes(kv_type::int8, head_dim) + slot / 4 * padded * 4 +
      slot % 4);
  for (std::size_t c = 0; c < head_dim; ++c) {
    values[c * 4] = static_cast<std::uint8_t>(q[c] + 128);
  }
}

inline void store_int4_value(std::byte* part, std::size_t slot, const float* v,
                             std::size_t head_dim) {
  const std::size_t padded = kv_padded(head_dim), paired = kv_paired(head_dim);
  std::int8_t q[max_head_dim];
  std::int32_t sum;
  int8_value_scales(part, padded)[slot] =
      quantize_vector(v, head_dim, q, sum, 7);
  std::memset(q + padded, 0, 2 * paired - padded);
  auto* values = reinterpret_cast<std::uint8_t*>(
      part + kv_key_bytes(kv_type::int8_int4, head_dim) +
      slot / 4 * paired * 4 + slot % 4);
  for (std::size_t b = 0; b < paired; ++b) {
    const std::int8_t* low = q + b / 16 * 16 + b;
    values[b * 4] =
        static_cast<std::uint8_t>((low[0] + 8) | (low[16] + 8) << 4);
  }
}

inline HWY_NOINLINE void store_kv(const kv_view& kv, std::size_t position,
                                  const float* k, const float* v) {
  std::byte* part = kv.pages[position / page_tokens] + kv.offset;
  const std::size_t slot = position % page_tokens;
  switch (kv.type) {
    case kv_type::f32:
      return store_f32(part, slot, k, v, kv.head_dim);
    case kv_type::f16:
      return store_f16(part, slot, k, v, kv.head_dim);
    case kv_type::int8:
      store_int8_key(part, slot, k, kv.head_dim);
      return store_int8_value(part, slot, v, kv.head_dim);
    case kv_type::int8_int4:
      store_int8_key(part, slot, k, kv.head_dim);
      return store_int4_value(part, slot, v, kv.head_dim);
  }
}

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
