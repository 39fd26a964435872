// SPDX-License-Identifier: MIT
#include "tinyphi/schema/schema_check.h"

#include <array>
#include <string>
#include <utility>

#include "support/test.h"

using namespace tinyphi;
using tinyphi_test::message_of;

namespace {

schema read(const std::string& text) {
  auto s = schema::read(text);
  INFO((s ? std::string() : to_string(s.error()[0])));
  REQUIRE(s);
  return *std::move(s);
}

// All faults, a line each; "" for a value that fits.
std::string faults_of(const std::string& s, const std::string& value) {
  const auto faults = check_text(read(s), value);
  REQUIRE_OK(faults);
  std::string lines;
  for (const value_fault& f : *faults) lines += to_string(f) + '\n';
  return lines;
}

}  // namespace

TEST_CASE("every fault of a value has a pointer into value and schema") {
  CHECK(faults_of(R"({"$defs": {"line": {"type": "object", "properties":
                       {"qty": {"type": "integer", "minimum": 1}},
                       "required": ["qty"], "additionalProperties": false}},
                      "properties": {"lines": {"items":
                       {"$ref": "#/$defs/line"}}}})",
                  R"({"lines": [{"qty": 0}, {"qty": 1.5}, {}, 7,
                                {"qty": 2, "q/y": 1}]})") ==
        "/lines/0/qty: 0 found; at least 1 is allowed (schema: "
        "/$defs/line/properties/qty/minimum)\n"
        "/lines/1/qty: 1.5 found; 'integer' is allowed (schema: "
        "/$defs/line/properties/qty/type)\n"
        "/lines/2: the member 'qty' is missing; it is required (schema: "
        "/$defs/line/required)\n"
        "/lines/3: 7 found; 'object' is allowed (schema: /$defs/line/type)\n"
        "/lines/4/q~1y: the member 'q/y' found; no other names than those of "
        "'properties' are allowed (schema: "
        "/$defs/line/additionalProperties)\n");
}

TEST_CASE("each keyword says what was found and what is allowed") {
  const std::array<const char*, 3> cases[] = {
      {R"({"type": ["null", "integer"]})", "\"x\"",
       "\"x\" found; 'null' or 'integer' is allowed (schema: /type)"},
      {R"({"enum": [1, "a"]})", "2",
       "2 found; one of [1, \"a\"] is allowed (schema: /enum)"},
      {R"({"const": {"a": 1}})", "{}",
       "{} found; only {\"a\": 1} is allowed (schema: /const)"},
      {R"({"maximum": 0.3})", "0.30000000000000001",
       "0.30000000000000001 found; at most 0.3 is allowed (schema: /maximum)"},
      {R"({"exclusiveMinimum": 1})", "1.0",
       "1.0 found; more than 1 is allowed (schema: /exclusiveMinimum)"},
      {R"({"exclusiveMaximum": 1})", "1",
       "1 found; less than 1 is allowed (schema: /exclusiveMaximum)"},
      {R"({"multipleOf": 0.01})", "0.015",
       "0.015 found; a multiple of 0.01 is allowed (schema: /multipleOf)"},
      {R"({"minLength": 2})", "\"\xC3\xA4\"",
       "1 characters found; at least 2 are allowed (schema: /minLength)"},
      {R"({"maxLength": 1})", "\"ab\"",
       "2 characters found; at most 1 are allowed (schema: /maxLength)"},
      {R"({"pattern": "^a"})", "\"ba\"",
       "\"ba\" found; it does not match the pattern \"^a\" (schema: /pattern)"},
      {R"({"format": "date"})", "\"2023-02-29\"",
       "\"2023-02-29\" found; it is not of the format 'date' (schema: "
       "/format)"},
      {R"({"minItems": 1})", "[]",
       "0 elements found; at least 1 are allowed (schema: /minItems)"},
      {R"({"maxItems": 1})", "[1, 2]",
       "2 elements found; at most 1 are allowed (schema: /maxItems)"},
      {R"({"minProperties": 2})", R"({"a": 1, "a": 2})",
       "1 members found; at least 2 are allowed (schema: /minProperties)"},
      {R"({"maxProperties": 0})", R"({"a": 1})",
       "1 members found; at most 0 are allowed (schema: /maxProperties)"},
      {R"({"prefixItems": [true], "items": false})", "[1, 2]",
       "/1: 2 found; nothing is allowed here (schema: /items)"},
      {R"({"properties": {"a": false}})", R"({"a": 1})",
       "/a: 1 found; nothing is allowed here (schema: /properties/a)"},
      {"false", "1", "1 found; nothing is allowed here (schema: /)"},
  };
  for (const auto& [s, value, line] : cases) {
    CHECK(faults_of(s, value) == std::string(line) + '\n');
  }
}

TEST_CASE("of branches of which none fits the nearest is named") {
  const char* s = R"({"anyOf": [{"type": "string"},
      {"properties": {"kind": {"const": "a"}, "n": {"oneOf":
         [{"type": "integer"}, {"type": "number", "minimum": 5}]}}}]})";
  CHECK(faults_of(s, R"({"kind": "a", "n": 1.5})") ==
        "{\"kind\": \"a\", \"n\": 1.5} found; it fits none of the 2 branches, "
        "of which the nearest: /n: 1.5 found; at least 5 is allowed (schema: "
        "/anyOf/1/properties/n/oneOf/1/minimum) (schema: /anyOf)\n");
  CHECK(faults_of(s, R"({"n": 7})") ==
        "{\"n\": 7} found; it fits none of the 2 branches, of which the "
        "nearest: /n: 7 fits branches 0 and 1; exactly one is allowed (schema: "
        "/anyOf/1/properties/n/oneOf) (schema: /anyOf)\n");
  CHECK(faults_of(s, R"({"n": 1})").empty());
  CHECK(faults_of(s, "\"x\"").empty());
  // What a branch found is forgotten once another fits.
  CHECK(faults_of(R"({"oneOf": [{"type": "null"}, {"maximum": 1}],
                      "minimum": 1})",
                  "0") ==
        "0 found; at least 1 is allowed (schema: /minimum)\n");
}

TEST_CASE("a check is bounded in faults, steps and depth") {
  const schema three = read(R"({"items": {"type": "null"}})");
  auto faults = check_text(three, "[1, 2, 3]", {.max_faults = 2});
  REQUIRE_OK(faults);
  CHECK(faults->size() == 2);
  CHECK(
      message_of(check_text(three, "[1, 2")).starts_with("byte 5: not valid"));

  // Each level doubles the branches of the one below.
  std::string doubling = "\"l0\":{\"type\":\"null\"}";
  for (int i = 1; i <= 40; ++i) {
    const std::string below = "{\"$ref\":\"#/$defs/l" + std::to_string(i - 1);
    doubling += ",\"l" + std::to_string(i) + "\":{\"anyOf\":[" + below +
                "\"}," + below + "\"}]}";
  }
  const schema exponential =
      read("{\"$ref\":\"#/$defs/l40\",\"$defs\":{" + doubling + "}}");
  faults = check_text(exponential, "1", {.max_steps = 100'000});
  REQUIRE(!faults);
  CHECK(faults.error().code == error_code::limit);
  CHECK(message_of(faults).starts_with(
      "the check of the value took more than the 100000 steps"));

  std::string chain = "\"l0\":{}";
  for (int i = 1; i <= 1100; ++i) {
    chain += ",\"l" + std::to_string(i) + "\":{\"$ref\":\"#/$defs/l" +
             std::to_string(i - 1) + "\"}";
  }
  const schema deep =
      read("{\"$ref\":\"#/$defs/l1100\",\"$defs\":{" + chain + "}}");
  faults = check_text(deep, "1");
  REQUIRE(!faults);
  CHECK(message_of(faults).starts_with("more than 1024 schemas nest"));

  // What looks at all of a long value is counted by its length.
  std::string members = "\"0\":0";
  for (int i = 1; i < 20'000; ++i)
    members += ",\"" + std::to_string(i) + "\":0";
  for (const auto& [keyword, value] :
       {std::pair<const char*, std::string>{
            R"({"pattern": "^(?:(?:a|a)*|a*)*b$"})",
            '"' + std::string(100'000, 'a') + '"'},
        {R"({"minLength": 2000000})", '"' + std::string(100'000, 'a') + '"'},
        {R"({"multipleOf": 7})", std::string(100'000, '1')},
        {R"({"properties": {"x": {"type": "null"}}})", '{' + members + '}'},
        {R"({"required": ["x"]})", '{' + members + '}'}}) {
    INFO(keyword);
    std::string branches = keyword;
    for (int i = 0; i < 20; ++i) branches += std::string(",") + keyword;
    faults = check_text(read("{\"allOf\":[" + branches + "]}"), value,
                        {.max_faults = 100, .max_steps = 100'000});
    REQUIRE(!faults);
    CHECK(faults.error().code == error_code::limit);
  }
}

TEST_CASE("a schema with a recursive reference checks what nests") {
  const char* list = R"({"type": "object", "properties":
      {"next": {"anyOf": [{"type": "null"}, {"$ref": "#"}]}},
      "required": ["next"]})";
  std::string value = "null";
  for (int i = 0; i < 60; ++i) value = "{\"next\":" + value + '}';
  CHECK(faults_of(list, value).empty());
  value.replace(value.find("null"), 4, "{}");
  CHECK(faults_of(list, value).find("the member 'next' is missing") !=
        std::string::npos);
}
