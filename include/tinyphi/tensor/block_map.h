// SPDX-License-Identifier: MIT
// Packing one block of 16 rows, and the way back. Both walk the same map of
// fields, one with block_packer, one with block_unpacker.
#ifndef TINYPHI_TENSOR_BLOCK_MAP_H_
#define TINYPHI_TENSOR_BLOCK_MAP_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tinyphi/tensor/packed_blocks.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

template <class Byte>
[[nodiscard]] inline std::uint32_t word_at(const Byte* bytes) {
  std::uint32_t word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

// Bit 4 j + i of a word goes to bit 8 i + j, and back.
[[nodiscard]] inline std::uint32_t bits_to_columns(std::uint32_t word) {
  std::uint32_t columns = 0;
  for (int j = 0; j < 8; ++j) {  // the product has bit i of a nibble at 8 i
    const std::uint32_t nibble = word >> (4 * j) & 15;
    columns |= (nibble * 0x00204081 & 0x01010101) << j;
  }
  return columns;
}
[[nodiscard]] inline std::uint32_t columns_to_bits(std::uint32_t columns) {
  std::uint32_t word = 0;
  for (int j = 0; j < 8; ++j) {  // the product has bit 8 i at 28 + i
    word |= (columns >> j & 0x01010101) * 0x10204080 >> 28 << (4 * j);
  }
  return word;
}

using four_words [[gnu::vector_size(16)]] = std::uint32_t;

// to[j][r + i] = word j of from[i], for four words and four rows. Inline by
// force, since g++ -O2 leaves a call and a third of the speed.
[[gnu::always_inline]] inline void transpose_words(
    const std::uint8_t* const (&from)[4], std::uint32_t flip, unit* to,
    std::size_t r) {
  const auto row = [&](std::size_t i) {
    four_words words;
    std::memcpy(&words, from[i], sizeof words);
    return words ^ flip;
  };
  const four_words a = row(0), b = row(1), c = row(2), d = row(3);
  const auto ab0 = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  const auto ab2 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const auto cd0 = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  const auto cd2 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  const auto put = [&](std::size_t j, four_words words) {
    std::memcpy(to[j] + r, &words, sizeof words);
  };
  put(0, __builtin_shufflevector(ab0, cd0, 0, 1, 4, 5));
  put(1, __builtin_shufflevector(ab0, cd0, 2, 3, 6, 7));
  put(2, __builtin_shufflevector(ab2, cd2, 0, 1, 4, 5));
  put(3, __builtin_shufflevector(ab2, cd2, 2, 3, 6, 7));
}

// Fields of 16 stored blocks, one of each row, to a packed block.
template <class Block>
struct block_packer {
  const Block* rows;

  template <class T>
  void value(lanes_of<T>& to, T Block::*from) const {
    for (std::size_t r = 0; r < strip_rows; ++r) to[r] = rows[r].*from;
  }
  template <class T, std::size_t N>
  void values(lanes_of<T> (&to)[N], T (Block::*from)[N]) const {
    for (std::size_t r = 0; r < strip_rows; ++r) {
      for (std::size_t i = 0; i < N; ++i) to[i][r] = (rows[r].*from)[i];
    }
  }
  // From byte `first` on.
  template <class Byte, std::size_t N, std::size_t Bytes>
  void units(unit (&to)[N], Byte (Block::*from)[Bytes], std::size_t first = 0,
             std::uint32_t flip = 0) const {
    static_assert(Bytes % (4 * N) == 0 && N % 4 == 0);
    for (std::size_t j = 0; j < N; j += 4) {
      for (std::size_t r = 0; r < strip_rows; r += 4) {
        const auto bytes = [&](std::size_t i) {
          return reinterpret_cast<const std::uint8_t*>(rows[r + i].*from) +
                 first + 4 * j;
        };
        transpose_words({bytes(0), bytes(1), bytes(2), bytes(3)}, flip, to + j,
                        r);
      }
    }
  }
  void word(unit& to, std::uint8_t (Block::*from)[4]) const {
    for (std::size_t r = 0; r < strip_rows; ++r) to[r] = word_at(rows[r].*from);
  }
  void fifth_bits(unit& to, std::uint8_t (Block::*from)[4]) const {
    for (std::size_t r = 0; r < strip_rows; ++r) {
      to[r] = bits_to_columns(word_at(rows[r].*from));
    }
  }
};

// The way back for lane r alone.
template <class Block>
struct block_unpacker {
  Block& block;
  std::size_t r;

  template <class T>
  void value(const lanes_of<T>& from, T Block::*to) const {
    block.*to = from[r];
  }
  template <class T, std::size_t N>
  void values(const lanes_of<T> (&from)[N], T (Block::*to)[N]) const {
    for (std::size_t i = 0; i < N; ++i) (block.*to)[i] = from[i][r];
  }
  template <class Byte, std::size_t N, std::size_t Bytes>
  void units(const unit (&from)[N], Byte (Block::*to)[Bytes],
             std::size_t first = 0, std::uint32_t flip = 0) const {
    for (std::size_t j = 0; j < N; ++j) {
      const std::uint32_t word = from[j][r] ^ flip;
      std::memcpy(block.*to + first + 4 * j, &word, sizeof word);
    }
  }
  void word(const unit& from, std::uint8_t (Block::*to)[4]) const {
    std::memcpy(block.*to, &from[r], sizeof from[r]);
  }
  void fifth_bits(const unit& from, std::uint8_t (Block::*to)[4]) const {
    const std::uint32_t word = columns_to_bits(from[r]);
    std::memcpy(block.*to, &word, sizeof word);
  }
};

// What goes where. h: which of the blocks packed together. Packed is constant
// on the way back.
template <class Block, class Copy, class Packed>
inline void map_block(const Copy& copy, Packed& p, std::size_t h) {
  if constexpr (Block::columns == 32) {
    copy.value(p.d[h], &Block::d);
    if constexpr (requires { p.m; }) copy.value(p.m[h], &Block::m);
    if constexpr (requires { p.qh; }) copy.fifth_bits(p.qh[h], &Block::qh);
    if constexpr (requires { p.q; }) {
      copy.units(p.q[h], &Block::q, 0, 0x80808080);
    } else {
      copy.units(p.qs[h], &Block::qs);
    }
    return;
  } else {
    copy.value(p.d, &Block::d);
    if constexpr (requires { p.dmin; }) copy.value(p.dmin, &Block::dmin);
    if constexpr (requires { p.hmask; }) copy.units(p.hmask, &Block::hmask);
    if constexpr (requires { p.qh; }) copy.units(p.qh, &Block::qh);
    if constexpr (requires { p.half; }) {
      for (std::size_t i = 0; i < 2; ++i) {
        copy.units(p.half[i].qh, &Block::qh, 32 * i);
        copy.units(p.half[i].ql, &Block::ql, 64 * i);
      }
    }
    if constexpr (requires { p.qs; }) copy.units(p.qs, &Block::qs);
    if constexpr (requires { p.scales_h; }) {
      copy.value(p.scales_h, &Block::scales_h);
      copy.word(p.scales_l, &Block::scales_l);
    } else {
      copy.values(p.scales, &Block::scales);
    }
  }
}

}  // namespace detail

// Packs one block of each of 16 rows; h: which of the blocks that are packed
// together. The other one stays as it is.
template <class Block>
inline void pack_block(const Block (&rows)[strip_rows], std::size_t h,
                       packed_block<Block>& to) {
  detail::map_block<Block>(detail::block_packer<Block>{rows}, to, h);
}

// The block of row r.
template <class Block>
[[nodiscard]] inline Block unpack_block(const packed_block<Block>& from,
                                        std::size_t h, std::size_t r) {
  Block block{};
  detail::map_block<Block>(detail::block_unpacker<Block>{block, r}, from, h);
  return block;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_TENSOR_BLOCK_MAP_H_
