// SPDX-License-Identifier: MIT
#include "support/allocations.h"

#include <cstdlib>
#include <new>

namespace {

thread_local std::size_t n_given = 0;
thread_local std::size_t refused_bytes = 0;

void* give(std::size_t n) {
  if (n == refused_bytes && n > 0) return nullptr;
  ++n_given;
  return std::malloc(n);
}

}  // namespace

std::size_t tinyphi_test::n_allocations() { return n_given; }

void tinyphi_test::refuse_allocations_of(std::size_t bytes) {
  refused_bytes = bytes;
}

void* operator new(std::size_t n) {
  void* p = give(n);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
// AddressSanitizer's own would not match the delete below.
void* operator new(std::size_t n, const std::nothrow_t&) noexcept {
  return give(n);
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
