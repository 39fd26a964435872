// SPDX-License-Identifier: MIT
// Everything that runs per SIMD target: plain functions over pointers and
// ranges, for one core. They know no model and no threads, allocate nothing
// and cannot fail. reference.h holds a scalar twin of each: the specification.
//
// Order of sums: every result element is computed in an order that depends
// only on its own row (and, for attention, on absolute key positions), never on
// how many tokens or rows a call covers. So one row or many, one thread or
// several give the same bits on one target.
#ifndef TINYPHI_KERNELS_KERNELS_H_
#define TINYPHI_KERNELS_KERNELS_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "tinyphi/base/aligned.h"
#include "tinyphi/config.h"
#include "tinyphi/tensor/packed.h"

TINYPHI_NAMESPACE_BEGIN

// ---- Activations of the integer path

// Rounded activations lie in tiles of this many tokens. 2 x 12 accumulators of
// 16 lanes fill AVX-512's registers; narrower targets walk a tile in several
// steps.
inline constexpr std::size_t tile_tokens = 12;
inline constexpr std::size_t group_size = 32;  // columns per scale
inline constexpr std::size_t wide_scale_cols = 128;

// m rows of activations, rounded to int8 per group of 32 columns, or with the
// same scale for the four groups of 128 columns (fewer at the end of a row):
// products are then faster and less exact, see matmul_q8. Tile i holds
// tokens [12 i, 12 i + n) with n = 12, or what is left in the last tile:
//   q     per tile [cols/4][n][4] int8
//   scale per tile [cols/32][n]   f32: x = scale * q, scale = max|x| / 127
//   sum   per tile [cols/32][n]   int32: sum of the q that share the scale
//   half_sum likewise             int32: sum of the group's first 16 q
// Tile i starts at token offset 12 i times cols (q) or cols/32 (the others).
struct q8_activations {
  std::size_t m = 0;
  std::size_t cols = 0;                 // multiple of 32
  std::int8_t* q = nullptr;             // m * cols
  float* scale = nullptr;               // m * cols / 32
  std::int32_t* sum = nullptr;          // m * cols / 32
  std::int32_t* half_sum = nullptr;     // m * cols / 32
  std::size_t scale_cols = group_size;  // or wide_scale_cols

  // Tokens [begin, end): whole tiles, but for the last.
  [[nodiscard]] q8_activations tokens(std::size_t begin,
                                      std::size_t end) const {
    const std::size_t groups = begin * (cols / group_size);
    return {end - begin,    cols,         q + begin * cols,
            scale + groups, sum + groups, half_sum + groups,
            scale_cols};
  }
};

// Rounds n columns of a token, from `column` on, which share no scale with
// others: whole groups.
void quantize_q8(const float* x, std::size_t n, const q8_activations& out,
                 std::size_t token, std::size_t column);

// Where kernels write a token's columns: as f32, rounded, or both. Rounded are
// whole groups, from `column` on.
struct activation_row {
  float* f32 = nullptr;                // or null
  const q8_activations* q8 = nullptr;  // or null
  std::size_t token = 0, column = 0;   // in q8
};

// ---- Matrix products: out[t][r] = sum_k w[r][k] x[t][k]

// Where products go. Rows count from the first of the strips asked for:
//   out[t * stride + r] = product + bias[r], or += where it adds
struct product_rows {
  float* out = nullptr;
  std::size_t stride = 0;
  const float* bias = nullptr;  // or null
  bool add = false;
};

// Rows of strips [strip_begin, strip_end), all m tokens. Rows past w.rows are
// not written. w: any type; x f32.
void matmul_f32(const packed_matrix& w, std::size_t strip_begin,
                std::size_t strip_end, const float* x, std::size_t x_stride,
                std::size_t m, const product_rows& out);

// The same with integer dot products, exact inside each group of columns that
// share a scale; group sums are scaled and added in f32 in order of k. w: any
// quantized type.
//
// Where activations have wide scales, weights are rounded likewise, to
// int8 with one scale per row and 128 columns, largest magnitude / 127:
//   level = floor((stored level * f - m + 128) / 256)
// with f and m the stored scale and min times 256 / scale, rounded. It pays
// from about 64 tokens on.
void matmul_q8(const packed_matrix& w, std::size_t strip_begin,
               std::size_t strip_end, const q8_activations& x,
               const product_rows& out);

// ---- Norms, positions, activations; in and out may be the same, for norms
// where they write whole rows

// Columns [begin, end) of a row.
struct column_range {
  std::size_t begin = 0, end = 0;
};

// out = columns of x / sqrt(mean(x^2) + eps) * weight, where x has n
void rms_norm(const float* x, const float* weight, float eps, std::size_t n,
              column_range columns, const activation_row& out);
// out = columns of (x - mean) / sqrt(variance + eps) * weight + bias
void layer_norm(const float* x, const float* weight, const float* bias,
                float eps, std::size_t n, column_range columns,
                const activation_row& out);
// NeoX-style rotation of the first 2 * half elements of one head in place:
// (x[i], x[i + half]) by angle i, cos and sin hold `half` values each.
void rope(float* x, const float* cos, const float* sin, std::size_t half);
// out[i] = up[i] * gate[i] / (1 + exp(-gate[i]))
void swiglu(const float* gate, const float* up, std::size_t n,
            const activation_row& out);
// Phi-3-small (its modeling_phi3_small.py). x holds 2 n values: even ones a,
// odd ones b; a clipped from above to limit, b to [-limit, limit], infinities
// pass; out[i] = a / (1 + exp(-1.702 a)) * (b + 1). out must not overlap x.
void gegelu(const float* x, float limit, std::size_t n,
            const activation_row& out);

// ---- Attention over paged keys and values

inline constexpr std::size_t page_tokens = 64;

// How many pages hold so many tokens.
[[nodiscard]] constexpr std::size_t n_pages(std::size_t n_tokens) {
  return n_tokens / page_tokens + (n_tokens % page_tokens != 0);
}
inline constexpr std::size_t max_head_dim = 1024;

// How cached keys and values are stored. int8, and int8_int4 where values have
// four bits: one f32 scale per position and head, of the key's and of the
// value's largest magnitude.
enum class kv_type : std::uint8_t { f32, f16, int8, int8_int4 };
inline constexpr kv_type kv_types[] = {kv_type::f32, kv_type::f16,
                                       kv_type::int8, kv_type::int8_int4};

[[nodiscard]] constexpr std::string_view to_string(kv_type type) {
  constexpr std::string_view names[] = {"f32", "f16", "int8", "int8-int4"};
  return names[static_cast<std::size_t>(type)];
}
[[nodiscard]] constexpr std::optional<kv_type> parse_kv_type(
    std::string_view name) {
  for (const kv_type type : kv_types) {
    if (to_string(type) == name) return type;
  }
  return std::nullopt;
}
[[nodiscard]] constexpr bool has_int8_keys(kv_type type) {
  return type == kv_type::int8 || type == kv_type::int8_int4;
}

// Rows of values end on a multiple of 16 elements.
[[nodiscard]] constexpr std::size_t kv_padded(std::size_t head_dim) {
  return round_up(head_dim, 16);
}

// Columns of int8_int4's values: two that are 16 apart share a byte.
[[nodiscard]] constexpr std::size_t kv_paired(std::size_t head_dim) {
  return round_up(head_dim, 32) / 2;
}

// Bytes that one head's keys and scales take in a page, behind which its values
// begin, and bytes that all of it takes; multiples of 64.
//   f32, f16:  K [head_dim][64], V [64][padded]
//   int8:      K [padded / 4][64][4], f32 scales of K [64] and V [64],
//              V [16][padded][4], four positions side by side; bytes hold the
//              value + 128
//   int8_int4: the same, but V [16][paired][4], where columns 32 i + j and
//              32 i + 16 + j are the low and the high half of byte 16 i + j;
//              they hold the value + 8
[[nodiscard]] constexpr std::size_t kv_key_bytes(kv_type type,
                                                 std::size_t head_dim) {
  if (has_int8_keys(type)) return page_tokens * (kv_padded(head_dim) + 8);
  return page_tokens * head_dim * (type == kv_type::f32 ? 4 : 2);
}
[[nodiscard]] constexpr std::size_t kv_head_bytes(kv_type type,
                                                  std::size_t head_dim) {
  const std::size_t padded = kv_padded(head_dim);
  const std::size_t value = type == kv_type::f32    ? 4 * padded
                            : type == kv_type::f16  ? 2 * padded
                            : type == kv_type::int8 ? padded
                                                    : kv_paired(head_dim);
  return kv_key_bytes(type, head_dim) + page_tokens * value;
}

// One key/value head's part of every page: position p is slot p % 64 of page
// p / 64, whose part starts at pages[p / 64] + offset, on a cache line. Slots
// that nobody stored may hold anything.
struct kv_view {
  std::byte* const* pages = nullptr;
  std::size_t offset = 0;    // bytes
  std::size_t head_dim = 0;  // up to max_head_dim
  kv_type type = kv_type::f32;
};

// Stores one position's key and value ([head_dim] each).
void store_kv(const kv_view& kv, std::size_t position, const float* k,
              const float* v);

struct key_range {
  std::uint32_t begin = 0, end = 0;  // positions [begin, end)
};

// One query and the positions that it sees: ascending, disjoint ranges.
struct attention_row {
  const float* q = nullptr;  // [head_dim]
  float* out = nullptr;      // [head_dim]
  const key_range* ranges = nullptr;
  std::size_t n_ranges = 0;
};

// What the softmax of a row has come to: out is sum_p e^(score[p] - max) V[p],
// to be divided by total; total 0 if the row saw nothing.
struct softmax_sums {
  float max = -std::numeric_limits<float>::infinity(), total = 0;
};

// The softmax runs online in f32 over spans of this many positions at its
// multiples; the spans' results are merged in order.
inline constexpr std::size_t span_tokens = 512;

// out = softmax_p(scale * q . K[p]) V over the positions that each row sees, at
// least one; neighbouring rows that see the same share loads. Pages that no row
// sees may be null. With keys in int8, queries are rounded to int8, and the
// softmax's weights to 1/16256 of the largest in their page.
//
// With `sums`, rows see positions of one span only, perhaps none, and out and
// sums are what merge_attention takes.
void attend(const kv_view& kv, float scale, const attention_row* rows,
            std::size_t n_rows, softmax_sums* sums = nullptr);

// out = what attend would make of all spans of one row. parts: [n][head_dim] of
// ascending spans.
void merge_attention(const float* parts, const softmax_sums* sums,
                     std::size_t n, std::size_t head_dim, float* out);

// ---- What the machine can do at best (bench/, `tinyphi bench`)

// Ways to read memory; which is the fastest depends on the CPU.
enum class read_order { four_streams, four_prefetched, one_prefetched };
inline constexpr read_order all_read_orders[] = {read_order::four_streams,
                                                 read_order::four_prefetched,
                                                 read_order::one_prefetched};
// Reads n bytes but for up to 255 at the end. Returns a value that depends
// on them. Time it for the read bandwidth of a core.
[[nodiscard]] std::uint64_t probe_read(const std::byte* data, std::size_t n,
                                       read_order order);
// `rounds` rounds of independent integer dot products with operands in L1, or
// of fused multiply-adds in registers; returns how many multiply-accumulates
// that were. *sink goes in and comes out changed, so that nothing can be left
// out.
[[nodiscard]] std::uint64_t probe_dot_product(std::size_t rounds,
                                              std::int32_t* sink);
[[nodiscard]] std::uint64_t probe_fma(std::size_t rounds, float* sink);

// ---- Targets

// The SIMD target that the kernels run on, e.g. "AVX2", or "AVX2+VNNI" with
// AVX-VNNI for the integer kernels.
[[nodiscard]] const char* kernel_target();
// For tests: the targets this CPU can run, as numbers for a switch to one of
// them (0: the best again). Process-wide, not thread-safe.
[[nodiscard]] std::vector<std::int64_t> kernel_targets();
void force_kernel_target(std::int64_t target);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/kernels/kernels.ipp"
#endif

#endif  // TINYPHI_KERNELS_KERNELS_H_
