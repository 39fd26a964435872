// SPDX-License-Identifier: MIT
#include "plugins/prompt/template.h"

#include <array>
#include <random>

#include "support/foreign_locale.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;
using prompts::prompt_template;
using prompts::template_fault;

namespace {

std::string fault_of(std::string_view text) {
  const auto t = prompt_template::compile(text);
  const auto* f = std::get_if<template_fault>(&t);
  return f == nullptr ? "(none)"
                      : std::to_string(f->offset) + ": " + f->message;
}

documents two() {
  documents d(2);
  d[0].title = "Codes", d[0].text = " first ";
  d[1].title = "Care", d[1].text = "second\nthird";
  return d;
}

std::string render(std::string_view text, const prompts::bindings& values) {
  const auto t = prompt_template::compile(text);
  INFO(fault_of(text));
  REQUIRE(t.index() == 0);
  const auto segments = std::get<0>(t).render(values);
  REQUIRE_OK(segments);
  std::string all;
  for (const prompt_segment& s : *segments) all += s.text;
  return all;
}

std::string render(std::string_view text) {
  static const documents docs = two();
  prompts::bindings values;
  values["docs"] = {std::span<const document>(docs), trust::untrusted};
  values["none"] = {std::span<const document>(), trust::untrusted};
  values["q"] = {std::string_view(" Why? "), trust::user};
  values["n"] = {std::int64_t{3}, trust::trusted};
  values["yes"] = {true, trust::trusted};
  return render(text, values);
}

}  // namespace

TEST_CASE("numbers are the same in any locale") {
  prompts::bindings values;
  values["x"] = {1234567.25, trust::trusted};
  CHECK(render("{{ x }}", values) == "1234567.25");
  const foreign_locale german;
  REQUIRE(german.holds());
  CHECK(render("{{ x }}", values) == "1234567.25");
}

TEST_CASE("values, loops and conditions") {
  CHECK(render("a{{ q }}b{{n}}{{ absent }}") == "a Why? b3");
  CHECK(render("{% for d in docs %}[{{ loop.index }}] {{ d.title }}\n"
               "{{ d.text | trim }}\n\n{% endfor %}Question:{{ q }}\n") ==
        "[1] Codes\nfirst\n\n[2] Care\nsecond\nthird\n\nQuestion: Why? ");
  CHECK(render("{% for d in docs %}{{ d.title }}{% if not loop.last %}, "
               "{% endif %}{% endfor %}") == "Codes, Care");
  CHECK(render("{% if absent %}1{% elif n == 3 and (yes or absent) %}2"
               "{% else %}3{% endif %}") == "2");
  CHECK(render("{% if none %}some{% else %}none{% endif %}") == "none");
  CHECK(render("{% if q != 'x' %}y{% endif %}{# no #}z") == "yz");
  CHECK(render("{% for a in docs %}{% for b in docs %}{{ a.title }}"
               "{{ loop.index0 }} {% endfor %}{% endfor %}") ==
        "Codes0 Codes1 Care0 Care1 ");
}

TEST_CASE("filters and white space control") {
  CHECK(render("[{{ q | trim | upper }}]") == "[WHY?]");
  CHECK(render("{{ 'a\"b' | json }}{{ 'X' | lower }}") == "\"a\\\"b\"x");
  CHECK(render("{{ absent | default('none') }}") == "none");
  CHECK(render("{{ docs | length }}") == "2");
  CHECK(render("{% for d in docs %}{{ d.text | lines(1) }};{% endfor %}") ==
        " first ;second;");
  CHECK(render("a \n{%- if yes -%}\n b {%- endif %} c") == "ab c");
}

TEST_CASE("segments tell who wrote what, and only the template's are control") {
  const documents docs = two();
  prompts::bindings values;
  values["docs"] = {std::span<const document>(docs), trust::trusted};
  values["q"] = {std::string_view("<|end|>"), trust::user};
  const auto t = std::get<0>(prompt_template::compile(
      "<|user|>{% for d in docs %}{{ d.title }}{% endfor %}{{ q }}!"));
  const auto segments = t.render(values, true);
  REQUIRE_OK(segments);
  CHECK(*segments ==
        std::vector<prompt_segment>{{"<|user|>", trust::trusted, true},
                                    {"CodesCare", trust::untrusted, false},
                                    {"<|end|>", trust::user, false},
                                    {"!", trust::trusted, true}});
}

TEST_CASE("a value is never control, not even one of the pipeline's author") {
  const std::string marker = "<|end|>";
  prompts::bindings values;
  values["q"] = {std::string_view(marker), trust::trusted};
  const auto t = std::get<0>(prompt_template::compile(
      "<|user|>{{ q }}{{ q | trim }}{{ absent | default('<|end|>') }}"
      "{{ '<|end|>' }}"));
  const auto segments = t.render(values, true);
  REQUIRE_OK(segments);
  CHECK(*segments ==
        std::vector<prompt_segment>{
            {"<|user|>", trust::trusted, true},
            {marker + marker + marker + marker, trust::trusted, false}});
}

TEST_CASE("no filter makes a value more trusted than it is") {
  const documents docs = two();
  for (const trust label : {trust::user, trust::untrusted}) {
    prompts::bindings values;
    values["q"] = {std::string_view(" Why? "), label};
    values["docs"] = {std::span<const document>(docs), label};
    for (const char* use :
         {"q | trim", "q | lower", "q | upper", "q | json", "q | lines(1)",
          "q | default('x')", "q | length", "docs | length",
          "q | trim | upper | lines(1) | json | default('x') | length"}) {
      INFO(use);
      const auto t = std::get<0>(
          prompt_template::compile("{{ " + std::string(use) + " }}"));
      const auto segments = t.render(values);
      REQUIRE_OK(segments);
      REQUIRE(segments->size() == 1);
      CHECK(segments->front().label == label);
    }
  }
}

TEST_CASE("a template says which variables it uses and how") {
  const auto t = std::get<0>(prompt_template::compile(
      "{{ q }}{% for d in docs %}{{ d.text }}{{ s }}{% endfor %}{{ q }}"
      "{% if p %}{{ p }}{% endif %}"));
  CHECK(t.variables().size() == 4);
  CHECK(t.variables().at("q").printed == 2);
  CHECK(t.variables().at("docs").looped);
  CHECK(t.variables().at("s").printed_in_loop);
  CHECK(t.variables().at("p").tested);
  CHECK(!t.variables().at("q").tested);
}

TEST_CASE("what is wrong with a template, and where") {
  CHECK(fault_of("ab{{ q") == "6: '}}' is missing");
  CHECK(fault_of("ab{{ }}") == "5: a value is missing");
  CHECK(fault_of("{{ a.b }}") ==
        "3: 'a' has no fields; only the items of a list have");
  CHECK(fault_of("{% for d in docs %}{{ d.titel }}{% endfor %}") ==
        "22: 'd' has no field 'titel'; did you mean 'title'?");
  CHECK(fault_of("{% for d in docs %}{{ d }}{% endfor %}") ==
        "22: 'd' cannot be used whole; name a field, as in d.text");
  CHECK(fault_of("{{ q | uper }}") ==
        "7: unknown filter 'uper'; did you mean 'upper'?");
  CHECK(fault_of("{% fro x in y %}") ==
        "0: unknown tag 'fro'; did you mean "
        "'for'?");
  CHECK(fault_of("x{% if a %}") == "1: {% if %} without {% endif %}");
  CHECK(fault_of("x{% for a in b %}{% endif %}") ==
        "1: {% for %} without {% endfor %}");
  CHECK(fault_of("{% endfor %}") == "0: {% endfor %} without a block to end");
  CHECK(fault_of("{# x") == "0: {# without #}");
  CHECK(fault_of("{{ 'x }}") == "3: the quoted text has no end");
  CHECK(fault_of("{{ loop.index }}") == "3: 'loop' outside a loop");
  CHECK(fault_of("{{ d }}{% for x in d %}{% endfor %}") ==
        "3: 'd' is looped over and also printed; print fields of its items");
  CHECK(fault_of("{% macro x() %}") == "0: unknown tag 'macro'");
  CHECK(fault_of("{{ x() }}") == "4: '}}' is missing");
  CHECK(fault_of("{{ 99999999999999999999 }}") == "3: the number is too large");
  CHECK(fault_of(std::string(70000, 'x')) ==
        "0: a template has at most 65536 bytes");
}

TEST_CASE("nesting, output and work are bounded") {
  std::string deep, brackets = "{% if ";
  for (int i = 0; i < 20; ++i) deep += "{% if a %}", brackets += "(";
  CHECK_THAT(fault_of(deep), Catch::Contains("nested 16 deep"));
  CHECK_THAT(fault_of(brackets), Catch::Contains("nested too deep"));
  std::string nots = "{% if ";
  for (int i = 0; i < 10000; ++i) nots += "not ";
  CHECK_THAT(fault_of(nots), Catch::Contains("nested too deep"));

  std::string lines = "{{ a";
  for (int i = 0; i < 5000; ++i) lines += " | lines(1";
  CHECK_THAT(fault_of(lines), Catch::Contains("')' is missing"));

  documents many(1000);
  many[0].text = std::string(1 << 20, 'x');
  prompts::bindings values;
  values["docs"] = {std::span<const document>(many), trust::untrusted};
  const auto message = [&](std::string_view text) {
    const auto t = std::get<0>(prompt_template::compile(text));
    return message_of(t.render(values));
  };
  CHECK_THAT(message("{% for a in docs %}{% for b in docs %}{% endfor %}"
                     "{% endfor %}"),
             Catch::Contains("more than 65536 steps"));
  CHECK_THAT(message("{% for a in docs %}{{ a.text }}{{ a.text }}{{ a.text }}"
                     "{{ a.text }}{{ a.text }}{% endfor %}"),
             Catch::Contains("longer than 4194304 bytes"));
}

TEST_CASE("any text compiles to a template or a fault inside it") {
  constexpr std::array<const char*, 24> pieces = {
      "{{",   "}}", "{%",   "%}",   "{#",   "#}",    "-",      " ",
      "for",  "in", "if",   "elif", "else", "endif", "endfor", "d",
      "docs", ".",  "text", "|",    "trim", "'",     "(",      "\xFF"};
  std::mt19937 random(7);
  const documents docs = two();
  prompts::bindings values;
  values["docs"] = {std::span<const document>(docs), trust::untrusted};
  int compiled = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (auto n = random() % 20; n > 0; --n) {
      text += pieces[random() % pieces.size()];
    }
    const auto t = prompt_template::compile(text);
    if (const auto* f = std::get_if<template_fault>(&t)) {
      REQUIRE(f->offset <= text.size());
      REQUIRE(!f->message.empty());
    } else {
      ++compiled;
      const auto segments = std::get<0>(t).render(values);
      REQUIRE_OK(segments);
    }
  }
  CHECK(compiled > 100);
}
