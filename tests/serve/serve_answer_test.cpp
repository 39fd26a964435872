// SPDX-License-Identifier: MIT
#include "tinyphi/serve/serve_answer.h"

#include <chrono>
#include <thread>

#include "support/fake_exchange.h"
#include "support/models.h"
#include "support/test.h"
#include "tinyphi/serve/answer_start.h"

using namespace tinyphi;
using namespace std::chrono_literals;
using tinyphi_test::demo_model;
using tinyphi_test::fake_exchange;
using tinyphi_test::request_of;

namespace {

// Tells in words what happens, so that a test reads as a story.
class plain_dialect : public dialect {
 public:
  std::string begin() override {
    begun_ = true;
    return "begin;";
  }
  std::string piece(std::size_t i, const text_piece& p) override {
    return (begun_ ? "" : "early ") + std::exchange(so_far_, {}) +
           std::to_string(i) + "=" + std::to_string(p.tokens.size()) + ";";
  }
  void so_far(const ended_answer& a) override {
    const usage& u = a.usage;
    so_far_ = "(" + std::to_string(u.completion_tokens) + " after " +
              std::to_string(u.prompt_tokens) + ")";
    // No time has passed while nothing was done.
    CHECK((u.prefill_seconds > 0) == (u.cached_tokens < u.prompt_tokens));
    CHECK(u.decode_seconds >= 0);
    CHECK(u.prefill_seconds + u.decode_seconds < 60);
  }
  std::string progress(std::size_t found, std::size_t read,
                       std::size_t total) override {
    CHECK(found <= read);
    CHECK(read <= total);
    return std::exchange(so_far_, {}) + "read " + std::to_string(read) + ";";
  }
  std::string finish(const ended_answer& a) override {
    return std::string(to_string(a.finish)) +
           (a.ended_by.empty() ? "" : " by " + std::string(a.ended_by)) + ";";
  }
  std::string end(std::span<const ended_answer> all) override {
    return "end " + std::to_string(all.size());
  }
  std::string broken(const api_error& e) override { return "broken " + e.code; }
  std::string whole(std::span<const ended_answer> all) override {
    std::string text;
    for (const ended_answer& a : all) {
      text += "[" + a.text + "]";
      if (a.n_dropped_turns > 0) {
        text += " without " + std::to_string(a.n_dropped_turns);
      }
    }
    return text;
  }

 private:
  bool begun_ = false;
  std::string so_far_ = {};
};

struct world {
  explicit world(engine_options options = {},
                 std::optional<std::uint64_t> seed = {}) {
    options.n_threads = 1;
    auto made = engine::create(demo_model(false), options);
    REQUIRE_OK(made);
    model = std::make_shared<served_model>("demo", std::vector<std::string>{},
                                           *std::move(made), 0, seed);
    around.io = &io;
    around.workers = &workers;
    around.running = &running;
    around.deadlines = {1e7, 1e7, 1e7};  // however slow the machine is
  }
  ~world() { workers.join(); }

  void run(fake_exchange& x, answer_request r) {
    const make_dialect make = [](const answer_request&, const answer_facts&) {
      return std::make_unique<plain_dialect>();
    };
    tinyphi_test::run_to_end(
        io, serve_answer(x, model, std::move(r), make, around));
    CHECK(running.all().empty());
  }

  boost::asio::io_context io;
  boost::asio::thread_pool workers{1};
  running_requests running;
  answer_environment around;
  std::shared_ptr<served_model> model;
};

answer_request question(std::size_t max_tokens) {
  answer_request r;
  r.messages = {{role::user, "What does a green light mean?"}};
  r.params.max_tokens = max_tokens;
  r.params.ignore_stop_ids = true;
  return r;
}

fake_exchange asking() { return fake_exchange(request_of("/v1/chat", "{}")); }

}  // namespace

TEST_CASE("an answer is what the engine says, whole or in pieces") {
  world w;
  auto direct =
      w.model->engine().chat({{role::user, "What does a green light mean?"}},
                             {.max_tokens = 12, .ignore_stop_ids = true});
  const std::string text = direct.text();

  fake_exchange whole = asking();
  w.run(whole, question(12));
  REQUIRE(whole.response);
  CHECK(whole.response->body == "[" + text + "]");
  CHECK(whole.report().generated_tokens == 12);
  CHECK(whole.report().prompt_tokens > 5);
  CHECK(whole.report().first_token_ms > 0);

  fake_exchange stream = asking();
  answer_request r = question(12);
  r.stream = true;
  w.run(stream, std::move(r));
  CHECK_FALSE(stream.response);
  CHECK(stream.streamed().starts_with("begin;0="));
  CHECK(stream.streamed().ends_with("length;end 1"));
  CHECK(stream.ended);
  CHECK(stream.report().cached_tokens > 0);
}

TEST_CASE("a prompt that one step reads is told of when it begins and ends") {
  world w;
  const auto told = [&](bool timings) {
    fake_exchange x = asking();
    answer_request r = question(2);
    r.stream = r.return_progress = true;
    r.timings_per_token = timings;
    w.run(x, std::move(r));
    return x.streamed();
  };
  auto counted = w.model->engine().chat(
      {{role::user, "What does a green light mean?"}}, {.max_tokens = 1});
  (void)counted.text();
  const std::string all = std::to_string(counted.usage().prompt_tokens);
  const std::string first = told(false);
  INFO(first);
  // The count has left it in the cache, all but its last token.
  const std::size_t found = std::stoul(all) - 1;
  CHECK(first.starts_with("begin;read " + std::to_string(found) + ";read " +
                          all + ";0="));
  const std::string timed = told(true);
  INFO(timed);
  CHECK(timed.starts_with("begin;(0 after " + std::to_string(found) +
                          ")read " + std::to_string(found) + ";(0 after " +
                          all + ")read " + all + ";("));
}

TEST_CASE("texts among ids are one prompt, and biases of texts are of tokens") {
  world w;
  const tokenizer& t = *w.model->engine().model().tokenizer();
  answer_request r;
  r.params.max_tokens = 3;
  r.params.ignore_stop_ids = true;
  r.prompts = {mixed_prompt{1, "The pump", 300}};
  const started_answers mixed = start_answers(*w.model, r, {});
  REQUIRE_FALSE(mixed.refused);
  CHECK(mixed.n_prompt_tokens == t.encode("The pump").size() + 2);
  // A text in front begins as a text by itself does.
  r.prompts = {mixed_prompt{"The pump", 300}};
  const std::size_t n = start_answers(*w.model, r, {}).n_prompt_tokens;
  r.prompts = {std::string("The pump")};
  CHECK(start_answers(*w.model, r, {}).n_prompt_tokens + 1 == n);

  fake_exchange free = asking(), held = asking();
  w.run(free, r);
  const std::string text = free.response->body;
  REQUIRE(text.size() > 4);
  r.text_biases = {{text.substr(1, text.size() - 2), -100.0F}};
  w.run(held, r);
  CHECK(held.response->body != text);
  r.text_biases.assign(1024, {"a b c", 1.0F});
  const started_answers many = start_answers(*w.model, r, {});
  REQUIRE(many.refused);
  CHECK(many.refused->param == "logit_bias");
}

TEST_CASE("a model's seed is that of requests that name none") {
  world w({}, 5);
  const auto told = [&](bool any, std::uint64_t seed) {
    fake_exchange x = asking();
    answer_request r = question(24);
    r.params.sampling.temperature = 1.5F;
    r.params.sampling.seed = seed;
    r.any_seed = any;
    w.run(x, std::move(r));
    return x.response->body;
  };
  CHECK(told(true, 1) == told(false, 5));
  CHECK(told(true, 2) == told(true, 3));
  CHECK(told(false, 1) != told(false, 5));
}

TEST_CASE("n answers to each of two prompts are told by index") {
  world w;
  fake_exchange x = asking();
  answer_request r;
  r.prompts = {std::string("The pump"), std::vector<token_id>{10, 11, 12}};
  r.n = 2;
  r.params.max_tokens = 3;
  r.params.ignore_stop_ids = true;
  r.stream = true;
  w.run(x, std::move(r));
  for (const char* index : {"0=", "1=", "2=", "3="}) {
    CHECK(x.streamed().find(index) != std::string::npos);
  }
  CHECK(x.streamed().ends_with("end 4"));
}

TEST_CASE("a report has the tokens of all prompts, each prompt once") {
  world w;
  answer_request r;
  std::string first = "The pump", second = "A valve";
  for (int i = 0; i < 60; ++i) {
    first += " is ready";
    second += " may be open and";
  }
  r.prompts = {first, second};
  r.n = 2;
  r.params.max_tokens = 4;
  r.params.ignore_stop_ids = true;
  fake_exchange cold = asking(), warm = asking(), alone = asking();
  w.run(cold, r);
  CHECK(cold.report().generated_tokens == 16);
  w.run(warm, r);
  CHECK(warm.report().prompt_tokens == cold.report().prompt_tokens);
  CHECK(warm.report().generated_tokens == 16);
  r.prompts.pop_back();
  w.run(alone, r);
  const std::size_t of_first = alone.report().prompt_tokens;
  CHECK(alone.report().cached_tokens > of_first / 2);
  CHECK(alone.report().cached_tokens < of_first);
  CHECK(warm.report().cached_tokens > of_first);
  CHECK(warm.report().cached_tokens < warm.report().prompt_tokens);
}

TEST_CASE("pieces are told with the tokens so far, if that is asked for") {
  world w;
  fake_exchange x = asking();
  answer_request r = question(12);
  r.stream = true;
  r.timings_per_token = true;
  w.run(x, r);
  const std::string all = x.streamed();
  const std::string n = std::to_string(x.report().prompt_tokens);
  // Each piece adds its tokens to what was told with the one before.
  std::size_t told = 0, pieces = 0;
  for (std::size_t at = all.find('('); at != std::string::npos;
       at = all.find('(', at + 1)) {
    const std::size_t so_far = std::stoul(all.substr(at + 1));
    const std::string head = std::to_string(so_far) + " after " + n + ")0=";
    REQUIRE(all.compare(at + 1, head.size(), head) == 0);
    told += std::stoul(all.substr(at + 1 + head.size()));
    CHECK(told == so_far);
    ++pieces;
  }
  CHECK(told == 12);
  CHECK(pieces > 0);
  fake_exchange plain = asking();
  r.timings_per_token = false;
  w.run(plain, r);
  CHECK(plain.streamed().find('(') == std::string::npos);
}

TEST_CASE("a client that goes ends its answer, and nothing else is sent") {
  world w;
  fake_exchange x = asking();
  answer_request r = question(3000);
  r.stream = true;
  x.on_write = [&](const std::string&) { x.gone().cancel(); };
  w.run(x, std::move(r));
  CHECK(x.pieces.size() == 1);
  CHECK_FALSE(x.ended);
  CHECK(x.report().cancelled_in == "decode");
  while (!w.model->engine().load().idle) std::this_thread::sleep_for(1ms);
}

TEST_CASE("a total time that ends an answer with text is a length, told why") {
  world w;
  bool told = false;
  // A slow machine has no text so soon.
  for (double ms = 60; !told && ms < 1e6; ms *= 4) {
    fake_exchange x = asking();
    answer_request r = question(0);
    r.stream = true;
    r.total_ms = ms;
    w.run(x, std::move(r));
    told = x.streamed().find("deadline by deadline;end 1") != std::string::npos;
  }
  CHECK(told);
}

TEST_CASE("a first token that comes too late is a 504 that is not retried") {
  world w;
  w.around.deadlines.first_token_ms = 1e-3;
  fake_exchange x = asking();
  w.run(x, question(3000));
  REQUIRE(x.response);
  CHECK(x.response->status == 504);
  CHECK(x.report().code == "deadline_first_token");
  CHECK(x.response->headers == http_headers{{"x-should-retry", "false"}});
}

TEST_CASE("a full queue is a 503 that says when to come back") {
  world w({.max_sequences = 1, .max_waiting_tokens = 5});
  fake_exchange x = asking();
  w.run(x, question(10));
  REQUIRE(x.response);
  CHECK(x.response->status == 503);
  CHECK(x.response->headers.front().first == "retry-after-ms");
}

TEST_CASE("a client's own limit holds prompt and answer together") {
  world w;
  fake_exchange x = asking();
  w.run(x, question(12));
  const std::size_t n = x.report().prompt_tokens;
  for (const std::size_t wanted : {std::size_t{0}, std::size_t{12}}) {
    fake_exchange cut = asking();
    answer_request r = question(wanted);
    r.context_limit = n + 3;
    w.run(cut, std::move(r));
    REQUIRE(cut.response);
    CHECK(cut.report().generated_tokens == 3);
  }
  fake_exchange refused = asking();
  answer_request r = question(12);
  r.context_limit = n;
  w.run(refused, std::move(r));
  REQUIRE(refused.response);
  CHECK(refused.response->status == 400);
  CHECK(refused.report().code == "context_length_exceeded");
  CHECK(refused.response->body.find("options.num_ctx is " + std::to_string(n) +
                                    " tokens") != std::string::npos);
  // One above the model's is the model's.
  fake_exchange wide = asking();
  r = question(12);
  r.context_limit = std::size_t{1} << 40;
  w.run(wide, std::move(r));
  CHECK(wide.report().generated_tokens == 12);
}

TEST_CASE("a prompt beyond the context is refused in OpenAI's words") {
  world w;
  fake_exchange x = asking();
  answer_request r = question(10);
  std::string talk;
  for (int i = 0; i < 6000; ++i) talk += "pump ";
  r.messages.insert(r.messages.begin(),
                    {{role::user, talk}, {role::assistant, "Yes."}});
  w.run(x, r);
  REQUIRE(x.response);
  CHECK(x.response->status == 400);
  CHECK(x.response->body.find("This model's maximum context length is") !=
        std::string::npos);
  CHECK(x.response->body.find("\"code\":\"context_length_exceeded\"") !=
        std::string::npos);

  // Or loses its oldest turns, if it may.
  fake_exchange shorter = asking();
  r.overflow = overflow_rule::drop_oldest_turns;
  w.run(shorter, r);
  REQUIRE(shorter.response);
  CHECK(shorter.response->status == 200);
  CHECK(shorter.report().prompt_tokens < 40);
  CHECK(shorter.response->body.ends_with("] without 2"));
}

TEST_CASE("a server that stops ends answers as told, and says so") {
  world w;
  fake_exchange x = asking();
  answer_request r = question(3000);
  r.stream = true;
  x.on_write = [&](const std::string&) { w.running.cancel_all("shutdown"); };
  w.run(x, std::move(r));
  CHECK(x.streamed().find("cancelled by shutdown;end 1") != std::string::npos);
  CHECK(x.ended);
}

TEST_CASE("the next turn of a chat finds all of the last one in the cache") {
  world w;
  fake_exchange first = asking();
  answer_request r = question(60);
  r.params.ignore_stop_ids = false;
  w.run(first, r);
  REQUIRE(first.report().generated_tokens > 3);
  const std::string answer = first.response->body;
  r.messages.push_back({role::assistant, answer.substr(1, answer.size() - 2)});
  r.messages.push_back({role::user, "And a red one?"});
  fake_exchange second = asking();
  w.run(second, r);
  CHECK(second.report().cached_tokens >=
        first.report().prompt_tokens + first.report().generated_tokens);

  // What another caller asks finds nothing of it.
  auto stranger = std::make_shared<caller>();
  stranger->tenant = stranger->domain = 99;
  http_request other = request_of("/v1/chat", "{}");
  other.from = stranger;
  fake_exchange third(std::move(other));
  w.run(third, r);
  CHECK(third.report().cached_tokens == 0);
}

TEST_CASE("a salt narrows what is found, and is the same after a restart") {
  caller c;
  c.domain = 5;
  CHECK(answer_domain(c, "") == 5);
  CHECK(answer_domain(c, "a") != answer_domain(c, "b"));
  CHECK(answer_domain(c, "a") == answer_domain(c, "a"));
}

TEST_CASE("no caller reaches another's domain by the choice of a salt") {
  // 5 ^ 'a' == 6 ^ 'b': what a sum would make of it is the same.
  caller c, other;
  c.domain = 5;
  other.domain = 6;
  CHECK(answer_domain(c, "a") != answer_domain(other, "b"));
  CHECK(answer_domain(c, "a") != answer_domain(other, "a"));
}

TEST_CASE("a caller gets no better class than its own, and normal unasked") {
  using enum priority_class;
  caller humble, keen;
  humble.best_class = batch;
  keen.best_class = interactive;
  CHECK(answer_class(humble, interactive) == batch);
  CHECK(answer_class(humble, std::nullopt) == batch);
  CHECK(answer_class(keen, std::nullopt) == normal);
  CHECK(answer_class(keen, interactive) == interactive);
  CHECK(answer_class(keen, batch) == batch);
}
