// SPDX-License-Identifier: MIT
// Keys and values of past tokens: a pool of pages under one budget, and a page
// table per sequence. Pages that leave the attention window go back to the
// pool: that is the ring.
#ifndef TINYPHI_MODEL_KV_CACHE_H_
#define TINYPHI_MODEL_KV_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/kernels/kernels.h"
#include "tinyphi/model/model_config.h"

TINYPHI_NAMESPACE_BEGIN

// A page holds page_tokens positions of all layers and key/value heads:
// [layer][kv_head] of kv_head_bytes. 64 positions, because a core reads one
// head's part of 12 KiB at 80 % of its bandwidth and 3 KiB at 60 % (Zen 4,
// Phi-3-mini, int8). Memory is taken from the system page by page, up to the
// budget, and given back with the pool. Not thread-safe: the engine's driver
// owns it.
class kv_pool {
 public:
  // max_bytes: the budget.
  kv_pool(const model_config& config, kv_type type, std::size_t max_bytes);

  [[nodiscard]] kv_type type() const { return type_; }
  [[nodiscard]] std::size_t page_bytes() const { return page_bytes_; }
  [[nodiscard]] std::size_t max_pages() const { return max_pages_; }
  [[nodiscard]] std::size_t pages_in_use() const { return in_use_; }

  // A page to write on; error_code::limit when the budget is spent.
  [[nodiscard]] result<std::byte*> acquire();
  void release(std::byte* page);

 private:
  kv_type type_;
  std::size_t page_bytes_;
  std::size_t max_pages_;
  std::size_t in_use_ = 0;
  std::vector<aligned_array<std::byte>> storage_;
  std::vector<std::byte*> free_;
};

// The page table of one sequence; gives its pages back when destroyed. The
// pool must outlive it. Move-only.
class kv_sequence {
 public:
  kv_sequence(kv_pool& pool, const model_config& config);
  kv_sequence(kv_sequence&& other) noexcept;
  kv_sequence& operator=(kv_sequence&& other) noexcept;
  ~kv_sequence();

  // Positions stored so far = the position of the next token.
  [[nodiscard]] std::size_t length() const { return length_; }

  // Makes room for positions up to `length` without storing them. On an error
  // (budget) the sequence is as before.
  [[nodiscard]] result<void> reserve(std::size_t length);
  // Positions up to `length` are stored now; drops pages behind the window.
  void advance(std::size_t length);
  // Forgets everything.
  void clear();

  // One layer's and head's view for the kernels.
  [[nodiscard]] kv_view view(std::size_t layer, std::size_t kv_head) const;

 private:
  kv_pool* pool_ = nullptr;
  std::size_t window_ = 0, head_dim_ = 0, n_kv_heads_ = 0;
  std::size_t length_ = 0;
  std::size_t first_page_ = 0;     // pages before this one were dropped
  std::vector<std::byte*> pages_;  // null where dropped
};

// What the cache holds unless asked otherwise: f32 for exact models, else int8.
// That adds 5.1e-5 of KL per token, where Q4_0 weights add 1.6e-2 and int8
// activations 1.6e-4 (demo model).
[[nodiscard]] constexpr kv_type default_kv_type(bool exact) {
  return exact ? kv_type::f32 : kv_type::int8;
}

// Bytes of keys and values per token, all layers; the cache grows by whole
// pages of page_tokens.
[[nodiscard]] std::size_t kv_bytes_per_token(const model_config& config,
                                             kv_type type);

// The most pages that a sequence of `length` tokens ever holds when it grows by
// at most `step` tokens at once: with a window, those behind it go back after
// every step.
[[nodiscard]] std::size_t most_kv_pages(const model_config& config,
                                        std::size_t length, std::size_t step);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/model/kv_cache.ipp"
#endif

#endif  // TINYPHI_MODEL_KV_CACHE_H_
