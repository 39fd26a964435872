// SPDX-License-Identifier: MIT
// [type.x] in a file: what is wrong with one, where its name may stand, and
// what becomes of values from outside.
#include "pipeline/fakes.h"
#include "support/temp_folder.h"
#include "support/test.h"
#include "tinyphi/pipeline/testing/run_tests.h"
#include "tinyphi/pipeline/value_json.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

// What is bound to `value`, as JSON.
struct show {
  static constexpr stage_info info{.id = "show", .summary = "Prints JSON"};
  struct config {
    std::optional<type_ref> type;
  };
  struct inputs {
    value_data value;
  };
  struct outputs {
    std::string text;
  };
  static constexpr auto params() {
    return std::tuple{param("type", &config::type)};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("value", &inputs::value)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("text", &outputs::text)};
  }
  show(const config&, host&) {}
  task<outputs> run(run_context&, inputs in) const {
    outputs out;
    out.text = json_text(in.value, 1000).value_or("");
    co_return out;
  }
};

registry stages() {
  registry r = fakes();
  r.add<show>();
  return r;
}

std::string told(std::string_view text) {
  return to_string(check_pipeline_text(text, "t.toml", stages()).faults,
                   "t.toml");
}

// A right file with the types that begin on line 8.
std::string with(std::string_view types) {
  return R"(tinyphi = 1
input.order = "order"
output.a = "s.text"
[stage.s]
use = "show"
in.value = "input.order"

)" + std::string(types);
}

constexpr std::string_view order_types = R"([type.line.properties]
text = { type = "string", maxLength = 8 }
amount = { type = "number" }
[type.order.properties]
number = { type = "string", pattern = '^[0-9]+$' }
kind = { enum = ["new", "old"] }
lines = { type = "array", minItems = 1, items = { "$ref" = "line" } }
note = { type = "string" }
[type.order]
required = ["number", "kind", "lines"]
)";

}  // namespace

TEST_CASE("[type]: a right one is used by an input") {
  CHECK(told(with(order_types)).empty());
  CHECK(told(with("[type.order]\nenum = ['a', 'b']")).empty());
  // A circle through a list or a property is none for one value.
  CHECK(told(with("[type.order.properties]\nnext = { \"$ref\" = \"order\" }\n"
                  "[type.order]\nrequired = []"))
            .empty());
}

TEST_CASE("[type]: every fault is told where it stands, once") {
  const std::string order = "[type.order]\n";
  const std::pair<std::string, std::string> all[] = {
      {order + "type = \"strin\"",
       "t.toml:9:8: error[TP6102]: type order: /type: \"strin\" is not "
       "allowed; one of, or an array of, 'null', 'boolean', 'number', "
       "'string', 'array', 'object', 'integer' is"},
      {order + "minimum = nan",
       "t.toml:9:11: error[TP6102]: type order: JSON has finite numbers only"},
      {order + "properties = { a = { uniqueItems = true } }",
       "t.toml:9:22: error[TP6103]: type order: /properties/a/uniqueItems: "
       "'uniqueItems' is not supported, and ignoring it would let wrong output "
       "through; remove it"},
      {order + "\"$defs\" = { a = true }",
       "t.toml:9:1: error[TP6103]: type order: '$defs' has no use here; write "
       "a table [type.NAME] for each, which \"$ref\" names"},
      {order + "minLenght = 2",
       "t.toml:9:1: error[TP6104]: type order: /minLenght: 'minLenght' is not "
       "a keyword; did you mean 'minLength'?"},
      {order + "items = { \"$ref\" = \"#/line\" }",
       "t.toml:9:20: error[TP6105]: type order: \"$ref\" is '#/line', it must "
       "name a table of [type], such as \"line\""},
      {order + "anyOf = [{ \"$ref\" = \"line\" }]\n[type.line]\n\"$ref\" = "
               "\"order\"",
       "t.toml:10:7: error[TP6106]: type line: the schema refers back to "
       "'type.order' for the same value; let it refer to itself inside "
       "'properties' or 'items' only"},
      {order + "pattern = '(?=a)'",
       "t.toml:9:11: error[TP6107]: type order: /pattern: "},
      {order + "format = \"phone\"",
       "t.toml:9:10: error[TP6108]: type order: /format: \"phone\" is not "
       "checked here; "},
      {order + "items = { \"$ref\" = \"oder\" }",
       "t.toml:9:20: error[TP1016]: type order: \"$ref\": no type 'oder'; "
       "there is order; did you mean 'order'?"},
      {order + "[type.text]\ntype = \"string\"",
       "t.toml:9:7: error[TP1007]: type text: the language itself uses this "
       "name"},
      {order + "[type.Line]",
       "t.toml:9:7: error[TP1007]: type 'Line': a name is a lower-case letter "
       "and up to 31 lower-case letters, digits and '_'"},
      {order + "[type]\nline = true",
       "t.toml:10:8: error[TP1004]: type line is true or false, it must be a "
       "table of JSON Schema"},
      // What only an unused type refers to is unused, too.
      {order + "[type.a]\nitems = { \"$ref\" = \"b\" }\n[type.b]",
       "t.toml:9:7: error[TP1014]: type a is never used\n"
       "t.toml:11:7: error[TP1014]: type b is never used"},
      {"[type.oder]",
       "t.toml:2:15: error[TP1016]: input order: no type 'order'; there are "
       "oder, text, bool, int, float, duration, size, file, json, document, "
       "call, citation, verdict, failure, message; did you mean 'oder'?"},
  };
  for (const auto& [types, faults] : all) {
    INFO(types);
    CHECK(told(with(types)).substr(0, faults.size()) == faults);
    CHECK(std::ranges::count(told(with(types)), '\n') ==
          std::ranges::count(faults, '\n'));
  }
  // Faults of two tables come together, and nothing is told of their users.
  CHECK(told("tinyphi = 1\ninput.order = \"order\"\noutput.a = \"s.text\"\n"
             "output.b = \"t.text\"\n[type.line]\ntyp = 1\n"
             "[type.order.properties]\na = { \"$ref\" = \"line\" }\nb = { "
             "maxLength = -1 }\n[stage]\ns = { use = \"show\", in.value = "
             "\"input.order\" }\nt = { use = \"echo\", in.text = "
             "\"input.order.c\" }\n") ==
        "t.toml:6:1: error[TP6104]: type line: /typ: 'typ' is not a keyword; "
        "did you mean 'type'?\n"
        "t.toml:9:19: error[TP6102]: type order: /properties/b/maxLength: -1 "
        "is not allowed; a whole number from 0 to 2^53 is");
}

TEST_CASE("[type]: too many, and too much in one, are refused") {
  std::string wide = "[type.order.properties]\n";
  for (int i = 0; i < 65; ++i) wide += "p" + std::to_string(i) + " = {}\n";
  CHECK(told(with(wide)) ==
        "t.toml:8:7: error[TP6109]: type order: 65 properties; a record has at "
        "most 64");
  std::string many = "[type.order]\nenum = [";
  for (int i = 0; i < 40000; ++i) many += "1,";
  CHECK(told(with(many + "]")).starts_with("t.toml: error[TP6109]: [type]: "));
  std::string tables = "[type.order]\n";
  for (int i = 0; i < 256; ++i) tables += "[type.t" + std::to_string(i) + "]\n";
  CHECK(told(with(tables)) ==
        "t.toml:8:2: error[TP1005]: [type] has 257 entries, allowed are 256");
}

TEST_CASE("[type]: the fields of a record are typed, and may be optional") {
  const auto bound = [](const std::string& reference) {
    return told(
        "tinyphi = 1\ninput.order = \"order\"\noutput.a = \"s.text\"\n"
        "[stage.s]\nuse = \"echo\"\nin.text = \"" +
        reference + "\"\n" + std::string(order_types));
  };
  CHECK(bound("input.order.number").empty());
  CHECK(bound("input.order.kind").empty());
  CHECK(
      bound("input.order.nummer")
          .starts_with(
              "t.toml:6:11: error[TP2002]: stage s.in.text: order has no field "
              "'nummer'; did you mean 'number'?"));
  CHECK(bound("input.order.lines") ==
        "t.toml:6:11: error[TP2003]: stage s.in.text: input.order.lines is "
        "list<line>, the port takes text");
  CHECK(bound("input.order.note") ==
        "t.toml:6:11: error[TP2007]: stage s.in.text: input.order.note may be "
        "absent: order need not have 'note'; take it with json.pick, whose "
        "value may be absent");
  const auto when = [](const std::string& condition) {
    std::string text = with(order_types);
    text.insert(with("").size() - 1, "when = \"" + condition + "\"\n");
    text.insert(text.find("s.text") + 6, "?");
    return told(text);
  };
  CHECK(when("input.order.kind == 'new'").empty());
  CHECK(when("input.order.kind == 'knew'")
            .starts_with("t.toml:7:29: error[TP2008]: stage s.when: "));
  CHECK(when("input.order.note == 'x'") ==
        "t.toml:7:9: error[TP2007]: stage s.when: input.order.note may be "
        "absent: order need not have it; guard it with has(input.order.note)");
  CHECK(when("has(input.order.note) and input.order.note == 'x'").empty());
  CHECK(when("sum(input.order.lines[].amount) > 0").empty());
}

TEST_CASE("[type]: a parameter names one, of a list as well") {
  const auto parameter = [](const std::string& type) {
    return told(
        with(order_types)
            .insert(with("").size() - 1, "with.type = \"" + type + "\"\n"));
  };
  CHECK(parameter("line").empty());
  CHECK(parameter("list<list<line>>").empty());
  CHECK(parameter("list<lin>") ==
        "t.toml:7:13: error[TP1016]: stage s: with.type: no type 'lin'; there "
        "are line, order, text, bool, int, float, duration, size, file, json, "
        "document, call, citation, verdict, failure, message; did you mean 'line'?");
  CHECK(parameter("docs") ==
        "t.toml:7:13: error[TP1016]: stage s: with.type: no "
        "type 'docs'; write \"list<document>\"");
  CHECK(told(R"(tinyphi = 1
input.q = "json"
output.a = "s.text"
[type.line]
[stage.s]
use = "show"
in.value = "input.q"
with.type = "list<line>"
)")
            .empty());
}

TEST_CASE("[type]: values from outside keep to the schema") {
  const auto p =
      pipeline::compile_text(with(order_types), "t.toml", stages(), {});
  REQUIRE(p.has_value());
  const auto ran = [&](std::string_view text) {
    const auto value = parse_input(p->graph(), "order", text);
    if (!value) return value.error().message;
    const auto done = p->run({{"order", *value}});
    if (!done) return done.error().message;
    return *done->outputs.find("a")->second.get<std::string>();
  };
  CHECK(
      ran(R"({"lines":[{"amount":1,"text":"a"}],"kind":"new","number":"7"})") ==
      R"({"number":"7","kind":"new","lines":[{"text":"a","amount":1}]})");
  CHECK(ran(R"({"number":"x","kind":"new","lines":[]})") ==
        "input order: /number: \"x\" found; it does not match the pattern "
        "\"^[0-9]+$\" (type.order: /properties/number/pattern)");
  CHECK(
      ran(R"({"number":"7","kind":"new","lines":[{"amount":1,"text":"123456789"}]})") ==
      "input order: /lines/0/text: 9 characters found; at most 8 are allowed "
      "(type.line: /properties/text/maxLength)");
  CHECK(
      ran(R"({"number":"7","kind":"new","lines":[{"amount":1,"text":"a","b":1}]})")
          .find("the member 'b' found") != std::string::npos);
  CHECK(ran("{").starts_with("input order: "));
  // A default, and inputs and fakes of tests.
  const std::string half = "{ number = \"x\" }";
  const auto refused = [&](const std::string& text) {
    INFO(text);
    CHECK(text.find("/number: \"x\" found; it does not match") !=
          std::string::npos);
  };
  const std::string number =
      "number = { type = \"string\", pattern = "
      "'^[0-9]+$' }\n";
  const auto file = [&](const std::string& input, const std::string& rest) {
    return told(
        "tinyphi = 1\noutput.a = \"s.text\"\n[input.order]\ntype = "
        "\"order\"\n" +
        input +
        "[stage.s]\nuse = \"show\"\nin.value = \"input.order\"\n"
        "[type.order.properties]\n" +
        number + rest);
  };
  CHECK(file("default = { number = \"7\" }\n", "").empty());
  refused(file("default = " + half + "\n", ""));
  refused(file("", "[[test]]\nname = \"t\"\ninput.order = " + half +
                       "\nexpect = [\"ran(s)\"]\n"));
}

TEST_CASE("[type]: a fake gives a record in part, and what it gives is right") {
  // An order from a file, for a stage that fakes can stand for.
  temp_folder folder;
  folder.write("order.toml",
               "tinyphi = 1\ninput.order = \"order\"\n"
               "output.order = { from = \"input.order\" }\n"
               "[type.order.properties]\n"
               "number = { type = \"string\", minLength = 1 }\n"
               "kind = { enum = [\"new\", \"old\"] }\n");
  const auto faults = [&](const std::string& fake) {
    const std::string text =
        "tinyphi = 1\ninput.order = \"order\"\noutput.n = \"s.text\"\n"
        "[stage]\no = { use = \"./order.toml\" }\n"
        "s = { use = \"show\", in.value = \"o.order\" }\n"
        "[type.order.properties]\nnumber = { type = \"string\" }\n"
        "kind = { enum = [\"new\", \"old\"] }\n"
        "[[test]]\nname = \"t\"\ninput = { order = { number = \"1\", kind = "
        "\"new\" } }\nfake = { o.order = " +
        fake + " }\nexpect = [\"ran(s)\"]\n";
    return to_string(
        check_pipeline_text(text, folder.path() / "t.toml", stages()).faults,
        "t.toml");
  };
  CHECK(faults("{ number = \"7\" }").empty());
  CHECK(faults("{ kind = \"old\" }").empty());
  CHECK(faults("{ number = \"\" }") ==
        "t.toml:13:20: error[TP5001]: test 't': fake.o.order: /number: 0 "
        "characters found; at least 1 are allowed (type.order: "
        "/properties/number/minLength)");
  CHECK(faults("{ kind = \"odd\" }").find("\"odd\" found; one of") !=
        std::string::npos);
}
