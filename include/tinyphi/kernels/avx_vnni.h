// SPDX-License-Identifier: MIT
// AVX-VNNI, the integer dot product of x86 CPUs without AVX-512, is no target
// of Highway's. AVX2's integer kernels are compiled with it and without; here
// is what chooses between them.
#ifndef TINYPHI_KERNELS_AVX_VNNI_H_
#define TINYPHI_KERNELS_AVX_VNNI_H_

#if defined(__x86_64__) || defined(__i386__)

#include <cpuid.h>

#include <cstdint>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN
namespace detail {

#ifndef TINYPHI_AVX_VNNI_BY_AVX512
#define TINYPHI_AVX_VNNI_PREFIX "%{vex%} "
inline bool cpu_has_avx_vnni() {
  // __builtin_cpu_supports does not know it in clang 14.
  unsigned eax = 0, ebx, ecx, edx;
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 &&
         (eax >> 4 & 1) != 0;
}
#else
// For a test: the same instructions in AVX-512's encoding, because CPUs that
// have AVX-512 are easier to find.
#define TINYPHI_AVX_VNNI_PREFIX "%{evex%} "
inline bool cpu_has_avx_vnni() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512vnni") &&
         __builtin_cpu_supports("avx512vl");
}
#endif

inline bool use_avx_vnni = cpu_has_avx_vnni();
// As a target to force: a bit that Highway does not use on x86.
inline constexpr std::int64_t avx2_with_vnni = std::int64_t{1} << 40;

}  // namespace detail
TINYPHI_NAMESPACE_END

#endif  // x86

#endif  // TINYPHI_KERNELS_AVX_VNNI_H_
