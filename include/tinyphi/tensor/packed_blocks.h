// SPDX-License-Identifier: MIT
// Packed blocks: blocks of 16 rows (and of one or two places in the row) as one
// struct whose arrays end in lanes, lane r being row r. A line of 64 bytes is a
// vector, so every array begins where a multiple of 32 bytes does.
#ifndef TINYPHI_TENSOR_PACKED_BLOCKS_H_
#define TINYPHI_TENSOR_PACKED_BLOCKS_H_

#include <cstddef>
#include <cstdint>

#include "tinyphi/tensor/blocks.h"

TINYPHI_NAMESPACE_BEGIN

inline constexpr std::size_t strip_rows = 16;

// Values in lanes, e.g. one scale of each row, and four stored bytes of each
// row ("unit").
template <class T>
using lanes_of = T[strip_rows];
using unit = lanes_of<std::uint32_t>;

// Field names are the stored block's. Unit j of qs is bytes qs[4 j .. 4 j + 3];
// so are q, ql, qh and hmask except where told. `blocks`: how many neighbours
// in a row are packed together, the first index where it is 2.
template <class Block>
struct packed_block;

// Every byte ^ 0x80, which makes it the unsigned operand of dot products.
template <>
struct packed_block<block_q8_0> {
  static constexpr std::size_t blocks = 2, bytes = 1088;
  lanes_of<f16> d[2];
  unit q[2][8];
};

template <>
struct packed_block<block_q4_0> {
  static constexpr std::size_t blocks = 2, bytes = 576;
  lanes_of<f16> d[2];
  unit qs[2][4];
};

template <>
struct packed_block<block_iq4_nl> {
  static constexpr std::size_t blocks = 2, bytes = 576;
  lanes_of<f16> d[2];
  unit qs[2][4];
};

template <>
struct packed_block<block_q4_1> {
  static constexpr std::size_t blocks = 2, bytes = 640;
  lanes_of<f16> d[2], m[2];
  unit qs[2][4];
};

// Bit j of byte i of qh is the fifth bit of column 4 j + i.
template <>
struct packed_block<block_q5_0> {
  static constexpr std::size_t blocks = 2, bytes = 704;
  lanes_of<f16> d[2];
  unit qh[2], qs[2][4];
};

template <>
struct packed_block<block_q5_1> {
  static constexpr std::size_t blocks = 2, bytes = 768;
  lanes_of<f16> d[2], m[2];
  unit qh[2], qs[2][4];
};

template <>
struct packed_block<block_q2_k> {
  static constexpr std::size_t blocks = 1, bytes = 1344;
  lanes_of<f16> d, dmin;
  lanes_of<std::uint8_t> scales[16];
  unit qs[16];
};

// Four bits of scales 2 i and 2 i + 1 in scales_low[i], two bits of scales 4 i
// to 4 i + 3 in scales_high[i], the first lowest.
template <>
struct packed_block<block_q3_k> {
  static constexpr std::size_t blocks = 1, bytes = 1792;
  lanes_of<f16> d, zero;
  lanes_of<std::uint8_t> scales_low[8], scales_high[4];
  unit hmask[8], qs[16];
};

// Sub-block s: four bits of its scale, then four of its min, in scales_low[s];
// two and two more in scales_high[s / 2], low nibble for even s.
template <>
struct packed_block<block_q4_k> {
  static constexpr std::size_t blocks = 1, bytes = 2304;
  lanes_of<f16> d, dmin;
  lanes_of<std::uint8_t> scales_low[8], scales_high[4];
  unit qs[32];
};

template <>
struct packed_block<block_q5_k> {
  static constexpr std::size_t blocks = 1, bytes = 2816;
  lanes_of<f16> d, dmin;
  lanes_of<std::uint8_t> scales_low[8], scales_high[4];
  unit qh[8], qs[32];
};

template <>
struct packed_block<block_q6_k> {
  static constexpr std::size_t blocks = 1, bytes = 3392;
  lanes_of<f16> d, zero;
  lanes_of<std::int8_t> scales[16];
  unit qh[16], ql[32];
};

template <>
struct packed_block<block_iq4_xs> {
  static constexpr std::size_t blocks = 1, bytes = 2176;
  lanes_of<f16> d;
  lanes_of<std::uint16_t> scales_h;
  unit scales_l, qs[32];
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_TENSOR_PACKED_BLOCKS_H_
