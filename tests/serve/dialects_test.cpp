// SPDX-License-Identifier: MIT
// What the dialects of OpenAI and llama-server send, as golden texts.
#include <limits>
#include <string>
#include <vector>

#include "support/test.h"
#include "tinyphi/serve/native_completion.h"
#include "tinyphi/serve/openai_chat.h"
#include "tinyphi/serve/openai_completions.h"

using namespace tinyphi;

namespace {

answer_facts facts(std::size_t n_answers = 1) {
  answer_facts f;
  f.id = "id1";
  f.model = "phi";
  f.fingerprint = "b1";
  f.created = 5;
  f.n_answers = n_answers;
  f.token_text = [](token_id id) {
    return id == 1 ? std::string(" Hi") : std::string("\xc3");
  };
  return f;
}

const std::string head =
    R"({"id":"chatcmpl-id1","object":"chat.completion.chunk","created":5,)"
    R"("model":"phi","system_fingerprint":"b1","choices":[)";

ended_answer ended(std::size_t index, finish_reason why) {
  ended_answer a;
  a.index = index;
  a.text = " Hi";
  a.tokens = {{1, -0.5F, {{1, -0.5F}, {2, -1.0F}}}};
  a.finish = why;
  a.usage = {.prompt_tokens = 7, .cached_tokens = 4, .completion_tokens = 1};
  return a;
}

json::value data_of(const std::string& event) {
  REQUIRE(event.starts_with("data: "));
  REQUIRE(event.ends_with("\n\n"));
  return json::parse(std::string_view(event).substr(6, event.size() - 8));
}

}  // namespace

TEST_CASE("a chat's stream is OpenAI's, byte for byte") {
  const auto d = make_openai_chat({}, facts());
  CHECK(d->begin() == "data: " + head +
                          R"({"index":0,"delta":{"role":"assistant",)"
                          R"("content":null},"finish_reason":null}]})"
                          "\n\n");
  CHECK(d->piece(0, {" Hi", {}}) ==
        "data: " + head +
            R"({"index":0,"delta":{"content":" Hi"},"finish_reason":null}]})"
            "\n\n");
  CHECK(d->finish(ended(0, finish_reason::stop)) ==
        "data: " + head +
            R"({"index":0,"delta":{},"finish_reason":"stop"}]})"
            "\n\n");
  const ended_answer a = ended(0, finish_reason::stop);
  CHECK(d->end({&a, 1}) == "data: [DONE]\n\n");
  CHECK(d->keep_alive() == ": keep-alive\n\n");
}

TEST_CASE("pieces tell the times so far, where they are known") {
  answer_request r;
  for (const auto& make : {make_openai_chat, make_native_completion}) {
    const auto d = make(r, facts());
    (void)d->begin();
    ended_answer a = ended(0, finish_reason::none);
    a.usage.prefill_seconds = 0.5;
    d->so_far(a);
    const json::value with = data_of(d->piece(0, {" Hi", {}}));
    CHECK(with.at("timings").at("cache_n") == 4);
    CHECK(with.at("timings").at("prompt_n") == 3);
    CHECK(with.at("timings").at("prompt_ms") == 500.0);
    CHECK(with.at("timings").at("predicted_n") == 1);
    const json::value without = data_of(d->piece(0, {" Hi", {}}));
    CHECK_FALSE(without.as_object().contains("timings"));
  }
}

TEST_CASE("an answer says how many turns it does not know of") {
  ended_answer a = ended(0, finish_reason::stop);
  const auto own = [&] {
    const auto d = make_openai_chat({}, facts());
    const json::value whole = json::parse(d->whole({&a, 1}));
    const json::value& choice = whole.at("choices").at(0);
    const json::value last = data_of(d->finish(a)).at("choices").at(0);
    const auto* told = choice.as_object().if_contains("tinyphi");
    const auto* told_last = last.as_object().if_contains("tinyphi");
    REQUIRE((told != nullptr) == (told_last != nullptr));
    if (told == nullptr) return json::value();
    CHECK(*told == *told_last);
    return *told;
  };
  CHECK(own().is_null());
  a.n_dropped_turns = 2;
  CHECK(own() == json::value{{"truncated", 2}});
  a.ended_by = "deadline";
  CHECK(own() == json::value{{"finish", "deadline"}, {"truncated", 2}});
}

TEST_CASE("a chat's last event has the usage, if it is asked for") {
  answer_request r;
  r.include_usage = true;
  const auto d = make_openai_chat(r, facts());
  const ended_answer a = ended(0, finish_reason::length);
  const std::string last = d->end({&a, 1});
  const std::string done = "data: [DONE]\n\n";
  REQUIRE(last.ends_with(done));
  const json::value o = data_of(last.substr(0, last.size() - done.size()));
  CHECK(o.at("choices").as_array().empty());
  const json::value& u = o.at("usage");
  CHECK(u.at("prompt_tokens") == 7);
  CHECK(u.at("total_tokens") == 8);
  CHECK(u.at("prompt_tokens_details").at("cached_tokens") == 4);
  CHECK(o.at("timings").at("cache_n") == 4);
  CHECK(o.at("timings").at("prompt_n") == 3);
}

TEST_CASE("log-probabilities have exact bytes and valid texts") {
  answer_request r;
  r.logprobs = true;
  const auto d = make_openai_chat(r, facts());
  const json::value o =
      data_of(d->piece(0, {" Hi", ended(0, finish_reason::stop).tokens}));
  const json::value& token =
      o.at("choices").at(0).at("logprobs").at("content").at(0);
  CHECK(token.at("token") == " Hi");
  CHECK(token.at("bytes") == json::array{32, 72, 105});
  const json::value& half = token.at("top_logprobs").at(1);
  CHECK(half.at("token") == "\xef\xbf\xbd");
  CHECK(half.at("bytes") == json::array{195});
}

TEST_CASE("what cannot come has a log-probability that JSON can tell") {
  answer_request r;
  r.logprobs = true;
  std::vector<sampled_token> banned = ended(0, finish_reason::stop).tokens;
  banned[0].top[1].logprob = -std::numeric_limits<float>::infinity();
  for (const auto make :
       {make_openai_chat, make_openai_completion, make_native_completion}) {
    const std::string event = make(r, facts())->piece(0, {" Hi", banned});
    CHECK(event.find("-9.999E3") != std::string::npos);
    CHECK(event.find("1e99999") == std::string::npos);
  }
}

TEST_CASE("a whole chat has all answers, and prompts count once") {
  const auto d = make_openai_chat({}, facts(2));
  ended_answer both[] = {ended(0, finish_reason::stop),
                         ended(1, finish_reason::deadline)};
  both[1].ended_by = "deadline";
  const json::value o = json::parse(d->whole(both));
  CHECK(o.at("object") == "chat.completion");
  REQUIRE(o.at("choices").as_array().size() == 2);
  CHECK(o.at("choices").at(0).at("message").at("content") == " Hi");
  CHECK(o.at("choices").at(1).at("finish_reason") == "length");
  CHECK(o.at("choices").at(1).at("tinyphi").at("finish") == "deadline");
  CHECK(o.at("usage").at("prompt_tokens") == 7);
  CHECK(o.at("usage").at("completion_tokens") == 2);
  both[1].prompt_index = 1;
  CHECK(json::parse(d->whole(both)).at("usage").at("prompt_tokens") == 14);
}

TEST_CASE("an error behind the first byte is an event, and the last one") {
  const auto d = make_openai_chat({}, facts());
  const json::value o = data_of(d->broken(invalid_value("a", "b")));
  CHECK(o.at("error").at("param") == "a");
}

TEST_CASE("completions echo prompts and tell where tokens stand") {
  answer_request r;
  r.echo = r.logprobs = true;
  answer_facts f = facts();
  f.prompt_texts = {"Say:"};
  const auto d = make_openai_completion(r, std::move(f));
  CHECK(data_of(d->begin()).at("choices").at(0).at("text") == "Say:");
  ended_answer a = ended(0, finish_reason::stop);
  const json::value p = data_of(d->piece(0, {" Hi", a.tokens}));
  CHECK(p.at("object") == "text_completion");
  const json::value& logprobs = p.at("choices").at(0).at("logprobs");
  CHECK(logprobs.at("tokens") == json::array{" Hi"});
  CHECK(logprobs.at("text_offset") == json::array{4});
  CHECK(logprobs.at("top_logprobs").at(0).as_object().size() == 2);
  a.prompt_text = "Say:";
  const json::value whole = json::parse(d->whole({&a, 1}));
  CHECK(whole.at("choices").at(0).at("text") == "Say: Hi");
  CHECK(whole.at("choices").at(0).at("logprobs").at("text_offset") ==
        json::array{4});
  CHECK(d->end({&a, 1}) == "data: [DONE]\n\n");
}

TEST_CASE("llama-server's form says why an answer ended, and has no [DONE]") {
  answer_request r;
  r.return_tokens = true;
  r.params.stop = {"END"};
  const auto d = make_native_completion(r, facts());
  CHECK(d->begin().empty());
  ended_answer a = ended(0, finish_reason::stop);
  CHECK(json::parse(d->whole({&a, 1})).at("stop_type") == "eos");
  a.stop_text = "END";
  const json::value o = json::parse(d->whole({&a, 1}));
  CHECK(o.at("stop_type") == "word");
  CHECK(o.at("stopping_word") == "END");
  CHECK(o.at("content") == " Hi");
  CHECK(o.at("tokens") == json::array{1});
  CHECK(o.at("generation_settings").at("stop") == json::array{"END"});
  a.finish = finish_reason::length;
  CHECK(json::parse(d->whole({&a, 1})).at("stop_type") == "limit");
  CHECK(data_of(d->finish(a)).at("stop") == true);
  CHECK(d->end({&a, 1}).empty());
}
