// SPDX-License-Identifier: MIT
// Denormal f32 numbers cost some CPUs over a hundred cycles each and carry
// nothing here: they only arise in the tails of softmax.
#ifndef TINYPHI_BASE_DENORMALS_H_
#define TINYPHI_BASE_DENORMALS_H_

#include <cstdint>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

#if defined(__x86_64__)
// MXCSR: results that are denormal become zero (15), operands too (6).
inline constexpr std::uint64_t flush_bits = 1u << 15 | 1u << 6;
inline std::uint64_t float_mode() { return __builtin_ia32_stmxcsr(); }
inline void set_float_mode(std::uint64_t mode) {
  __builtin_ia32_ldmxcsr(static_cast<unsigned>(mode));
}
#elif defined(__aarch64__)
// FPCR.FZ: both.
inline constexpr std::uint64_t flush_bits = 1u << 24;
inline std::uint64_t float_mode() {
  std::uint64_t mode;
  asm volatile("mrs %0, fpcr" : "=r"(mode));
  return mode;
}
inline void set_float_mode(std::uint64_t mode) {
  asm volatile("msr fpcr, %0" : : "r"(mode));
}
#else
inline constexpr std::uint64_t flush_bits = 0;
inline std::uint64_t float_mode() { return 0; }
inline void set_float_mode(std::uint64_t) {}
#endif

}  // namespace detail

// While one lives, its thread computes with zeros in place of denormals.
class flush_denormals {
 public:
  flush_denormals() : before_(detail::float_mode()) {
    const std::uint64_t wanted = before_ | detail::flush_bits;
    if (wanted != before_) detail::set_float_mode(wanted);
  }
  // Gives back the two bits only: flags that arithmetic raised stay raised.
  ~flush_denormals() {
    if ((before_ & detail::flush_bits) == detail::flush_bits) return;
    const std::uint64_t now = detail::float_mode();
    detail::set_float_mode((now & ~detail::flush_bits) |
                           (before_ & detail::flush_bits));
  }
  flush_denormals(const flush_denormals&) = delete;
  flush_denormals& operator=(const flush_denormals&) = delete;

 private:
  std::uint64_t before_;
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_BASE_DENORMALS_H_
