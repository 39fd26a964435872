// SPDX-License-Identifier: MIT
// Keys and values of past tokens: a pool of pages under one budget, counted
// references to them, and a page table per sequence. Sequences share pages; a
// page that others hold is copied before it is written. Pages that leave the
// attention window are let go: that is the ring.
#ifndef TINYPHI_MODEL_KV_CACHE_H_
#define TINYPHI_MODEL_KV_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/base/memory_budget.h"
#include "tinyphi/kernels/kernels.h"
#include "tinyphi/model/model_config.h"

TINYPHI_NAMESPACE_BEGIN

class kv_pool;

// A counted reference to one page; copies refer to the same page, and the last
// one gives it back to the pool, which must outlive them. Like the pool, it
// belongs to one thread at a time.
class kv_page {
 public:
  kv_page() = default;
  kv_page(const kv_page& other) noexcept;
  kv_page(kv_page&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)), index_(other.index_) {}
  kv_page& operator=(kv_page other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(index_, other.index_);
    return *this;
  }
  ~kv_page();

  // True if it refers to a page.
  explicit operator bool() const { return pool_ != nullptr; }
  // The page's bytes; null without a page.
  [[nodiscard]] std::byte* data() const;
  // True if another reference to the same page exists.
  [[nodiscard]] bool shared() const;

  friend bool operator==(const kv_page& a, const kv_page& b) {
    return a.pool_ == b.pool_ && (!a || a.index_ == b.index_);
  }

 private:
  friend class kv_pool;
  kv_page(kv_pool* pool, std::uint32_t index) : pool_(pool), index_(index) {}
  kv_pool* pool_ = nullptr;
  std::uint32_t index_ = 0;
};

// A page holds page_tokens positions of all layers and key/value heads:
// [layer][kv_head] of kv_head_bytes. 64 positions, because a core reads one
// head's part of 12 KiB at 80 % of its bandwidth and 3 KiB at 60 % (Zen 4,
// Phi-3-mini, int8). Memory is taken from the system page by page, up to the
// budget; pages that come back keep it for the next ones until trim(). Not
// thread-safe: the engine's driver owns it.
class kv_pool {
 public:
  // max_bytes: the pool's own budget; each page is taken from `memory`, too.
  kv_pool(const model_config& config, kv_type type, std::size_t max_bytes,
          const memory_budget& memory = {});
  kv_pool(const kv_pool&) = delete;
  kv_pool& operator=(const kv_pool&) = delete;

  [[nodiscard]] kv_type type() const { return type_; }
  [[nodiscard]] std::size_t page_bytes() const { return page_bytes_; }
  [[nodiscard]] std::size_t max_pages() const { return max_pages_; }
  [[nodiscard]] std::size_t pages_in_use() const { return in_use_; }
  [[nodiscard]] std::size_t free_pages() const { return max_pages_ - in_use_; }

  // A page of which the caller holds the only reference; its contents are
  // undefined. error_code::limit when nobody gives a page back and a budget is
  // spent or the system has no memory.
  [[nodiscard]] result<kv_page> acquire();

  // Gives the memory of all pages that nobody uses back to the system.
  void trim();

  // Asked when there is no memory for a page: lets go of at least one page and
  // returns true, or returns false. It may not acquire.
  void set_reclaim(std::function<bool()> reclaim) {
    reclaim_ = std::move(reclaim);
  }

 private:
  friend class kv_page;
  void release(std::uint32_t index);
  [[nodiscard]] result<void> add_page();

  kv_type type_;
  std::size_t page_bytes_;
  std::size_t max_pages_;
  std::size_t in_use_ = 0;
  memory_lease memory_;
  std::vector<aligned_array<std::byte>> storage_;
  std::vector<std::uint32_t> counts_;  // references to each page
  std::vector<std::uint32_t> free_;    // pages with memory that nobody uses
  std::vector<std::uint32_t> bare_;    // those whose memory was given back
  std::function<bool()> reclaim_;
};

// The page table of one sequence. The pool must outlive it. Move-only; fork()
// copies on purpose. A forward pass stores behind length(); what it stored
// counts only once the caller commits it.
class kv_sequence {
 public:
  kv_sequence(kv_pool& pool, const model_config& config);
  kv_sequence(kv_sequence&& other) noexcept;
  kv_sequence& operator=(kv_sequence&& other) noexcept;
  ~kv_sequence() = default;

  // Positions committed so far = the position of the next token.
  [[nodiscard]] std::size_t length() const { return length_; }

  // Makes positions from length() up to `length` writable without committing
  // them: takes pages, and copies the page of position length() if others hold
  // it, too. On an error (limit) the sequence is as before.
  [[nodiscard]] result<void> reserve(std::size_t length);
  // How many pages that takes from the pool.
  [[nodiscard]] std::size_t pages_to_reserve(std::size_t length) const;
  // Room in the table for `length` positions, so that reserve() allocates
  // nothing but pages up to there.
  void expect(std::size_t length);
  // Positions up to `length` count from now on; lets go of pages that the next
  // token's window does not reach.
  void commit(std::size_t length);
  // Goes back to `length` positions. invalid_argument, and no change, where
  // pages that the token at `length` sees have left the window.
  [[nodiscard]] result<void> truncate(std::size_t length);
  // Forgets everything.
  void clear();

  // A sequence of the same committed positions, which shares all pages.
  [[nodiscard]] kv_sequence fork() const;
  // Takes over `length` positions from pages that others hold; the sequence
  // must be empty. pages: n_pages(length); those that the token at `length`
  // does not see may be empty.
  void adopt(std::span<const kv_page> pages, std::size_t length);

  // One for every page_tokens positions, empty where the window has passed.
  // The last may hold uncommitted positions.
  [[nodiscard]] std::span<const kv_page> pages() const { return pages_; }
  // The first page that the token at position `length` sees.
  [[nodiscard]] std::size_t first_page_seen(std::size_t length) const;

  // One layer's and head's view for the kernels.
  [[nodiscard]] kv_view view(std::size_t layer, std::size_t kv_head) const;

 private:
  kv_sequence() = default;
  void drop_unseen();
  void set_page(std::size_t i, kv_page page);

  kv_pool* pool_ = nullptr;
  std::size_t window_ = 0, head_dim_ = 0, n_kv_heads_ = 0;
  std::size_t length_ = 0;
  std::size_t first_page_ = 0;  // pages before this one were let go
  std::vector<kv_page> pages_;
  std::vector<std::byte*> data_;  // of each page, as kernels want them
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

// The first page that the token at position `length` sees: its window (0: none)
// is [length + 1 - window, length].
[[nodiscard]] constexpr std::size_t first_page_seen(std::size_t length,
                                                    std::size_t window) {
  return window == 0 || length + 1 <= window
             ? 0
             : (length + 1 - window) / page_tokens;
}

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/model/kv_cache.ipp"
#endif

#endif  // TINYPHI_MODEL_KV_CACHE_H_
