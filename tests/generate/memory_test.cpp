// SPDX-License-Identifier: MIT
// What the engine allocates while it decodes.
#include <string>
#include <vector>

#include "support/allocations.h"
#include "support/models.h"
#include "support/test.h"
#include "tinyphi/generate/scheduler.h"

using namespace tinyphi;
using tinyphi_test::demo_model;
using tinyphi_test::made_up_prompt;
using tinyphi_test::n_allocations;
using tinyphi_test::tiny_model;

namespace {

// After so many tokens of everybody the counting begins and ends: what nobody
// has read yet grows from a power of two to the next.
constexpr std::size_t first = 260, last = 460;

struct counted {
  std::size_t allocations = 0, drafted = 0;
};

// Allocations of the driving thread while `n` answers to one prompt each grow
// from `first` to `last` tokens.
counted count(const model& m, generation_params params, std::size_t n,
              std::vector<token_id> prompt = made_up_prompt(20, 1, 300),
              bool prefix_cache = false) {
  engine_options options;
  options.n_threads = 1;
  options.prefill_chunk = 8;  // little to calibrate
  options.prefix_cache = prefix_cache;
  options.kv_bytes = std::size_t{1} << 26;
  scheduler s(m, options);
  params.max_tokens = last + 20;
  params.ignore_stop_ids = true;
  std::vector<std::shared_ptr<sequence>> all;
  std::size_t before = 0, after = 0;
  stop_condition stop;
  // The driver has no tokens of this step in anybody's answer but once all
  // have theirs: it publishes request by request, the last one last.
  params.on_progress = [&] {
    std::size_t least = last, most = 0;
    for (const auto& q : all) {
      if (q->done) stop.token.cancel();
      least = std::min(least, q->answer.size());
      most = std::max(most, q->answer.size());
    }
    if (before == 0 && least >= first) before = n_allocations();
    if (after == 0 && most >= last) {
      after = n_allocations();
      stop.token.cancel();
    }
  };
  for (std::size_t i = 0; i < n; ++i, ++params.sampling.seed) {
    all.push_back(s.submit(prompt, params));
    REQUIRE_FALSE(all.back()->done);
  }
  REQUIRE_OK(s.drive(stop));
  REQUIRE(before > 0);
  REQUIRE(after > 0);
  counted c{after - before};
  for (const auto& q : all) c.drafted += q->drafted;
  return c;
}

}  // namespace

TEST_CASE("200 greedy tokens after 260 are decoded without an allocation") {
  for (const std::string name : {"mini-128k", "medium-128k", "small-128k"}) {
    INFO(name);
    const model m = tiny_model(name, false);
    CHECK(count(m, {.drafts = false}, 1).allocations == 0);
  }
}

TEST_CASE("200 tokens of 4 sampled answers are decoded without an allocation") {
  const model m = tiny_model("mini-128k", false);
  generation_params p{.drafts = false};
  p.sampling.temperature = 1;
  p.sampling.top_k = 40;
  p.sampling.top_p = 0.9f;
  p.sampling.repetition_penalty = 1.1f;
  p.sampling.dry_multiplier = 0.5f;
  CHECK(count(m, p, 4).allocations == 0);
}

TEST_CASE("200 tokens with drafts are decoded without an allocation") {
  const model m = tiny_model("mini-128k", false);
  const counted c = count(m, {}, 4);
  CHECK(c.drafted > 0);
  CHECK(c.allocations == 0);
}

TEST_CASE("a page for the prefix cache takes 4 allocations at most") {
  const model m = tiny_model("mini-128k", false);
  constexpr std::size_t pages = (last - first) / page_tokens + 1;
  const counted c =
      count(m, {.drafts = false}, 1, made_up_prompt(20, 1, 300), true);
  CHECK(c.allocations <= 4 * pages);
}

TEST_CASE("200 tokens of text take 8 allocations at most, for what is unread") {
  const model m = demo_model(false);
  const auto prompt = m.tokenizer()->encode(
      std::vector<segment>{{"The pump is ready. "}}, true);
  generation_params p{.drafts = false};
  for (const token_id id : m.stop_ids()) {
    p.sampling.logit_bias.emplace_back(id, -100.0f);
  }
  CHECK(count(m, p, 1, prompt).allocations <= 8);
}
