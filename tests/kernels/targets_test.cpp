// SPDX-License-Identifier: MIT
// Says on which SIMD targets the kernels' tests ran; tools/tally.py collects
// it.
#include <cstdio>
#include <string>

#include "kernels/kernel_test.h"

namespace tinyphi {
namespace {

TEST_CASE("the targets that kernels are tested on are said") {
  std::string names;
  tinyphi_test::on_every_target([&] {
    names += " ";
    names += kernel_target();
#if defined(__ARM_FEATURE_MATMUL_INT8)
    names += "+i8mm";
#elif defined(__ARM_FEATURE_DOTPROD)
    names += "+dotprod";
#endif
  });
  std::printf("targets:%s\n", names.c_str());
  std::fflush(stdout);
  CHECK(!names.empty());
}

}  // namespace
}  // namespace tinyphi
