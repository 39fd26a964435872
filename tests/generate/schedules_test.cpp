// SPDX-License-Identifier: MIT
// The promise of engine.h: the same request gives the same tokens, bit for bit,
// whatever runs beside it and however it is computed.
#include <random>

#include "support/effort.h"
#include "support/models.h"
#include "support/test.h"
#include "tinyphi/generate/scheduler.h"

using namespace tinyphi;
using tinyphi_test::made_up_prompt;
using tinyphi_test::tiny_model;

namespace {

using random_numbers = std::mt19937;

std::size_t pick(random_numbers& r, std::size_t from, std::size_t to) {
  return from + r() % (to - from + 1);
}

struct request {
  std::vector<token_id> prompt;
  generation_params params;
};

// Prompts that begin alike, repeat themselves and differ; all ways to sample.
request random_request(random_numbers& r, const model_config& c,
                       std::size_t longest) {
  request q;
  const std::size_t n = pick(r, 1, longest);
  q.prompt = made_up_prompt(n, static_cast<std::uint32_t>(r() % 3), 300);
  if (r() % 2 == 0) {  // something to draft from
    const std::size_t period = pick(r, 1, 5);
    for (std::size_t i = n / 3; i < n; ++i) {
      q.prompt[i] = q.prompt[i % period];
    }
  }
  if (r() % 3 == 0) q.prompt[n / 2] = static_cast<token_id>(r() % 300);
  q.params.max_tokens =
      pick(r, 1, c.max_context - n < 30 ? c.max_context - n : std::size_t{30});
  q.params.ignore_stop_ids = r() % 4 != 0;
  sampling_params& s = q.params.sampling;
  s.seed = r();
  if (r() % 2 == 0) s.temperature = 0.1f + static_cast<float>(r() % 10) / 10;
  if (r() % 4 == 0) s.repetition_penalty = 1.3f;
  if (r() % 4 == 0) s.mirostat = 2;
  if (r() % 4 == 0) s.dry_multiplier = 1;
  if (r() % 3 == 0) s.n_logprobs = 2;
  q.params.long_from_start = r() % 4 == 0;
  q.params.priority = static_cast<priority_class>(r() % 3);
  q.params.tenant = r() % 2;
  q.params.cache_domain = r() % 2;
  if (r() % 3 == 0) q.params.references = {q.prompt, {1, 2, 3, 4, 5, 6}};
  return q;
}

struct answer {
  std::vector<token_id> ids;
  std::vector<float> logprobs;
  finish_reason finish = finish_reason::none;
  bool operator==(const answer&) const = default;
};

answer answer_of(scheduler& s, sequence& q) {
  answer a;
  while (s.next_piece(q)) {
  }
  const outcome& o = q.seen();
  INFO((o.error ? o.error->message : "no error"));
  CHECK(!o.error);
  for (const sampled_token& t : o.tokens) {
    a.ids.push_back(t.id);
    a.logprobs.push_back(t.logprob);
    for (const token_logprob& l : t.top) a.logprobs.push_back(l.logprob);
  }
  a.finish = o.finish;
  return a;
}

// One after the other, token by token, with nothing kept.
std::vector<answer> plain_answers(const model& m,
                                  const std::vector<request>& requests) {
  std::vector<answer> all;
  for (const request& q : requests) {
    scheduler s(m, {.n_threads = 1,
                    .kv_bytes = std::size_t{1} << 26,
                    .cache_type = kv_type::int8,
                    .prefix_cache = false});
    generation_params params = q.params;
    params.drafts = false;
    params.references.clear();
    all.push_back(answer_of(s, *s.submit(q.prompt, params)));
  }
  return all;
}

// How often what the test is about took place.
struct counts {
  std::size_t cached = 0, preempted = 0, swapped = 0, accepted = 0;
};

void run_schedule(const model& m, std::uint32_t seed, counts& seen) {
  random_numbers r(seed);
  const model_config& c = m.config();
  std::vector<request> requests;
  const std::size_t longest = std::min<std::size_t>(c.max_context - 2, 190);
  for (std::size_t i = pick(r, 2, 9); i > 0; --i) {
    requests.push_back(random_request(r, c, longest));
  }
  const std::vector<answer> expected = plain_answers(m, requests);

  engine_options o;
  o.n_threads = static_cast<int>(pick(r, 1, 2));
  o.cache_type = kv_type::int8;
  o.max_sequences = pick(r, 1, 16);
  o.prefill_chunk = pick(r, 1, 80);
  // Few pages, so that requests give way.
  const std::size_t page = kv_bytes_per_token(c, kv_type::int8) * page_tokens;
  std::size_t most = 0;
  for (const request& q : requests) {
    most =
        std::max(most, most_kv_pages(c, q.prompt.size() + q.params.max_tokens,
                                     o.prefill_chunk));
  }
  o.kv_bytes = page * pick(r, most, most + 4);
  if (r() % 2 == 0) o.swap_folder = std::filesystem::temp_directory_path();
  scheduler s(m, o);
  std::vector<std::shared_ptr<sequence>> running;
  for (std::size_t round = 0; round < 2; ++round) {
    running.clear();
    for (const request& q : requests) {
      running.push_back(s.submit(q.prompt, q.params));
      if (r() % 4 == 0) (void)s.next_piece(*running[r() % running.size()]);
    }
    for (std::size_t i = 0; i < requests.size(); ++i) {
      INFO("seed " << seed << ", round " << round << ", request " << i);
      CHECK(answer_of(s, *running[i]) == expected[i]);
      seen.cached += running[i]->seen().usage.cached_tokens;
      seen.accepted += running[i]->seen().usage.accepted_tokens;
    }
  }
  seen.preempted += s.preemptions();
  seen.swapped += s.swaps();
  running.clear();
  s.drop_cache();
  CHECK(s.pool().pages_in_use() == 0);
}

}  // namespace

TEST_CASE(
    "random schedules with cache, drafts, preemption, slices and threads give "
    "what plain decoding gives, bit for bit") {
  const auto n_seeds =
      static_cast<std::uint32_t>(tinyphi_test::sweep_rounds(6, 1000));
  counts seen;
  for (const char* name : {"mini-4k", "mini-128k", "medium-128k", "small-8k"}) {
    for (const bool exact : {false, true}) {
      const model m = tiny_model(name, exact);
      for (std::uint32_t seed = 0; seed < n_seeds; ++seed) {
        INFO(name << (exact ? ", exact" : ", integers"));
        run_schedule(m, seed, seen);
      }
    }
  }
  // Otherwise the test is about nothing.
  INFO(seen.cached << " cached, " << seen.preempted << " preempted, "
                   << seen.swapped << " read back, " << seen.accepted
                   << " drafted tokens accepted");
  CHECK(seen.cached > 0);
  CHECK(seen.preempted > 0);
  CHECK(seen.swapped > 0);
  CHECK(seen.accepted > 0);
}
