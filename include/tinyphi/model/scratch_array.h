// SPDX-License-Identifier: MIT
// An array for the buffers of forward passes, whose bytes a budget counts.
#ifndef TINYPHI_MODEL_SCRATCH_ARRAY_H_
#define TINYPHI_MODEL_SCRATCH_ARRAY_H_

#include <cstddef>
#include <span>
#include <utility>

#include "tinyphi/base/aligned.h"
#include "tinyphi/base/error.h"
#include "tinyphi/base/memory_budget.h"

TINYPHI_NAMESPACE_BEGIN

// Memory that is kept from pass to pass, and counted.
template <class T>
class scratch_array {
 public:
  explicit scratch_array(const memory_budget& budget = {})
      : memory_(budget.lease(memory_use::scratch)) {}

  // Contents are undefined after it has grown. On an error (limit) it is as
  // before, or empty.
  [[nodiscard]] result<void> grow(std::size_t n) {
    if (data_.size() >= n) return {};
    TINYPHI_CHECK_OK(memory_.resize(n * sizeof(T), "the buffers of a step"));
    data_ = aligned_array<T>();  // let go before asking for more
    auto more = aligned_array<T>::create(n);
    if (!more) {
      memory_.release();
      return std::move(more).error();
    }
    data_ = *std::move(more);
    return {};
  }
  [[nodiscard]] T* data() { return data_.data(); }
  [[nodiscard]] const T* data() const { return data_.data(); }
  [[nodiscard]] std::span<const T> span() const { return data_.span(); }

 private:
  aligned_array<T> data_;
  memory_lease memory_;
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_MODEL_SCRATCH_ARRAY_H_
