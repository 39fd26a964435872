// SPDX-License-Identifier: MIT
#include "tinyphi/pipeline/schema_type.h"

#include "support/test.h"
#include "tinyphi/pipeline/value_check.h"
#include "tinyphi/pipeline/value_json.h"

using namespace tinyphi;

namespace {

schema rules_of(const std::string& text) {
  auto s = schema::read(text);
  if (!s) FAIL(text << ": " << to_string(s.error().front()));
  return *std::move(s);
}

// A type with all that it is made of.
std::string whole(const type& t) {
  if (t.is(type_kind::list)) return "list<" + whole(t.element()) + ">";
  if (!t.is(type_kind::record)) return to_string(t);
  std::string out;
  for (const type::field& f : t.fields()) {
    out += (out.empty() ? "" : ", ") + f.name + (f.optional ? "?: " : ": ") +
           whole(f.type);
  }
  return "{" + out + "}";
}

std::string type_of_schema(const std::string& text) {
  schema_types types(rules_of(text));
  const std::string shown = whole(types.of(0));
  CHECK(types.faults().empty());
  return shown;
}

value_data parsed(std::string_view text) {
  auto v = parse_json(text, "test");
  if (!v) FAIL(text << ": " << v.error().message);
  return from_json(*v);
}

const std::string closed = R"("additionalProperties":false)";

// {"type":"object", ...} with these properties, all required.
std::string record(const std::string& properties, const std::string& required) {
  return R"({"type":"object","properties":{)" + properties +
         R"(},"required":[)" + required + "]," + closed + "}";
}

}  // namespace

TEST_CASE("a schema has the type of all values that it allows") {
  const std::pair<std::string, std::string> all[] = {
      {R"({"type":"string","maxLength":3})", "text"},
      {R"({"type":"string","enum":["x","y"]})", "one of x, y"},
      {R"({"enum":["x","y"]})", "one of x, y"},
      {R"({"const":"x"})", "one of x"},
      {R"({"enum":["x",1]})", "json"},
      {R"({"type":"integer","enum":[1,2]})", "int"},
      {R"({"type":"number"})", "float"},
      {R"({"type":["integer","number"]})", "float"},
      {R"({"type":"boolean"})", "bool"},
      {R"({"type":["string","null"]})", "json"},
      {"true", "json"},
      {R"({"anyOf":[{"type":"string"}]})", "json"},
      {R"({"type":"array"})", "list<json>"},
      {R"({"type":"array","items":{"type":"integer"}})", "list<int>"},
      {R"({"type":"array","prefixItems":[{"type":"integer"}],)"
       R"("items":{"type":"integer"}})",
       "list<json>"},
      {record(R"("b":{"type":"integer"},"a":{"type":"array","items":true})",
              R"("a")"),
       "{b?: int, a: list<json>}"},
      // More members than the fields of a record.
      {R"({"type":"object","properties":{"a":true}})", "json"},
      {R"({"type":"object","properties":{"a":true},)"
       R"("additionalProperties":{"type":"integer"}})",
       "json"},
      {record("", ""), "json"},
      {record(R"("a":true)", R"("b")"), "json"},
      // What stands beside a reference allows less.
      {R"({"$defs":{"n":{"type":"integer"}},"$ref":"#/$defs/n","minimum":1})",
       "int"},
      {R"({"$defs":{"any":{}},"$ref":"#/$defs/any","type":"string"})", "text"},
  };
  for (const auto& [text, expected] : all) {
    INFO(text);
    CHECK(type_of_schema(text) == expected);
  }
}

TEST_CASE("a schema that leads back to itself is json there") {
  const std::string text =
      R"({"$defs":{"node":)" +
      record(R"("v":{"type":"number"},"next":{"$ref":"#/$defs/node"})",
             R"("v")") +
      R"(},"type":"array","items":{"$ref":"#/$defs/node"}})";
  CHECK(type_of_schema(text) == "list<{v: float, next?: json}>");
  schema_types types(rules_of(text));
  CHECK(to_string(types.of(0)) == "list<node>");
}

TEST_CASE("a type has at most so many fields, levels, parts and words") {
  const auto fault_of = [](const std::string& text) {
    schema_types types(rules_of(text));
    CHECK(types.of(0).kind() != type_kind::any);
    return types.faults().empty() ? "" : to_string(types.faults().front());
  };
  const auto wide = [](int n) {
    std::string properties;
    for (int i = 0; i < n; ++i) {
      properties += (i == 0 ? "\"p" : ",\"p") + std::to_string(i) +
                    "\":{\"type\":\"integer\"}";
    }
    return record(properties, "");
  };
  CHECK(fault_of(wide(64)) == "");
  CHECK(fault_of(wide(65)) ==
        "TP6109 schema: 65 properties; a record has at most 64");
  const auto deep = [](int n) {
    std::string text = R"({"type":"integer"})";
    while (n-- > 1) text = R"({"type":"array","items":)" + text + "}";
    return text;
  };
  CHECK(fault_of(deep(16)) == "");
  CHECK(fault_of(deep(17)) ==
        "TP6109 schema: types nest more than 16 deep here");
  const auto doubling = [](int n) {
    std::string text = R"({"$defs":{"t0":{"type":"integer"})";
    for (int i = 1; i <= n; ++i) {
      const std::string ref = R"({"$ref":"#/$defs/t)" + std::to_string(i - 1);
      text += ",\"t" + std::to_string(i) +
              "\":" + record("\"a\":" + ref + "\"},\"b\":" + ref + "\"}", "");
    }
    return text + R"(},"$ref":"#/$defs/t)" + std::to_string(n) + "\"}";
  };
  CHECK(fault_of(doubling(9)) == "");  // 1023 parts
  CHECK(fault_of(doubling(10)) ==
        "TP6109 schema: /$defs/t10: a type of 2047 parts; at most 1024 are "
        "allowed");
  const auto words = [](int n) {
    std::string text;
    for (int i = 0; i < n; ++i) {
      text += (i == 0 ? "\"w" : ",\"w") + std::to_string(i) + "\"";
    }
    return type_of_schema("{\"enum\":[" + text + "]}");
  };
  CHECK(words(256).starts_with("one of w0, "));
  CHECK(words(257) == "text");
}

TEST_CASE("what a schema allows is of its type, and nothing else fits") {
  const std::string schemas[] = {
      R"({"type":"string","minLength":2})",
      R"({"enum":["ab","cd"]})",
      R"({"type":"integer","minimum":0})",
      R"({"type":"number","multipleOf":0.5})",
      R"({"type":["boolean","null"]})",
      R"({"type":"array","items":{"type":"integer"},"maxItems":2})",
      R"({"type":"array","items":{"type":"array","items":{"type":"string"}}})",
      record(R"("a":{"type":"integer"},"b":{"type":"string"})", R"("a")"),
      R"({"type":"array","items":)" +
          record(R"("a":{"anyOf":[{"type":"integer"},{"const":"ab"}]})",
                 R"("a")") +
          "}",
      "{}",
      "false",
  };
  const char* const values[] = {
      "null",
      "true",
      R"("")",
      R"("ab")",
      "1",
      "1.0",
      "-1",
      "0.5",
      "1.25",
      "[]",
      "[1,2.0]",
      "[1,2,3]",
      R"(["ab"])",
      R"([["ab"]])",
      R"({"a":1})",
      R"({"a":1.5})",
      R"({"b":"x"})",
      R"({"a":2.0,"b":"x"})",
      R"({"a":1,"c":1})",
      R"([{"a":1}])",
      R"([{"a":"ab"}])",
      R"([{"a":"x"}])",
      "{}",
  };
  int n_allowed = 0;
  for (const std::string& text : schemas) {
    const schema rules = rules_of(text);
    const type t = type::ruled_by(schema_types(rules).of(0), rules, "x");
    for (const char* const value : values) {
      INFO(text << " of " << value);
      const auto faults = check_data(rules, parsed(value));
      REQUIRE(faults.has_value());
      CHECK(faults->empty() == !find_misfit(parsed(value), t).has_value());
      if (!faults->empty()) continue;
      ++n_allowed;
      // Made exact, it is of the structure alone, too.
      CHECK(find_misfit(conform(parsed(value), t), t) == std::nullopt);
      CHECK(conform(conform(parsed(value), t), t) == conform(parsed(value), t));
    }
  }
  CHECK(n_allowed > 40);
}

TEST_CASE("what a schema says of a value has a place, a rule and a bound") {
  const schema all = rules_of(
      R"({"$defs":{"line":)" +
      record(R"("text":{"type":"string","maxLength":3},"n":{"type":"integer"})",
             R"("text","n")") +
      "}}");
  const type line =
      type::ruled_by(schema_types(all).of(1), all.rooted_at(1), "line");
  REQUIRE(to_string(line) == "line");
  const auto misfit = [](const type& t, std::string_view text) {
    return find_misfit(parsed(text), t).value_or("(fits)");
  };
  CHECK(misfit(line, R"({"text":"abcd","n":1})") ==
        "/text: 4 characters found; at most 3 are allowed (type.line: "
        "/properties/text/maxLength)");
  CHECK(misfit(line, R"({"text":"abc","n":1.0})") == "(fits)");
  CHECK(misfit(line, R"({"text":"abc","n":1e30})") ==
        ".n: a number, not an int");
  CHECK(misfit(line, "{}").starts_with("the member 'text' is missing"));
  CHECK(misfit(type::list_of(line), R"([{"text":"a","n":1},{"text":"a"}])")
            .starts_with("[1]: the member 'n' is missing"));
  // Of data that was given in part, only that part.
  const value_data completed = parsed(R"([{"text":"abcd","n":1.5}])");
  const auto in_part = [&](std::string_view given) {
    return find_misfit(completed, type::list_of(line), parsed(given))
        .value_or("(fits)");
  };
  CHECK(in_part(R"([{"n":1.5}])").starts_with("[0]: /n: 1.5 found"));
  CHECK(
      in_part(R"([{"text":"abcd"}])").starts_with("[0]: /text: 4 characters"));
  CHECK(in_part("[{}]") == "[0].n: a number, not an int");
  const auto large = check_data(all, std::string(std::size_t{5} << 20, 'x'));
  REQUIRE(!large);
  CHECK(large.error().code == error_code::limit);
  CHECK(large.error().message ==
        "larger as JSON than the 4194304 bytes that can be checked");
}
