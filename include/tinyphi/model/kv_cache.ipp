// SPDX-License-Identifier: MIT
#ifndef TINYPHI_MODEL_KV_CACHE_IPP_
#define TINYPHI_MODEL_KV_CACHE_IPP_

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "tinyphi/model/kv_cache.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC std::size_t kv_bytes_per_token(const model_config& config,
                                            kv_type type) {
  return std::size_t{config.n_layers} * config.n_kv_heads *
         (kv_head_bytes(type, config.head_dim) / page_tokens);
}

TINYPHI_FUNC std::size_t most_kv_pages(const model_config& config,
                                       std::size_t length, std::size_t step) {
  const std::size_t all = n_pages(length);
  if (config.window == 0) return all;
  return std::min(all, n_pages(config.window + step) + 1);
}

TINYPHI_FUNC kv_page::kv_page(const kv_page& other) noexcept
    : pool_(other.pool_), index_(other.index_) {
  if (pool_ != nullptr) ++pool_->counts_[index_];
}
TINYPHI_FUNC kv_page::~kv_page() {
  if (pool_ != nullptr) pool_->release(index_);
}
TINYPHI_FUNC std::byte* kv_page::data() const {
  return pool_ == nullptr ? nullptr : pool_->storage_[index_].data();
}
TINYPHI_FUNC bool kv_page::shared() const {
  return pool_ != nullptr && pool_->counts_[index_] > 1;
}

TINYPHI_FUNC kv_pool::kv_pool(const model_config& config, kv_type type,
                              std::size_t max_bytes,
                              const memory_budget& memory)
    : type_(type),
      page_bytes_(kv_bytes_per_token(config, type) * page_tokens),
      max_pages_(max_bytes / page_bytes_),
      memory_(memory.lease(memory_use::cache)) {
  // Room for the pages of most machines, 64 to 400 KB each: taking one then
  // asks for nothing but the page.
  const std::size_t most = std::min<std::size_t>(max_pages_, 4096);
  storage_.reserve(most);
  counts_.reserve(most);
  free_.reserve(most);
  bare_.reserve(most);
}

// Takes memory for one more page.
TINYPHI_FUNC result<void> kv_pool::add_page() {
  const bool is_new = bare_.empty();
  if (is_new && storage_.size() >= max_pages_) {
    return error{error_code::limit,
                 "the cache budget of " +
                     std::to_string(max_pages_ * page_bytes_) + " bytes (" +
                     std::to_string(max_pages_ * page_tokens) +
                     " tokens) is spent; ask for fewer tokens or give the "
                     "engine more kv_bytes"};
  }
  // Room for all pages, so that release() and trim() never ask for memory.
  if (is_new && free_.capacity() <= storage_.size()) {
    const std::size_t more = 2 * storage_.size() + 1;
    free_.reserve(more);
    bare_.reserve(more);
    counts_.reserve(more);
    storage_.reserve(more);
  }
  const std::size_t before = memory_.bytes();
  TINYPHI_CHECK_OK(memory_.resize(before + page_bytes_, "a page of the cache"));
  auto page = aligned_array<std::byte>::create(page_bytes_);
  if (!page) {
    (void)memory_.resize(before, {});
    return std::move(page).error();
  }
  if (is_new) {
    free_.push_back(static_cast<std::uint32_t>(storage_.size()));
    storage_.push_back(*std::move(page));
    counts_.push_back(0);
  } else {
    free_.push_back(bare_.back());
    bare_.pop_back();
    storage_[free_.back()] = *std::move(page);
  }
  return {};
}

TINYPHI_FUNC void kv_pool::trim() {
  for (const std::uint32_t index : free_) {
    storage_[index] = {};
    bare_.push_back(index);
  }
  (void)memory_.resize(memory_.bytes() - free_.size() * page_bytes_, {});
  free_.clear();
}

TINYPHI_FUNC result<kv_page> kv_pool::acquire() {
  while (free_.empty()) {
    auto added = add_page();
    if (added) break;
    if (!reclaim_ || !reclaim_()) return std::move(added).error();
  }
  const std::uint32_t index = free_.back();
  free_.pop_back();
  counts_[index] = 1;
  ++in_use_;
  return kv_page(this, index);
}

TINYPHI_FUNC void kv_pool::release(std::uint32_t index) {
  if (--counts_[index] > 0) return;
  free_.push_back(index);
  --in_use_;
}

TINYPHI_FUNC kv_sequence::kv_sequence(kv_pool& pool, const model_config& config)
    : pool_(&pool),
      window_(config.window),
      head_dim_(config.head_dim),
      n_kv_heads_(config.n_kv_heads) {}

TINYPHI_FUNC kv_sequence::kv_sequence(kv_sequence&& other) noexcept {
  *this = std::move(other);
}

TINYPHI_FUNC kv_sequence& kv_sequence::operator=(kv_sequence&& other) noexcept {
  std::swap(pool_, other.pool_);
  std::swap(window_, other.window_);
  std::swap(head_dim_, other.head_dim_);
  std::swap(n_kv_heads_, other.n_kv_heads_);
  std::swap(length_, other.length_);
  std::swap(first_page_, other.first_page_);
  std::swap(pages_, other.pages_);
  std::swap(data_, other.data_);
  return *this;
}

TINYPHI_FUNC void kv_sequence::clear() {
  pages_.clear();
  data_.clear();
  first_page_ = 0;
  length_ = 0;
}

TINYPHI_FUNC void kv_sequence::set_page(std::size_t i, kv_page page) {
  data_[i] = page.data();
  pages_[i] = std::move(page);
}

TINYPHI_FUNC void kv_sequence::expect(std::size_t length) {
  pages_.reserve(n_pages(length));
  data_.reserve(n_pages(length));
}

TINYPHI_FUNC std::size_t kv_sequence::pages_to_reserve(
    std::size_t length) const {
  const std::size_t first = length_ / page_tokens;  // that is written to
  const bool copies =
      length > length_ && first < pages_.size() && pages_[first].shared();
  return std::max(n_pages(length), pages_.size()) - pages_.size() + copies;
}

TINYPHI_FUNC result<void> kv_sequence::reserve(std::size_t length) {
  TINYPHI_ASSERT(length >= length_);
  const std::size_t had = pages_.size();
  const std::size_t first = length_ / page_tokens;  // that is written to
  kv_page own;
  if (length > length_ && first < had && pages_[first].shared()) {
    TINYPHI_TRY(own, pool_->acquire());
  }
  if (n_pages(length) > std::min(pages_.capacity(), data_.capacity())) {
    expect(2 * length);
  }
  while (pages_.size() < n_pages(length)) {
    auto page = pool_->acquire();
    if (!page) {
      pages_.resize(had);
      data_.resize(had);
      return std::move(page).error();
    }
    data_.push_back(page->data());
    pages_.push_back(*std::move(page));
  }
  if (own) {
    std::memcpy(own.data(), data_[first], pool_->page_bytes());
    set_page(first, std::move(own));
  }
  return {};
}

TINYPHI_FUNC std::size_t kv_sequence::first_page_seen(
    std::size_t length) const {
  return tinyphi::first_page_seen(length, window_);
}

TINYPHI_FUNC void kv_sequence::drop_unseen() {
  const std::size_t keep = std::min(first_page_seen(length_), pages_.size());
  for (; first_page_ < keep; ++first_page_) set_page(first_page_, {});
}

TINYPHI_FUNC void kv_sequence::commit(std::size_t length) {
  TINYPHI_ASSERT(length >= length_ && length <= pages_.size() * page_tokens);
  length_ = length;
  drop_unseen();
}

TINYPHI_FUNC result<void> kv_sequence::truncate(std::size_t length) {
  TINYPHI_ASSERT(length <= length_);
  if (length > 0 && first_page_seen(length) < first_page_) {
    return error{error_code::invalid_argument,
                 "a sequence of " + std::to_string(length_) +
                     " tokens cannot go back to " + std::to_string(length) +
                     ": the keys that this position sees have left the window"};
  }
  if (length == 0) {
    clear();
    return {};
  }
  length_ = length;
  pages_.resize(n_pages(length));
  data_.resize(n_pages(length));
  return {};
}

TINYPHI_FUNC kv_sequence kv_sequence::fork() const {
  kv_sequence twin;
  twin.pool_ = pool_;
  twin.window_ = window_;
  twin.head_dim_ = head_dim_;
  twin.n_kv_heads_ = n_kv_heads_;
  twin.adopt(std::span(pages_).first(n_pages(length_)), length_);
  return twin;
}

TINYPHI_FUNC void kv_sequence::adopt(std::span<const kv_page> pages,
                                     std::size_t length) {
  TINYPHI_ASSERT(pages_.empty() && pages.size() == n_pages(length));
  pages_.assign(pages.begin(), pages.end());
  data_.resize(pages_.size());
  for (std::size_t i = 0; i < pages_.size(); ++i) data_[i] = pages_[i].data();
  length_ = length;
  first_page_ = 0;
  drop_unseen();
}

TINYPHI_FUNC kv_view kv_sequence::view(std::size_t layer,
                                       std::size_t kv_head) const {
  const std::size_t index = layer * n_kv_heads_ + kv_head;
  return {data_.data(), index * kv_head_bytes(pool_->type(), head_dim_),
          head_dim_, pool_->type()};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_MODEL_KV_CACHE_IPP_
