// SPDX-License-Identifier: MIT
#include "tinyphi/constrain/schema_grammar.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "support/effort.h"
#include "support/test.h"
#include "support/tokenizers.h"
#include "tinyphi/constrain/constraint.h"
#include "tinyphi/schema/schema_check.h"

using namespace tinyphi;
using tinyphi_test::message_of;

namespace {

bool has(const std::string& message, const std::vector<std::string>& parts) {
  return std::ranges::all_of(parts, [&](const std::string& part) {
    return message.find(part) != message.npos;
  });
}

const token_trie& trie() {
  static const token_trie t = [] {
    auto made = token_trie::create(tinyphi_test::make_tokenizer(
        tinyphi_test::hf_vocabulary("tokenizer/phi-3")));
    REQUIRE_OK(made);
    return *std::move(made);
  }();
  return t;
}

schema read(const std::string& text) {
  auto s = schema::read(text);
  INFO(text << (s ? std::string() : to_string(s.error()[0])));
  REQUIRE(s);
  return *std::move(s);
}

constraint shape_of(const std::string& text,
                    json_gaps gaps = json_gaps::compact) {
  auto c = constraint::json_schema(trie(), read(text), gaps);
  INFO(text);
  REQUIRE_OK(c);
  return *std::move(c);
}

bool takes(const std::string& schema_text, std::string_view value) {
  return shape_of(schema_text).accepts(value);
}

std::string refusal(const std::string& schema_text) {
  return message_of(
      constraint::json_schema(trie(), read(schema_text), json_gaps::compact));
}

// Draws a schema; small ones, since each has to be compiled.
class schemas {
 public:
  explicit schemas(std::uint32_t seed) : rng_(seed) {}

  std::string one(int depth = 0) {
    switch (rng_() % (depth < 3 ? 12 : 7)) {
      case 0:
        return number();
      case 1:
        return string();
      case 2:
        return R"({"enum":["a",1,null,{"x":[true]},"é\"\n"]})";
      case 3:
        return R"({"type":["boolean","null"]})";
      case 4:
        return R"({"type":"string","format":")" +
               std::string(
                   text_format_names[rng_() % std::size(text_format_names)]) +
               "\"}";
      case 5:
        return R"({"type":"string","pattern":"^[a-c]{2,4}(x|\\d)$"})";
      case 6:
        return R"({"const":-12.50})";
      case 7:
      case 8:
        return array(depth);
      case 9:
        return R"({"anyOf":[)" + one(depth + 1) + "," + one(depth + 1) + "]}";
      default:
        return object(depth);
    }
  }

 private:
  std::string number() {
    std::string out =
        rng_() % 2 == 0 ? R"({"type":"integer")" : R"({"type":"number")";
    const int low = static_cast<int>(rng_() % 200) - 100;
    if (rng_() % 2 == 0) out += ",\"minimum\":" + std::to_string(low);
    if (rng_() % 2 == 0) {
      out += ",\"exclusiveMaximum\":" +
             std::to_string(low + 1 + int(rng_() % 90)) + ".5";
    }
    if (rng_() % 4 == 0) out += ",\"multipleOf\":0.01";
    return out + "}";
  }
  std::string string() {
    std::string out = R"({"type":"string")";
    if (rng_() % 2 == 0) out += ",\"minLength\":" + std::to_string(rng_() % 5);
    if (rng_() % 2 == 0)
      out += ",\"maxLength\":" + std::to_string(5 + rng_() % 40);
    return out + "}";
  }
  std::string array(int depth) {
    std::string out = R"({"type":"array","items":)" + one(depth + 1);
    if (rng_() % 3 == 0) out += ",\"prefixItems\":[" + one(depth + 1) + "]";
    if (rng_() % 2 == 0) out += ",\"minItems\":" + std::to_string(rng_() % 3);
    if (rng_() % 2 == 0)
      out += ",\"maxItems\":" + std::to_string(3 + rng_() % 30);
    return out + "}";
  }
  std::string object(int depth) {
    std::string out = R"({"type":"object","properties":{)", required;
    const auto n = 1 + rng_() % 4;
    for (std::size_t i = 0; i < n; ++i) {
      const std::string name =
          std::string(1, static_cast<char>('a' + i)) + "\\u00e9";
      out += (i > 0 ? ",\"" : "\"") + name + "\":" + one(depth + 1);
      if (rng_() % 2 == 0)
        required += (required.empty() ? "\"" : ",\"") + name + "\"";
    }
    out += "},\"required\":[" + required + "]";
    if (rng_() % 3 == 0) out += ",\"additionalProperties\":" + one(depth + 1);
    if (rng_() % 4 == 0) out += ",\"maxProperties\":" + std::to_string(n + 1);
    return out + "}";
  }
  std::mt19937 rng_;
};

}  // namespace

TEST_CASE("whatever a constraint lets through validates, and always ends") {
  std::mt19937_64 rng(1);
  schemas draw(7);
  const int rounds = tinyphi_test::sweep_rounds(60, 2000);
  for (int round = 0; round < rounds; ++round) {
    const std::string text = draw.one();
    const schema s = read(text);
    const json_gaps gaps = static_cast<json_gaps>(rng() % 3);
    const constraint c = shape_of(text, gaps);
    for (int answer = 0; answer < 8; ++answer) {
      matcher m(c);
      std::size_t left = c.shortest() + rng() % 30;
      std::string value;
      token_set next;
      while (!m.must_end() && !(m.may_end() && (left == 0 || rng() % 3 == 0))) {
        const auto found = m.allowed(next, left);
        REQUIRE_OK(found);
        INFO(text << " after " << value << ", tokens left: " << left);
        const std::size_t n = next.count();
        if (n == 0 && m.may_end()) break;
        REQUIRE(n > 0);
        std::size_t k = rng() % n;
        token_id id = 0;
        next.for_each([&](token_id x) {
          if (k-- == 0) id = x;
        });
        const auto accepted = m.accept(id);
        REQUIRE_OK(accepted);
        value += trie().bytes(id);
        --left;
      }
      if (value.starts_with(' ')) value.erase(0, 1);
      INFO(text << "\n" << value);
      const auto faults = check_text(s, value);
      REQUIRE_OK(faults);
      CHECK(faults->empty());
      CHECK(c.accepts(value));
    }
  }
}

namespace {

// Values of the JSON Schema Test Suite, each put to the constraint of its
// group.
struct suite_counts {
  std::size_t shapes = 0, refused = 0, invalid = 0, taken = 0;
  std::set<std::string> let_through;  // though invalid
  std::set<std::string> left_out;     // though valid
};

suite_counts run_suite() {
  suite_counts n;
  std::ifstream file(tinyphi_test::data_dir() / "schema/suite.jsonl");
  for (std::string line; std::getline(file, line);) {
    const auto group = json_tree::read(line);
    REQUIRE_OK(group);
    const auto text = [&](json_tree::node x) {
      return std::string(group->text(x));
    };
    const auto s = schema::read(text(group->find(0, "schema")));
    if (!s) continue;  // tests/schema/suite_test.cpp says which
    const auto c = constraint::json_schema(trie(), *s, json_gaps::compact);
    ++(c ? n.shapes : n.refused);
    if (!c) continue;
    const auto tests = group->find(0, "tests");
    for (auto t = group->first(tests); t != group->none; t = group->next(t)) {
      const auto title = group->first(t);
      const auto tree = json_tree::read(text(group->next(title)));
      REQUIRE_OK(tree);
      const std::string value = json_text(*tree, json_tree::root);
      const auto faults = check_text(*s, value);
      REQUIRE_OK(faults);
      const std::string name =
          text(group->find(0, "group")) + " | " + text(title);
      const bool taken = c->accepts(value);
      if (!faults->empty()) {
        ++n.invalid;
        if (taken) n.let_through.insert(name);
      } else if (taken) {
        ++n.taken;
      } else {
        n.left_out.insert(name);
      }
    }
  }
  return n;
}

}  // namespace

TEST_CASE(
    "the JSON Schema Test Suite: no invalid value is let through, and valid "
    "ones are, but for those that not_written.txt lists") {
  const suite_counts n = run_suite();
  CHECK(n.shapes == 195);
  CHECK(n.refused == 22);
  CHECK(n.invalid == 524);
  CHECK(n.taken == 507);
  CHECK(n.let_through == std::set<std::string>());
  std::set<std::string> listed;
  std::ifstream file(tinyphi_test::data_dir() / "schema/not_written.txt");
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line[0] != '#') listed.insert(line);
  }
  CHECK(n.left_out == listed);
}

TEST_CASE("keywords: what is written, and what is not") {
  const std::vector<std::array<std::string, 3>> cases = {
      {R"({"type":"integer"})", "-7", "7.0"},
      {R"({"type":"number","maximum":2.5})", "2.50", "2.51"},
      {R"({"type":"integer","multipleOf":7})", "-21", "20"},
      {R"({"type":"string","maxLength":2})", R"("é\n")", R"("abc")"},
      {R"({"type":"string","minLength":2})", R"("ab")", R"("a")"},
      {R"({"type":"string","pattern":"^a+$","maxLength":3})", R"("aaa")",
       R"("aaaa")"},
      {R"({"type":"string","format":"date"})", R"("2024-02-29")",
       R"("2023-02-29")"},
      {R"({"type":"string","format":"date"})", R"("2000-02-29")",
       R"("1900-02-29")"},
      {R"({"type":"string","format":"time"})", R"("23:59:59Z")",
       R"("24:00:00Z")"},
      {R"({"enum":["a",{"b":1}]})", R"({"b":1})", R"({"b":2})"},
      {R"({"enum":["a",1,"bb"],"type":"string","minLength":2})", R"("bb")",
       "1"},
      {R"({"const":null})", "null", "0"},
      {R"({"type":"array","items":{"type":"null"},"minItems":1,"maxItems":2})",
       "[null,null]", "[null,null,null]"},
      {R"({"type":"array","prefixItems":[{"type":"null"}],"items":false})",
       "[null]", "[null,1]"},
      {R"({"type":"array","prefixItems":[{"type":"null"}],"minItems":1})",
       "[null,{}]", "[]"},
      {R"({"type":"object","properties":{"a":{},"b":{}},"required":["b"]})",
       R"({"a":1,"b":2})", R"({"a":1})"},
      {R"({"type":"object","properties":{"a":{},"b":{}}})", R"({"b":2})",
       R"({"c":2})"},
      {R"({"type":"object","properties":{"a":{}},"additionalProperties":{"type":"null"}})",
       R"({"a":1,"c":null})", R"({"c":1})"},
      {R"({"type":"object","required":["x"]})", R"({"x":1,"y":2})",
       R"({"y":1})"},
      {R"({"type":"object","properties":{"a":{},"b":{}},"maxProperties":1})",
       R"({"b":1})", R"({"a":1,"b":1})"},
      {R"({"type":"object","properties":{"a":{},"b":{}},"minProperties":1})",
       R"({"b":1})", "{}"},
      {R"({"anyOf":[{"type":"null"},{"type":"boolean"}]})", "true", "1"},
      {R"({"oneOf":[{"type":"null"},{"type":"boolean"}]})", "null", "1"},
      {R"({"allOf":[{"type":"integer","minimum":3},{"maximum":5}]})", "5", "6"},
      {R"({"$ref":"#/$defs/l","$defs":{"l":{"anyOf":[{"type":"null"},{"type":"array",
          "prefixItems":[{"type":"integer"},{"$ref":"#/$defs/l"}],"minItems":2,
          "items":false}]}}})",
       "[1,[2,null]]", "[1,[2]]"},
      {"true", R"({"a":[1,"x",null]})", "{"},
  };
  for (const auto& [given, good, bad] : cases) {
    INFO(given);
    CHECK(takes(given, good));
    CHECK_FALSE(takes(given, bad));
  }
}  // namespace

TEST_CASE("a name has one spelling, so none slips past its schema") {
  const char* s = R"({"type":"object","properties":{"a":{"type":"integer"}},
                      "additionalProperties":{"type":"string"}})";
  CHECK(takes(s, R"({"a":1,"b":"x"})"));
  CHECK_FALSE(takes(s, R"({"a":"x"})"));
  CHECK_FALSE(takes(s, R"({"\u0061":"x"})"));
}

TEST_CASE("gaps: none, a few, or those of a pretty print") {
  const std::string s =
      R"({"type":"object","properties":{"a":{"type":"array"},"b":{}},"required":["a","b"]})";
  const std::string dense = R"({"a":[1,[]],"b":{}})";
  const std::string lines =
      "{\n  \"a\": [\n    1,\n    []\n  ],\n  \"b\": {}\n}";
  CHECK(shape_of(s, json_gaps::compact).accepts(dense));
  CHECK(shape_of(s, json_gaps::spaced).accepts(dense));
  CHECK(shape_of(s, json_gaps::spaced).accepts(lines));
  CHECK(shape_of(s, json_gaps::lines).accepts(lines));
  CHECK_FALSE(shape_of(s, json_gaps::lines).accepts(dense));
  CHECK_FALSE(shape_of(s, json_gaps::compact).accepts(lines));
  CHECK_FALSE(shape_of(s, json_gaps::spaced).accepts("{  " + dense.substr(1)));
}

TEST_CASE(
    "what cannot be held to is refused with a pointer, and never dropped") {
  CHECK(has(refusal(R"({"oneOf":[{"type":"integer"},{"type":"number"}]})"),
            {"TP6110", "/oneOf", "branch 0 and branch 1"}));
  CHECK(
      has(refusal(R"({"properties":{"a":{"type":"number","multipleOf":0.5}}})"),
          {"TP6111", "/properties/a/multipleOf"}));
  CHECK(has(refusal(R"({"type":"object","minProperties":2})"),
            {"/minProperties"}));
  CHECK(has(refusal(R"({"type":"string","pattern":"^a*b","maxLength":100000})"),
            {"4096 states"}));
  CHECK(has(refusal(R"({"type":"number","minimum":1e40})"), {"digits"}));
  CHECK(has(refusal("false"), {"no finite value"}));
  CHECK(has(
      refusal(R"({"$ref":"#/$defs/n","$defs":{"n":{"type":"object","properties":
                  {"n":{"$ref":"#/$defs/n"}},"required":["n"]}}})"),
      {"no finite value"}));
  CHECK(has(refusal(R"({"type":"integer","minimum":5,"maximum":4})"),
            {"no finite value"}));
}

TEST_CASE("large schemas end in milliseconds, or in an error of code limit") {
  std::string wide = R"({"type":"object","properties":{)",
              any = R"({"allOf":[)";
  for (int i = 0; i < 500; ++i) {
    wide += (i > 0 ? ",\"p" : "\"p") + std::to_string(i) +
            R"(":{"type":"integer"})";
  }
  CHECK(takes(wide + "}}", R"({"p0":1,"p17":2,"p499":3})"));
  for (int i = 0; i < 40; ++i) {
    any += (i > 0 ? "," : "") + std::string(R"({"anyOf":[{"minimum":)") +
           std::to_string(i) + "},{\"maximum\":3}]}";
  }
  CHECK(has(refusal(any + "]}"), {"32"}));
  std::string many = R"({"oneOf":[{"const":0})";
  for (int i = 1; i < 65; ++i) many += ",{\"const\":" + std::to_string(i) + "}";
  CHECK(has(refusal(many + "]}"), {"/oneOf", "65 branches", "64"}));
  std::string list = R"({"type":"integer","enum":[0)";
  for (int i = 1; i < 4000; ++i) list += "," + std::to_string(i);
  CHECK(takes(list + "]}", "3999"));
  std::string chain = R"({"$ref":"#/$defs/d0","$defs":{)";
  for (int i = 0; i < 2000; ++i) {
    chain += "\"d" + std::to_string(i) + R"(":{"$ref":"#/$defs/d)" +
             std::to_string(i + 1) + "\"},";
  }
  chain += R"("d2000":{"type":"null"}}})";
  CHECK(takes(chain, "null"));
}
