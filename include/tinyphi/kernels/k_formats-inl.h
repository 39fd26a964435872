// SPDX-License-Identifier: MIT
// How Q2_K to Q6_K are decoded (formats-inl.h says what a format is).
#if defined(TINYPHI_KERNELS_K_FORMATS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_K_FORMATS_INL_H_
#undef TINYPHI_KERNELS_K_FORMATS_INL_H_
#else
#define TINYPHI_KERNELS_K_FORMATS_INL_H_
#endif

#include "tinyphi/kernels/formats-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

// Scales and mins of a block are integers of up to 8 bits times the block's d
// and dmin. The format's unpack() unpacks all at once, 64 bytes (4 of each row)
// a step.
template <class Block>
struct k_format : block_format<Block> {
  static constexpr std::size_t n_scales = Block::columns / Block::per_scale;
  static constexpr bool has_min = requires(packed_block<Block> b) { b.dmin; };

  struct scales {
    alignas(64) float d[strip_rows], dmin[strip_rows];
    alignas(64) lanes_of<std::int8_t> scale[n_scales], min[n_scales];

    HWY_INLINE void load(const std::byte* block) {
      const auto& b = k_format::at(block);
      TINYPHI_UNROLL for (std::size_t r = 0; r < strip_rows; r += lanes) {
        hn::Store(load_halves(b.d, r), f32_tag(), d + r);
        if constexpr (has_min) {
          hn::Store(load_halves(b.dmin, r), f32_tag(), dmin + r);
        }
      }
      constexpr std::size_t step = hn::MaxLanes(u8_tag());
      TINYPHI_UNROLL for (std::size_t i = 0; i < 4 * strip_rows; i += step) {
        format<Block::type>::unpack(b, i, *this);
      }
    }
  };

  static HWY_INLINE f32_vec scale(const scales& from, std::size_t g,
                                  std::size_t half, std::size_t r) {
    return product(from.d, from.scale[g * (n_scales / 8) + half], r);
  }
  static HWY_INLINE f32_vec min(const scales& from, std::size_t g,
                                std::size_t half, std::size_t r) {
    return product(from.dmin, from.min[g * (n_scales / 8) + half], r);
  }

 private:
  static HWY_INLINE f32_vec product(const float* d,
                                    const lanes_of<std::int8_t>& integers,
                                    std::size_t r) {
    return hn::Mul(hn::Load(f32_tag(), d + r),
                   hn::ConvertTo(f32_tag(), load_integers(integers, r)));
  }
};

// Byte i of four times 16 and those after it.
template <class T>
HWY_INLINE u8_vec load_64(const lanes_of<T>& first, std::size_t i) {
  return hn::LoadU(u8_tag(), reinterpret_cast<const std::uint8_t*>(first) + i);
}
HWY_INLINE void store_64(u8_vec v, lanes_of<std::int8_t>& first,
                         std::size_t i) {
  hn::StoreU(v, u8_tag(), reinterpret_cast<std::uint8_t*>(first) + i);
}

template <>
struct format<dtype::q2_k> : k_format<block_q2_k> {
  static constexpr std::size_t chunk = 4;
  static constexpr std::size_t run = 4;
  static HWY_INLINE u8_vec unit(const std::byte* block, std::size_t g,
                                std::size_t j, std::size_t r) {
    return bit_pairs(load_bytes(at(block).qs[g / 4 * 8 + j], r), g % 4);
  }
  static HWY_INLINE void unpack(const packed& b, std::size_t i, scales& to) {
    TINYPHI_UNROLL for (std::size_t s = 0; s < 16; s += 4) {
      const u8_vec both = load_64(b.scales[s], i);
      store_64(low_nibbles(both), to.scale[s], i);
      store_64(high_nibbles(both), to.min[s], i);
    }
  }
};

template <>
struct format<dtype::q3_k> : k_format<block_q3_k> {
  static constexpr std::size_t chunk = 4;
  static constexpr int zero_point = 4;
  static constexpr std::size_t run = 4;
  static HWY_INLINE u8_vec unit(const std::byte* block, std::size_t g,
                                std::size_t j, std::size_t r) {
    const auto& b = at(block);
    return hn::Or(bit_pairs(load_bytes(b.qs[g / 4 * 8 + j], r), g % 4),
                  where_bit(load_bytes(b.hmask[j], r), g, 4));
  }
  static HWY_INLINE void unpack(const packed& b, std::size_t i, scales& to) {
    const u8_vec high = load_64(b.scales[8], i);
    const u8_vec zero = hn::Set(u8_tag(), 32);
    TINYPHI_UNROLL for (int s = 0; s < 2; ++s) {
      const u8_vec low = load_64(b.scales[4 * s], i);
      const u8_vec first = with_bits(low_nibbles(low), high, 2 * s - 4, 0x30);
      const u8_vec second = with_bits(high_nibbles(low), high, 2 * s, 0x30);
      store_64(hn::Sub(first, zero), to.scale[4 * s], i);
      store_64(hn::Sub(second, zero), to.scale[4 * s + 8], i);
    }
  }
};

// Scales and mins of 6 bits, and nibbles of two groups in the same bytes.
template <class Block>
struct six_bit_scales : k_format<Block> {
  using typename k_format<Block>::packed;
  using typename k_format<Block>::scales;
  static constexpr std::size_t chunk = 2;
  static constexpr bool quick = TINYPHI_VNNI;
  static HWY_INLINE u8_vec nibbles(const std::byte* block, std::size_t g,
                                   std::size_t j, std::size_t r) {
    const u8_vec v = load_bytes(six_bit_scales::at(block).qs[g / 2 * 8 + j], r);
    return g % 2 == 0 ? low_nibbles(v) : high_nibbles(v);
  }
  static HWY_INLINE void unpack(const packed& b, std::size_t i, scales& to) {
    const u8_vec scale = load_64(b.scales[0], i);
    const u8_vec min = load_64(b.scales[4], i);
    const u8_vec rest = load_64(b.scales[8], i);
    const u8_vec six_bits = hn::Set(u8_tag(), 63);
    store_64(hn::And(scale, six_bits), to.scale[0], i);
    store_64(hn::And(min, six_bits), to.min[0], i);
    store_64(with_bits(low_nibbles(rest), scale, 2, 0x30), to.scale[4], i);
    store_64(with_bits(high_nibbles(rest), min, 2, 0x30), to.min[4], i);
  }
};

template <>
struct format<dtype::q4_k> : six_bit_scales<block_q4_k> {
  static constexpr std::size_t run = 8;
  static HWY_INLINE u8_vec unit(const std::byte* block, std::size_t g,
                                std::size_t j, std::size_t r) {
    return nibbles(block, g, j, r);
  }
};

template <>
struct format<dtype::q5_k> : six_bit_scales<block_q5_k> {
  static constexpr std::size_t run = 4;
  static HWY_INLINE u8_vec unit(const std::byte* block, std::size_t g,
                                std::size_t j, std::size_t r) {
    return hn::Or(nibbles(block, g, j, r),
                  where_bit(load_bytes(at(block).qh[j], r), g, 16));
  }
};

template <>
struct format<dtype::q6_k> : k_format<block_q6_k> {
  static constexpr std::size_t chunk = 4;
  static constexpr bool quick = TINYPHI_VNNI;
  static constexpr int zero_point = 32;
  static constexpr std::size_t ahead = 2 * block_bytes;
  static constexpr std::size_t run = 2;
  static HWY_INLINE u8_vec unit(const std::byte* block, std::size_t g,
                                std::size_t j, std::size_t r) {
    const auto& half = at(block).half[g / 4];
    const u8_vec v = load_bytes(half.ql[g % 2 * 8 + j], r);
    const u8_vec low = g % 4 < 2 ? low_nibbles(v) : high_nibbles(v);
    return with_bits(low, load_bytes(half.qh[j], r),
                     static_cast<int>(g % 4) * 2 - 4, 0x30);
  }
  static HWY_INLINE void unpack(const packed& b, std::size_t i, scales& to) {
    TINYPHI_UNROLL for (std::size_t s = 0; s < 16; s += 4) {
      store_64(load_64(b.scales[s], i), to.scale[s], i);
    }
  }
};

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
