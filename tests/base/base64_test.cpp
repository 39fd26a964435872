// SPDX-License-Identifier: MIT
#include "tinyphi/base/base64.h"

#include <vector>

#include "support/test.h"

using namespace tinyphi;

TEST_CASE("base64 is RFC 4648's") {
  CHECK(base64("").empty());
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foo") == "Zm9v");
  CHECK(base64("foob") == "Zm9vYg==");
  CHECK(base64("fooba") == "Zm9vYmE=");
  CHECK(base64("foobar") == "Zm9vYmFy");
  CHECK(base64("\xff\xfe\xfd") == "//79");
}

TEST_CASE("floats are little-endian") {
  // Python: base64.b64encode(struct.pack("<2f", 1.0, -2.5))
  CHECK(base64_floats(std::vector<float>{1.0F, -2.5F}) == "AACAPwAAIMA=");
}
