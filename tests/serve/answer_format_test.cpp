// SPDX-License-Identifier: MIT
#include "tinyphi/serve/answer_format.h"

#include <string>

#include "support/models.h"
#include "support/test.h"
#include "tinyphi/serve/ollama.h"
#include "tinyphi/serve/openai_responses.h"
#include "tinyphi/serve/parse_request.h"

using namespace tinyphi;
using tinyphi_test::demo_model;
using tinyphi_test::message_of;

namespace {

using what = wanted_format::what;

json::object with(const char* least, const std::string& more) {
  json::object body = json::parse(least).as_object();
  const json::value others = json::parse(more);
  for (const auto& [key, value] : others.as_object()) body[key] = value;
  return body;
}

// "json_schema at FIELD: TEXT", "none", or "CODE at PARAM".
std::string told(const api_result<answer_request>& r) {
  if (!r) return r.error().code + " at " + r.error().param;
  if (!r->format) return "none";
  const char* const kinds[] = {"json_object", "json_schema", "gbnf"};
  const wanted_format& f = *r->format;
  return std::string(kinds[static_cast<std::size_t>(f.kind)]) +
         (f.strict ? ", strict" : "") + " at " + f.field + ": " + f.text;
}

std::string chat(const std::string& more) {
  return told(parse_chat(
      with(R"({"messages": [{"role": "user", "content": "a"}]})", more)));
}
std::string completion(const std::string& more) {
  return told(parse_completion(with(R"({"prompt": "a"})", more)));
}
std::string native(const std::string& more) {
  return told(parse_native_completion(with(R"({"prompt": "a"})", more)));
}
std::string response(const std::string& more) {
  return told(parse_responses(with(R"({"input": "a"})", more)));
}
std::string ollama(const std::string& more) {
  return told(parse_ollama_generate(with(R"({"prompt": "a"})", more)));
}

engine demo_engine() {
  auto e = engine::create(demo_model(false), {.n_threads = 1});
  REQUIRE_OK(e);
  return *std::move(e);
}

wanted_format wanted(what kind, std::string text) {
  return {.kind = kind, .text = std::move(text), .field = "here"};
}

}  // namespace

TEST_CASE("every route's field asks for the form that it means") {
  CHECK(chat("{}") == "none");
  CHECK(chat(R"({"response_format": {"type": "text"}})") == "none");
  CHECK(chat(R"({"response_format": null, "grammar": ""})") == "none");
  CHECK(chat(R"({"response_format": {"type": "json_object"}})") ==
        "json_object at response_format.type: ");
  CHECK(
      chat(R"({"response_format": {"type": "json_schema", "json_schema":
            {"name": "n", "schema": {"type": "null"}}}})") ==
      R"(json_schema at response_format.json_schema.schema: {"type":"null"})");
  CHECK(chat(R"({"response_format": {"type": "json_schema", "json_schema":
            {"strict": true, "schema": {}}}})") ==
        "json_schema, strict at response_format.json_schema.schema: {}");
  CHECK(chat(R"({"response_format": {"type": "json_object",
            "schema": {"const": 1}}})") ==
        R"(json_schema at response_format.schema: {"const":1})");
  CHECK(response(R"({"text": {"format": {"type": "json_schema", "name": "n",
            "strict": true, "schema": {}}}})") ==
        "json_schema, strict at text.format.schema: {}");
  CHECK(response(R"({"text": {"format": {"type": "json_object"}}})") ==
        "json_object at text.format.type: ");
  for (const auto& ask : {chat, completion, native}) {
    CHECK(ask(R"({"grammar": "root ::= \"a\""})") ==
          R"(gbnf at grammar: root ::= "a")");
    CHECK(ask(R"({"json_schema": {}})") == "json_schema at json_schema: {}");
  }
  CHECK(ollama(R"({"format": ""})") == "none");
  CHECK(ollama(R"({"format": "json"})") == "json_object at format: ");
  CHECK(ollama(R"({"format": {"type": "null"}})") ==
        R"(json_schema at format: {"type":"null"})");
}

TEST_CASE("a form that is asked for in vain is refused, never passed over") {
  CHECK(chat(R"({"response_format": {"type": "json_schema"}})") ==
        "missing_required_parameter at response_format");
  CHECK(chat(R"({"response_format": {"type": "json_schema",
            "json_schema": {"name": "n"}}})") ==
        "missing_required_parameter at response_format.json_schema.schema");
  for (const char* type : {"text", "json_object"}) {
    CHECK(chat(R"({"response_format": {"type": ")" + std::string(type) +
               R"(", "json_schema": {"schema": {}}}})") ==
          "invalid_value at response_format.type");
  }
  CHECK(chat(R"({"response_format": {"type": "text", "schema": {}}})") ==
        "invalid_value at response_format.type");
  CHECK(response(R"({"text": {"format": {"type": "json_schema"}}})") ==
        "missing_required_parameter at text.format");
  // Not two at a time, and not with what would cut the answer.
  CHECK(chat(R"({"grammar": "a", "json_schema": {}})") ==
        "invalid_value at grammar");
  CHECK(chat(R"({"response_format": {"type": "json_object"},
            "grammar": "a"})") == "invalid_value at grammar");
  for (const auto& ask : {chat, completion, native}) {
    CHECK(ask(R"({"json_schema": {}, "stop": "a"})") ==
          "invalid_value at stop");
    CHECK(ask(R"({"json_schema": {}, "ignore_eos": true})") ==
          "invalid_value at ignore_eos");
  }
  CHECK(response(R"({"text": {"format": {"type": "json_object"}},
            "stop": ["a"]})") == "invalid_value at stop");
  CHECK(ollama(R"({"format": "json", "options": {"stop": ["a"]}})") ==
        "invalid_value at options.stop");
  CHECK(ollama(R"({"format": "xml"})") == "invalid_value at format");
  // Other servers' and other routes' names.
  for (const char* name : {"guided_json", "guided_regex", "guided_choice",
                           "guided_grammar", "structured_outputs"}) {
    const std::string body = R"({")" + std::string(name) + R"(": {"a": 1}})";
    for (const auto& ask : {chat, completion, native, response}) {
      CHECK(ask(body) == "unsupported_parameter at " + std::string(name));
    }
  }
  const std::string format = R"({"response_format": {"type": "json_object"}})";
  for (const auto& ask : {completion, native, response}) {
    CHECK(ask(format) == "unsupported_parameter at response_format");
  }
}

TEST_CASE(
    "a model keeps so many forms, the last ones used, and no wrong ones") {
  const engine e = demo_engine();
  format_cache cache;
  const auto choice = [](std::size_t i) {
    return wanted(what::gbnf, "root ::= \"" + std::to_string(i) + "\"");
  };
  for (std::size_t i = 0; i < format_cache::max_entries + 6; ++i) {
    const auto c = cache.get(e, choice(i));
    REQUIRE(c);
    CHECK(c->accepts(std::to_string(i)));
    REQUIRE(cache.get(e, choice(0)));  // stays
    CHECK(cache.size() == std::min(i + 1, format_cache::max_entries));
  }
  // The same text as something else is something else.
  const auto strict = [&](bool is) {
    wanted_format f = wanted(what::json_schema, R"({"unheard-of": 1})");
    f.strict = is;
    return cache.get(e, f);
  };
  const auto loose = strict(false);
  REQUIRE(loose);
  CHECK(loose->ignored().size() == 1);
  CHECK_FALSE(strict(true));
  const std::size_t before = cache.size();
  const auto bad =
      cache.get(e, wanted(what::json_schema, R"({"items": {"not": {}}})"));
  REQUIRE_FALSE(bad);
  CHECK(bad.error().status == 400);
  CHECK(bad.error().param == "here");
  CHECK(bad.error().message.starts_with("here: "));
  CHECK(bad.error().message.find("/items/not") != std::string::npos);
  CHECK_FALSE(cache.get(e, wanted(what::gbnf, "root ::= other")));
  CHECK(cache.size() == before);
  CHECK(cache.get(e, wanted(what::json_object, ""))->accepts("{}"));
}
