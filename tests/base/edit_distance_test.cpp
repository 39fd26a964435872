// SPDX-License-Identifier: MIT
#include "tinyphi/base/edit_distance.h"

#include "support/test.h"

using namespace tinyphi;

TEST_CASE("edit_distance counts insertions, removals, changes and swaps") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("required", "required") == 0);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("timout", "timeout") == 1);
  CHECK(edit_distance("requierd", "required") == 1);
  CHECK(edit_distance("kitten", "sitting") == 3);
}
