// SPDX-License-Identifier: MIT
#include "tinyphi/generate/session.h"

#include "support/golden.h"
#include "support/models.h"

using namespace tinyphi;
using tinyphi_test::golden_file;
using tinyphi_test::golden_of;
using tinyphi_test::message_of;
using tinyphi_test::tiny_model;

TEST_CASE("a session gives Hugging Face's logits, cut anywhere") {
  const bool exact = GENERATE(true, false);  // all one to float weights
  for (const std::string& name : tinyphi_test::tiny_models) {
    INFO(name << (exact ? ", exact" : ""));
    const model m = tiny_model(name, exact);
    const golden_file g = golden_of(name);
    const std::vector<token_id> ids = g.ids("ids.1");
    const std::vector<float> expected = g.floats("logits.1");
    const std::size_t cut = ids.size() / 3;
    auto s = session::create(m, ids.size(), 1);
    REQUIRE_OK(s);
    const auto first = s->run(std::span(ids).first(cut));
    REQUIRE_OK(first);
    std::vector<float> logits(first->begin(), first->end());
    const auto second = s->run(std::span(ids).subspan(cut));
    REQUIRE_OK(second);
    logits.insert(logits.end(), second->begin(), second->end());
    CHECK(s->length() == ids.size());
    REQUIRE(logits.size() == expected.size());
    // Ids that do not exist are -inf in both.
    float worst = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
      if (logits[i] != expected[i]) {
        worst = std::max(worst, std::abs(logits[i] - expected[i]));
      }
    }
    CHECK(worst <= 2e-4f);
  }
}

TEST_CASE("a session's declared length chooses the rotary factors") {
  const model m = tiny_model("mini-128k");  // original context 32
  const golden_file g = golden_of("mini-128k");
  const std::vector<token_id> ids = g.ids("ids.3");  // 33 tokens: long
  const auto last_of = [&](std::size_t limit) {
    auto s = session::create(m, limit, 1);
    REQUIRE_OK(s);
    const auto logits = s->run(std::span(ids).first(32));
    REQUIRE_OK(logits);
    return std::vector<float>(logits->begin(), logits->end());
  };
  const std::vector<float> expected = g.floats("logits.3");
  const auto head = std::span(expected).first(32 * 320);
  CHECK(tinyphi_test::max_difference(last_of(33), head) <= 2e-4f);
  CHECK(tinyphi_test::max_difference(last_of(32), head) > 1e-2f);
}

TEST_CASE("a session refuses what does not fit and stays as it was") {
  const model m = tiny_model("mini-4k");
  CHECK(message_of(session::create(m, 0)) ==
        "a session of 0 tokens, the model's context allows 1 to 64");
  CHECK(message_of(session::create(m, 65)) ==
        "a session of 65 tokens, the model's context allows 1 to 64");

  auto s = session::create(m, 4, 1);
  REQUIRE_OK(s);
  const auto run = [&](std::vector<token_id> ids,
                       const stop_condition& stop = {}) {
    return s->run(ids, stop);
  };
  CHECK(run({1, 2, 3}));
  const auto too_many = run({4, 5});
  CHECK(too_many.error().code == error_code::limit);
  CHECK(message_of(too_many) ==
        "2 tokens after 3, the session was created for 4");
  CHECK(run({320}).error().code == error_code::invalid_argument);
  stop_condition stop;
  stop.token.cancel();
  CHECK(run({4}, stop).error().code == error_code::cancelled);
  CHECK(s->length() == 3);
  CHECK(run({})->empty());
  CHECK(run({4})->size() == 320);
  CHECK(s->length() == 4);
}
