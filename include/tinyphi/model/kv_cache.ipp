// SPDX-License-Identifier: MIT
#ifndef TINYPHI_MODEL_KV_CACHE_IPP_
#define TINYPHI_MODEL_KV_CACHE_IPP_

#include <algorithm>
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

TINYPHI_FUNC kv_pool::kv_pool(const model_config& config, kv_type type,
                              std::size_t max_bytes)
    : type_(type),
      page_bytes_(kv_bytes_per_token(config, type) * page_tokens),
      max_pages_(max_bytes / page_bytes_) {}

TINYPHI_FUNC result<std::byte*> kv_pool::acquire() {
  if (!free_.empty()) {
    std::byte* page = free_.back();
    free_.pop_back();
    ++in_use_;
    return page;
  }
  if (storage_.size() == max_pages_) {
    return error{error_code::limit,
                 "the cache budget of " +
                     std::to_string(max_pages_ * page_bytes_) + " bytes (" +
                     std::to_string(max_pages_ * page_tokens) +
                     " tokens) is spent; ask for fewer tokens or give the "
                     "engine more kv_bytes"};
  }
  TINYPHI_TRY(auto page, aligned_array<std::byte>::create(page_bytes_));
  // Room for all pages, so that release() never asks for memory.
  if (free_.capacity() <= storage_.size()) {
    free_.reserve(2 * storage_.size() + 1);
  }
  storage_.push_back(std::move(page));
  ++in_use_;
  return storage_.back().data();
}

TINYPHI_FUNC void kv_pool::release(std::byte* page) {
  free_.push_back(page);
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
  return *this;
}

TINYPHI_FUNC kv_sequence::~kv_sequence() { clear(); }

TINYPHI_FUNC void kv_sequence::clear() {
  for (std::byte* page : pages_) {
    if (page != nullptr) pool_->release(page);
  }
  pages_.clear();
  first_page_ = 0;
  length_ = 0;
}

TINYPHI_FUNC result<void> kv_sequence::reserve(std::size_t length) {
  const std::size_t had = pages_.size();
  pages_.reserve(n_pages(length));
  while (pages_.size() * page_tokens < length) {
    auto page = pool_->acquire();
    if (!page) {
      while (pages_.size() > had) {
        pool_->release(pages_.back());
        pages_.pop_back();
      }
      return std::move(page).error();
    }
    pages_.push_back(*page);
  }
  return {};
}

TINYPHI_FUNC void kv_sequence::advance(std::size_t length) {
  TINYPHI_ASSERT(length >= length_ && length <= pages_.size() * page_tokens);
  length_ = length;
  if (window_ == 0 || length_ + 1 <= window_) return;
  // The next query, at position length_, sees [length_ + 1 - window_, length_].
  const std::size_t keep = (length_ + 1 - window_) / page_tokens;
  for (; first_page_ < std::min(keep, pages_.size()); ++first_page_) {
    pool_->release(pages_[first_page_]);
    pages_[first_page_] = nullptr;
  }
}

TINYPHI_FUNC kv_view kv_sequence::view(std::size_t layer,
                                       std::size_t kv_head) const {
  const std::size_t index = layer * n_kv_heads_ + kv_head;
  return {pages_.data(), index * kv_head_bytes(pool_->type(), head_dim_),
          head_dim_, pool_->type()};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_MODEL_KV_CACHE_IPP_
