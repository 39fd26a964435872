// SPDX-License-Identifier: MIT
#include "tinyphi/generate/choice_filter.h"

#include <string>
#include <vector>

#include "support/models.h"

using namespace tinyphi;
using tinyphi_test::message_of;

TEST_CASE("stop ids may come exactly where an answer may be over") {
  const model m = tinyphi_test::demo_model(false);
  const auto trie = token_trie::create(*m.tokenizer());
  REQUIRE_OK(trie);
  const auto c = constraint::regex(*trie, "[0-9]{1,3}");
  REQUIRE_OK(c);
  matcher now(*c);
  const std::vector<token_id>& stop_ids = m.stop_ids();
  REQUIRE(!stop_ids.empty());
  const auto check = [&](std::size_t tokens_left) {
    const matcher_filter f(now, stop_ids, tokens_left);
    token_set all;
    REQUIRE(f.allowed(all));
    CHECK(f.may_end() == now.may_end());
    for (const token_id id : stop_ids) {
      CHECK(*f.allows(id) == now.may_end());
      CHECK(all.contains(id) == now.may_end());
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto id = static_cast<token_id>(i);
      const auto alone = f.allows(id);
      REQUIRE_OK(alone);
      if (*alone != all.contains(id)) FAIL_CHECK("token " << id);
    }
    return all.count();
  };
  CHECK_FALSE(now.may_end());
  CHECK(check(8) >= 10);
  const auto one = m.tokenizer()->find("1");
  REQUIRE(one);
  REQUIRE(now.accept(*one));
  CHECK(now.may_end());
  CHECK(check(8) >= 10 + stop_ids.size());
  // No token is left: the end is all that may come.
  CHECK(check(0) == stop_ids.size());
  REQUIRE(now.accept(*one));
  REQUIRE(now.accept(*one));
  CHECK(now.must_end());
  CHECK(check(8) == stop_ids.size());
}
