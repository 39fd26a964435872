// SPDX-License-Identifier: MIT
// Bits that nobody can guess: for seeds, and ids that name a request.
#ifndef TINYPHI_SERVE_RANDOM_BITS_H_
#define TINYPHI_SERVE_RANDOM_BITS_H_

#include <sys/random.h>
#include <sys/types.h>

#include <type_traits>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

template <class T>
[[nodiscard]] T random_bits() {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 256,
                "the system gives at most 256 bytes in one go");
  T bits{};
  // They come at once or, before the system has any, later.
  while (::getrandom(&bits, sizeof bits, 0) !=
         static_cast<ssize_t>(sizeof bits)) {
  }
  return bits;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_RANDOM_BITS_H_
