// SPDX-License-Identifier: MIT
// What this machine can do at best: the yardsticks of `bench`.
#if defined(TINYPHI_KERNELS_PROBE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_PROBE_INL_H_
#undef TINYPHI_KERNELS_PROBE_INL_H_
#else
#define TINYPHI_KERNELS_PROBE_INL_H_
#endif

#include "tinyphi/kernels/dot_sums-inl.h"

HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

#if TINYPHI_SIMD

// Four sums of 64 bytes each a turn, from one or four places; what lies `Ahead`
// bytes behind is prefetched.
template <std::size_t Streams, std::size_t Ahead>
HWY_NOINLINE std::uint64_t read_streams(const std::uint8_t* p, std::size_t n) {
  constexpr u8_tag d;
  constexpr hn::Repartition<std::uint64_t, u8_tag> d64;
  constexpr std::size_t piece = 256 / Streams;
  const std::size_t part = n / Streams / piece * piece;
  u8_vec sum[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  for (std::size_t i = 0; i < part; i += piece) {
    TINYPHI_UNROLL for (std::size_t s = 0; s < 4; ++s) {
      const std::uint8_t* from = p + s % Streams * part + s / Streams * 64 + i;
      if (Ahead != 0) hwy::Prefetch(from + Ahead);
      TINYPHI_UNROLL for (std::size_t b = 0; b < 64; b += lanes * 4) {
        sum[s] = hn::Xor(sum[s], hn::LoadU(d, from + b));
      }
    }
  }
  const auto all = hn::Xor(hn::Xor(sum[0], sum[1]), hn::Xor(sum[2], sum[3]));
  return hn::GetLane(hn::SumOfLanes(d64, hn::BitCast(d64, all)));
}

inline std::uint64_t probe_read(const std::byte* data, std::size_t n,
                                read_order order) {
  const auto* p = reinterpret_cast<const std::uint8_t*>(data);
  switch (order) {
    case read_order::four_streams:
      return read_streams<4, 0>(p, n);
    case read_order::four_prefetched:
      return read_streams<4, 1024>(p, n);
    case read_order::one_prefetched:
      break;
  }
  return read_streams<1, 4096>(p, n);
}

template <bool AvxVnni>
HWY_NOINLINE std::uint64_t probe_dot_product_by(std::size_t rounds,
                                                std::int32_t* sink) {
  constexpr i32_tag d;
  // Operands come from L1, as in any real product, and one unit of weights
  // serves so many sums that latency and loads are hidden.
  constexpr std::size_t chains = TINYPHI_VNNI || AvxVnni ? 12 : 6;
  constexpr std::size_t units = 8;
  alignas(64) std::uint8_t w[units * 64];
  alignas(64) std::int8_t x[units * chains * 4];
  std::memset(w, *sink & 15, sizeof(w));
  std::memset(x, *sink & 7, sizeof(x));
  dot_sums<dot_run<units, AvxVnni>, chains> acc;
  TINYPHI_UNROLL for (std::size_t i = 0; i < chains; ++i) {
    acc.start(i, hn::Set(d, *sink + static_cast<std::int32_t>(i)));
  }
  for (std::size_t r = 0; r < rounds; ++r) {
    TINYPHI_UNROLL for (std::size_t j = 0; j < units; ++j) {
      const u8_vec v = hn::Load(u8_tag(), w + j * 64);
      acc.add(j, v, x + j * chains * 4);
    }
    asm volatile(""
                 :
                 : "r"(w), "r"(x)
                 : "memory");  // nothing is known of the next round
  }
  auto sum = hn::Zero(d);
  // Sums wrapped on the way; their low bits add up without overflow.
  TINYPHI_UNROLL for (std::size_t i = 0; i < chains; ++i) {
    sum = hn::Add(sum, hn::And(acc.total(i), hn::Set(d, 0xFFFF)));
  }
  *sink = hn::GetLane(hn::SumOfLanes(d, sum));
  return rounds * units * chains * lanes * 4;
}

inline HWY_NOINLINE std::uint64_t probe_dot_product(std::size_t rounds,
                                                    std::int32_t* sink) {
#if TINYPHI_AVX_VNNI
  if (detail::use_avx_vnni) return probe_dot_product_by<true>(rounds, sink);
#endif
  return probe_dot_product_by<false>(rounds, sink);
}

inline HWY_NOINLINE std::uint64_t probe_fma(std::size_t rounds, float* sink) {
  constexpr f32_tag d;
  constexpr std::size_t chains = 12;
  f32_vec acc[chains];
  TINYPHI_UNROLL for (std::size_t i = 0; i < chains; ++i) {
    acc[i] = hn::Set(d, *sink + static_cast<float>(i));
  }
  const auto a = hn::Set(d, *sink), b = hn::Set(d, *sink * 0.5f);
  for (std::size_t r = 0; r < rounds; ++r) {
    TINYPHI_UNROLL for (std::size_t i = 0; i < chains; ++i) {
      acc[i] = hn::MulAdd(acc[i], a, b);
    }
  }
  TINYPHI_UNROLL for (std::size_t i = 1; i < chains; ++i) {
    acc[0] = hn::Add(acc[0], acc[i]);
  }
  *sink = hn::GetLane(hn::SumOfLanes(d, acc[0]));
  return rounds * chains * lanes;
}

#else  // one at a time, like the reference kernels

inline std::uint64_t probe_read(const std::byte* data, std::size_t n,
                                read_order) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < n / 8; ++i) {
    sum ^= reference::load<std::uint64_t>(data, i);
  }
  return sum;
}

inline std::uint64_t probe_dot_product(std::size_t rounds, std::int32_t* sink) {
  for (std::size_t i = 0; i < rounds; ++i) *sink = (*sink & 127) * 3 + 1;
  return rounds;
}

inline std::uint64_t probe_fma(std::size_t rounds, float* sink) {
  for (std::size_t i = 0; i < rounds; ++i) *sink = *sink * 0.5f + 1;
  return rounds;
}

#endif  // TINYPHI_SIMD

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
