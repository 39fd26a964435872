// SPDX-License-Identifier: MIT
#include "tinyphi/base/aligned.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "support/test.h"

using namespace tinyphi;
using tinyphi_test::message_of;

TEST_CASE("round_up goes to the next multiple") {
  CHECK(round_up(0, 16) == 0);
  CHECK(round_up(1, 16) == 16);
  CHECK(round_up(16, 16) == 16);
}

TEST_CASE("aligned_array is zeroed and starts on a cache line") {
  for (const std::size_t n : {std::size_t{1}, std::size_t{100}, huge_page}) {
    const auto a = aligned_array<float>::create(n);
    REQUIRE_OK(a);
    CHECK(a->size() == n);
    CHECK(reinterpret_cast<std::uintptr_t>(a->data()) % cache_line == 0);
    CHECK(std::ranges::all_of(a->span(), [](float x) { return x == 0; }));
  }
}

TEST_CASE("a large aligned_array starts on a huge page") {
  const auto a = aligned_array<char>::create(huge_page);
  REQUIRE_OK(a);
  CHECK(reinterpret_cast<std::uintptr_t>(a->data()) % huge_page == 0);
}

TEST_CASE("an aligned_array may be moved, replaced and used to its end") {
  auto a = aligned_array<char>::create(3 * huge_page + 5);
  auto b = aligned_array<char>::create(100);
  REQUIRE_OK(a);
  REQUIRE_OK(b);
  char* const first = a->data();
  (*a)[a->size() - 1] = 1;
  *b = *std::move(a);
  CHECK(b->data() == first);
  CHECK((*b)[3 * huge_page + 4] == 1);
  CHECK((*b)[3 * huge_page + 3] == 0);
}

TEST_CASE("an aligned_array of nothing is empty") {
  const auto a = aligned_array<float>::create(0);
  REQUIRE_OK(a);
  CHECK(a->size() == 0);
}

TEST_CASE("aligned_array refuses sizes that wrap") {
  const auto a = aligned_array<double>::create(
      std::numeric_limits<std::size_t>::max() / 8);
  REQUIRE(!a);
  CHECK(a.error().code == error_code::limit);
  CHECK(message_of(a).starts_with("out of memory"));
}
