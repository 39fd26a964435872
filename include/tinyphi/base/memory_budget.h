// SPDX-License-Identifier: MIT
// One budget for all memory that grows with a model, a cache or a request, and
// the leases by which parts of it are held.
#ifndef TINYPHI_BASE_MEMORY_BUDGET_H_
#define TINYPHI_BASE_MEMORY_BUDGET_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "tinyphi/base/error.h"

TINYPHI_NAMESPACE_BEGIN

// What memory is for.
enum class memory_use : std::uint8_t {
  weights,  // of models
  cache,    // pages of keys and values
  scratch,  // buffers of forward passes
  requests  // samplers, draft sources, prompts and answers
};
inline constexpr std::size_t n_memory_uses = 4;
[[nodiscard]] constexpr std::string_view to_string(memory_use use) {
  constexpr std::string_view names[] = {"weights", "cache", "scratch",
                                        "requests"};
  return names[static_cast<std::size_t>(use)];
}

// Bytes that are leased, by use.
struct memory_usage {
  std::array<std::size_t, n_memory_uses> bytes{};

  [[nodiscard]] std::size_t of(memory_use use) const {
    return bytes[static_cast<std::size_t>(use)];
  }
  [[nodiscard]] std::size_t total() const {
    std::size_t n = 0;
    for (const std::size_t b : bytes) n += b;
    return n;
  }
};

namespace detail {
struct budget_state;  // memory_budget.ipp
}  // namespace detail

// Some bytes of a budget, given back on destruction. It counts; it does not
// allocate. Move-only; one thread at a time, leases of one budget side by side.
// A default one, or one of an empty budget, counts nothing and always grows.
class memory_lease {
 public:
  memory_lease() = default;
  memory_lease(memory_lease&& other) noexcept
      : budget_(std::move(other.budget_)),
        use_(other.use_),
        bytes_(std::exchange(other.bytes_, 0)) {}
  memory_lease& operator=(memory_lease&& other) noexcept;
  ~memory_lease();

  // Grows or shrinks to `bytes`. Shrinking cannot fail and asks for no memory;
  // an error (limit) leaves the lease as it was, and says that `what` was to
  // have the memory, who has it now, and what to do.
  [[nodiscard]] result<void> resize(std::size_t bytes, std::string_view what);
  // Gives all back; it may grow again.
  void release() noexcept;

  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  friend class memory_budget;
  memory_lease(std::shared_ptr<detail::budget_state> budget, memory_use use)
      : budget_(std::move(budget)), use_(use) {}

  std::shared_ptr<detail::budget_state> budget_;
  memory_use use_ = memory_use::requests;
  std::size_t bytes_ = 0;
};

// A shared handle: copies are the same budget. All members may be called from
// any thread. A default one is empty: no budget, whose leases count nothing.
class memory_budget {
 public:
  memory_budget() = default;
  // limit: bytes that all leases may come to together; 0: as many as they like,
  // counted all the same. Throws std::bad_alloc.
  explicit memory_budget(std::size_t limit);

  explicit operator bool() const { return state_ != nullptr; }
  [[nodiscard]] std::size_t limit() const;
  // What is leased beyond a lower limit stays; nothing grows until enough of it
  // came back. An empty budget has no limit to set.
  void set_limit(std::size_t limit) const;
  [[nodiscard]] memory_usage usage() const;

  // A lease of `bytes` for `what` ("the weights of phi.gguf"). Errors as those
  // of memory_lease::resize.
  [[nodiscard]] result<memory_lease> take(memory_use use, std::size_t bytes,
                                          std::string_view what) const;
  // A lease of nothing, to grow later.
  [[nodiscard]] memory_lease lease(memory_use use) const {
    return {state_, use};
  }

 private:
  std::shared_ptr<detail::budget_state> state_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/base/memory_budget.ipp"
#endif

#endif  // TINYPHI_BASE_MEMORY_BUDGET_H_
