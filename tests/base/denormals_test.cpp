// SPDX-License-Identifier: MIT
#include "tinyphi/base/denormals.h"

#include <limits>

#include "support/test.h"

using namespace tinyphi;

namespace {

// Least normal number / 4: computed, not folded by the compiler.
float computed_denormal() {
  volatile float x = std::numeric_limits<float>::min();
  return x / 4;
}

}  // namespace

TEST_CASE("denormals are zero while asked for, and as before afterwards") {
  REQUIRE(computed_denormal() > 0);
  {
    const flush_denormals outer;
#if defined(__x86_64__) || defined(__aarch64__)
    CHECK(computed_denormal() == 0);
    { const flush_denormals inner; }
    CHECK(computed_denormal() == 0);
#endif
  }
  CHECK(computed_denormal() > 0);
}
