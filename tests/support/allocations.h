// SPDX-License-Identifier: MIT
// Counts and refuses what operator new is asked for, in test programs that link
// allocations.cpp. What is over-aligned goes elsewhere.
#ifndef TESTS_SUPPORT_ALLOCATIONS_H_
#define TESTS_SUPPORT_ALLOCATIONS_H_

#include <cstddef>

namespace tinyphi_test {

// How often the calling thread has been given memory.
std::size_t n_allocations();

// The calling thread cannot have exactly so many bytes at once; 0: it has all.
void refuse_allocations_of(std::size_t bytes);

}  // namespace tinyphi_test

#endif  // TESTS_SUPPORT_ALLOCATIONS_H_
