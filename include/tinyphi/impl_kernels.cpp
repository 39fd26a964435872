// SPDX-License-Identifier: MIT
// The kernels as one object file, for TINYPHI_HEADER_ONLY=0; see impl.cpp.
#undef TINYPHI_HEADER_ONLY
#define TINYPHI_HEADER_ONLY 0
#include "tinyphi/kernels/kernels.ipp"
