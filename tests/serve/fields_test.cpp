// SPDX-License-Identifier: MIT
#include "tinyphi/serve/fields.h"

#include <set>

#include "support/mini_schema.h"
#include "support/request_bodies.h"
#include "support/test.h"
#include "tinyphi/serve/ollama_table.h"
#include "tinyphi/serve/request_tables.h"
#include "tinyphi/serve/responses_table.h"

using namespace tinyphi;
using tinyphi_test::body_maker;
using tinyphi_test::made_body;
using tinyphi_test::mini_schema;

namespace {

const request_table* const all_tables[] = {
    &request_tables::chat,
    &request_tables::completion,
    &request_tables::native_completion,
    &request_tables::responses,
    &request_tables::ollama_chat,
    &request_tables::ollama_generate,
    &request_tables::ollama_embed,
    &request_tables::ollama_show,
    &request_tables::embedding,
    &request_tables::tokenize,
    &request_tables::detokenize,
    &request_tables::apply_template,
    &request_tables::pipeline,
};

api_result<void> check(const json::object& body, const request_table& t) {
  std::vector<std::string> ignored;
  return check_fields(body, t, ignored);
}

std::string told(const json::object& body, const request_table& t) {
  const auto ok = check(body, t);
  return ok ? "accepted" : ok.error().param + " " + ok.error().code;
}

std::string chat_told(const char* more) {
  json::object body = json::parse(more).as_object();
  if (!body.contains("messages")) {
    body["messages"] = json::parse(R"([{"role": "user", "content": "a"}])");
  }
  return told(body, request_tables::chat);
}

}  // namespace

TEST_CASE("every row of every table takes its borders and nothing beyond") {
  for (const request_table* t : all_tables) {
    std::set<std::string> rows;
    for (const made_body& m : body_maker::all(*t)) {
      INFO(t->name << " " << m.path << ": "
                   << json::serialize(m.body).substr(0, 300));
      const auto ok = check(m.body, *t);
      rows.insert(m.path);
      // top_logprobs is good where logprobs is true.
      if (!ok && m.good) INFO(ok.error().message);
      const bool needs = m.path == "top_logprobs" && m.good;
      if (!needs) CHECK(bool(ok) == m.good);
      if (ok) continue;
      // The path names the row or what is in it; the message says it, too.
      CHECK(ok.error().param.starts_with(m.path.substr(0, m.path.find('['))));
      CHECK(ok.error().message.starts_with(ok.error().param));
      CHECK(ok.error().status == 400);
    }
    for (const field& f : t->fields) {
      INFO(t->name << "." << f.name);
      CHECK(rows.contains(std::string(f.name)));
    }
  }
}

TEST_CASE("the schema of a table is as strict as its check") {
  for (const request_table* t : all_tables) {
    const json::value schema = schema_of(*t);
    const mini_schema s(schema);
    std::size_t n_good = 0, n_bad = 0;
    for (const made_body& m : body_maker::all(*t)) {
      INFO(t->name << " " << m.path << ": "
                   << json::serialize(m.body).substr(0, 300));
      const bool ok = bool(check(m.body, *t));
      CHECK(s.takes(m.body, schema) == ok);
      ++(ok ? n_good : n_bad);
    }
    CHECK(n_good > 2);
    CHECK(n_bad > 5);
  }
}

TEST_CASE("the rules between two fields are in check and schema") {
  const json::value schema = schema_of(request_tables::chat);
  const mini_schema s(schema);
  const auto both = [&](const std::string& more) {
    json::object body = json::parse(more).as_object();
    body["messages"] = json::parse(R"([{"role": "user", "content": "a"}])");
    const bool ok = bool(check(body, request_tables::chat));
    CHECK(s.takes(body, schema) == ok);
    return ok;
  };
  CHECK(both(R"({"max_tokens": 1})"));
  CHECK(both(R"({"max_tokens": null, "max_completion_tokens": 1})"));
  CHECK_FALSE(both(R"({"max_tokens": 1, "max_completion_tokens": 1})"));
  CHECK(both(R"({"top_logprobs": 2, "logprobs": true})"));
  CHECK(both(R"({"top_logprobs": 0})"));
  CHECK(both(R"({"top_logprobs": null, "logprobs": false})"));
  CHECK_FALSE(both(R"({"top_logprobs": 2})"));
  CHECK_FALSE(both(R"({"top_logprobs": 2, "logprobs": null})"));
  CHECK_FALSE(both(R"({"top_logprobs": 2, "logprobs": false})"));
  const std::string prompt = R"({"add_generation_prompt": true)";
  CHECK_FALSE(both(prompt + R"(, "continue_final_message": true})"));
  CHECK(both(prompt + R"(, "continue_final_message": false})"));
  CHECK(both(prompt + "}"));
  CHECK(both(R"({"continue_final_message": true,
                 "add_generation_prompt": null})"));
}

TEST_CASE("an assistant's content may be missing, nobody else's") {
  const json::value schema = schema_of(request_tables::chat);
  const mini_schema s(schema);
  const auto both = [&](const std::string& message) {
    json::object body;
    body["messages"] = json::array{json::parse(message)};
    const bool ok = bool(check(body, request_tables::chat));
    CHECK(s.takes(body, schema) == ok);
    return ok;
  };
  CHECK(both(R"({"role": "assistant"})"));
  CHECK(both(R"({"role": "assistant", "content": null})"));
  CHECK(both(R"({"role": "user", "content": ""})"));
  CHECK_FALSE(both(R"({"role": "user"})"));
  CHECK_FALSE(both(R"({"role": "system", "content": null})"));
  CHECK_FALSE(both(R"({"content": "a"})"));
  CHECK_FALSE(both("{}"));
}

TEST_CASE("an error names the path, what is there and what is allowed") {
  const auto message = [](const char* more) {
    json::object body = json::parse(more).as_object();
    if (!body.contains("messages")) {
      body["messages"] = json::parse(R"([{"role": "user", "content": "a"}])");
    }
    const auto ok = check(body, request_tables::chat);
    REQUIRE_FALSE(ok);
    return ok.error().message;
  };
  CHECK(message(R"({"temperature": 101})") ==
        "temperature is 101; allowed is from 0 to 100");
  CHECK(message(R"({"top_p": 0})") == "top_p is 0; allowed is above 0 up to 1");
  CHECK(message(R"({"n": "2"})") == "n is a string; allowed is an integer");
  CHECK(message(R"({"mirostat": 1})") ==
        "mirostat is 1; allowed is a multiple of 2 from 0 to 2");
  CHECK(message(R"({"stop": [""]})") ==
        "stop[0] has 0 characters; allowed are from 1 to 256");
  CHECK(message(R"({"messages": []})") ==
        "messages has 0 items; allowed are from 1 to 1024");
}

TEST_CASE("what has no effect here is refused by its name and with a code") {
  CHECK(chat_told(R"({"tools": [{"type": "function"}]})") ==
        "tools[0].function missing_required_parameter");
  CHECK(chat_told(R"({"tools": [{"type": "web_search"}]})") ==
        "tools[0].type unsupported_parameter");
  CHECK(chat_told(R"({"tools": []})") == "accepted");
  CHECK(chat_told(R"({"tool_choice": "none"})") == "accepted");
  CHECK(chat_told(R"({"tool_choice": "auto"})") == "accepted");
  CHECK(chat_told(R"({"tool_choice": "any"})") == "tool_choice invalid_value");
  CHECK(chat_told(R"({"functions": [{}]})") ==
        "functions unsupported_parameter");
  CHECK(chat_told(R"({"guided_json": {}})") ==
        "guided_json unsupported_parameter");
  CHECK(chat_told(R"({"response_format": {"type": "text"}})") == "accepted");
  CHECK(chat_told(R"({"response_format": {"type": "json_object"}})") ==
        "accepted");
  CHECK(chat_told(R"({"response_format": {"type": "yaml"}})") ==
        "response_format.type unsupported_parameter");
  CHECK(chat_told(R"({"messages": [{"role": "user", "content":
      [{"type": "text", "text": "a"},
       {"type": "image_url", "image_url": {"url": "x"}}]}]})") ==
        "messages[0].content[1].type unsupported_content");
  CHECK(chat_told(R"({"messages": [{"role": "user", "content": "a"},
      {"role": "cook", "content": "a"}]})") ==
        "messages[1].role invalid_value");
  CHECK(chat_told(R"({"messages": [{"role": "user"}]})") ==
        "messages[0].content missing_required_parameter");
  CHECK(told({{"prompt", "a"}, {"best_of", 1.0}}, request_tables::completion) ==
        "accepted");
  CHECK(told({{"prompt", "a"}, {"best_of", 2}}, request_tables::completion) ==
        "best_of unsupported_parameter");
}

TEST_CASE("unknown and ignored fields are named for the log, so many at most") {
  std::vector<std::string> ignored;
  json::object body = json::parse(R"({"user": "x", "new\nfield": 1, "metadata":
      null, "messages": [{"role": "user", "content": "a", "name": "n", "x": 2}],
      "stream_options": {"include_obfuscation": false}})")
                          .as_object();
  REQUIRE(check_fields(body, request_tables::chat, ignored));
  CHECK(ignored == std::vector<std::string>{
                       "user", "new?field", "messages[0].name", "messages[0].x",
                       "stream_options.include_obfuscation"});
  for (int i = 0; i < 1000; ++i) {
    body[std::to_string(i) + std::string(1000, 'x')] = i;
  }
  ignored.clear();
  REQUIRE(check_fields(body, request_tables::chat, ignored));
  CHECK(ignored.size() == max_ignored_fields);
  for (const std::string& name : ignored) CHECK(name.size() <= 64);
}

TEST_CASE("getters take null for absent and 5.0 for 5") {
  const json::object o =
      json::parse(R"({"a": null, "b": 5.0, "c": true, "d": "x", "e": 0.5})")
          .as_object();
  CHECK(find_field(o, "a") == nullptr);
  CHECK(integer_field(o, "a", 3) == 3);
  CHECK(integer_field(o, "b", 3) == 5);
  CHECK(bool_field(o, "c", false));
  CHECK(bool_field(o, "none", true));
  CHECK(string_field(o, "d") == "x");
  CHECK(string_field(o, "a", "y") == "y");
  CHECK(number_field(o, "e", 0) == 0.5);
}

TEST_CASE("with a vocabulary the schema knows which ids there are") {
  for (const std::size_t n : {1, 7, 10, 32, 100, 320, 1003, 32064}) {
    const json::value schema =
        schema_of(request_tables::completion, {.vocab_size = n});
    const mini_schema s(schema);
    const auto takes = [&](std::size_t id) {
      json::object bias;
      bias[std::to_string(id)] = 1;
      const bool named =
          s.takes(json::object{{"prompt", "a"}, {"logit_bias", bias}}, schema);
      const bool listed =
          s.takes(json::object{{"prompt", json::array{id}}}, schema);
      CHECK(named == listed);
      return named;
    };
    for (std::size_t id = 0; id < 1200; id += id < 120 ? 1 : 37) {
      INFO(n << " " << id);
      CHECK(takes(id) == (id < n));
    }
    CHECK(takes(n - 1));
    CHECK_FALSE(takes(n));
    CHECK_FALSE(takes(10 * n));
  }
  const json::value texts =
      schema_of(request_tables::detokenize, {.vocab_size = 10, .n_texts = 7});
  const mini_schema t(texts);
  CHECK(t.takes({{"tokens", json::array{6}}}, texts));
  CHECK_FALSE(t.takes({{"tokens", json::array{7}}}, texts));
  const json::value sized =
      schema_of(request_tables::embedding, {.vector_sizes = {64, 128}});
  const mini_schema s(sized);
  CHECK(s.takes({{"input", "a"}, {"dimensions", 64}}, sized));
  CHECK_FALSE(s.takes({{"input", "a"}, {"dimensions", 65}}, sized));
}
