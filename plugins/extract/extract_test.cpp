// SPDX-License-Identifier: MIT
#include "plugins/extract/extract.h"

#include "plugins/generate/generate.h"
#include "plugins/prompt/prompt.h"
#include "support/demo_host.h"
#include "support/run_stage.h"
#include "support/test.h"
#include "tinyphi/pipeline.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

// A record { light, blinks, more? } with rules.
tinyphi::type light() {
  auto rules = schema::read(R"({"type":"object","properties":{
      "light":{"enum":["red","green"]},"blinks":{"type":"integer","minimum":0,
      "maximum":9},"more":{"type":"string","maxLength":12}},
      "required":["light","blinks"],"additionalProperties":false})");
  REQUIRE(rules);
  return type::ruled_by(
      type::record_of("light", {{"light", type::one_of({"red", "green"})},
                                {"blinks", type_kind::integer},
                                {"more", type_kind::text, true}}),
      *rules, "light");
}

extract_stage::config config_of(std::int64_t max_tokens, double temperature) {
  extract_stage::config c;
  c.model.name = "phi";
  c.type = {"light", light()};
  c.max_tokens = max_tokens;
  c.temperature = temperature;
  return c;
}

std::string faults_of(const std::string& type) {
  registry plugins;
  plugins.add<extract_stage>().add<prompt_stage>();
  const std::string text =
      "tinyphi = 1\ninput.text = \"text\"\noutput.value = \"take.value\"\n"
      "[type.x.properties]\n" +
      type +
      "\n[stage.ask]\nuse = \"prompt\"\nwith.user = \"{{ text }}\"\n"
      "with.fit = { text = 500 }\n"
      "[stage.take]\nuse = \"extract\"\nwith.type = \"x\"\nwith.max_tokens = "
      "60\n";
  return to_string(
      check_pipeline_text(text, "t.toml", plugins, demo_host()).faults,
      "t.toml");
}

}  // namespace

TEST_CASE("what extract gives is of its type, whatever the model would say") {
  host h = with_demo();
  for (const std::int64_t max_tokens : {20, 24, 60}) {
    for (const double temperature : {0.0, 2.0}) {
      INFO(max_tokens << " tokens, temperature " << temperature);
      const extract_stage stage(config_of(max_tokens, temperature), h);
      const labelled_prompt prompt = asking("What does a red light mean?");
      const auto given = run_stage(stage, {&prompt});
      REQUIRE_OK(given);
      CHECK_FALSE(find_misfit(given->value, light()));
      CHECK(given->tokens > 0);
      CHECK(given->tokens <= max_tokens);
    }
  }
}

TEST_CASE(
    "a type that needs more than max_tokens is an error with both numbers") {
  host h = with_demo();
  try {
    const extract_stage stage(config_of(3, 0), h);
    FAIL("three tokens are enough");
  } catch (const stage_error& e) {
    CHECK(e.error.code == error_code::limit);
    CHECK(e.error.message.find("with.max_tokens is 3") != std::string::npos);
  }
}

TEST_CASE("extract stops when its request does") {
  host h = with_demo();
  const extract_stage stage(config_of(60, 0), h);
  const labelled_prompt prompt = asking("Why?");
  stop_condition stop;
  stop.token.cancel();
  CHECK(run_stage(stage, {&prompt}, stop).error().code ==
        error_code::cancelled);
  labelled_prompt others = prompt;
  others.model = "big";
  CHECK(message_of(run_stage(stage, {&others}))
            .find("laid out for model 'big'") != std::string::npos);
}

TEST_CASE("a prompt keeps room for the answer and the form that it is told") {
  host h = with_demo();
  const auto facts = extract_stage::check(config_of(60, 0), {}, h);
  REQUIRE(facts.answer);
  const std::string form =
      "\n\nAnswer as JSON of this form: " + type_outline(light());
  CHECK(facts.answer->max_tokens >=
        60 + demo().tokenizer()->encode_inside(form).size());
  CHECK(facts.out_types.at("value") == light());
}

TEST_CASE("a form is names and types") {
  CHECK(type_outline(light()) ==
        R"({"light": "red" or "green", "blinks": integer, "more"?: string})");
  CHECK(type_outline(type::list_of(type_kind::number)) == "[number]");
  CHECK(type_outline(type_kind::json) == "any value");
}

TEST_CASE("a type that no answer can be held to is a fault of the file") {
  CHECK(faults_of("n = { type = \"integer\" }").empty());
  const std::string found =
      faults_of("n = { type = \"number\", multipleOf = 0.5 }");
  CHECK(found.find("no answer can be held to x") != std::string::npos);
  CHECK(found.find("/properties/n/multipleOf") != std::string::npos);
}

TEST_CASE("generate holds its answer to a form, and says why it cannot") {
  const auto fault_of = [](const std::string& form) {
    registry plugins;
    plugins.add<generate_stage>().add<prompt_stage>();
    return to_string(
        check_pipeline_text(
            "tinyphi = 1\ninput.text = 'text'\noutput.a = 'go.text'\n[stage]\n"
            "ask = { use = 'prompt', with.user = '{{ text }}', with.fit = { "
            "text "
            "= 500 } }\ngo = { use = 'generate', with.constrain = { " +
                form + " } }\n",
            "t.toml", plugins, demo_host())
            .faults,
        "t.toml");
  };
  CHECK(fault_of("regex = '[0-9]{3}'") == "");
  CHECK(fault_of("regex = '[', choice = ['a']")
            .find("regex, grammar and choice exclude each other") !=
        std::string::npos);
  for (const auto* form : {"regex = '['", "grammar = 'x'"}) {
    CHECK(fault_of(form).find("with.constrain: ") != std::string::npos);
  }
  host h = with_demo();
  const labelled_prompt prompt = asking("What does a red light mean?");
  generate_stage::config c;
  c.model.name = "phi";
  c.max_tokens = 12;
  c.temperature = 2;
  c.constrain.regex = "[A-Z][0-9]{2}(-[a-z]+)?";
  const generate_stage stage(c, h);
  const auto whole = pattern::compile("^" + c.constrain.regex + "$");
  REQUIRE_OK(whole);
  for (int i = 0; i < 4; ++i) {
    text_collector out;
    const auto given = run_task([&](run_context& cx) {
      return stage.run(cx, {&prompt}, {text_stream(out)});
    });
    REQUIRE_OK(given);
    std::uint64_t steps = 1'000'000;
    CHECK(whole->found_in(out.text, steps));
  }
  c.max_tokens = 1;
  c.constrain.regex = "[A-Z]{40}";
  try {
    const generate_stage too_short(c, h);
    FAIL("one token is enough");
  } catch (const stage_error& e) {
    CHECK(e.error.code == error_code::limit);
  }
}
