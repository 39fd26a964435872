// SPDX-License-Identifier: MIT
#include "tinyphi/base/cancel.h"

#include "support/test.h"

using namespace tinyphi;

TEST_CASE("copies of a token are one token, a child is cancelled with it") {
  const cancel_token parent;
  const cancel_token copy = parent;
  const cancel_token child = parent.child();
  const cancel_token other = parent.child();

  child.cancel();
  CHECK(child.cancelled());
  CHECK(!parent.cancelled());
  CHECK(!other.cancelled());

  copy.cancel();
  CHECK(parent.cancelled());
  CHECK(other.child().cancelled());
}

TEST_CASE("a stop condition says why") {
  stop_condition stop;
  CHECK(stop.check());
  stop.deadline = std::chrono::steady_clock::now() + std::chrono::hours(1);
  CHECK(!stop.reason());
  stop.deadline = std::chrono::steady_clock::now();
  CHECK(stop.reason() == error_code::deadline);
  CHECK(stop.check().error().message == "the deadline has passed");
  stop.token.cancel();
  CHECK(stop.reason() == error_code::cancelled);
}
