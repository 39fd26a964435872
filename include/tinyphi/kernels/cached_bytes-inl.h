// SPDX-License-Identifier: MIT
// Products with cached keys and values in whole or half bytes.
#if defined(TINYPHI_KERNELS_CACHED_BYTES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_CACHED_BYTES_INL_H_
#undef TINYPHI_KERNELS_CACHED_BYTES_INL_H_
#else
#define TINYPHI_KERNELS_CACHED_BYTES_INL_H_
#endif

#include "tinyphi/kernels/attention_state-inl.h"
#include "tinyphi/kernels/dot_sum-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

// Cached bytes as they are stored: value + 128.
template <bool AvxVnni>
struct whole_bytes {
  static constexpr std::size_t run = dot_run<0, AvxVnni>;
  static constexpr std::int32_t offset = run == 0 ? 0 : 128;
  static constexpr std::size_t per_byte = 1;

  static HWY_INLINE void unpack(u8_vec v, u8_vec* to) {
    *to = run == 0 ? hn::Xor(v, hn::Set(u8_tag(), 0x80)) : v;
  }
  // The column that begins at byte b of a unit's.
  static constexpr std::size_t column(std::size_t b) { return b; }
};

// Two columns in a byte: value + 8 each.
template <bool AvxVnni>
struct half_bytes {
  static constexpr std::size_t run = dot_run<1, AvxVnni>;
  static constexpr std::int32_t offset = 8;
  static constexpr std::size_t per_byte = 2;

  static HWY_INLINE void unpack(u8_vec v, u8_vec* to) {
    to[0] = low_nibbles(v);
    to[1] = high_nibbles(v);
  }
  static constexpr std::size_t column(std::size_t b) { return b / 16 * 16 + b; }
};

// Products of cached bytes, [n][4] of each column at `bytes` with `pitch`
// between units, and Rows rows of n units of int8 that add up to x_sum.
// `next` is fetched in step with `bytes`.
template <class Stored, std::size_t Rows, std::size_t Columns>
HWY_INLINE void multiply(const std::byte* bytes, std::size_t pitch,
                         const std::byte* next, std::size_t n,
                         const std::int8_t* x, std::size_t x_pitch,
                         const std::int32_t* x_sum,
                         dot_sum<Stored::run> (&sum)[Rows][Columns]) {
  constexpr std::size_t n_loads = Columns / Stored::per_byte;
  TINYPHI_UNROLL for (std::size_t r = 0; r < Rows; ++r) {
    const auto zero = hn::Set(i32_tag(), -Stored::offset * x_sum[r]);
    TINYPHI_UNROLL for (std::size_t v = 0; v < Columns; ++v) {
      sum[r][v].start(zero);
    }
  }
  for (std::size_t j = 0; j < n; ++j) {
    fetch(next + j * pitch, n_loads * lanes * 4);
    const auto* unit = reinterpret_cast<const std::uint8_t*>(bytes) + j * pitch;
    u8_vec w[Columns];
    TINYPHI_UNROLL for (std::size_t v = 0; v < n_loads; ++v) {
      Stored::unpack(hn::LoadU(u8_tag(), unit + v * lanes * 4),
                     w + v * Stored::per_byte);
    }
    TINYPHI_UNROLL for (std::size_t r = 0; r < Rows; ++r) {
      TINYPHI_UNROLL for (std::size_t v = 0; v < Columns; ++v) {
        sum[r][v].add(j, w[v], x + r * x_pitch + j * 4);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
