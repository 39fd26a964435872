// SPDX-License-Identifier: MIT
#include "tinyphi/generate/engine.h"

#include <pthread.h>

#include <future>
#include <sstream>

#include "support/effort.h"
#include "support/golden.h"
#include "support/models.h"
#include "tinyphi/base/json.h"
#include "tinyphi/generate/session.h"

using namespace tinyphi;
using tinyphi_test::demo_model;
using tinyphi_test::effort;
using tinyphi_test::golden_file;
using tinyphi_test::golden_of;
using tinyphi_test::made_up_prompt;
using tinyphi_test::message_of;
using tinyphi_test::slow_build;
using tinyphi_test::tiny_model;

namespace {

engine make_engine(const model& m, const engine_options& options = {}) {
  auto e = engine::create(m, options);
  REQUIRE_OK(e);
  return *std::move(e);
}

void run_to_end(generation& g) {
  while (g.next()) {
  }
}

std::vector<token_id> ids_of(generation& g) {
  run_to_end(g);
  std::vector<token_id> ids;
  for (const sampled_token& t : g.tokens()) ids.push_back(t.id);
  return ids;
}

std::string fault_of(generation g) {
  run_to_end(g);
  CHECK(g.finish() == finish_reason::error);
  CHECK(g.tokens().empty());
  return g.error() ? g.error()->message : "(no error)";
}

// Runs f on a thread that has so much stack and no more.
template <class F>
void run_with_stack(std::size_t bytes, F f) {
  pthread_attr_t attributes;
  REQUIRE(::pthread_attr_init(&attributes) == 0);
  REQUIRE(::pthread_attr_setstacksize(&attributes, bytes) == 0);
  pthread_t thread{};
  const auto call = [](void* g) -> void* {
    (*static_cast<F*>(g))();
    return nullptr;
  };
  REQUIRE(::pthread_create(&thread, &attributes, call, &f) == 0);
  REQUIRE(::pthread_join(thread, nullptr) == 0);
  ::pthread_attr_destroy(&attributes);
}

// What a whole answer may take of its caller's stack; AddressSanitizer puts
// space around each variable.
#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t small_stack = std::size_t{512} << 10;
#else
constexpr std::size_t small_stack = std::size_t{64} << 10;
#endif

// A greedy choice of `id` again and again.
sampling_params always(token_id id) { return {.logit_bias = {{id, 100.0f}}}; }

}  // namespace

TEST_CASE("greedy answers are Hugging Face's, over the longrope switch too") {
  for (const std::string& name : tinyphi_test::tiny_models) {
    const model m = tiny_model(name);
    const golden_file g = golden_of(name);
    for (const std::size_t chunk : {1, 5, 256}) {
      if (slow_build && chunk != 5) continue;
      engine e = make_engine(m, {.n_threads = 1, .prefill_chunk = chunk});
      std::vector<generation> answers;
      std::vector<std::vector<token_id>> expected;
      for (std::size_t k = 0; k < g.prompts(); ++k) {
        expected.push_back(g.ids("greedy." + std::to_string(k)));
        answers.push_back(e.complete(
            g.prompt(k),
            {.max_tokens = expected.back().size(), .ignore_stop_ids = true}));
      }
      for (std::size_t k = 0; k < answers.size(); ++k) {
        INFO(name << ", prompt " << k << ", chunks of " << chunk);
        CHECK(ids_of(answers[k]) == expected[k]);
        CHECK(answers[k].finish() == finish_reason::length);
        CHECK(!answers[k].error());
      }
    }
  }
}

TEST_CASE("long_from_start uses the long factors where the limit asks for it") {
  const model m = tiny_model("mini-128k");  // original context 32
  engine e = make_engine(m, {.n_threads = 1});
  const std::vector<token_id> prompt = made_up_prompt(20, 1, 300);
  const auto by_hand = [&](std::size_t length_limit, std::size_t n) {
    auto s = session::create(m, length_limit, 1);
    REQUIRE_OK(s);
    std::vector<token_id> text = prompt, answer;
    std::span<const token_id> next = text;
    while (answer.size() < n) {
      const auto logits = s->run(next);
      REQUIRE_OK(logits);
      answer.push_back(static_cast<token_id>(
          tinyphi_test::arg_max(logits->last(m.config().vocab_size))));
      next = std::span(&answer.back(), 1);
    }
    return answer;
  };
  const auto by_engine = [&](std::size_t n, bool long_from_start) {
    generation g = e.complete(prompt, {.max_tokens = n,
                                       .ignore_stop_ids = true,
                                       .long_from_start = long_from_start});
    return ids_of(g);
  };
  CHECK(by_engine(12, false) == by_hand(32, 12));
  CHECK(by_engine(12, true) == by_hand(32, 12));  // 32 tokens: never long
  CHECK(by_engine(13, true) == by_hand(33, 13));
  CHECK(by_engine(13, true) != by_engine(13, false));
}

TEST_CASE("an answer ends at a stop id, max_tokens or the context's end") {
  const model m = tiny_model("mini-4k");  // context 64, stop id 300
  engine e = make_engine(m, {.n_threads = 1});
  const std::vector<token_id> prompt = {5, 6, 7};

  generation stopped = e.complete(prompt, {.sampling = always(300)});
  CHECK(ids_of(stopped).empty());
  CHECK(stopped.finish() == finish_reason::stop);
  CHECK(stopped.usage().completion_tokens == 0);
  CHECK(stopped.usage().prompt_tokens == 3);

  generation goes_on = e.complete(
      prompt,
      {.max_tokens = 5, .sampling = always(300), .ignore_stop_ids = true});
  CHECK(ids_of(goes_on) == std::vector<token_id>(5, 300));
  CHECK(goes_on.finish() == finish_reason::length);
  CHECK(goes_on.usage().completion_tokens == 5);

  for (const std::size_t max_tokens : {std::size_t{0}, std::size_t{1000}}) {
    generation full =
        e.complete(prompt, {.max_tokens = max_tokens, .sampling = always(9)});
    CHECK(ids_of(full).size() == 61);
    CHECK(full.finish() == finish_reason::length);
  }
  generation last = e.complete(made_up_prompt(63, 1, 300), {});
  CHECK(ids_of(last).size() == 1);
}

TEST_CASE("what is wrong with a request is said in its generation") {
  const model m = tiny_model("mini-4k");
  engine e = make_engine(m, {.n_threads = 1});
  CHECK(fault_of(e.complete(made_up_prompt(64, 1, 300))) ==
        "the prompt has 64 tokens, the model's context of 64 must hold it and "
        "at least one token of the answer");
  CHECK(fault_of(e.complete(std::vector<token_id>{})) ==
        "the prompt has no tokens");
  CHECK(fault_of(e.complete({1, 320})) ==
        "prompt token 1 is 320, allowed are ids from 0 to 319");
  CHECK(fault_of(e.complete({-1})) ==
        "prompt token 0 is -1, allowed are ids from 0 to 319");
  CHECK(fault_of(e.complete({1}, {.sampling = {.top_p = 2}})) ==
        "top_p is 2, allowed are numbers in (0, 1]");
  CHECK(fault_of(e.complete({1}, {.stop = {"x"}})) ==
        "stop strings need a tokenizer; this model has none");
  CHECK_THAT(fault_of(e.complete(std::vector<segment>{{"Hello"}})),
             Catch::EndsWith("has no tokenizer; give token ids"));
  CHECK(fault_of(e.chat({{role::user, "Hello"}})) ==
        m.chat_format().error().message);

  engine demo = make_engine(demo_model(false), {.n_threads = 1});
  CHECK(fault_of(demo.chat({{role::user, "Hi"}}, {.stop = {"a", ""}})) ==
        "a stop string is empty");
  CHECK_THAT(fault_of(demo.chat({{role::tool, "Hi"}})),
             Catch::Contains("tool"));
}

TEST_CASE("engine options are checked, zeros are replaced") {
  const model m = tiny_model("mini-4k");
  CHECK(message_of(engine::create(m, {.n_threads = -1})) ==
        "n_threads is -1, allowed are numbers in [0, 1024]");
  CHECK(message_of(engine::create(m, {.max_sequences = 0})) ==
        "max_sequences is 0, allowed are numbers in [1, 4096]");
  CHECK(message_of(engine::create(m, {.prefill_chunk = 65537})) ==
        "prefill_chunk is 65537, allowed are numbers in [1, 65536]");
  const std::size_t page =
      kv_bytes_per_token(m.config(), m.default_kv_type()) * page_tokens;
  CHECK(message_of(engine::create(m, {.kv_bytes = page - 1})) ==
        "a cache budget (kv_bytes) of " + std::to_string(page - 1) +
            " bytes holds no page of " + std::to_string(page) +
            " bytes (64 tokens)");
  engine e = make_engine(m);
  CHECK(e.options().kv_bytes == page);
  CHECK(e.model().config().max_context == 64);
}

TEST_CASE("log-probabilities are those of the model's distribution") {
  const model m = tiny_model("mini-4k");
  const golden_file g = golden_of("mini-4k");
  engine e = make_engine(m, {.n_threads = 1});
  generation a = e.complete(g.ids("ids.3"),
                            {.max_tokens = 1, .sampling = {.n_logprobs = 3}});
  run_to_end(a);
  const std::vector<float> logits = g.floats("logits.3");
  const auto last = std::span(logits).last(m.config().vocab_size);
  double sum = 0;
  for (const float l : last) sum += std::exp(static_cast<double>(l));
  const sampled_token& t = a.tokens().at(0);
  CHECK(t.logprob ==
        Approx(static_cast<double>(last[static_cast<std::size_t>(t.id)]) -
               std::log(sum))
            .margin(1e-3));
  REQUIRE(t.top.size() == 3);
  CHECK(t.top[0].id == t.id);
}

TEST_CASE("the same request gives the same tokens whatever runs beside it") {
  for (const bool exact : {true, false}) {
    const model m = demo_model(exact);
    generation_params params{
        .max_tokens = effort(24u, 6u),
        .sampling = {.temperature = 1, .top_p = 0.95f, .seed = 11},
        .ignore_stop_ids = true};
    const std::vector<token_id> prompt = made_up_prompt(90, 5, 1900);
    engine alone = make_engine(m, {.n_threads = 1});
    generation first = alone.complete(prompt, params);
    const std::vector<token_id> expected = ids_of(first);
    REQUIRE(expected.size() == params.max_tokens);
    for (const int n_threads : {1, 2, 4}) {
      for (const std::size_t chunk : {7, 64, 256}) {
        const std::size_t only = n_threads == 1 ? 0 : n_threads == 2 ? 7 : 256;
        if (slow_build && chunk != only) continue;
        INFO("exact " << exact << ", threads " << n_threads << ", chunk "
                      << chunk);
        engine e = make_engine(m, {.n_threads = n_threads,
                                   .kv_bytes = std::size_t{1} << 30,
                                   .prefill_chunk = chunk});
        std::vector<generation> others;
        const auto add_other = [&](std::uint32_t i) {
          params.sampling.seed = i;
          others.push_back(e.complete(
              made_up_prompt(10 + effort(20u, 5u) * i, i, 1900), params));
        };
        for (std::uint32_t i = 0; i < 4; ++i) add_other(i);
        params.sampling.seed = 11;
        generation again = e.complete(prompt, params);
        for (std::uint32_t i = 4; i < 8; ++i) add_other(i);
        CHECK(ids_of(again) == expected);
      }
    }
  }
}

TEST_CASE("many engines share the machine", "[threads]") {
  const model m = demo_model(false);
  std::vector<engine> engines;
  for (int i = 0; i < 8; ++i) {
    engines.push_back(make_engine(m, {.n_threads = 1 + i % 4}));
  }
  const auto answer = [](engine& e, std::uint32_t i) {
    generation g = e.complete(made_up_prompt(10 + i, i, 1900),
                              {.max_tokens = 4, .ignore_stop_ids = true});
    return ids_of(g);
  };
  std::vector<std::future<std::vector<token_id>>> answers;
  for (std::uint32_t i = 0; i < 8; ++i) {
    answers.push_back(std::async(std::launch::async,
                                 [&, i] { return answer(engines[i], i); }));
  }
  engine alone = make_engine(m, {.n_threads = 1});
  for (std::uint32_t i = 0; i < 8; ++i) {
    CHECK(answers[i].get() == answer(alone, i));
  }
}

TEST_CASE("stop strings end the text, over token borders, and are not in it") {
  const model m = demo_model(true);
  engine e = make_engine(m);
  const std::vector<message> ask = {
      {role::user, "Repeat: the pump stops at once."}};
  generation whole = e.chat(ask, {.max_tokens = 40});
  const std::string text = whole.text();
  REQUIRE(text.size() > 12);
  CHECK(text.front() != ' ');
  // Every stretch of five bytes of a plain answer is a stop string once.
  for (std::size_t at = 0; at + 5 <= text.size(); at += effort(1, 7)) {
    const std::string stop = text.substr(at, 5);
    generation g =
        e.chat(ask, {.max_tokens = 40, .stop = {"never said", stop}});
    CHECK(g.text() == text.substr(0, text.find(stop)));
    CHECK(g.finish() == finish_reason::stop);
  }
  // One that only begins changes nothing.
  generation begun =
      e.chat(ask, {.max_tokens = 40, .stop = {text.substr(4) + "!?"}});
  CHECK(begun.text() == text);
}

TEST_CASE("tokens that hold a breaker are free to repeat under DRY") {
  const model m = demo_model(false);
  engine e = make_engine(m);
  const std::optional<token_id> newline = m.tokenizer()->find("<0x0A>");
  REQUIRE(newline);
  const std::vector<token_id> repeated(12, *newline);
  sampling_params p = always(*newline);
  p.dry_multiplier = 100;
  p.dry_base = 10;
  generation breaker = e.complete({5, 6}, {.max_tokens = 12, .sampling = p});
  CHECK(ids_of(breaker) == repeated);
  p.dry_breakers = {"x"};
  generation other = e.complete({5, 6}, {.max_tokens = 12, .sampling = p});
  CHECK(ids_of(other) != repeated);
}

TEST_CASE("pieces are never empty and join to the decoded tokens") {
  const model m = demo_model(false);
  engine e = make_engine(m);
  generation g =
      e.complete(std::vector<segment>{{"The limit of the pump is"}},
                 {.max_tokens = 30, .sampling = {.temperature = 2, .seed = 3}});
  std::string joined;
  for (std::string_view piece : g) {
    CHECK(!piece.empty());
    joined += piece;
  }
  std::vector<token_id> ids;
  for (const sampled_token& t : g.tokens()) ids.push_back(t.id);
  CHECK(joined == m.tokenizer()->decode(ids));
  CHECK(!g.next());
  CHECK(g.usage().completion_tokens == ids.size());
  CHECK(g.usage().prefill_seconds > 0);
  CHECK(g.usage().decode_seconds > 0);
}

// Greedy, in exact mode, against Hugging Face in fp32: rounding may turn only
// what is nearly a tie.
TEST_CASE("the demo model answers as Hugging Face computes it") {
  const model m = demo_model(true);
  engine e = make_engine(m);
  auto lines =
      read_file(tinyphi_test::data_dir() / "demo/answers.jsonl", 1 << 24);
  REQUIRE_OK(lines);
  struct test_case {
    std::string answer;
    std::vector<token_id> ids;
    double margin;
    generation g;
  };
  std::vector<test_case> cases;
  std::istringstream in(*lines);
  int n_lines = 0;
  for (std::string line; std::getline(in, line);) {
    if (n_lines++ % effort(1, 15) != 0) continue;
    const auto parsed = parse_json(line, "answers.jsonl");
    REQUIRE_OK(parsed);
    const json::object& o = parsed->as_object();
    const auto ids = [&](const char* key) {
      return json::value_to<std::vector<token_id>>(o.at(key));
    };
    std::vector<message> messages;
    for (const json::value& v : o.at("messages").as_array()) {
      const json::string& who = v.at("role").as_string();
      messages.push_back({who == "system"      ? role::system
                          : who == "assistant" ? role::assistant
                                               : role::user,
                          json::value_to<std::string>(v.at("content"))});
    }
    const auto prompt = render_chat(*m.chat_format(), messages);
    REQUIRE_OK(prompt);
    CHECK(m.tokenizer()->encode(*prompt, true) == ids("prompt_ids"));
    cases.push_back({json::value_to<std::string>(o.at("answer")),
                     ids("answer_ids"), o.at("smallest_margin").as_double(),
                     e.chat(messages, {.max_tokens = 120})});
  }
  std::size_t equal = 0;
  for (test_case& c : cases) {
    const std::string text = c.g.text();
    std::vector<token_id> ids;
    for (const sampled_token& t : c.g.tokens()) ids.push_back(t.id);
    if (ids == c.ids) {
      ++equal;
      CHECK(text == c.answer);
    } else {
      WARN("smallest margin " << c.margin << ": \"" << text << "\" for \""
                              << c.answer << '"');
      CHECK(c.margin < 1e-3);
    }
  }
  WARN(equal << " of " << cases.size() << " answers equal Hugging Face's");
  CHECK(static_cast<double>(equal) >= 0.99 * static_cast<double>(cases.size()));
}

TEST_CASE("pieces carry their tokens and log-probabilities as they come") {
  const model m = demo_model(false);
  engine e = make_engine(m);
  generation g =
      e.complete(std::vector<segment>{{"The limit of the pump is"}},
                 {.max_tokens = 30,
                  .sampling = {.temperature = 2, .seed = 3, .n_logprobs = 2}});
  std::vector<token_id> ids;
  std::string text;
  std::size_t n_pieces = 0;
  while (const auto piece = g.next_piece()) {
    ++n_pieces;
    text += piece->text;
    for (const sampled_token& t : piece->tokens) {
      ids.push_back(t.id);
      CHECK(t.top.size() == 2);
      CHECK(t.logprob <= t.top[0].logprob);
    }
  }
  CHECK(n_pieces > 10);
  CHECK(text == m.tokenizer()->decode(ids));
  CHECK(ids == ids_of(g));
}

TEST_CASE("a generation that was moved from is like one that has ended") {
  const model m = tiny_model("mini-4k");
  engine e = make_engine(m, {.n_threads = 1});
  generation a = e.complete({5, 6}, {.max_tokens = 2});
  const generation b = std::move(a);
  CHECK(a.done());
  CHECK(!a.next());
  CHECK(!a.next_piece());
  CHECK(a.poll().empty());
  CHECK(a.text().empty());
  CHECK(a.tokens().empty());
  CHECK(!a.error());
  CHECK(a.finish() == finish_reason::none);
  CHECK(a.usage().prompt_tokens == 0);
  a.cancel();
}

TEST_CASE("scores are the log-probabilities of plain forward passes") {
  const model m = demo_model(true);
  engine e = make_engine(m);
  const std::vector<segment> prompt = {{"The pump is"}};
  const std::vector<std::string> candidates = {" ready.", " red",
                                               " not ready and waits"};
  const auto scores = e.score(prompt, candidates);
  REQUIRE_OK(scores);
  REQUIRE(scores->size() == 3);
  const std::size_t vocab = m.config().vocab_size;
  const auto shared = m.tokenizer()->encode(prompt, true);
  for (std::size_t i = 0; i < 3; ++i) {
    std::vector<segment> whole = prompt;
    whole.push_back({candidates[i]});
    const auto ids = m.tokenizer()->encode(whole, true);
    auto s = session::create(m, 100, 1);
    REQUIRE_OK(s);
    const auto logits = s->run(ids);
    REQUIRE_OK(logits);
    const std::vector<float>& found = (*scores)[i].logprobs;
    REQUIRE(found.size() == ids.size() - shared.size());
    double sum = 0;
    for (std::size_t t = 0; t < found.size(); ++t) {
      const auto row = logits->subspan((shared.size() + t - 1) * vocab, vocab);
      double total = 0;
      for (const float x : row) total += std::exp(static_cast<double>(x));
      const auto id = static_cast<std::size_t>(ids[shared.size() + t]);
      CHECK(
          static_cast<double>(found[t]) ==
          Approx(static_cast<double>(row[id]) - std::log(total)).margin(1e-4));
      sum += static_cast<double>(found[t]);
    }
    CHECK((*scores)[i].log_probability == Approx(sum));
  }
  CHECK(message_of(e.score(prompt, std::vector<std::string>{" a", ""})) ==
        "candidate 1 adds no token to the prompt; both need text");

  // Exact tokens give the same; texts that share less with the first, too.
  auto longer = shared;
  longer.insert(longer.end(), {5, 6});
  auto other = longer;
  other[1] = 7;
  const auto alone = e.score({{other, 2}});
  const auto together = e.score({{longer, 2}, {longer, 1}, {other, 2}});
  REQUIRE_OK(alone);
  REQUIRE_OK(together);
  CHECK((*together)[2].logprobs == alone->front().logprobs);
  REQUIRE((*together)[0].logprobs.size() == 2);
  CHECK((*together)[1].logprobs == std::vector{(*together)[0].logprobs.back()});
  CHECK(message_of(e.score({{longer, 2}, {{1, 2}, 2}})) ==
        "2 of 2 tokens are to be scored; allowed are 1 to one less than all");
  CHECK(!e.score({{longer, 0}}));
}

TEST_CASE("more candidates than the queue holds are scored all the same") {
  const model m = demo_model(false);
  engine e =
      make_engine(m, {.n_threads = 1, .max_sequences = 3, .max_waiting = 2});
  const std::vector<segment> prompt = {{"The pump is"}};
  const std::vector<std::string> candidates(20, " ready.");
  const auto scores = e.score(prompt, candidates);
  REQUIRE_OK(scores);
  REQUIRE(scores->size() == 20);
  for (const text_score& s : *scores) {
    CHECK(s.logprobs == scores->front().logprobs);
  }
  const auto vectors = e.embed(candidates);
  REQUIRE_OK(vectors);
  CHECK(vectors->size() == 20);
}

TEST_CASE("embeddings have length 1, and equal texts have equal ones") {
  const model m = demo_model(false);
  engine e = make_engine(m, {.prefill_chunk = 3});
  engine other = make_engine(m, {.n_threads = 1});
  const std::vector<std::string> texts = {"The pump is ready.", "A red light.",
                                          "The pump is ready."};
  const auto a = e.embed(texts), b = other.embed(texts);
  REQUIRE_OK(a);
  REQUIRE_OK(b);
  CHECK((*a)[0] == (*a)[2]);
  CHECK((*a)[0] != (*a)[1]);
  for (std::size_t i = 0; i < 3; ++i) {
    REQUIRE((*a)[i].size() == m.config().hidden);
    double squares = 0;
    for (std::size_t k = 0; k < (*a)[i].size(); ++k) {
      squares +=
          static_cast<double>((*a)[i][k]) * static_cast<double>((*a)[i][k]);
      CHECK((*a)[i][k] == Approx((*b)[i][k]).margin(1e-6));
    }
    CHECK(squares == Approx(1).margin(1e-5));
  }
  CHECK_THAT(message_of(e.embed(std::vector<std::string>{
                 std::string(std::size_t{1} << 24, 'a')})),
             Catch::Contains("16777216 bytes"));
}

TEST_CASE("a pinned prompt stays for all domains until it is unpinned") {
  const model m = demo_model(false);
  engine e = make_engine(m, {.n_threads = 1});
  const std::vector<token_id> head = made_up_prompt(100, 4, 1900);
  std::vector<token_id> prompt = head;
  prompt.insert(prompt.end(), {5, 6, 7});
  generation_params pin{.max_tokens = 1, .cache_domain = shared_domain};
  pin.pin_prompt = true;
  REQUIRE(ids_of(*std::make_unique<generation>(e.complete(head, pin))).size() <=
          1);
  CHECK(e.load().pages_pinned == 2);
  const auto cached_of = [&](domain_id domain) {
    generation g =
        e.complete(prompt, {.max_tokens = 1, .cache_domain = domain});
    (void)ids_of(g);
    return g.usage().cached_tokens;
  };
  CHECK(cached_of(1) == 100);
  e.drop_cache();
  CHECK(cached_of(2) == 100);
  e.unpin_prompts();
  e.drop_cache();
  CHECK(cached_of(3) == 0);
  CHECK(e.load().pages_pinned == 0);
}

TEST_CASE("n answers read their prompt once, and are those of n requests") {
  const model m = demo_model(false);
  const std::vector<token_id> prompt = made_up_prompt(150, 4, 1900);
  generation_params params{.max_tokens = 12,
                           .sampling = {.temperature = 1, .seed = 7},
                           .ignore_stop_ids = true};
  std::vector<std::vector<token_id>> expected;
  for (std::uint64_t i = 0; i < 4; ++i) {
    engine alone = make_engine(m, {.n_threads = 1, .prefix_cache = false});
    generation_params p = params;
    p.sampling.seed += i;
    generation g = alone.complete(prompt, p);
    expected.push_back(ids_of(g));
  }
  for (const bool cache : {false, true}) {
    engine e = make_engine(m, {.n_threads = 1, .prefix_cache = cache});
    std::vector<generation> all = e.complete_n(prompt, 4, params);
    REQUIRE(all.size() == 4);
    for (std::size_t i = 4; i-- > 0;) CHECK(ids_of(all[i]) == expected[i]);
    CHECK(all[0].usage().cached_tokens == 0);
    for (std::size_t i = 1; i < 4; ++i) {
      CHECK(all[i].usage().cached_tokens == 149);
    }
  }
}

TEST_CASE("a text that cannot fit the context is refused before tokenizing") {
  const model m = demo_model(false);
  engine e = make_engine(m);
  const std::vector<segment> huge = {{std::string(std::size_t{64} << 20, 'a')}};
  const auto begin = std::chrono::steady_clock::now();
  const std::string fault = fault_of(e.complete(huge));
  const auto time = std::chrono::steady_clock::now() - begin;
  CHECK_THAT(fault, Catch::StartsWith("the prompt has 67108864 bytes; the "
                                      "context of 4096 tokens holds at most"));
  CHECK(time < std::chrono::milliseconds(50));
}

TEST_CASE("a whole answer needs no more than 64 KiB of its caller's stack") {
  for (const model& m :
       {tiny_model("mini-4k", true), tiny_model("mini-4k", false),
        tiny_model("small-8k", false), demo_model(false)}) {
    engine e = make_engine(m, {.n_threads = 2});
    const auto prompt = made_up_prompt(
        std::min<std::size_t>(300, m.config().max_context - 10), 7, 100);
    const auto answer = [&] {
      auto g = e.complete(prompt, {.max_tokens = 5, .ignore_stop_ids = true});
      return ids_of(g);
    };
    const auto expected = answer();
    CHECK(expected.size() == 5);
    std::vector<token_id> found;
    run_with_stack(small_stack, [&] { found = answer(); });
    CHECK(found == expected);
  }
}
