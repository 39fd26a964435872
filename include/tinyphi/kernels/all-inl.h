// SPDX-License-Identifier: MIT
// Every file of SIMD code, in one list. No include guard: compiled per target.
#include "tinyphi/kernels/attention-inl.h"
#include "tinyphi/kernels/compat-inl.h"
#include "tinyphi/kernels/elementwise-inl.h"
#include "tinyphi/kernels/matmul_f32-inl.h"
#include "tinyphi/kernels/matmul_q8-inl.h"
#include "tinyphi/kernels/probe-inl.h"
#include "tinyphi/kernels/quantize-inl.h"
#include "tinyphi/kernels/store_kv-inl.h"

HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

inline const char* target_name() {
#if TINYPHI_AVX_VNNI
  if (detail::use_avx_vnni) return "AVX2+VNNI";
#endif
  return hwy::TargetName(HWY_TARGET);
}

#if !TINYPHI_SIMD
using reference::attend;
using reference::gegelu;
using reference::layer_norm;
using reference::matmul_f32;
using reference::matmul_q8;
using reference::merge_attention;
using reference::quantize_q8;
using reference::rms_norm;
using reference::rope;
using reference::store_kv;
using reference::swiglu;
#endif

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();

// Lets a program add its own Highway kernels to tinyphi's passes.
#ifdef TINYPHI_USER_KERNELS
#include TINYPHI_USER_KERNELS
#endif
