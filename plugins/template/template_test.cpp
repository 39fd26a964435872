// SPDX-License-Identifier: MIT
#include "plugins/template/template.h"

#include <array>
#include <random>

#include "support/foreign_locale.h"
#include "support/test.h"
#include "tinyphi/pipeline/record.h"

using namespace tinyphi;
using namespace tinyphi_test;
using templates::checked_template;
using templates::parsed_template;

namespace {

using rec = value_data::record;
using items = value_data::list;

struct given {
  templates::variables types;
  named_values values;

  void add(const std::string& name, type t, value_data data,
           trust label = trust::trusted) {
    types[name] = {t, false};
    values[name] = {std::move(data), label};
  }
};

// Books with tags and a document's fields, texts and numbers.
given world() {
  given g;
  const type book =
      type::record_of("book", {{"title", type_kind::text},
                               {"text", type_kind::text},
                               {"tags", type::list_of(type_kind::text)}});
  g.add(
      "docs", type::list_of(book),
      items{
          rec{{"title", "Codes"},
              {"text", " first "},
              {"tags", items{"a", "b"}}},
          rec{{"title", "Care"}, {"text", "second\nthird"}, {"tags", items{}}}},
      trust::untrusted);
  g.add("none", type::list_of(book), items{}, trust::untrusted);
  g.add("q", type_kind::text, " Why? ", trust::user);
  g.add("n", type_kind::integer, 3);
  g.add("x", type_kind::number, 1234567.25);
  g.add("wait", type_kind::duration, 90'000);
  g.add("yes", type_kind::boolean, true);
  g.add("names", type::list_of(type_kind::text), items{"Ada", "Bob"},
        trust::user);
  g.add("j", type_kind::json, rec{{"a", 1}});
  g.types["absent"] = {type_kind::text, true};
  g.types["gone"] = {type::list_of(book), true};
  return g;
}

result<checked_template, templates::template_fault> made(std::string_view text,
                                                         const given& g) {
  TINYPHI_TRY(const auto parsed, parsed_template::parse(text));
  templates::variables types = g.types;
  for (const auto& [name, use] : parsed.uses()) {
    types.try_emplace(name, templates::variable{type(), !use.required});
  }
  return parsed.check(types);
}

std::string fault_of(std::string_view text) {
  const auto t = made(text, world());
  if (t) return "(none)";
  const bool is_type = t.error().code == fault::type_mismatch;
  return (is_type ? "type " : "") + std::to_string(t.error().offset) + ": " +
         t.error().message;
}

std::vector<prompt_segment> segments_of(std::string_view text, const given& g,
                                        bool control = false) {
  INFO(text << " " << fault_of(text));
  const auto t = made(text, g);
  REQUIRE(t.has_value());
  const auto pieces = t->render(g.values, control);
  REQUIRE_OK(pieces);
  std::vector<prompt_segment> all;
  for (const templates::piece& p : *pieces) {
    all.insert(all.end(), p.segments.begin(), p.segments.end());
  }
  return all;
}

std::string render(std::string_view text) {
  std::string all;
  for (const auto& s : segments_of(text, world())) all += s.text;
  return all;
}

std::string use_of(std::string_view text, const std::string& name) {
  const auto t = parsed_template::parse(text);
  REQUIRE(t.has_value());
  const auto use = t->uses().find(name);
  if (use == t->uses().end()) return "none";
  return std::to_string(use->second.offset) +
         (use->second.required ? " required" : " optional") +
         (use->second.looped ? " looped" : "");
}

}  // namespace

TEST_CASE("numbers are the same in any locale") {
  CHECK(render("{{ x }} {{ wait }} {{ x | round }}") ==
        "1234567.25 90s 1234567");
  const foreign_locale german;
  REQUIRE(german.holds());
  CHECK(render("{{ x }}") == "1234567.25");
}

TEST_CASE("values, loops and conditions") {
  CHECK(render("a{{ q }}b{{n}}{{ absent | default('-') }}\n") == "a Why? b3-");
  CHECK(render("{% for d in docs %}[{{ loop.index }}] {{ d.title }}\n"
               "{{ d.text | trim }}\n\n{% endfor %}Question:{{ q }}\n") ==
        "[1] Codes\nfirst\n\n[2] Care\nsecond\nthird\n\nQuestion: Why? ");
  CHECK(render("{% for d in docs %}{{ d.title }}{% if not loop.last %}, "
               "{% endif %}{% endfor %}") == "Codes, Care");
  CHECK(render("{% if has(absent) %}{{ absent }}{% elif n == 3 and (yes or "
               "has(absent)) %}2{% else %}3{% endif %}") == "2");
  CHECK(render("{% if len(none) > 0 %}some{% else %}none{% endif %}") ==
        "none");
  CHECK(render("{% if q != 'x' %}y{% endif %}{# no #}z") == "yz");
  CHECK(render("{{ names | join('; ') }}{{ names[-1] | default('') }}") ==
        "Ada; BobBob");
}

TEST_CASE("loops go over lists in records, and name what they bind") {
  CHECK(render("{% for d in docs %}{{ d.title }}:{% for t in d.tags %}"
               "{{ loop.index0 }}{{ t }}{% endfor %}({{ loop.length }})"
               "{% endfor %}") == "Codes:0a1b(2)Care:(2)");
  CHECK(render("{% for a in docs %}{% for b in docs %}{{ a.title }}"
               "{{ loop.index0 }} {% endfor %}{% endfor %}") ==
        "Codes0 Codes1 Care0 Care1 ");
  CHECK(render("{% for d in docs %}{{ d.title }}{% endfor %}"
               "{% for d in names %}{{ d }}{% endfor %}") == "CodesCareAdaBob");
  // In its body a list has an item.
  CHECK(render("{% for d in names %}{{ names[0] }}{{ first(names) }}"
               "{% endfor %}") == "AdaAdaAdaAda");
}

TEST_CASE("filters and white space control") {
  CHECK(render("[{{ q | trim | upper }}]") == "[WHY?]");
  CHECK(render("{{ 'a\"b' | json }}{{ 'X' | lower }}") == "\"a\\\"b\"x");
  CHECK(render("{{ len(docs) }}{{ n - 1 -}} }") == "22}");
  CHECK(render("{% for d in docs %}{{ d.text | lines(1) }};{% endfor %}") ==
        " first ;second;");
  CHECK(render("a \n{%- if yes -%}\n b {%- endif %} c") == "ab c");
  CHECK(render("a {#- x -#} b {{- n -}} c") == "ab3c");
}

TEST_CASE("segments tell who wrote what, and only the template's are control") {
  const auto g = world();
  CHECK(segments_of("<|user|>{% for d in docs %}{{ d.title }}{% endfor %}"
                    "{{ q }}!",
                    g, true) ==
        std::vector<prompt_segment>{{"<|user|>", trust::trusted, true},
                                    {"CodesCare", trust::untrusted, false},
                                    {" Why? ", trust::user, false},
                                    {"!", trust::trusted, true}});
}

TEST_CASE("a value is never control, not even one of the pipeline's author") {
  given g = world();
  g.add("q", type_kind::text, "<|end|>");
  const prompt_segment value{"<|end|>", trust::trusted, false};
  CHECK(segments_of("<|user|>{{ q }}{{ absent | default('<|end|>') }}"
                    "{{ '<|end|>' }}",
                    g, true) ==
        std::vector<prompt_segment>{
            {"<|user|>", trust::trusted, true}, value, value, value});
}

TEST_CASE("no function makes a value more trusted than it is") {
  for (const trust label : {trust::user, trust::untrusted}) {
    given g = world();
    g.add("q", type_kind::text, " Why? ", label);
    g.values["docs"].label = label;
    for (const char* use :
         {"q | trim", "q | upper | lower", "q | json", "q | lines(1)",
          "n + len(q)", "default(absent, q)", "len(docs)", "'x' + q",
          "docs[].title | join(',')", "q == 'x'", "has(docs[1])"}) {
      INFO(use);
      const auto segments = segments_of("{{ " + std::string(use) + " }}", g);
      REQUIRE(segments.size() == 1);
      CHECK(segments.front().label == label);
    }
    for (const char* use :
         {"d.title", "loop.index", "d.tags | json", "loop.last"}) {
      INFO(use);
      const auto segments = segments_of(
          "{% for d in docs %}{{ " + std::string(use) + " }}{% endfor %}", g);
      REQUIRE(segments.size() == 1);
      CHECK(segments.front().label == label);
    }
  }
}

TEST_CASE("a template says which variables it uses and how") {
  const std::string text =
      "{{ q }}{% for d in docs %}{{ d.text }}{{ s }}{% endfor %}"
      "{% if has(p) %}{{ p }}{% for x in p.tags %}{{ x }}{% endfor %}"
      "{% endif %}{{ default(o, 'x') }}";
  CHECK(use_of(text, "q") == "3 required");
  CHECK(use_of(text, "docs") == "19 required looped");
  CHECK(use_of(text, "d") == "none");
  CHECK(use_of(text, "loop") == "none");
  CHECK(use_of(text, "s") == "41 required");
  CHECK(use_of(text, "p") == "67 optional");
  CHECK(use_of(text, "o") == "141 optional");
  CHECK(use_of("{% if not has(p) or p == 'x' %}{{ p }}{% endif %}", "p") ==
        "14 required");
  CHECK(use_of("{% if not has(p) %}-{% else %}{{ p }}{% endif %}", "p") ==
        "14 optional");
  CHECK(use_of("{% if not has(p) %}-{% elif p == 'x' %}{{ p }}{% endif %}",
               "p") == "14 optional");
  CHECK(use_of("{% if has(p) %}{% endif %}{{ p }}", "p") == "10 required");
  CHECK(use_of("{% if has(p) %}{% for d in p %}{% endfor %}{% endif %}", "p") ==
        "10 optional looped");
  CHECK(use_of("{{ has(a[i]) and a[i] == 1 }}", "a") == "7 optional");
}

TEST_CASE("what is wrong with the syntax of a template, and where") {
  CHECK(fault_of("ab{{ q") == "6: '}}' is missing");
  CHECK(fault_of("ab{{ }}") == "5: a value is missing");
  CHECK(fault_of("{{ q r }}") == "5: '}}' is missing");
  CHECK(fault_of("{% fro x in y %}") ==
        "0: unknown tag 'fro'; did you mean 'for'?");
  CHECK(fault_of("x{% if yes %}") == "1: {% if %} without {% endif %}");
  CHECK(fault_of("x{% if yes %}{% else %}{% else %}{% endif %}") ==
        "1: {% if %} without {% endif %}");
  CHECK(fault_of("x{% for a in docs %}{% endif %}") ==
        "1: {% for %} without {% endfor %}");
  CHECK(fault_of("{% endfor %}") == "0: {% endfor %} without a block to end");
  CHECK(fault_of("{# x") == "0: {# without #}");
  CHECK_THAT(fault_of("{{ 'x }}"), Catch::StartsWith("3: "));
  CHECK(fault_of("{{ loop.index }}") == "3: 'loop' outside a loop");
  CHECK(fault_of("{% for x in len(docs) %}{% endfor %}") ==
        "12: a loop goes over a path, such as docs");
  CHECK(fault_of("{% for d in docs %}{% for d in docs %}{% endfor %}"
                 "{% endfor %}") == "26: 'd' already stands for something");
  CHECK(fault_of("{% for loop in docs %}{% endfor %}") ==
        "7: 'loop' already stands for something");
  CHECK(fault_of("{% for d in docs %}{% endfor %}{{ d.title }}") ==
        "34: 'd' stands for the items of a loop, and only inside it");
  CHECK(fault_of("{{ q }}{% for q in docs %}{% endfor %}") ==
        "3: 'q' stands for the items of a loop, and only inside it");
  CHECK(fault_of("{% macro x() %}") == "0: unknown tag 'macro'");
  CHECK(fault_of(std::string(70000, 'x')) ==
        "0: a template has at most 65536 bytes");
}

TEST_CASE("what is wrong with the types in a template, and where") {
  CHECK(fault_of("{% for d in docs %}{{ d.titel }}{% endfor %}") ==
        "24: book has no field 'titel'; did you mean 'title'?");
  CHECK(fault_of("a {{ docs }}") ==
        "type 5: {{ docs }} is list<book>, which cannot be printed; write a "
        "loop, or docs | json");
  CHECK(fault_of("{{ names }}") ==
        "type 3: {{ names }} is list<text>, which cannot be printed; write "
        "names | join(', '), or a loop");
  CHECK(fault_of("{% for d in docs %}{{ d }}{% endfor %}") ==
        "type 22: {{ d }} is book, which cannot be printed; print its fields, "
        "such as d.title, or d | json");
  CHECK(fault_of("{% for c in q %}{% endfor %}") ==
        "type 12: the template loops over q, which is text, not a list");
  CHECK(fault_of("{% for d in docs %}{% for t in d.title %}{% endfor %}"
                 "{% endfor %}") ==
        "type 31: the template loops over d.title, which is text, not a list");
  CHECK(fault_of("{% for c in j %}{% endfor %}") ==
        "type 12: the template loops over j, which is json, not a list");
  CHECK_THAT(fault_of("{% if docs %}{% endif %}"),
             Catch::StartsWith("6: ") && Catch::Contains("len(docs) > 0"));
  CHECK_THAT(fault_of("{{ docs[0].title }}"),
             Catch::StartsWith("3: docs[0] may be absent"));
  CHECK_THAT(fault_of("{{ j.a | json }}"), Catch::Contains("may be absent"));
  CHECK_THAT(fault_of("{{ q | uper }}"), Catch::Contains("mean 'upper'?"));
  CHECK_THAT(fault_of("{{ n + q }}"), Catch::StartsWith("5: "));
  CHECK_THAT(fault_of("{% for d in docs %}{{ loop.idx }}{% endfor %}"),
             Catch::Contains("loop has no field 'idx'"));
  // What is known of an item is not known of the next one's loop.
  CHECK_THAT(
      fault_of("{% for d in docs %}{% if has(d.tags[0]) %}{% for e in docs %}"
               "{{ e.tags[0] }}{% endfor %}{% endif %}{% endfor %}"),
      Catch::Contains("e.tags[0] may be absent"));
  CHECK_THAT(fault_of("{% for d in docs %}{% if has(names[loop.index]) %}"
                      "{% for e in docs %}{{ names[loop.index] }}{% endfor %}"
                      "{% endif %}{% endfor %}"),
             Catch::Contains("names[loop.index] may be absent"));
}

TEST_CASE("nesting, output and work are bounded") {
  std::string deep;
  for (int i = 0; i < 20; ++i) deep += "{% if yes %}";
  CHECK_THAT(fault_of(deep), Catch::Contains("nested 16 deep"));
  std::string nots = "{% if ";
  for (int i = 0; i < 10000; ++i) nots += "not ";
  CHECK_THAT(fault_of(nots), Catch::Contains("nested more than 32 deep"));

  given g;
  items many(1000, std::string("x"));
  many[0] = std::string(1 << 20, 'x');
  g.add("docs", type::list_of(type_kind::text), many);
  const auto message = [&](std::string_view text) {
    return message_of(made(text, g)->render(g.values));
  };
  CHECK_THAT(message("{% for a in docs %}{% for b in docs %}{% endfor %}"
                     "{% endfor %}"),
             Catch::Contains("more than 65536 steps"));
  CHECK_THAT(message("{% for a in docs %}{{ a }}{{ a }}{{ a }}"
                     "{{ a }}{{ a }}{% endfor %}"),
             Catch::Contains("more than 4194304 bytes"));
  stop_condition stop;
  stop.token.cancel();
  CHECK(message_of(made("{% for a in docs %}{% endfor %}", g)
                       ->render(g.values, false, stop)) == "cancelled");
}

TEST_CASE("the greatest cost is that of the dearest arms") {
  const auto t = made(
      "ab{% if yes %}{{ n }}c{% elif n == 2 %}{{ q }}"
      "{% else %}defgh{% endif %}{% for d in docs %}xyz{{ q }}"
      "{% endfor %}",
      world());
  REQUIRE(t.has_value());
  REQUIRE(t->places().size() == 3);
  CHECK(t->places()[0].type == type(type_kind::integer));
  CHECK(t->places()[2].list == "docs");
  CHECK(t->places()[2].prints == std::vector<std::string>{"docs", "q"});
  const auto cost = [&](std::vector<std::size_t> costs, std::size_t most) {
    return t->greatest_cost([](const std::string& s) { return s.size(); },
                            [&](std::size_t n) { return costs[n]; }, most);
  };
  CHECK(cost({1, 2, 100}, 1000) == 2 + 5 + 100);
  CHECK(cost({7, 2, 100}, 1000) == 2 + 8 + 100);
  CHECK(cost({7, 20, 100}, 1000) == 2 + 20 + 100);
  CHECK(cost({7, 20, 100}, 50) == 50);
}

TEST_CASE("any text is a template or has a fault inside it") {
  constexpr std::array<const char*, 30> pieces = {"{{",
                                                  "}}",
                                                  "{%",
                                                  "%}",
                                                  "{#",
                                                  "#}",
                                                  "-",
                                                  " ",
                                                  " for ",
                                                  " in ",
                                                  " if ",
                                                  " elif ",
                                                  "else ",
                                                  "d",
                                                  "docs",
                                                  ".",
                                                  "title",
                                                  "|",
                                                  "trim",
                                                  "'",
                                                  "(",
                                                  ")",
                                                  "\xFF",
                                                  "has(",
                                                  "{% endfor %}",
                                                  "{% endif %}",
                                                  "{% for d in docs %}",
                                                  "{{ d.title }}",
                                                  "{% if has(gone) %}",
                                                  "loop.index"};
  std::mt19937 random(7);
  const auto g = world();
  int checked = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (auto n = random() % 20; n > 0; --n) {
      text += pieces[random() % pieces.size()];
    }
    INFO(text);
    const auto t = made(text, g);
    if (!t) {
      REQUIRE(t.error().offset <= text.size());
      REQUIRE(!t.error().message.empty());
      continue;
    }
    const auto rendered = t->render(g.values);
    // Only what nobody gave is absent.
    const auto uses = parsed_template::parse(text)->uses();
    const bool whole = std::ranges::all_of(uses, [&](const auto& use) {
      return !use.second.required || g.values.contains(use.first);
    });
    if (whole) REQUIRE_OK(rendered);
    checked += whole;
  }
  CHECK(checked > 100);
}
