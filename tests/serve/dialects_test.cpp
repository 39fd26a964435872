// SPDX-License-Identifier: MIT
// What the dialects of OpenAI and llama-server send, as golden texts.
#include <limits>
#include <string>
#include <vector>

#include "support/answers.h"
#include "support/test.h"
#include "tinyphi/serve/native_completion.h"
#include "tinyphi/serve/openai_chat.h"
#include "tinyphi/serve/openai_completions.h"

using namespace tinyphi;

namespace {

answer_facts facts(std::size_t n_answers = 1) {
  answer_facts f = tinyphi_test::facts_of_phi();
  f.n_answers = n_answers;
  return f;
}

const std::string head =
    R"({"id":"chatcmpl-id1","object":"chat.completion.chunk","created":5,)"
    R"("model":"phi","system_fingerprint":"b1","choices":[)";

ended_answer ended(std::size_t index, finish_reason why) {
  ended_answer a = tinyphi_test::ended_hi(why);
  a.index = index;
  a.tokens = {{1, -0.5F, {{1, -0.5F}, {2, -1.0F}}}};
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

TEST_CASE("a call is told with its name once and its arguments in pieces") {
  answer_request r;
  r.logprobs = true;
  answer_facts f = facts();
  f.called = "clock";
  f.call_ids = {"call_x"};
  const auto d = make_openai_chat(r, f);
  CHECK(d->begin() ==
        "data: " + head +
            R"({"index":0,"delta":{"role":"assistant","content":null,)"
            R"("tool_calls":[{"id":"call_x","type":"function","function":)"
            R"({"name":"clock","arguments":""},"index":0}]},)"
            R"("finish_reason":null}]})"
            "\n\n");
  CHECK(d->piece(0, {"{\"a\"", {}}) ==
        "data: " + head +
            R"({"index":0,"delta":{"tool_calls":[{"index":0,"function":)"
            R"({"arguments":"{\"a\""}}]},"finish_reason":null}]})"
            "\n\n");
  CHECK(d->finish(ended(0, finish_reason::stop)) ==
        "data: " + head +
            R"({"index":0,"delta":{},"finish_reason":"tool_calls"}]})"
            "\n\n");
  ended_answer a = ended(0, finish_reason::stop);
  a.text = "{}";
  const json::value whole = json::parse(d->whole({&a, 1}));
  const json::value& choice = whole.at("choices").at(0);
  CHECK(choice.at("message").at("content").is_null());
  CHECK(json::serialize(choice.at("message").at("tool_calls")) ==
        R"([{"id":"call_x","type":"function","function":)"
        R"({"name":"clock","arguments":"{}"}}])");
  CHECK(choice.at("finish_reason") == "tool_calls");
  CHECK(choice.at("logprobs").is_null());
  // Brought to an end in time, it is whole and still says so.
  a.finish = finish_reason::length;
  CHECK(
      json::parse(d->whole({&a, 1})).at("choices").at(0).at("finish_reason") ==
      "length");
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

TEST_CASE("log-probabilities lack the blank that the text lacks") {
  answer_request r;
  r.logprobs = true;
  const ended_answer a = ended(0, finish_reason::stop);
  const std::vector<sampled_token> two{a.tokens[0], a.tokens[0]};
  const json::value o =
      data_of(make_openai_chat(r, facts())->piece(0, {"Hi Hi", two}));
  const json::value& all = o.at("choices").at(0).at("logprobs").at("content");
  CHECK(all.at(0).at("token") == "Hi");
  CHECK(all.at(0).at("bytes") == json::array{72, 105});
  CHECK(all.at(0).at("top_logprobs").at(0).at("token") == "Hi");
  CHECK(all.at(1).at("token") == " Hi");
  // Where nothing is shown yet, nothing says that it lacks a blank.
  const json::value held =
      data_of(make_openai_chat(r, facts())->piece(0, {"", two}));
  CHECK(
      held.at("choices").at(0).at("logprobs").at("content").at(0).at("token") ==
      " Hi");
}

TEST_CASE("an answer's pace does not count its first token") {
  ended_answer a = ended(0, finish_reason::length);
  a.usage.completion_tokens = 16;
  a.usage.decode_seconds = 3;
  const json::object t = openai_timings({&a, 1});
  CHECK(t.at("predicted_per_second") == 5.0);
  CHECK(t.at("predicted_per_token_ms") == 200.0);
  a.usage.completion_tokens = 1;
  const json::object one = openai_timings({&a, 1});
  CHECK(one.at("predicted_per_second") == 0.0);
  CHECK(one.at("predicted_per_token_ms") == 0.0);
  a.usage.completion_tokens = 0;
  CHECK(openai_timings({&a, 1}).at("predicted_per_second") == 0.0);
}

TEST_CASE("progress tells the time so far, where it is known") {
  for (const auto make : {make_openai_chat, make_native_completion}) {
    const auto d = make({}, facts());
    ended_answer a;
    a.usage.prompt_tokens = 7;
    a.usage.cached_tokens = 4;
    d->so_far(a);
    const json::value read = data_of(d->progress(4, 7, 9));
    CHECK(read.at("prompt_progress").at("processed") == 7);
    CHECK(read.at("timings").at("prompt_n") == 3);
    CHECK(read.at("timings").at("predicted_n") == 0);
    CHECK_FALSE(data_of(d->progress(4, 8, 9)).as_object().contains("timings"));
  }
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

TEST_CASE("llama-server's form tells what it was asked with") {
  answer_request r;
  r.params.ignore_stop_ids = true;
  r.params.sampling.logit_bias = {{3, -100.0F}};
  answer_facts f = facts();
  f.stop_ids = {2};
  const auto d = make_native_completion(r, std::move(f));
  ended_answer a = ended(0, finish_reason::length);
  const json::value o = json::parse(d->whole({&a, 1}));
  const json::value& biases = o.at("generation_settings").at("logit_bias");
  REQUIRE(biases.as_array().size() == 2);
  CHECK(biases.at(0).at("token") == 3);
  CHECK(biases.at(0).at("bias") == -100.0);
  CHECK(biases.at(1).at("token") == 2);
  CHECK(biases.at(1).at("bias").is_null());
  CHECK(o.at("has_new_line") == false);
  CHECK_FALSE(o.as_object().contains("prompt"));
  a.text = "a\nb";
  CHECK(json::parse(d->whole({&a, 1})).at("has_new_line") == true);
  const json::value plain =
      json::parse(make_native_completion({}, facts())->whole({&a, 1}));
  CHECK(plain.at("generation_settings").at("logit_bias").as_array().empty());
}

TEST_CASE("llama-server's form has only the fields that are asked for") {
  answer_request r;
  r.response_fields = {"content",      "generation_settings/n_predict",
                       "prompt",       "none",
                       "content/none", "generation_settings/none/x"};
  r.params.max_tokens = 8;
  answer_facts f = facts();
  f.prompt_texts = {"<s> Say:"};
  const auto d = make_native_completion(r, std::move(f));
  const ended_answer a = ended(0, finish_reason::length);
  CHECK(json::parse(d->whole({&a, 1})) ==
        json::value{{"content", " Hi"},
                    {"generation_settings/n_predict", 8},
                    {"prompt", "<s> Say:"}});
  CHECK(data_of(d->finish(a)).as_object().size() == 3);
}

TEST_CASE("llama-server's form has an event for each token's probabilities") {
  answer_request r;
  r.logprobs = true;
  const auto d = make_native_completion(r, facts());
  const std::vector<sampled_token> two(2,
                                       ended(0, finish_reason::stop).tokens[0]);
  const auto events_of = [&](const char* text, std::vector<sampled_token> t) {
    const std::string all = d->piece(0, {text, std::move(t)});
    std::size_t n = 0;
    for (std::size_t at = 0; (at = all.find("data: ", at)) != std::string::npos;
         ++at) {
      ++n;
    }
    return n;
  };
  CHECK(events_of(" Hi Hi", two) == 2);
  // Half a character, and a text that is not these tokens', stay whole.
  CHECK(events_of(" H", two) == 1);
  std::vector<sampled_token> half = two;
  half[1].id = 2;
  CHECK(events_of(" Hi\xc3", half) == 1);
  const std::string all = d->piece(0, {" Hi Hi", two});
  const json::value first = data_of(all.substr(0, all.find("\n\n") + 2));
  CHECK(first.at("content") == " Hi");
  CHECK(first.at("completion_probabilities").as_array().size() == 1);
}

TEST_CASE("llama-server's answers to several prompts are an array") {
  const auto d = make_native_completion({}, facts(2));
  ended_answer both[] = {ended(0, finish_reason::stop),
                         ended(1, finish_reason::length)};
  both[1].prompt_index = 1;
  const json::value o = json::parse(d->whole(both));
  REQUIRE(o.as_array().size() == 2);
  CHECK(o.at(0).at("stop_type") == "eos");
  CHECK(o.at(1).at("stop_type") == "limit");
  CHECK(o.at(1).at("index") == 1);
}
