// SPDX-License-Identifier: MIT
// Not run as tests: cases that tests/cli/tally_test.py gives to main.cpp.
#include "support/test.h"

TEST_CASE("asserts nothing") {}

TEST_CASE("is left out") { SKIP_CASE("no reason"); }

TEST_CASE("asserts something") { CHECK(true); }
