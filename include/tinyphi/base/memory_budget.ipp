// SPDX-License-Identifier: MIT
#ifndef TINYPHI_BASE_MEMORY_BUDGET_IPP_
#define TINYPHI_BASE_MEMORY_BUDGET_IPP_

#include <mutex>
#include <string>

#include "tinyphi/base/memory_budget.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

struct budget_state {
  std::mutex mutex;  // of what follows
  std::size_t limit = 0;
  memory_usage used = {};
};

inline error budget_is_spent(std::size_t limit, const memory_usage& used,
                             std::size_t more, std::string_view what) {
  std::string takers;
  for (std::size_t i = 0; i < n_memory_uses; ++i) {
    takers += (i == 0 ? "" : ", ") +
              std::string(to_string(static_cast<memory_use>(i))) + " " +
              std::to_string(used.bytes[i]);
  }
  return {error_code::limit,
          std::to_string(more) + " bytes more for " + std::string(what) +
              " do not fit the memory budget of " + std::to_string(limit) +
              " bytes, of which are taken: " + takers +
              "; give it more, or ask for less at a time"};
}

}  // namespace detail

TINYPHI_FUNC memory_lease& memory_lease::operator=(
    memory_lease&& other) noexcept {
  if (this == &other) return *this;
  release();
  budget_ = std::move(other.budget_);
  use_ = other.use_;
  bytes_ = std::exchange(other.bytes_, 0);
  return *this;
}
TINYPHI_FUNC memory_lease::~memory_lease() { release(); }

TINYPHI_FUNC void memory_lease::release() noexcept {
  if (bytes_ > 0) (void)resize(0, {});
}

TINYPHI_FUNC result<void> memory_lease::resize(std::size_t bytes,
                                               std::string_view what) {
  if (budget_ == nullptr || bytes == bytes_) return {};
  memory_usage used;
  std::size_t limit = 0;
  {
    const std::lock_guard lock(budget_->mutex);
    used = budget_->used;
    limit = budget_->limit;
    const std::size_t others = used.total() - bytes_;
    if (bytes < bytes_ || limit == 0 ||
        (others <= limit && bytes <= limit - others)) {
      std::size_t& n = budget_->used.bytes[static_cast<std::size_t>(use_)];
      n = n - bytes_ + bytes;
      bytes_ = bytes;
      return {};
    }
  }
  return detail::budget_is_spent(limit, used, bytes - bytes_, what);
}

TINYPHI_FUNC memory_budget::memory_budget(std::size_t limit)
    : state_(std::make_shared<detail::budget_state>()) {
  state_->limit = limit;
}

TINYPHI_FUNC std::size_t memory_budget::limit() const {
  if (state_ == nullptr) return 0;
  const std::lock_guard lock(state_->mutex);
  return state_->limit;
}

TINYPHI_FUNC void memory_budget::set_limit(std::size_t limit) const {
  if (state_ == nullptr) return;
  const std::lock_guard lock(state_->mutex);
  state_->limit = limit;
}

TINYPHI_FUNC memory_usage memory_budget::usage() const {
  if (state_ == nullptr) return {};
  const std::lock_guard lock(state_->mutex);
  return state_->used;
}

TINYPHI_FUNC result<memory_lease> memory_budget::take(
    memory_use use, std::size_t bytes, std::string_view what) const {
  memory_lease all = lease(use);
  TINYPHI_CHECK_OK(all.resize(bytes, what));
  return all;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_BASE_MEMORY_BUDGET_IPP_
