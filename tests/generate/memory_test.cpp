// SPDX-License-Identifier: MIT
// What the engine allocates while it decodes, and what it takes of a budget.
#include <chrono>
#include <string>
#include <vector>

#include "support/allocations.h"
#include "support/models.h"
#include "support/test.h"
#include "tinyphi/generate/memory_plan.h"
#include "tinyphi/generate/scheduler.h"

using namespace tinyphi;
using Catch::Matchers::Contains;
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
  // A machine on which 16 rows cost little more than one, so drafts pay.
  step_cost cost;
  cost.set({.decode_rows = 1}, 1.0);
  cost.set({.decode_rows = 16}, 1.2);
  options.step_costs = cost.learnt();
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
  // How long drafts are follows from measured times, so on a busy machine
  // there may be none at all, or the widest step of all, for which buffers
  // grow, may come after `first`. An allocation per token or per draft is there
  // in every attempt.
  counted c;
  for (int attempt = 0; attempt < 6; ++attempt) {
    c = count(m, {}, 4);
    if (c.drafted > 0 && c.allocations == 0) break;
  }
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

namespace {

// A scheduler of 400 pages whose memory is what `budget` gives, and which knows
// what its steps cost, or does not.
scheduler make_scheduler(const model& m, const memory_budget& budget,
                         std::size_t slice = 256, bool knows_costs = true) {
  engine_options options;
  options.n_threads = 1;
  options.prefill_chunk = slice;
  options.prefix_cache = false;
  options.kv_bytes =
      400 * page_tokens * kv_bytes_per_token(m.config(), m.default_kv_type());
  options.budget = budget;
  // A machine that reads a slice of 256 within the second that a slice alone
  // may take: under sanitizers a slow one reads smaller slices from the start.
  step_cost cost;
  cost.set({.decode_rows = 1}, 1.0);
  cost.set({.slice = 256}, 50.0);
  if (knows_costs) options.step_costs = cost.learnt();
  return scheduler(m, options);
}

std::vector<token_id> ids_of(const sequence& q) {
  std::vector<token_id> ids;
  for (const sampled_token& t : q.seen().tokens) ids.push_back(t.id);
  return ids;
}

std::vector<token_id> run(scheduler& s, sequence& q) {
  while (s.next_piece(q)) {
  }
  return ids_of(q);
}

// What one request comes to, and has taken.
struct measured {
  std::vector<token_id> ids;
  memory_usage used;
};
measured measure(const model& m, const std::vector<token_id>& prompt,
                 const generation_params& p, std::size_t slice = 256) {
  const memory_budget budget(0);
  scheduler s = make_scheduler(m, budget, slice);
  const auto q = s.submit(prompt, p);
  const std::size_t requests = budget.usage().of(memory_use::requests);
  measured r;
  r.ids = run(s, *q);
  r.used = budget.usage();
  r.used.bytes[static_cast<std::size_t>(memory_use::requests)] = requests;
  return r;
}

}  // namespace

TEST_CASE("a request that the budget has no bytes for ends alone, with limit") {
  const model m = demo_model(false);
  const generation_params p{.max_tokens = 20, .ignore_stop_ids = true};
  const auto prompt = made_up_prompt(40, 1, 1900);
  const measured alone = measure(m, prompt, p);
  const std::size_t request = alone.used.of(memory_use::requests);
  REQUIRE(request > 0);

  const memory_budget budget(alone.used.total() + request / 2);
  scheduler s = make_scheduler(m, budget);
  const auto first = s.submit(prompt, p);
  // What the first will take while it runs.
  auto rest = budget.take(memory_use::scratch, alone.used.total() - request,
                          "what the first will take");
  REQUIRE_OK(rest);
  const auto second = s.submit(prompt, {.max_tokens = 3000});
  rest->release();
  CHECK(second->done);
  CHECK(second->seen().finish == finish_reason::error);
  REQUIRE(second->seen().error);
  CHECK(second->seen().error->code == error_code::limit);
  CHECK_THAT(second->seen().error->message,
             Contains("a request of 40 prompt tokens and up to 3000 new "
                      "ones do not fit the memory budget of"));
  CHECK(run(s, *first) == alone.ids);
  // What the first has let go of is there for a third.
  const auto third = s.submit(prompt, p);
  CHECK(run(s, *third) == alone.ids);
}

TEST_CASE("a slice for which there is no scratch is read in smaller ones") {
  const model m = demo_model(true);  // whose results depend on no slice
  const generation_params p{.max_tokens = 5, .ignore_stop_ids = true};
  const auto prompt = made_up_prompt(600, 1, 1900);
  const measured whole = measure(m, prompt, p);
  const measured small = measure(m, prompt, p, 32);
  REQUIRE(small.used.of(memory_use::scratch) <
          whole.used.of(memory_use::scratch) / 2);

  // Pages for it, taken in small steps.
  const memory_budget budget(std::size_t{1} << 40);
  scheduler s = make_scheduler(m, budget);
  std::vector<std::shared_ptr<sequence>> short_ones;
  for (std::uint32_t i = 0; i < 11; ++i) {
    const generation_params one_page{
        .max_tokens = 43, .ignore_stop_ids = true, .drafts = false};
    short_ones.push_back(s.submit(made_up_prompt(20, i, 1900), one_page));
  }
  for (const auto& q : short_ones) CHECK(run(s, *q).size() == 43);
  short_ones.clear();
  REQUIRE(budget.usage().of(memory_use::cache) >=
          whole.used.of(memory_use::cache));
  const std::size_t scratch = whole.used.of(memory_use::scratch) / 2;
  const std::size_t left = request_bytes(605, 5, 605) + scratch -
                           budget.usage().of(memory_use::scratch);
  const auto others = budget.take(
      memory_use::weights, budget.limit() - budget.usage().total() - left, "");
  REQUIRE_OK(others);
  const auto q = s.submit(prompt, p);
  CHECK(run(s, *q) == whole.ids);
  CHECK(budget.usage().of(memory_use::scratch) <= scratch);
}

TEST_CASE(
    "without scratch for one token a request ends, with limit, and holds "
    "none") {
  const model m = demo_model(false);
  const generation_params p{.max_tokens = 5, .ignore_stop_ids = true};
  const auto prompt = made_up_prompt(60, 1, 1900);
  const measured alone = measure(m, prompt, p);
  const memory_budget budget(alone.used.of(memory_use::requests) +
                             alone.used.of(memory_use::cache) + 6000);
  scheduler s = make_scheduler(m, budget);
  const auto q = s.submit(prompt, p);
  CHECK(run(s, *q).empty());
  REQUIRE(q->seen().error);
  CHECK(q->seen().error->code == error_code::limit);
  CHECK_THAT(q->seen().error->message, Contains("the buffers of a step"));
  CHECK(budget.usage().of(memory_use::scratch) == 0);
  CHECK(s.pool().pages_in_use() == 0);
}

TEST_CASE("who finds no page in the budget ends, others go on") {
  const model m = demo_model(false);
  const generation_params p{.max_tokens = 80, .ignore_stop_ids = true};
  const auto prompt = made_up_prompt(20, 1, 1900);  // two pages in the end
  const measured alone = measure(m, prompt, p);
  const memory_budget budget(std::size_t{1} << 40);
  scheduler s = make_scheduler(m, budget);
  const auto first = s.submit(prompt, p);
  while (s.pool().pages_in_use() < 2) REQUIRE(s.next_piece(*first));
  const std::size_t left =
      request_bytes(180, 80, 180) + s.pool().page_bytes() / 2;
  const auto others = budget.take(
      memory_use::weights, budget.limit() - budget.usage().total() - left, "");
  REQUIRE_OK(others);
  const auto second = s.submit(made_up_prompt(100, 2, 1900), p);
  run(s, *second);
  REQUIRE(second->seen().error);
  CHECK(second->seen().error->code == error_code::limit);
  CHECK_THAT(second->seen().error->message, Contains("a page of the cache"));
  run(s, *first);
  CHECK(ids_of(*first) == alone.ids);
}

TEST_CASE("what an idle engine measures leaves nothing taken") {
  const model m = demo_model(false);
  const memory_budget budget(0);
  scheduler s = make_scheduler(m, budget, 16, false);
  // Two seconds are enough, but for a machine that is busy with others.
  const auto done = [&] {
    return s.cost().learnt().knots[5].rows == 16 && budget.usage().total() == 0;
  };
  for (int i = 0; i < 30 && !done(); ++i) {
    stop_condition idle;
    idle.deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    const auto driven = s.drive(idle);
    REQUIRE_OK(driven);
  }
  CHECK(s.cost().learnt().knots[5].rows == 16);
  CHECK(budget.usage().total() == 0);
}
