// SPDX-License-Identifier: MIT
#include "tinyphi/schema/schema.h"

#include <string>

#include "support/test.h"

using namespace tinyphi;

namespace {

// All faults, a line each; "" for a schema that is read.
std::string faults_of(const std::string& text,
                      const schema_options& options = {}) {
  const auto s = schema::read(text, options);
  std::string lines;
  if (s) return lines;
  for (const schema_fault& f : s.error()) lines += to_string(f) + '\n';
  return lines;
}

}  // namespace

TEST_CASE("every fault of a schema is reported with pointer and cause") {
  CHECK(faults_of(R"json({"properties": {"tags": {"uniqueItems": true},
                                          "id": {"pattern": "(?=a)"}},
                          "requierd": ["id"], "colour": 1,
                          "$ref": "other.json"})json") ==
        "TP6103 schema: /properties/tags/uniqueItems: 'uniqueItems' is not "
        "supported, and ignoring it would let wrong output through; remove it\n"
        "TP6107 schema: /properties/id/pattern: '(?=' at character 1: "
        "look-ahead has no finite automaton here\n"
        "TP6104 schema: /requierd: 'requierd' is not a keyword; did you mean "
        "'required'?\n"
        "TP6104 schema: /colour: 'colour' is not a keyword; remove it, or let "
        "its name begin with 'x-'\n"
        "TP6105 schema: /$ref: \"other.json\" is not a JSON pointer into this "
        "document, such as '#/$defs/name', and nothing else is followed or "
        "fetched\n");
}

TEST_CASE("a keyword with a value that it cannot have is an error") {
  const std::pair<const char*, const char*> cases[] = {
      {"[]", "[] is not allowed; a schema, which is an object, true or false"},
      {R"({"type": "int"})", "/type: \"int\" is not allowed; one of, or an"},
      {R"({"type": []})", "/type: [] is not allowed; one of, or an"},
      {R"({"type": ["null", 1]})", "/type/1: 1 is not allowed; one of 'null',"},
      {R"({"enum": []})", "/enum: [] is not allowed; an array of at least"},
      {R"({"enum": 1})", "/enum: 1 is not allowed; an array of at least"},
      {R"({"minimum": "1"})", "/minimum: \"1\" is not allowed; a number is"},
      {R"({"exclusiveMaximum": true})", "/exclusiveMaximum: true is not"},
      {R"({"multipleOf": 0})", "/multipleOf: 0 is not allowed; a number above"},
      {R"({"multipleOf": 1.234567890123456789})", "/multipleOf: 1.2345678"},
      {R"({"minLength": -1})", "/minLength: -1 is not allowed; a whole number"},
      {R"({"maxItems": 1.5})", "/maxItems: 1.5 is not allowed; a whole number"},
      {R"({"minProperties": 1e30})", "/minProperties: 1e30 is not allowed"},
      {R"({"pattern": 1})", "/pattern: 1 is not allowed; a string is"},
      {R"({"format": "iri"})", "/format: \"iri\" is not checked here; 'date',"},
      {R"({"items": [{}]})", "/items: [{}] is not allowed; a schema for all"},
      {R"({"items": 1})", "/items: 1 is not allowed; a schema, which is"},
      {R"({"prefixItems": {}})", "/prefixItems: {} is not allowed; an array"},
      {R"({"anyOf": []})", "/anyOf: [] is not allowed; an array of at least"},
      {R"({"allOf": [1]})", "/allOf/0: 1 is not allowed; a schema, which is"},
      {R"({"properties": []})", "/properties: [] is not allowed; an object"},
      {R"({"properties": {"a": 1}})", "/properties/a: 1 is not allowed; a sch"},
      {R"({"required": "a"})", "/required: \"a\" is not allowed; an array of"},
      {R"({"required": [1]})", "/required: [1] is not allowed; an array of"},
      {R"({"required": ["a", "a"]})", "/required: [\"a\", \"a\"] is not"},
      {R"({"required": ["a", "a"], "properties": {"a": {}}})",
       "/required: [\"a\", \"a\"] is not allowed; each name once"},
      {R"({"$defs": []})", "/$defs: [] is not allowed; an object of schemas"},
      {R"({"$ref": 1})", "/$ref: 1 is not allowed; a string is"},
      {R"({"$schema": "http://json-schema.org/draft-04/schema#"})",
       "/$schema: \"http://json-schema.org/draft-04/schema#\" is not allowed"},
      {R"({"not": {}})", "/not: 'not' is not supported"},
      {R"({"items": {"$id": "a"}})", "/items/$id: '$id' is supported in"},
      {R"({"$anchor": "a"})", "/$anchor: '$anchor' is not supported"},
      {R"({"$ref": "#a"})", "/$ref: \"#a\" is not a JSON pointer into this"},
      {R"({"$ref": "#/$defs/a"})", "/$ref: \"#/$defs/a\" leads to nothing"},
      {R"({"$ref": "#/%zz"})", "/$ref: \"#/%zz\" leads to nothing"},
      {R"({"$ref": "#/enum/0", "enum": [{}]})",
       "/$ref: \"#/enum/0\" leads to what is not a schema; shared"},
      {R"({"a": 1, "a": 2})", "/a: the object has this name twice"},
      {"{", "byte 1: not valid JSON"},
  };
  for (const auto& [text, message] : cases) {
    INFO(text);
    const std::string lines = faults_of(text);
    INFO(lines);
    CHECK(lines.find(std::string(" schema: ") + message) != lines.npos);
    CHECK(lines.find('\n') == lines.size() - 1);  // one cause, one message
  }
}

TEST_CASE("words of no draft are errors, or listed in schemas of others") {
  const char* text = R"({"x-order": 1, "id": 7, "properties":
                         {"kind": {"version": 2, "note": ""}}})";
  CHECK(faults_of(text).starts_with("TP6104 schema: /id: "));
  const auto s = schema::read(text, foreign_schema);
  REQUIRE(s);
  CHECK(s->ignored() == std::vector<std::string>{"/id",
                                                 "/properties/kind/version",
                                                 "/properties/kind/note"});
  for (const char* slip : {"requierd", "min_length", "Properties", "one-of",
                           "enums", "formt", "additionalProps", "typ"}) {
    INFO(slip);
    const std::string one = std::string("{\"") + slip + "\": 1}";
    const bool near = std::string_view(slip) != "additionalProps";
    CHECK(faults_of(one, foreign_schema).empty() == !near);
    CHECK((faults_of(one).find("did you mean") != std::string::npos) == near);
  }
}

TEST_CASE("draft-07 has arrays of items, and $ref stands alone") {
  const std::string head =
      R"({"$schema": "http://json-schema.org/draft-07/schema#", )";
  const auto s = schema::read(head + R"("items": [{}, false]})");
  REQUIRE(s);
  CHECK(s->rules()[0].prefix_items.size() == 2);
  CHECK(faults_of(head + R"("$ref": "#/definitions/a", "title": "t",
                            "definitions": {"a": {}}})") == "");
  CHECK(faults_of(head + R"("properties": {"a": {"$ref": "#", "type":
                            "object"}}})") ==
        "TP6102 schema: /properties/a/type: draft-07 ignores 'type' beside "
        "'$ref'; put both into an 'allOf', or name draft 2020-12 in "
        "'$schema'\n");
  CHECK(faults_of(head + R"("prefixItems": [{}]})")
            .starts_with("TP6104 schema: /prefixItems: draft-07 has no "));
}

TEST_CASE("a schema that never looks into the value is refused") {
  const std::string lines =
      faults_of(R"({"$defs": {"a": {"anyOf": [true, {"$ref": "#/$defs/b"}]},
                              "b": {"allOf": [{"$ref": "#/$defs/a"}]}}})");
  CHECK(lines.find("TP6106 schema: /$defs/b/allOf/0: the schema refers back "
                   "to '/$defs/a' for the same value") == 0);
  CHECK(faults_of(R"({"$ref": "#"})")
            .starts_with("TP6106 schema: the schema "
                         "refers back to itself"));
  CHECK(faults_of(R"({"items": {"$ref": "#"}})") == "");
  // A branch in common is no circle.
  CHECK(faults_of(R"({"$defs": {"a": {}}, "anyOf": [{"$ref": "#/$defs/a"},
                      {"$ref": "#/$defs/a"}]})") == "");
}

TEST_CASE("a schema is bounded in bytes, nodes, depth, values and states") {
  const auto refused = [](const std::string& text, const char* message) {
    const std::string lines = faults_of(text);
    INFO(lines.substr(0, 200));
    CHECK(lines.starts_with("TP6109 schema: "));
    CHECK(lines.find(message) != std::string::npos);
  };
  refused(std::string((1 << 20) + 1, ' '), "at most 1048576 are allowed");
  std::string many = "1";
  for (int i = 0; i < 40000; ++i) many += ",1";
  refused("{\"default\":[" + many + "]}", "more than 32768 values");
  refused("{\"enum\":[" + many.substr(0, 9999) + "]}", "5000 values of");
  std::string deep = "{}";
  for (int i = 0; i < 64; ++i) deep = "{\"items\":" + deep + '}';
  refused(deep, "nests deeper than the 64 levels");
  std::string patterns = "{}";
  for (int i = 0; i < 70; ++i) patterns += ",{\"pattern\":\"a{1000}\"}";
  refused("{\"anyOf\":[" + patterns + "]}", "at most 65536 are allowed");
  std::string faults = "{\"pattern\":1}";
  for (int i = 0; i < 100; ++i) faults += ",{\"pattern\":1}";
  const auto s = schema::read("{\"anyOf\":[" + faults + "]}");
  REQUIRE(!s);
  CHECK(s.error().size() == 32);
}

TEST_CASE("the rules keep the document's order and what it names") {
  const auto s = schema::read(
      R"({"required": ["z", "b"], "properties": {"c": {}, "b": {"title": "t"},
          "a": {"$ref": "#/properties/b"}}, "minLength": 2.0, "maximum": 1e2})");
  REQUIRE(s);
  const schema_rule& r = s->rules()[0];
  std::string names;
  for (const auto& p : r.properties) names += p.name;
  CHECK(names == "cbaz");
  CHECK(r.n_required == 2);
  REQUIRE(r.find("b") != nullptr);
  CHECK(r.find("b")->required);
  CHECK(r.find("z")->rule == schema_rule::none);
  CHECK(r.find("y") == nullptr);
  CHECK(s->rules()[r.find("a")->rule].ref == r.find("b")->rule);
  CHECK(r.min_length == 2);
  CHECK(s->document().text(r.maximum) == "1e2");
}
