// SPDX-License-Identifier: MIT
// Build modes and the inline namespace that keeps them apart. Every other
// header includes this one first.
#ifndef TINYPHI_CONFIG_H_
#define TINYPHI_CONFIG_H_

// 1 (default): everything is defined in the headers.
// 0: headers only declare; link the tinyphi library, or compile impl.cpp and
//    impl_kernels.cpp once.
#ifndef TINYPHI_HEADER_ONLY
#define TINYPHI_HEADER_ONLY 1
#endif

// 1: compile the kernels once, for the compiler's baseline; needs no libhwy.
#ifndef TINYPHI_STATIC_DISPATCH
#define TINYPHI_STATIC_DISPATCH 0
#endif

// TINYPHI_FUNC precedes every function that an .ipp file defines.
#if TINYPHI_HEADER_ONLY
#define TINYPHI_FUNC inline
#else
#define TINYPHI_FUNC
#endif

// The ABI tag keeps translation units compiled with different modes or
// different -m flags from sharing (and silently merging) inline code.
#if !TINYPHI_HEADER_ONLY
#define TINYPHI_ABI abi0_lib
#elif defined(__AVX512F__)
#define TINYPHI_ABI abi0_hdr_avx512
#elif defined(__AVX2__)
#define TINYPHI_ABI abi0_hdr_avx2
#else
#define TINYPHI_ABI abi0_hdr
#endif

#define TINYPHI_NAMESPACE_BEGIN \
  namespace tinyphi {           \
  inline namespace TINYPHI_ABI {
#define TINYPHI_NAMESPACE_END \
  } /* TINYPHI_ABI */         \
  } /* tinyphi */

#endif  // TINYPHI_CONFIG_H_
