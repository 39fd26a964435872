// SPDX-License-Identifier: MIT
// What tests of tensors and kernels call, for arm_test: once per set of
// instructions, while the tests are compiled once for all.
#undef TINYPHI_HEADER_ONLY
#define TINYPHI_HEADER_ONLY 0
#include "tinyphi/kernels/kernels.ipp"
#include "tinyphi/tensor/packed.ipp"
#include "tinyphi/tensor/quant.ipp"
