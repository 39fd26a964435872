// SPDX-License-Identifier: MIT
#include "tinyphi/generate/scheduler.h"

#include <chrono>
#include <cstring>
#include <limits>
#include <thread>

#include "support/allocations.h"
#include "support/effort.h"
#include "support/models.h"
#include "support/temp_folder.h"
#include "support/test.h"
#include "tinyphi/base/mapped_file.h"

using namespace tinyphi;
using namespace std::chrono_literals;
using tinyphi_test::demo_model;
using tinyphi_test::made_up_prompt;
using tinyphi_test::tiny_model;

namespace {

using token_ids = std::vector<token_id>;

std::size_t page_bytes(const model& m) {
  return kv_bytes_per_token(m.config(), m.default_kv_type()) * page_tokens;
}

// A scheduler whose cache holds `pages` pages, all of them for those that run.
scheduler make_scheduler(const model& m, std::size_t pages,
                         engine_options options = {}) {
  options.prefix_cache = false;
  options.n_threads = options.n_threads == 0 ? 1 : options.n_threads;
  options.kv_bytes = pages * page_bytes(m);
  return scheduler(m, options);
}

// The same, which keeps what was computed.
scheduler make_caching_scheduler(const model& m, std::size_t pages,
                                 engine_options options = {}) {
  options.n_threads = 1;
  options.kv_bytes = pages * page_bytes(m);
  return scheduler(m, options);
}

std::vector<token_id> ids_of(const sequence& s) {
  std::vector<token_id> ids;
  for (const sampled_token& t : s.seen().tokens) ids.push_back(t.id);
  return ids;
}

void run_to_end(scheduler& s, sequence& q) {
  while (s.next_piece(q)) {
  }
}

double seconds_since(steady_time start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

// Long enough to be still read when somebody cancels.
std::vector<token_id> long_prompt() { return made_up_prompt(3900, 3, 1900); }

}  // namespace

TEST_CASE("a request that never fits the cache is refused with the numbers") {
  const model m = tiny_model("medium-128k");  // no window
  scheduler s = make_scheduler(m, 3);
  const auto q = s.submit(made_up_prompt(120, 1, 300), {.max_tokens = 73});
  CHECK(q->done);
  CHECK(q->seen().finish == finish_reason::error);
  REQUIRE(q->seen().error);
  CHECK(q->seen().error->code == error_code::limit);
  CHECK(q->seen().error->message ==
        "120 prompt tokens and up to 73 new ones need " +
            std::to_string(4 * page_bytes(m)) +
            " bytes of cache, the engine's budget is " +
            std::to_string(3 * page_bytes(m)) +
            "; give it more (kv_bytes) or ask for fewer tokens (max_tokens)");

  // One that just fits, and one that takes what there is.
  for (const std::size_t max_tokens : {72, 0}) {
    const auto fits =
        s.submit(made_up_prompt(120, 1, 300),
                 {.max_tokens = max_tokens, .ignore_stop_ids = true});
    run_to_end(s, *fits);
    CHECK(!fits->seen().error);
    CHECK(ids_of(*fits).size() == 72);
  }
  CHECK(s.pool().pages_in_use() == 0);
}

TEST_CASE("requests that fit only one after another wait in order") {
  const model m = tiny_model("medium-128k");
  scheduler s = make_scheduler(m, 3);
  const generation_params params{.max_tokens = 8, .ignore_stop_ids = true};
  std::vector<std::shared_ptr<sequence>> all;
  for (std::uint32_t i = 0; i < 4; ++i) {
    all.push_back(s.submit(made_up_prompt(96, i, 300), params));
  }
  run_to_end(s, *all[2]);
  CHECK(all[0]->done);
  CHECK(all[1]->done);
  CHECK(!all[3]->done);
  CHECK(all[2]->seen().usage.queue_seconds >
        all[1]->seen().usage.queue_seconds);
  run_to_end(s, *all[3]);
  for (const auto& q : all) CHECK(ids_of(*q).size() == 8);
  CHECK(s.pool().pages_in_use() == 0);
}

TEST_CASE("max_sequences bounds what runs at once") {
  const model m = tiny_model("medium-128k");
  scheduler s = make_scheduler(m, 100, {.max_sequences = 2});
  const auto submit = [&](std::size_t n) {
    return s.submit(made_up_prompt(5, 1, 300),
                    {.max_tokens = n, .ignore_stop_ids = true});
  };
  const auto a = submit(30), b = submit(30), c = submit(2), d = submit(2);
  run_to_end(s, *a);
  CHECK(!c->first_token);
  run_to_end(s, *d);
  CHECK(b->done);
  CHECK(c->done);
}

TEST_CASE("a window needs few pages, and the promise holds") {
  const model m = tiny_model("mini-4k");  // window 7, context 64
  for (const std::size_t chunk : {1, 4, 16, 23}) {
    INFO("chunk " << chunk);
    const std::size_t pages = (7 + chunk + 63) / 64 + 1;
    scheduler s = make_scheduler(m, pages, {.prefill_chunk = chunk});
    const auto q = s.submit(made_up_prompt(50, 1, 300),
                            {.max_tokens = 0, .ignore_stop_ids = true});
    run_to_end(s, *q);
    CHECK(!q->seen().error);
    CHECK(ids_of(*q).size() == 14);
  }
}

TEST_CASE("a window of several pages needs its pages, a slice's and one more") {
  model_config config = tiny_model("mini-4k").config();
  config.max_context = 4096;
  config.rope.original_context = 4096;
  for (const std::uint32_t window : {65u, 100u, 128u}) {
    config.window = window;
    const auto m = model::random(config, dtype::q8_0, 1);
    REQUIRE_OK(m);
    for (const std::size_t chunk : {1, 63, 64, 65, 200}) {
      INFO("window " << window << ", chunk " << chunk);
      const generation_params params{.max_tokens = 70, .ignore_stop_ids = true};
      const std::size_t pages = (window + chunk + 63) / 64 + 1;
      scheduler s = make_scheduler(*m, pages, {.prefill_chunk = chunk});
      const auto q = s.submit(made_up_prompt(700, 1, 300), params);
      run_to_end(s, *q);
      CHECK(!q->seen().error);
      CHECK(ids_of(*q).size() == 70);
      scheduler fewer = make_scheduler(*m, pages - 1, {.prefill_chunk = chunk});
      CHECK(fewer.submit(made_up_prompt(700, 1, 300), params)->done);
    }
  }
}

TEST_CASE("a long prompt is read while others go on") {
  const model m = demo_model(false);
  scheduler s = make_scheduler(m, 400, {.prefill_chunk = 16});
  const auto slow =
      s.submit(made_up_prompt(1600, 1, 1900), {.ignore_stop_ids = true});
  const auto quick = s.submit(made_up_prompt(3, 2, 1900),
                              {.max_tokens = 1, .ignore_stop_ids = true});
  const auto decoding = s.submit(made_up_prompt(1, 2, 1900),
                                 {.max_tokens = 50, .ignore_stop_ids = true});
  run_to_end(s, *decoding);
  CHECK(ids_of(*decoding).size() == 50);
  CHECK(!slow->done);
  // Prompts are read in order of arrival.
  CHECK(!quick->done);
}

TEST_CASE("a generation that nobody takes from hinders no other") {
  const model m = demo_model(false);
  scheduler s = make_scheduler(m, 100);
  const generation_params params{.max_tokens = 20, .ignore_stop_ids = true};
  const auto left = s.submit(made_up_prompt(20, 1, 1900), params);
  const auto taken = s.submit(made_up_prompt(20, 2, 1900), params);
  run_to_end(s, *taken);
  CHECK(taken->seen().tokens.size() == 20);
  std::string text;
  while (auto piece = s.next_piece(*left)) text += piece->text;
  CHECK(text == m.tokenizer()->decode(ids_of(*left)));
}

TEST_CASE("abandoning gives the pages back and leaves others as they are") {
  const model m = demo_model(false);
  scheduler s = make_scheduler(m, 100);
  const generation_params params{.max_tokens = 40, .ignore_stop_ids = true};
  const auto reference = s.submit(made_up_prompt(80, 1, 1900), params);
  run_to_end(s, *reference);

  const auto a = s.submit(made_up_prompt(80, 1, 1900), params);
  const auto b = s.submit(made_up_prompt(200, 2, 1900), params);
  while (b->answer.empty()) CHECK(s.next_piece(*a));
  CHECK(s.pool().pages_in_use() == 2 + 4);
  s.abandon(*b);
  CHECK(b->seen().finish == finish_reason::cancelled);
  CHECK(s.pool().pages_in_use() == 2);
  run_to_end(s, *a);
  CHECK(ids_of(*a) == ids_of(*reference));

  const auto waiting = s.submit(made_up_prompt(20, 1, 1900), params);
  s.abandon(*waiting);
  CHECK(waiting->done);
  CHECK(s.pool().pages_in_use() == 0);
}

TEST_CASE("cancelling from another thread ends a long prefill at once") {
  const model m = demo_model(false);
  scheduler s = make_scheduler(m, 260);
  const auto q = s.submit(long_prompt(), {});
  steady_time cancelled;
  std::thread other([&] {
    std::this_thread::sleep_for(20ms);
    cancelled = std::chrono::steady_clock::now();
    q->stop.token.cancel();
  });
  CHECK(!s.next_piece(*q));
  const double reaction = seconds_since(cancelled);
  other.join();
  INFO("reaction in seconds: " << reaction);
  CHECK(reaction < 0.1);
  CHECK(q->seen().finish == finish_reason::cancelled);
  CHECK(!q->seen().error);
  CHECK(q->seen().tokens.empty());
  CHECK(s.pool().pages_in_use() == 0);
}

TEST_CASE("a deadline ends a prefill, and one that has passed ends at once") {
  const model m = demo_model(false);
  scheduler s = make_scheduler(m, 260);
  const auto start = std::chrono::steady_clock::now();
  generation_params params;
  params.stop_when.deadline = start + 30ms;
  const auto q = s.submit(long_prompt(), params);
  CHECK(!s.next_piece(*q));
  CHECK(seconds_since(start) >= 0.03);
  CHECK(seconds_since(start) < 0.13);
  CHECK(q->seen().finish == finish_reason::deadline);
  const auto late = s.submit(long_prompt(), params);
  CHECK(!s.next_piece(*late));
  CHECK(late->seen().finish == finish_reason::deadline);
}

TEST_CASE("a prompt cancelled in a shared step costs others nothing") {
  const model m = demo_model(false);
  scheduler s = make_scheduler(m, 400, {.prefill_chunk = 4000});
  const generation_params params{.max_tokens = 30, .ignore_stop_ids = true};
  const auto reference = s.submit(made_up_prompt(20, 1, 1900), params);
  run_to_end(s, *reference);

  const auto decoding = s.submit(made_up_prompt(20, 1, 1900), params);
  while (decoding->answer.empty()) CHECK(s.next_piece(*decoding));
  const auto reading = s.submit(long_prompt(), {});
  std::thread other([&] {
    std::this_thread::sleep_for(20ms);
    reading->stop.token.cancel();
  });
  run_to_end(s, *decoding);
  other.join();
  CHECK(reading->seen().finish == finish_reason::cancelled);
  CHECK(ids_of(*decoding) == ids_of(*reference));
}

TEST_CASE(
    "the caller's token cancels all his requests, one's end only itself") {
  const model m = demo_model(false);
  scheduler s = make_scheduler(m, 100);
  const generation_params params{.max_tokens = 40, .ignore_stop_ids = true};
  const auto a = s.submit(made_up_prompt(9, 1, 1900), params);
  const auto b = s.submit(made_up_prompt(9, 2, 1900), params);
  const auto c = s.submit(made_up_prompt(9, 3, 1900), params);
  s.abandon(*a);
  run_to_end(s, *b);
  CHECK(a->seen().finish == finish_reason::cancelled);
  CHECK(b->seen().finish == finish_reason::length);
  const auto d = s.submit(made_up_prompt(9, 1, 1900), params);
  params.stop_when.token.cancel();
  run_to_end(s, *d);
  CHECK(d->seen().finish == finish_reason::cancelled);
  CHECK(c->done);
}

TEST_CASE("a request for which there is no memory ends alone") {
  const model m = demo_model(false);
  const generation_params params{.max_tokens = 6, .ignore_stop_ids = true};
  generation_params with_logprobs = params;
  with_logprobs.sampling.n_logprobs = 0;
  const auto answer_beside = [&](std::size_t bytes) {
    scheduler s = make_scheduler(m, 100);
    const auto a = s.submit(made_up_prompt(9, 1, 1900), with_logprobs);
    const auto b = s.submit(made_up_prompt(9, 2, 1900), params);
    tinyphi_test::refuse_allocations_of(bytes);
    run_to_end(s, *b);
    tinyphi_test::refuse_allocations_of(0);
    run_to_end(s, *a);
    CHECK(b->seen().finish == finish_reason::length);
    CHECK((a->seen().finish == finish_reason::error) == (bytes != 0));
    if (bytes != 0) CHECK(a->seen().error->message == "out of memory");
    CHECK(s.pool().pages_in_use() == 0);
    return ids_of(*b);
  };
  // The last step of a list of candidates for 1901 to 2048 tokens.
  const std::size_t candidates = 2048 * sizeof(detail::candidate);
  CHECK(answer_beside(candidates) == answer_beside(0));
}

TEST_CASE("threads that each wait for their own answer share the steps",
          "[threads]") {
  const model m = demo_model(false);
  constexpr std::size_t n = 8;
  const auto params = [](std::size_t i) {
    return generation_params{.max_tokens = 8 + 2 * i,
                             .sampling = {.temperature = 1, .seed = i},
                             .ignore_stop_ids = true};
  };
  const auto prompt = [](std::size_t i) {
    return made_up_prompt(5 + 4 * i, static_cast<std::uint32_t>(i), 1900);
  };
  std::vector<std::vector<token_id>> expected;
  for (std::size_t i = 0; i < n; ++i) {
    scheduler alone = make_scheduler(m, 100);
    const auto q = alone.submit(prompt(i), params(i));
    run_to_end(alone, *q);
    expected.push_back(ids_of(*q));
  }

  scheduler s = make_scheduler(
      m, 60, {.n_threads = 2, .max_sequences = 5, .prefill_chunk = 16});
  std::vector<std::vector<token_id>> found(n);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < n; ++i) {
    threads.emplace_back([&, i] {
      // Every other thread also drops one request half-way.
      if (i % 2 == 0) {
        const auto dropped = s.submit(prompt(i), params(i));
        static_cast<void>(s.next_piece(*dropped));
        s.abandon(*dropped);
      }
      const auto q = s.submit(prompt(i), params(i));
      run_to_end(s, *q);
      found[i] = ids_of(*q);
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(found == expected);
  CHECK(s.pool().pages_in_use() == 0);
}

TEST_CASE("a prompt that was computed before is found, to the token") {
  const model m = tiny_model("medium-128k");
  scheduler s = make_caching_scheduler(m, 20);
  const std::vector<token_id> first = made_up_prompt(150, 1, 300);
  const generation_params params{.max_tokens = 3, .ignore_stop_ids = true};
  const auto ask = [&](std::vector<token_id> prompt, domain_id domain = 0) {
    generation_params p = params;
    p.cache_domain = domain;
    const auto q = s.submit(std::move(prompt), p);
    run_to_end(s, *q);
    CHECK(!q->seen().error);
    return q;
  };
  const auto a = ask(first);
  CHECK(a->seen().usage.cached_tokens == 0);
  // The last token is computed again, for its logits.
  const auto again = ask(first);
  CHECK(again->seen().usage.cached_tokens == 149);
  CHECK(ids_of(*again) == ids_of(*a));
  // The answer but for its last token is there, too.
  std::vector<token_id> longer = first;
  for (const token_id id : ids_of(*a)) longer.push_back(id);
  longer.push_back(7);
  CHECK(ask(longer)->seen().usage.cached_tokens == 152);
  // A text that goes another way after 100 tokens, inside a page.
  std::vector<token_id> other = first;
  other[100] = other[100] == 9 ? 10 : 9;
  CHECK(ask(other)->seen().usage.cached_tokens == 100);
  // Nobody sees what another domain computed.
  CHECK(ask(first, 1)->seen().usage.cached_tokens == 0);
  CHECK(ask(first, 1)->seen().usage.cached_tokens == 149);
}

TEST_CASE("cached pages give way before a request waits or is refused") {
  const model m = tiny_model("medium-128k");
  scheduler s = make_caching_scheduler(m, 4);
  const generation_params params{.max_tokens = 10, .ignore_stop_ids = true};
  for (std::uint32_t i = 0; i < 6; ++i) {
    const auto q = s.submit(made_up_prompt(180, i, 300), params);
    run_to_end(s, *q);
    CHECK(ids_of(*q).size() == 10);
    CHECK(s.pool().pages_in_use() <= 4);
    CHECK(s.cache().n_cached_pages() == s.pool().pages_in_use());
  }
  CHECK(s.preemptions() == 0);
}

TEST_CASE("the newest gives way when pages are short, and goes on as before") {
  const model m = tiny_model("medium-128k");
  generation_params params{.max_tokens = 110, .ignore_stop_ids = true};
  params.sampling = {.temperature = 1, .seed = 5};
  const auto answer_of = [&](scheduler& s, std::uint32_t i) {
    return s.submit(made_up_prompt(60, i, 300), params);
  };
  std::vector<std::vector<token_id>> expected;
  for (std::uint32_t i = 0; i < 3; ++i) {
    scheduler alone = make_scheduler(m, 20);
    const auto q = answer_of(alone, i);
    run_to_end(alone, *q);
    expected.push_back(ids_of(*q));
  }
  // 170 tokens each: three pages, of which five are there for three requests.
  scheduler s = make_caching_scheduler(m, 5);
  // The answers that came before were short, so all three are let in.
  for (int i = 0; i < 100; ++i) {
    run_to_end(s,
               *s.submit(token_ids{1, 2}, {.max_tokens = 1, .drafts = false}));
  }
  std::vector<std::shared_ptr<sequence>> all;
  for (std::uint32_t i = 0; i < 3; ++i) all.push_back(answer_of(s, i));
  run_to_end(s, *all[0]);
  CHECK(s.preemptions() > 0);
  CHECK(!all[2]->done);
  for (const auto& q : all) run_to_end(s, *q);
  for (std::size_t i = 0; i < 3; ++i) CHECK(ids_of(*all[i]) == expected[i]);
}

TEST_CASE("a queue of two refuses the third, and says when to come back") {
  const model m = tiny_model("medium-128k");
  scheduler s = make_scheduler(m, 20, {.max_sequences = 1, .max_waiting = 2});
  const generation_params params{.max_tokens = 2, .ignore_stop_ids = true};
  const auto submit = [&] { return s.submit(token_ids{1, 2, 3}, params); };
  const auto a = submit(), b = submit(), refused = submit();
  REQUIRE(refused->done);
  REQUIRE(refused->seen().error);
  CHECK(refused->seen().error->code == error_code::unavailable);
  CHECK(refused->seen().error->message ==
        "2 requests of 6 tokens wait already, allowed are 2 of 4194304; try "
        "again in about 1 s");
  CHECK(refused->seen().retry_after_seconds == 1);
  run_to_end(s, *a);
  run_to_end(s, *b);
  const auto later = submit();
  run_to_end(s, *later);
  CHECK(ids_of(*later).size() == 2);

  scheduler few = make_scheduler(m, 20, {.max_waiting_tokens = 5});
  CHECK(!few.submit(token_ids{1, 2, 3, 4}, params)->done);
  CHECK(few.submit(token_ids{1, 2}, params)->done);
}

TEST_CASE(
    "an answer that nobody reads rests at 4096 tokens until somebody does") {
  const model shape = tiny_model("medium-128k");
  model_config config = shape.config();
  config.max_context = 1 << 14;
  config.rope.original_context = 1 << 14;
  const auto m = model::random(config, dtype::q8_0, 3);
  REQUIRE_OK(m);
  scheduler s = make_scheduler(*m, 300);
  const auto unread =
      s.submit(token_ids{1, 2}, {.max_tokens = 5000, .ignore_stop_ids = true});
  const auto read =
      s.submit(token_ids{3, 4}, {.max_tokens = 5000, .ignore_stop_ids = true});
  run_to_end(s, *read);
  CHECK(read->seen().finish == finish_reason::length);
  CHECK(!unread->done);
  CHECK(unread->ready.tokens.size() >= max_ready_tokens);
  CHECK(unread->ready.tokens.size() <= max_ready_tokens + 17);
  run_to_end(s, *unread);
  CHECK(ids_of(*unread).size() == 5000);
}

TEST_CASE("drive is not refused while a thread steps for its own answer",
          "[threads]") {
  const model m = demo_model(false);
  scheduler s = make_scheduler(m, 100);
  std::atomic<int> told = 0;
  generation_params params{.max_tokens = 1000, .ignore_stop_ids = true};
  params.on_progress = [&] { ++told; };
  const auto answer = s.submit(made_up_prompt(20, 1, 1900), params);
  std::thread reader([&] { run_to_end(s, *answer); });
  while (told < 10) std::this_thread::yield();
  stop_condition stop;
  result<void> drove;
  std::thread driver([&] { drove = s.drive(stop); });
  reader.join();
  stop.token.cancel();
  driver.join();
  REQUIRE_OK(drove);
  CHECK(ids_of(*answer).size() == 1000);
}

TEST_CASE("one thread drives, others wait, and sleep when nobody drives",
          "[threads]") {
  const model m = demo_model(false);
  scheduler s = make_scheduler(m, 100);
  stop_condition stop, over;
  over.deadline = std::chrono::steady_clock::now();
  // Both may find the other driving, for a moment.
  std::thread driver([&] {
    while (!s.drive(stop)) std::this_thread::sleep_for(1ms);
  });
  auto refused = s.drive(over);
  for (; refused; refused = s.drive(over)) std::this_thread::sleep_for(1ms);
  CHECK(refused.error().message ==
        "another thread drives this engine; one is enough");
  std::atomic<int> told = 0;
  generation_params params{.max_tokens = 20, .ignore_stop_ids = true};
  params.on_progress = [&] { ++told; };
  const auto polled = s.submit(made_up_prompt(20, 1, 1900), params);
  while (!polled->done) std::this_thread::sleep_for(1ms);
  CHECK(told > 0);
  CHECK(s.take_piece(*polled).tokens.size() == 20);
  const auto blocking = s.submit(made_up_prompt(20, 1, 1900), params);
  run_to_end(s, *blocking);
  CHECK(ids_of(*blocking) == ids_of(*polled));
  // Idle, so that steps are measured.
  std::this_thread::sleep_for(tinyphi_test::effort(300ms, 6000ms));
  stop.token.cancel();
  driver.join();
  CHECK(s.cost().learnt().key_ms > 0);
  engine_options known;
  known.step_costs = s.cost().learnt();
  const scheduler later = make_scheduler(m, 100, known);
  CHECK(later.cost().linear_ms(12) == s.cost().linear_ms(12));
  CHECK(s.cost().learnt().knots[4].rows == step_cost::sizes[4]);
  // And now whoever waits drives again.
  const auto after = s.submit(made_up_prompt(20, 1, 1900), params);
  run_to_end(s, *after);
  CHECK(ids_of(*after) == ids_of(*polled));
}

TEST_CASE("the time in the queue can be bounded, and runs out only there") {
  const model m = demo_model(false);
  scheduler s = make_scheduler(m, 100, {.max_sequences = 1});
  generation_params params{.max_tokens = 200, .ignore_stop_ids = true};
  params.queue_deadline = std::chrono::steady_clock::now() + 20ms;
  const auto first = s.submit(made_up_prompt(20, 1, 1900), params);
  (void)s.next_piece(*first);
  const auto second = s.submit(made_up_prompt(20, 2, 1900), params);
  std::this_thread::sleep_for(25ms);
  run_to_end(s, *first);
  run_to_end(s, *second);
  CHECK(ids_of(*first).size() == 200);
  REQUIRE(second->seen().error);
  CHECK(second->seen().error->code == tinyphi::error_code::deadline);
  CHECK(s.load().waiting == 0);
}

TEST_CASE("whoever watches sees what runs and waits, and how far a prompt is") {
  const model m = demo_model(false);
  scheduler s =
      make_caching_scheduler(m, 100, {.max_sequences = 1, .prefill_chunk = 64});
  CHECK(s.load().idle);
  std::vector<std::size_t> read;
  generation_params params{.max_tokens = 5, .ignore_stop_ids = true};
  const std::shared_ptr<sequence>* asked = nullptr;
  params.on_progress = [&] { read.push_back((*asked)->n_read); };
  const auto prompt = made_up_prompt(150, 1, 1900);
  const auto first = s.submit(prompt, params);
  asked = &first;
  const auto second = s.submit(prompt, params);
  CHECK(s.load().waiting == 2);
  CHECK(s.load().waiting_tokens == 300);
  CHECK_FALSE(s.load().idle);
  run_to_end(s, *first);
  REQUIRE(read.size() >= 3);
  CHECK(read.front() <= 64);
  CHECK(read.back() == 150);
  CHECK(std::ranges::is_sorted(read));
  asked = &second;
  run_to_end(s, *second);
  CHECK(second->n_found == 149);
  CHECK(second->has_begun);
  stop_condition over;
  over.deadline = std::chrono::steady_clock::now();
  REQUIRE_OK(s.drive(over));
  CHECK(s.load().steps == s.steps());
  CHECK(s.load().pages_cached == s.cache().n_cached_pages());
  CHECK(s.load().idle);
}

TEST_CASE("a tenant of weight 4 reads more than another") {
  const model m = demo_model(false);
  // Turns last 100 ms for each unit of weight, however many tokens a machine
  // reads in that time: prompts of both wait during five rounds of turns.
  double step_ms = 0;
  stop_condition stop;
  engine_options timed{.prefill_chunk = 16};
  timed.on_step = [&](double ms, std::size_t) {
    step_ms += ms;
    if (step_ms > 2500) stop.token.cancel();
  };
  scheduler s = make_scheduler(m, 400, timed);
  s.set_weight(2, 4);
  std::vector<std::shared_ptr<sequence>> humble, heavy;
  for (int i = 0; i < 50; ++i) {
    for (std::uint64_t tenant : {1, 2}) {
      generation_params params{.max_tokens = 1};
      params.tenant = tenant;
      (tenant == 1 ? humble : heavy)
          .push_back(s.submit(made_up_prompt(3900, 1, 1900), params));
    }
  }
  REQUIRE_OK(s.drive(stop));
  const auto n_read =
      [](const std::vector<std::shared_ptr<sequence>>& prompts) {
        std::size_t n = 0;
        for (const auto& q : prompts) n += q->n_read;
        return n;
      };
  CHECK(heavy.back()->n_read == 0);  // there was always one that waited
  CHECK(n_read(humble) > 0);
  CHECK(n_read(heavy) > n_read(humble));
}

TEST_CASE("who comes gets a place although another has taken them all") {
  const model m = demo_model(false);
  const auto long_one = [](std::uint64_t tenant, std::uint32_t seed) {
    generation_params params{.max_tokens = tenant == 1 ? 100u : 10u,
                             .ignore_stop_ids = true};
    params.tenant = tenant;
    return std::pair(made_up_prompt(40, seed, 300), params);
  };
  const auto alone = [&](std::uint32_t seed) {
    scheduler s = make_scheduler(m, 100, {});
    const auto [prompt, params] = long_one(1, seed);
    const auto q = s.submit(prompt, params);
    run_to_end(s, *q);
    return ids_of(*q);
  };
  const auto first = alone(1), second = alone(2);
  engine_options two;
  two.max_sequences = 2;
  scheduler s = make_scheduler(m, 100, two);
  const auto submit = [&](std::uint64_t tenant, std::uint32_t seed) {
    const auto [prompt, params] = long_one(tenant, seed);
    return s.submit(prompt, params);
  };
  const auto a = submit(1, 1), b = submit(1, 2), c = submit(1, 3);
  (void)s.next_piece(*b);
  REQUIRE_FALSE(b->done);
  const auto other = submit(2, 1);
  run_to_end(s, *other);
  CHECK(std::ranges::equal(ids_of(*other), std::span(first).first(10)));
  CHECK_FALSE(a->done);
  CHECK_FALSE(b->done);
  CHECK(s.preemptions() == 1);
  // Of the same tenant nobody gives way for c, and b goes on as if alone.
  run_to_end(s, *a);
  run_to_end(s, *b);
  CHECK(ids_of(*a) == first);
  CHECK(ids_of(*b) == second);
  CHECK(s.preemptions() == 1);
}

TEST_CASE("an idle driver is woken to let go of its cache, and to stop",
          "[threads]") {
  const model m = demo_model(false);
  engine_options known;
  known.step_costs = step_cost().learnt();
  known.budget = memory_budget(0);
  scheduler s = make_caching_scheduler(m, 100, known);
  const auto answer = s.submit(made_up_prompt(100, 1, 1900), {.max_tokens = 5});
  run_to_end(s, *answer);
  CHECK(known.budget.usage().of(memory_use::cache) > 0);
  stop_condition stop;
  std::thread driver([&] { REQUIRE_OK(s.drive(stop)); });
  while (s.load().pages_cached == 0) std::this_thread::sleep_for(1ms);
  s.ask_to_drop_cache();
  while (s.load().pages_cached > 0) std::this_thread::sleep_for(1ms);
  CHECK(known.budget.usage().of(memory_use::cache) == 0);
  const auto asked_at = std::chrono::steady_clock::now();
  stop.token.cancel();
  s.wake();
  driver.join();
  CHECK(seconds_since(asked_at) < 0.9);  // by itself it looks once a second
}

TEST_CASE(
    "a deadline of a decoding request ends it within 100 ms beside a long "
    "prompt") {
  const model m = demo_model(false);
  scheduler s =
      make_scheduler(m, 400, {.prefill_chunk = 4000, .gap_ms = 60000});
  const auto reading = s.submit(long_prompt(), {.max_tokens = 1});
  generation_params params{.max_tokens = 3000, .ignore_stop_ids = true};
  const auto decoding = s.submit(made_up_prompt(3, 1, 1900), params);
  while (decoding->answer.empty()) REQUIRE(s.next_piece(*decoding));
  const auto cancelled_at = std::chrono::steady_clock::now();
  decoding->stop.deadline = cancelled_at + 5ms;
  run_to_end(s, *decoding);
  INFO("seconds: " << seconds_since(cancelled_at));
  CHECK(seconds_since(cancelled_at) < 0.105);
  CHECK(decoding->seen().finish == finish_reason::deadline);
  s.abandon(*reading);
}

TEST_CASE("drafts are found in references and change nothing but the steps") {
  const model m = demo_model(false);
  const auto steps_for = [&](const generation_params& params) {
    scheduler s = make_scheduler(m, 100);
    // A machine on which eight rows cost as much as one.
    const auto q = s.submit(made_up_prompt(60, 1, 1900), params);
    run_to_end(s, *q);
    return std::pair(ids_of(*q), s.steps());
  };
  generation_params params{.max_tokens = 60, .ignore_stop_ids = true};
  params.drafts = false;
  const auto [plain, plain_steps] = steps_for(params);
  params.drafts = true;
  params.references = {plain};
  const auto [drafted, drafted_steps] = steps_for(params);
  CHECK(drafted == plain);
  CHECK(plain_steps >= 60);
  CHECK(drafted_steps <= plain_steps);
}

TEST_CASE("a number that is not finite ends its own request, with the layer") {
  // A copy of the model with a NaN in layer 2's feed-forward output.
  const auto from = tinyphi_test::data_dir() / "tiny" / "mini-4k";
  const tinyphi_test::temp_folder folder;
  for (const char* name : {"config.json", "generation_config.json"}) {
    std::filesystem::copy_file(from / name, folder.path() / name);
  }
  auto bytes = read_file(from / "model.safetensors", std::size_t{1} << 26);
  REQUIRE_OK(bytes);
  const std::string key = "\"model.layers.1.mlp.down_proj.weight\"";
  const std::size_t at = bytes->find("\"data_offsets\":[", bytes->find(key));
  REQUIRE(at != std::string::npos);
  std::uint64_t header = 0;
  std::memcpy(&header, bytes->data(), sizeof header);
  const std::size_t begin = std::stoul(bytes->substr(at + 16));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(bytes->data() + 8 + header + begin, &nan, sizeof nan);
  folder.write("model.safetensors", *bytes);

  const auto m = model::load(folder.path(), {.exact = true});
  REQUIRE_OK(m);
  scheduler s = make_scheduler(*m, 4);
  const auto q = s.submit(token_ids{1, 2, 3}, {});
  run_to_end(s, *q);
  REQUIRE(q->seen().error);
  CHECK(q->seen().error->code == error_code::bad_data);
  CHECK_THAT(q->seen().error->message,
             Catch::Contains("a number is not finite after layer 2"));
  CHECK(q->seen().tokens.empty());
  CHECK(s.pool().pages_in_use() == 0);
}
