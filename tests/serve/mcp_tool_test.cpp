// SPDX-License-Identifier: MIT
#include "tinyphi/serve/mcp_tool.h"

#include "support/test.h"
#include "tinyphi/pipeline/type_schema.h"
#include "tinyphi/schema/schema_check.h"

using namespace tinyphi;
using tinyphi_test::message_of;

namespace {

json::value parsed(std::string_view text) {
  auto v = parse_json(text, "test");
  if (!v) FAIL(text);
  return *v;
}

schema rules_of(const char* text) {
  auto s = schema::read(text);
  if (!s) FAIL(to_string(s.error().front()));
  return *std::move(s);
}

// As [type.x] tables are: line, which order refers to, and one more.
const schema& tables() {
  static const schema s = rules_of(R"({"$defs":{
      "line":{"type":"object","properties":{"qty":{"type":"integer",
        "minimum":1}},"required":["qty"],"additionalProperties":false},
      "order":{"type":"object","properties":{"lines":{"type":"array",
        "items":{"$ref":"#/$defs/line"}},
        "kind":{"const":{"$ref":"#/$defs/none"}}},
        "required":["lines"],"additionalProperties":false},
      "unused":{"type":"string"}}})");
  return s;
}

// The type of one of them.
type named(const schema& all, std::string_view name, type structure) {
  for (std::uint32_t i = 0; i < all.rules().size(); ++i) {
    if (all.document().pointer(all.rules()[i].where) !=
        "/$defs/" + std::string(name)) {
      continue;
    }
    return type::ruled_by(std::move(structure), all.rooted_at(i),
                          std::string(name));
  }
  FAIL(name);
  return {};
}
type order() {
  return named(tables(), "order",
               type::record_of("order", {{"lines", type_kind::json},
                                         {"kind", type_kind::json, true}}));
}

graph two_ports() {
  graph g;
  g.file = "g.toml";
  g.name = "g";
  input_spec text{.name = "text"};
  text.max_bytes = 9;
  input_spec n{.name = "n", .type = type_kind::integer};
  n.default_value = value_data(7);
  input_spec maybe{.name = "maybe", .type = type_kind::boolean};
  maybe.optional = true;
  g.inputs = {text, n, maybe};
  g.outputs.push_back({.name = "answer", .type = type_kind::text});
  g.outputs.push_back(
      {.name = "more", .type = type_kind::json, .may_be_absent = true});
  return g;
}

run_result outputs(std::string answer) {
  run_result r;
  r.outputs.add("answer", {value_data(std::move(answer))});
  r.outputs.add("more", {value_data(value_data::list{0.5, 1, true})});
  return r;
}

}  // namespace

TEST_CASE("a tool is told by the names, types and defaults of its pipeline") {
  graph g = two_ports();
  g.summary = "Does it.";
  const auto tool = describe_tool(g);
  REQUIRE_OK(tool);
  CHECK(json::value(*tool) == parsed(R"({
    "name":"g","description":"Does it.",
    "inputSchema":{"type":"object","properties":{
      "text":{"type":"string","maxLength":9},
      "n":{"type":"integer","default":7},
      "maybe":{"type":"boolean"}},
      "required":["text"],"additionalProperties":false},
    "outputSchema":{"type":"object","properties":{
      "answer":{"type":"string"},"more":{}},
      "required":["answer"],"additionalProperties":false},
    "annotations":{"readOnlyHint":true,"openWorldHint":false}})"));
}

TEST_CASE("a tool is read-only if it neither writes nor reaches out") {
  const std::tuple<effect, bool, bool> all[] = {
      {effect::none, true, false},
      {effect::read, true, false},
      {effect::write, false, false},
      {effect::read | effect::net, false, true},
      {effect::exec, false, true}};
  for (const auto& [effects, read_only, open_world] : all) {
    graph g = two_ports();
    g.effects = effects;
    const auto tool = describe_tool(g);
    REQUIRE_OK(tool);
    CHECK(tool->at("annotations").at("readOnlyHint") == read_only);
    CHECK(tool->at("annotations").at("openWorldHint") == open_world);
  }
}

TEST_CASE("types are told by their structure") {
  const std::pair<type, const char*> all[] = {
      {type_kind::any, "{}"},
      {type_kind::json, "{}"},
      {type_kind::number, R"({"type":"number"})"},
      {type_kind::duration,
       R"({"type":"integer","description":"milliseconds"})"},
      {type_kind::size, R"({"type":"integer","description":"bytes"})"},
      {type_kind::path, R"({"type":"string"})"},
      {type_kind::file, R"({"type":"string"})"},
      {type::one_of({"a", "b"}), R"({"type":"string","enum":["a","b"]})"},
      {type::list_of(type::record_of(
           "r", {{"x", type_kind::text}, {"y", type_kind::integer, true}})),
       R"({"type":"array","items":{"type":"object","properties":{
           "x":{"type":"string"},"y":{"type":"integer"}},
           "required":["x"],"additionalProperties":false}})"}};
  for (const auto& [t, told] : all) {
    INFO(to_string(t));
    type_schemas schemas;
    CHECK(json::value(schemas.of(t)) == parsed(told));
    CHECK(std::move(schemas).definitions().empty());
  }
}

TEST_CASE("rules of [type.x] are told whole, with all that they refer to") {
  graph g = two_ports();
  g.inputs[0].type = order();
  const auto tool = describe_tool(g);
  REQUIRE_OK(tool);
  const json::value& told = tool->at("inputSchema");
  CHECK(told.at("properties").at("text") ==
        parsed(R"({"$ref":"#/$defs/order"})"));
  CHECK(told.at("$defs").as_object().size() == 2);
  CHECK(told.at("$defs").at("line").at("properties").at("qty") ==
        parsed(R"({"type":"integer","minimum":1})"));
  // It is a schema, and holds values to the same.
  const auto read = schema::read(json::serialize(told), {.strict = false});
  REQUIRE(read);
  CHECK(check_text(*read, R"({"text":{"lines":[{"qty":1}]}})")->empty());
  const auto faults = check_text(*read, R"({"text":{"lines":[{"qty":0}]}})");
  REQUIRE(faults->size() == 1);
  CHECK(faults->front().at == "/text/lines/0/qty");
}

TEST_CASE("of another file's types the structure is told") {
  const schema other =
      rules_of(R"({"$defs":{"line":{"type":"integer","minimum":3}}})");
  type_schemas schemas;
  CHECK(schemas.of(order()).contains("$ref"));
  CHECK(json::value(schemas.of(named(other, "line", type_kind::integer))) ==
        parsed(R"({"type":"integer"})"));
  CHECK(std::move(schemas).definitions().at("line").at("type") == "object");
}

TEST_CASE("a name, an output or types that no tool can have are refused") {
  for (const std::string name : {"", "a b", "\u00e4", "a/b"}) {
    graph g = two_ports();
    g.name = name;
    CHECK(message_of(describe_tool(g)).starts_with("g.toml: [pipeline].name"));
  }
  graph g = two_ports();
  g.name = std::string(128, 'x');
  CHECK(describe_tool(g));
  g.name += 'x';
  CHECK(describe_tool(g).error().code == error_code::bad_data);
  g = two_ports();
  g.outputs[0].type = type::list_of(type_kind::prompt);
  CHECK(message_of(describe_tool(g)) ==
        "g.toml: output answer is a list<prompt>, which has no form in JSON");
  g = two_ports();
  g.summary = std::string(mcp_tool_limits::max_bytes, 'x');
  CHECK(describe_tool(g).error().code == error_code::limit);
}

TEST_CASE("outputs are a text of JSON, and structured") {
  const mcp_result r = tool_outputs(outputs("\u00e4\n"));
  CHECK_FALSE(r.is_error);
  REQUIRE(r.texts.size() == 1);
  CHECK(r.texts[0] == "{\"answer\":\"\u00e4\\n\",\"more\":[0.5,1,true]}");
  REQUIRE(r.structured);
  CHECK(json::value(*r.structured) == parsed(r.texts[0]));
  const mcp_result big =
      tool_outputs(outputs(std::string(mcp_limits{}.max_line, 'x')));
  CHECK(big.is_error);
  CHECK_FALSE(big.structured);
}

TEST_CASE("where nobody has said yes the outputs are an error's") {
  const mcp_result r = denied_result(outputs("x"), "ask", "nobody answered");
  CHECK(r.is_error);
  CHECK_FALSE(r.structured);
  REQUIRE(r.texts.size() == 2);
  CHECK(r.texts[0].starts_with(
      "stage ask asks a person, and the answer was no: nobody answered."));
  CHECK(r.texts[1].starts_with("{\"answer\""));
}
