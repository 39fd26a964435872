// SPDX-License-Identifier: MIT
// How much memory this process may still take.
#ifndef TINYPHI_BASE_MEMORY_H_
#define TINYPHI_BASE_MEMORY_H_

#include <cstddef>
#include <string>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

// Bytes: what the system has available without swapping and, where they are
// less, what the limits of the process's cgroups leave (file cache that can be
// dropped counts as free), but never less than 1. 0 if the system does not say.
// `root` is put before the paths of /proc and /sys, for tests.
[[nodiscard]] std::size_t available_memory(const std::string& root = {});

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/base/memory.ipp"
#endif

#endif  // TINYPHI_BASE_MEMORY_H_
