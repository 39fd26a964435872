// SPDX-License-Identifier: MIT
// Packed strips of any type as rows for dot_rows, and what to read ahead.
#if defined(TINYPHI_KERNELS_PACKED_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_PACKED_ROWS_INL_H_
#undef TINYPHI_KERNELS_PACKED_ROWS_INL_H_
#else
#define TINYPHI_KERNELS_PACKED_ROWS_INL_H_
#endif

#include "tinyphi/kernels/iq4_formats-inl.h"
#include "tinyphi/kernels/k_formats-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

// All types that have a format, for switches.
#undef TINYPHI_FORMATS
#define TINYPHI_FORMATS(X) \
  X(q8_0)                  \
  X(q4_0)                  \
  X(q4_1)                  \
  X(q5_0)                  \
  X(q5_1) X(q2_k) X(q3_k) X(q4_k) X(q5_k) X(q6_k) X(iq4_nl) X(iq4_xs)

// Whether one token's weights are read as one stream. Zen 4's hardware
// prefetcher follows a single stream if one prefetch for each group carries it
// across the 4 KiB boundary: Q4_K_M on one thread then reads at 83 % of the
// bandwidth, with four streams at 73 %. Other types gain nothing by it, and on
// Intel (Emerald Rapids) four streams are faster.
template <dtype Type, std::size_t R, std::size_t M>
inline constexpr bool one_stream =
    TINYPHI_VNNI&& R == 1 && M == 1 && Type == dtype::q4_k;

// What is prefetched for one token is used soon, and further ahead is slower
// (Zen 4, Q4_0, one thread: 29 GB/s at 1024 bytes, 25 at 4096). More tokens
// take longer a byte and have to wait for less: 8 tokens 152 -> 174 GMAC/s of
// 185 in cache, on two threads 278 -> 331; Q8_0 139 -> 157, Q4_K 122 -> 140.
// Q8_0 takes half as long a byte: with 2 to 4 tokens 55 and 109 near, 46 and 91
// far.
template <dtype Type, std::size_t R, std::size_t M>
inline constexpr std::size_t ahead_of =
    !one_stream<Type, R, M> && (M == 1 || (M <= 4 && Type == dtype::q8_0))
        ? format<Type>::ahead
        : 4096;

// How many bytes of each group are prefetched.
template <dtype Type, std::size_t R, std::size_t M>
inline constexpr std::size_t share_of =
    one_stream<Type, R, M> ? 64 : format<Type>::group_bytes;

// R packed strips, one after the other, as rows for dot_rows: their traits, and
// what at() tells of a block. Run: the dot_sum's; 0 makes bytes signed. Ahead:
// how many bytes to prefetch ahead; Share: how many of each group's bytes.
template <dtype Type, std::size_t R, std::size_t Run, std::size_t Ahead,
          std::size_t Share = format<Type>::group_bytes>
struct packed_rows {
  using layout = format<Type>;
  static constexpr std::size_t vectors = R * strip_vectors;
  static constexpr std::size_t block_groups = layout::block_groups;
  static constexpr std::size_t chunk = layout::chunk;
  static constexpr std::size_t scale_cols = layout::scale_cols;
  static constexpr bool has_min = layout::has_min;
  static constexpr bool paired = layout::paired;
  static constexpr std::size_t run = Run;
  static constexpr int zero_point = Run == 0 ? 0 : layout::zero_point;

  const std::byte* strip;
  std::size_t strip_bytes;

  struct block {
    const std::byte* strip;
    std::size_t strip_bytes;
    std::size_t place;  // of the block in its strip, in bytes
    typename layout::scales scales[R];

    HWY_INLINE u8_vec unit(std::size_t v, std::size_t g, std::size_t j) const {
      const u8_vec w =
          layout::unit(strip + v / strip_vectors * strip_bytes + place, g, j,
                       v % strip_vectors * lanes);
      return Run == 0 ? hn::Xor(w, hn::Set(u8_tag(), 0x80)) : w;
    }
    HWY_INLINE f32_vec scale(std::size_t v, std::size_t g,
                             std::size_t half) const {
      return layout::scale(scales[v / strip_vectors], g, half,
                           v % strip_vectors * lanes);
    }
    HWY_INLINE f32_vec min(std::size_t v, std::size_t g,
                           std::size_t half) const {
      return layout::min(scales[v / strip_vectors], g, half,
                         v % strip_vectors * lanes);
    }
    // The i-th eighth of group g's share of what lies ahead, to L2: on Zen 4
    // 98 % of the read bandwidth, against 94 % without and 86 % to L1 (Q4_0).
    // Past a strip's end come the strips after these R.
    HWY_INLINE void prefetch(std::size_t v, std::size_t g,
                             std::size_t i) const {
      if (v % strip_vectors != 0) return;
      std::size_t at = place + g * layout::group_bytes + Ahead;
      if (at >= strip_bytes) at += (R - 1) * strip_bytes;
      const std::byte* const from =
          strip + at + v / strip_vectors * strip_bytes;
      TINYPHI_UNROLL for (std::size_t line = i * 64; line < Share;
                          line += 8 * 64) {
        __builtin_prefetch(from + line, 0, 2);
      }
    }
  };

  // The block of group g.
  HWY_INLINE block at(std::size_t g) const {
    block to;
    to.strip = strip;
    to.strip_bytes = strip_bytes;
    to.place = g / block_groups * layout::block_bytes;
    TINYPHI_UNROLL for (std::size_t r = 0; r < R; ++r) {
      to.scales[r].load(strip + r * strip_bytes + to.place);
    }
    return to;
  }
};

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
