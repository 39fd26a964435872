// SPDX-License-Identifier: MIT
#include "tinyphi/generate/memory_plan.h"

#include <algorithm>
#include <string>

#include "support/models.h"
#include "support/test.h"
#include "tinyphi/generate/engine.h"

using namespace tinyphi;
using tinyphi_test::data_dir;
using tinyphi_test::made_up_prompt;

namespace {

std::filesystem::path tiny(const std::string& name) {
  return data_dir() / "tiny" / name;
}
std::filesystem::path demo() {
  return data_dir() / "../../pipelines/models" / "tinyphi-demo-7m-q8_0.gguf";
}

memory_plan plan_of(const std::filesystem::path& path, const load_options& load,
                    const engine_options& options, const planned_use& use) {
  auto file = model_file::open(path);
  REQUIRE_OK(file);
  const auto plan = plan_memory(*std::move(file), load, options, use);
  REQUIRE_OK(plan);
  return *plan;
}

// The most that each use comes to while the sequences get as long as planned.
memory_usage most_used(const model& m, engine_options options,
                       const planned_use& use, const memory_budget& budget) {
  options.budget = budget;
  auto e = engine::create(m, options);
  REQUIRE_OK(e);
  const generation_params p{
      .max_tokens = use.answer, .ignore_stop_ids = true, .drafts = use.drafts};
  std::vector<generation> all;
  for (std::size_t i = 0; i < use.sequences; ++i) {
    all.push_back(
        e->complete(made_up_prompt(use.length - use.answer,
                                   static_cast<std::uint32_t>(i), 300),
                    p));
  }
  memory_usage most;
  const auto look = [&] {
    const memory_usage now = budget.usage();
    for (std::size_t i = 0; i < n_memory_uses; ++i) {
      most.bytes[i] = std::max(most.bytes[i], now.bytes[i]);
    }
  };
  look();
  for (generation& g : all) {
    while (g.next_piece()) look();
    look();
    CHECK(g.finish() == finish_reason::length);
    CHECK(g.usage().completion_tokens == use.answer);
  }
  return most;
}

void check_within_5_percent(const memory_usage& planned,
                            const memory_usage& used) {
  for (std::size_t i = 0; i < n_memory_uses; ++i) {
    UNSCOPED_INFO(to_string(static_cast<memory_use>(i))
                  << ": planned " << planned.bytes[i] << ", used "
                  << used.bytes[i]);
  }
  const auto of = [](std::size_t n) { return static_cast<double>(n); };
  CHECK(of(used.total()) < 1.05 * of(planned.total()));
  CHECK(of(used.total()) > 0.95 * of(planned.total()));
  CHECK(used.of(memory_use::weights) == planned.of(memory_use::weights));
}

void check_model(const std::filesystem::path& path, const load_options& load,
                 engine_options options, const planned_use& use) {
  INFO(path.string());
  if (options.n_threads == 0) options.n_threads = 1;
  const memory_plan plan = plan_of(path, load, options, use);
  const memory_budget budget(0);
  load_options counted = load;
  counted.budget = budget;
  const auto m = model::load(path, counted);
  REQUIRE_OK(m);
  const memory_usage used = most_used(*m, options, use, budget);
  check_within_5_percent(plan.usage(), used);
  if (use.drafts) return;  // how many rows have drafts depends on their cost
  const auto scratch = static_cast<double>(used.of(memory_use::scratch));
  CHECK(scratch < 1.05 * static_cast<double>(plan.scratch));
  CHECK(scratch > 0.95 * static_cast<double>(plan.scratch));
}

}  // namespace

TEST_CASE(
    "a smaller context takes less, a larger one than the model's is none") {
  const auto path = data_dir() / "tiny/mini-128k/model-bf16.gguf";
  const auto plan = [&](std::size_t context) {
    auto file = model_file::open(path);
    REQUIRE_OK(file);
    return plan_memory(*std::move(file), {.context = context}, {}, {});
  };
  const auto whole = plan(0), half = plan(512);
  REQUIRE_OK(whole);
  REQUIRE_OK(half);
  CHECK(half->cache * 2 == whole->cache);
  CHECK(half->weights == whole->weights);
  const auto refused = plan(1025);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == error_code::invalid_argument);
  CHECK_THAT(refused.error().message,
             Catch::Contains("1025 tokens was asked for, the model's is 1024"));

  const auto m = model::load(path, {.context = 100});
  REQUIRE_OK(m);
  CHECK(m->config().max_context == 100);
  auto e = engine::create(*m, {});
  REQUIRE_OK(e);
  generation g = e->complete(std::vector<token_id>(100, 5));
  (void)g.text();
  REQUIRE(g.error());
  CHECK(g.error()->code == error_code::limit);
  CHECK_FALSE(model::load(path, {.context = 1025}));
}

TEST_CASE("the plan of a model is within 5 % of what is used") {
  engine_options options;
  options.prefill_chunk = 16;
  const planned_use use{.length = 60, .answer = 20, .drafts = false};
  for (const bool exact : {true, false}) {
    for (const std::string name :
         {"mini-4k", "mini-4k/model-f32.gguf", "mini-4k/model-q8_0.gguf",
          "phi-4-mini/model-q8_0.gguf", "small-8k", "medium-4k"}) {
      check_model(tiny(name), {.exact = exact}, options, use);
    }
    check_model(tiny("mini-4k"), {.exact = exact, .quantize = dtype::q8_0},
                options, use);
    check_model(demo(), {.exact = exact}, options,
                {.length = 700, .answer = 100, .drafts = false});
  }
}

TEST_CASE("the plan of 4 sequences with drafts is within 5 % of what is used") {
  engine_options options;
  options.prefill_chunk = 16;
  check_model(demo(), {}, options,
              {.sequences = 4, .length = 400, .answer = 200});
}

TEST_CASE(
    "the plan of fast prefill on 2 threads is within 5 % of what is used") {
  engine_options options;
  options.n_threads = 2;
  options.prefill_chunk = 64;  // from which on scales are wide
  check_model(demo(), {.fast_prefill = true}, options,
              {.length = 300, .answer = 20, .drafts = false});
}

TEST_CASE("the plan of a window is within 5 % of what is used") {
  engine_options options;
  options.n_threads = 1;
  options.prefill_chunk = 64;
  options.prefix_cache = false;
  const planned_use use{.length = 900, .answer = 60, .drafts = false};
  const auto like = model::load(tiny("mini-4k"));
  REQUIRE_OK(like);
  model_config c = like->config();
  c.max_context = 1024;
  for (const std::uint32_t window : {0, 200}) {
    c.window = window;
    for (const dtype type : {dtype::f32, dtype::q8_0}) {
      const memory_budget budget(0);
      const auto plan = plan_memory(c, type, {}, options, use);
      REQUIRE_OK(plan);
      CHECK((plan->cache_tokens < 500) == (window > 0));
      const auto m = model::random(c, type, 1, {.budget = budget});
      REQUIRE_OK(m);
      check_within_5_percent(plan->usage(),
                             most_used(*m, options, use, budget));
    }
  }
}

TEST_CASE("kv_bytes bounds the planned cache, whole pages fill it") {
  engine_options options;
  const memory_plan one = plan_of(demo(), {}, options, {.length = 1});
  CHECK(one.cache_tokens == page_tokens);
  CHECK(one.cache == page_tokens * one.cache_per_token);
  options.kv_bytes = 3 * one.cache + 10;
  CHECK(plan_of(demo(), {}, options, {.length = 4000}).cache == 3 * one.cache);
  CHECK(plan_of(demo(), {}, options, {.length = 65}).cache == 2 * one.cache);
}

TEST_CASE("a use that no model is for has no plan") {
  auto file = model_file::open(demo());
  REQUIRE_OK(file);
  const auto plan = plan_memory(*std::move(file), {}, {}, {.length = 4097});
  REQUIRE_FALSE(plan);
  CHECK(plan.error().code == error_code::limit);
  CHECK(plan.error().message ==
        "sequences of 4097 tokens; the model's context has 4096");
}
