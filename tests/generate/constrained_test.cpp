// SPDX-License-Identifier: MIT
// Answers that must have a shape, from the request to their end: every one of
// them has it.
#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "support/effort.h"
#include "support/models.h"
#include "tinyphi/constrain/constraint.h"
#include "tinyphi/generate/engine.h"
#include "tinyphi/schema/schema.h"
#include "tinyphi/schema/schema_check.h"

using namespace tinyphi;
using tinyphi_test::demo_model;
using tinyphi_test::made_up_prompt;
using tinyphi_test::message_of;
using tinyphi_test::sweep_rounds;

namespace {

using dice = std::mt19937;

std::size_t up_to(dice& d, std::size_t most) { return d() % (most + 1); }

engine demo_engine(const engine_options& options = {.n_threads = 1}) {
  auto e = engine::create(demo_model(false), options);
  REQUIRE_OK(e);
  return *std::move(e);
}

token_trie vocabulary_of(const engine& e) {
  auto t = e.vocabulary();
  REQUIRE_OK(t);
  return *std::move(t);
}

constraint of_schema(const engine& e, std::string_view schema) {
  auto c = constraint::json_schema(vocabulary_of(e), schema);
  INFO(schema);
  REQUIRE_OK(c);
  return *std::move(c);
}

constraint of_regex(const engine& e, std::string_view pattern) {
  auto c = constraint::regex(vocabulary_of(e), pattern);
  REQUIRE_OK(c);
  return *std::move(c);
}

std::vector<token_id> prompt_of(std::uint_fast32_t seed) {
  return made_up_prompt(8, static_cast<std::uint32_t>(seed), 1900);
}

std::vector<token_id> ids_of(const generation& g) {
  std::vector<token_id> ids;
  for (const sampled_token& t : g.tokens()) ids.push_back(t.id);
  return ids;
}

// ---- Schemas at random: every kind of value, three levels deep.

std::string random_schema(dice& d, int depth);

std::string random_object(dice& d, int depth) {
  static constexpr const char* names[] = {"id", "name", "a b", "\\u00e9", "x"};
  std::string properties, required;
  const std::size_t n = up_to(d, 4);
  for (std::size_t i = 0; i < n; ++i) {
    const std::string name = "\"" + std::string(names[i]) + "\"";
    properties +=
        (i == 0 ? "" : ", ") + name + ": " + random_schema(d, depth - 1);
    if (up_to(d, 2) != 0) {
      required += (required.empty() ? "" : ", ") + name;
    }
  }
  return R"({"type": "object", "additionalProperties": false, "properties": {)" +
         properties + R"(}, "required": [)" + required + "]}";
}

std::string random_schema(dice& d, int depth) {
  const std::size_t kind = up_to(d, depth > 0 ? 9 : 6);
  const std::string least = std::to_string(up_to(d, 3));
  const std::string most = std::to_string(3 + up_to(d, 9));
  switch (kind) {
    case 0:
      return R"({"type": "boolean"})";
    case 1:
      return R"({"type": "integer", "minimum": -)" + most +
             R"(, "maximum": 1)" + least + "}";
    case 2:
      return R"({"type": "string", "minLength": )" + least +
             R"(, "maxLength": )" + most + "}";
    case 3:
      return R"({"enum": ["red", "a \"quote\"", 12, null, [1, 2]]})";
    case 4:
      return R"({"type": "string", "pattern": "^[a-f]{)" + least +
             R"(,5}-[0-9]+$"})";
    case 5:
      return R"({"type": "string", "format": "date"})";
    case 6:
      return R"({"type": ["number", "null"]})";
    case 7:
      return R"({"type": "array", "items": )" + random_schema(d, depth - 1) +
             R"(, "minItems": )" + least + R"(, "maxItems": )" + most + "}";
    case 8:
      return R"({"anyOf": [)" + random_schema(d, depth - 1) + ", " +
             random_schema(d, depth - 1) + "]}";
    default:
      return random_object(d, depth);
  }
}

// What is wrong with an answer's text; empty if nothing is.
std::string fault_of(const schema& s, const std::string& text) {
  const auto faults = check_text(s, text);
  if (!faults) return faults.error().message;
  return faults->empty() ? "" : to_string(faults->front());
}

generation_params wild(dice& d, const constraint& c) {
  return {.max_tokens = std::max<std::size_t>(1, c.shortest() + up_to(d, 30)),
          .sampling = {.temperature = 2,
                       .top_k = up_to(d, 1) == 0 ? 0 : 5,
                       .repetition_penalty = up_to(d, 1) == 0 ? 1.0f : 1.5f,
                       .seed = d()},
          .format = c};
}

}  // namespace

TEST_CASE("whatever is drawn, an answer is a value of its schema") {
  const engine e = demo_engine({.n_threads = 2, .max_sequences = 8});
  engine driven = e;
  dice d(16);
  const int rounds = sweep_rounds(60, 12'500);
  for (int round = 0; round < rounds; ++round) {
    const std::string text = random_schema(d, 3);
    const auto s = schema::read(text);
    INFO(text);
    REQUIRE(s);
    const constraint c = of_schema(e, text);
    std::vector<generation> answers;
    for (int i = 0; i < tinyphi_test::effort(8, 3); ++i) {
      answers.push_back(driven.complete(prompt_of(d()), wild(d, c)));
    }
    for (generation& g : answers) {
      const std::string answer = g.text();
      INFO(answer);
      REQUIRE((g.error() ? g.error()->message : "") == "");
      REQUIRE(fault_of(*s, answer) == "");
      REQUIRE(c.accepts(answer));
    }
  }
}

TEST_CASE("whatever is drawn, an answer is one that its expression matches") {
  engine e = demo_engine({.n_threads = 2, .max_sequences = 8});
  dice d(17);
  const char* const patterns[] = {
      "[a-z]{2,9}@[a-z]+[.](com|org)",
      "(yes|no|perhaps, but only if [^!]{0,20})[.!]",
      "[0-9]{4}-(0[1-9]|1[0-2])-[0-3][0-9]",
      "(\\u00e9|ab|[^a-z]){0,12}x",
      "a|ab|abc|abcd{0,30}",
      ".*",
      "The (pump|valve) is (ready|broken)(, and so (is|are) [A-Za-z ]+)*",
  };
  const int rounds = sweep_rounds(6, 800);
  for (int round = 0; round < rounds; ++round) {
    for (const char* pattern : patterns) {
      const constraint c = of_regex(e, pattern);
      std::vector<generation> answers;
      for (int i = 0; i < 4; ++i) {
        answers.push_back(e.complete(prompt_of(d()), wild(d, c)));
      }
      for (generation& g : answers) {
        const std::string answer = g.text();
        INFO(pattern << ": " << answer);
        REQUIRE((g.error() ? g.error()->message : "") == "");
        REQUIRE(c.accepts(answer));
      }
    }
  }
}

TEST_CASE("the same shaped answer comes whatever runs beside it, and how") {
  const model m = demo_model(false);
  const std::size_t page =
      kv_bytes_per_token(m.config(), kv_type::int8) * page_tokens;
  const char* const object =
      R"({"type": "object", "required": ["identifier", "colours"],
          "properties": {"identifier": {"type": "string", "maxLength": 9},
                         "colours": {"type": "array", "maxItems": 4,
                                     "items": {"enum": ["red", "green"]}}}})";
  const char* const pattern =
      "The identifier is [a-z]{3,9}[.] The colour of it is (red|green)[.]";
  for (const bool of_json : {false, true}) {
    std::vector<token_id> expected;
    for (int way = 0; way < 8; way += tinyphi_test::effort(1, 3)) {
      const bool drafts = (way & 1) != 0, few_pages = (way & 4) != 0;
      const std::int32_t n_logprobs = (way & 2) != 0 ? 0 : -1;
      auto made = engine::create(m, {.n_threads = 1,
                                     .kv_bytes = (few_pages ? 3 : 64) * page,
                                     .cache_type = kv_type::int8});
      REQUIRE_OK(made);
      engine e = *std::move(made);
      const constraint shape =
          of_json ? of_schema(e, object) : of_regex(e, pattern);
      generation_params p{.max_tokens = 60,
                          .sampling = {.temperature = 1.5f,
                                       .seed = 5,
                                       .n_logprobs = n_logprobs},
                          .format = shape,
                          .drafts = drafts};
      auto answers = e.complete_n(prompt_of(1), 3, p);
      p.sampling.seed = 6;
      generation again = e.complete(prompt_of(1), p);
      for (generation& g : answers) {
        INFO(g.text());
        REQUIRE((g.error() ? g.error()->message : "") == "");
      }
      const std::string text = again.text();
      INFO(way << ": " << text);
      CHECK(shape.accepts(text));
      if (expected.empty()) expected = ids_of(again);
      CHECK(ids_of(again) == expected);
      CHECK(ids_of(answers[1]) == expected);  // its seed is 5 + 1
      if (n_logprobs < 0) continue;
      for (const sampled_token& t : again.tokens()) CHECK(t.logprob < 0);
    }
  }
}

TEST_CASE("an answer ends where nothing more may come, without another step") {
  // No step is made shorter because the machine is slow.
  engine e = demo_engine({.n_threads = 1, .gap_ms = 60000});
  for (const std::vector<std::string>& texts :
       {std::vector<std::string>{"A", "B"},
        std::vector<std::string>{"a text that is the only one there is"}}) {
    const auto c = constraint::choice(vocabulary_of(e), texts);
    REQUIRE_OK(c);
    const std::uint64_t before = e.load().steps;
    generation g = e.complete(prompt_of(2), {.max_tokens = 64, .format = *c});
    const std::string text = g.text();
    CHECK(std::count(texts.begin(), texts.end(), text) == 1);
    CHECK(g.finish() == finish_reason::stop);
    // The prompt's step gives the first token; a stop id would need its own.
    const std::uint64_t steps = e.load().steps - before;
    INFO(text << ", " << steps << " steps, " << g.tokens().size());
    CHECK(steps <= g.tokens().size());
    // What must come is computed together.
    if (texts.size() == 1) CHECK(2 * steps < g.tokens().size());
  }
}

TEST_CASE("an answer lands: max_tokens cuts no value") {
  engine e = demo_engine();
  const constraint c = of_regex(e, R"(\[("[^"]*"(, "[^"]*")*)?\])");
  for (std::size_t n = c.shortest(); n < c.shortest() + 20; ++n) {
    generation g = e.complete(
        prompt_of(3),
        {.max_tokens = n, .sampling = {.temperature = 2}, .format = c});
    const std::string text = g.text();
    INFO(n << ": " << text);
    CHECK_FALSE(g.error());
    CHECK(c.accepts(text));
    CHECK(g.tokens().size() <= n);
  }
  // The same where the context ends: "what is left" of it counts. Sanitized code
  // takes minutes to read a prompt that long.
  if (tinyphi_test::slow_build) return;
  const std::size_t context = e.model().config().max_context;
  const std::vector<token_id> long_prompt =
      made_up_prompt(context - c.shortest() - 2, 3, 1900);
  generation g = e.complete(long_prompt, {.max_tokens = 0, .format = c});
  CHECK(c.accepts(g.text()));
  CHECK_FALSE(g.error());
}

TEST_CASE("what does not go with a shape is refused at once, and why") {
  engine e = demo_engine();
  const constraint c = of_regex(e, "[0-9]{40}");
  const auto why = [&](const generation_params& p) {
    generation g = e.complete(prompt_of(4), p);
    CHECK(g.done());
    CHECK(g.text() == "");
    REQUIRE(g.error());
    return std::string(to_string(g.error()->code)) + ": " + g.error()->message;
  };
  const std::string few = why({.max_tokens = c.shortest() - 1, .format = c});
  CHECK(few.starts_with("limit: the shortest answer of this format has " +
                        std::to_string(c.shortest()) + " tokens, and only " +
                        std::to_string(c.shortest() - 1) + " may come"));
  CHECK(why({.stop = {"a"}, .format = c})
            .starts_with("invalid_argument: stop and a format"));
  CHECK(why({.ignore_stop_ids = true, .format = c})
            .starts_with("invalid_argument: ignore_stop_ids and a format"));
  // A vocabulary is its model's own.
  engine other = demo_engine();
  const constraint others = of_regex(other, "a");
  CHECK(why({.format = others})
            .starts_with("invalid_argument: format was made for"));
  const auto none =
      engine::create(tinyphi_test::tiny_model("mini-4k"))->vocabulary();
  REQUIRE_FALSE(none);
  CHECK(none.error().code == error_code::unsupported);
}

TEST_CASE("what cannot be enforced is an error before there is an answer") {
  const engine e = demo_engine();
  const token_trie t = vocabulary_of(e);
  const auto s = constraint::json_schema(t, R"({"properties":
      {"a": {"not": {}}, "b": {"if": {}}}})");
  REQUIRE_FALSE(s);
  CHECK(s.error().message.find("/properties/a/not") != std::string::npos);
  CHECK_FALSE(constraint::json_schema(t, "{"));
  CHECK_FALSE(constraint::regex(t, "(?=a)b"));
  CHECK_FALSE(constraint::gbnf(t, "root ::= nothing"));
  CHECK_FALSE(constraint::choice(t, {}));
}

TEST_CASE("penalties do not keep an answer from its braces and commas") {
  engine e = demo_engine();
  const constraint c = of_schema(e, R"({"type": "array", "minItems": 12,
      "maxItems": 12, "items": {"const": 7}})");
  generation_params p{.max_tokens = 200, .format = c};
  generation plain = e.complete(prompt_of(5), p);
  p.sampling.repetition_penalty = 10;
  p.sampling.presence_penalty = 2;
  p.sampling.dry_multiplier = 100;
  generation penalized = e.complete(prompt_of(5), p);
  CHECK(plain.text() == penalized.text());
}
