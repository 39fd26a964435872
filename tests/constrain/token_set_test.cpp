// SPDX-License-Identifier: MIT
#include "tinyphi/constrain/token_set.h"

#include <random>
#include <set>

#include "support/test.h"

using namespace tinyphi;

namespace {

std::vector<token_id> ids_in(const token_set& s) {
  std::vector<token_id> ids;
  s.for_each([&](token_id id) { ids.push_back(id); });
  return ids;
}

}  // namespace

TEST_CASE("a token set does what a set of numbers does") {
  std::mt19937 random(1);
  for (const std::size_t size : {1U, 63U, 64U, 65U, 200U, 32064U}) {
    token_set s(size);
    std::set<token_id> expected;
    CHECK(s.size() == size);
    CHECK(s.count() == 0);
    for (int i = 0; i < 300; ++i) {
      const auto id = static_cast<token_id>(random() % size);
      if (random() % 3 == 0) {
        s.erase(id);
        expected.erase(id);
      } else {
        s.insert(id);
        expected.insert(id);
      }
      REQUIRE(s.contains(id) == expected.contains(id));
    }
    CHECK(s.count() == expected.size());
    CHECK(ids_in(s) == std::vector<token_id>(expected.begin(), expected.end()));
    s.clear();
    CHECK(s.size() == size);
    CHECK(s.count() == 0);
    CHECK(s == token_set(size));
  }
}

TEST_CASE("a token set holds no id outside of its size") {
  token_set s(65);
  for (token_id id = 0; id < 65; ++id) s.insert(id);
  CHECK(s.count() == 65);
  CHECK(s.contains(64));
  CHECK_FALSE(s.contains(65));
  CHECK_FALSE(s.contains(127));
  CHECK_FALSE(s.contains(128));
  CHECK_FALSE(s.contains(-1));
  CHECK_FALSE(token_set().contains(0));
}

TEST_CASE("token sets join, and are compared by what they hold") {
  token_set a(100), b(100);
  a.insert(3);
  a.insert(99);
  b.insert(64);
  b.insert(3);
  CHECK_FALSE(a == b);
  a |= b;
  CHECK(ids_in(a) == std::vector<token_id>{3, 64, 99});
  CHECK(ids_in(b) == std::vector<token_id>{3, 64});
  b.insert(99);
  CHECK(a == b);
  CHECK_FALSE(token_set(100) == token_set(101));
  CHECK(a.words().size() == 2);
}
