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
// [layer][kv_head]{ K [head_dim][16], V [16][head_dim] }. Memory is taken from
// the system page by page, up to the budget, and given back with the pool.
// Not thread-safe: the engine's driver owns it.
class kv_pool {
 public:
  // type: f32 or f16. max_bytes: the budget.
  kv_pool(const model_config& config, dtype type, std::size_t max_bytes);

  [[nodiscard]] dtype type() const { return type_; }
  [[nodiscard]] std::size_t page_bytes() const { return page_bytes_; }
  [[nodiscard]] std::size_t max_pages() const { return max_pages_; }
  [[nodiscard]] std::size_t pages_in_use() const { return in_use_; }

  // A page to write on; error_code::limit when the budget is spent.
  [[nodiscard]] result<std::byte*> acquire();
  void release(std::byte* page);

 private:
  dtype type_;
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

// Bytes of keys and values per token, all layers.
[[nodiscard]] std::size_t kv_bytes_per_token(const model_config& config,
                                             dtype type);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/model/kv_cache.ipp"
#endif

#endif  // TINYPHI_MODEL_KV_CACHE_H_
