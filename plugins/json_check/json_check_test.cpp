// SPDX-License-Identifier: MIT
#include "plugins/json_check/json_check.h"

#include "plugins/json_pick/json_pick.h"
#include "support/run_stage.h"
#include "support/test.h"
#include "tinyphi/pipeline.h"
#include "tinyphi/pipeline/value_json.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

registry stages() {
  registry r;
  r.add<json_check_stage>().add<json_pick_stage>();
  return r;
}

constexpr std::string_view types = R"([type.line.properties]
text   = { type = "string", maxLength = 8 }
amount = { type = "number" }
[type.invoice.properties]
number = { type = "string", minLength = 1, maxLength = 40 }
date   = { type = "string", pattern = '^\d{4}-\d{2}-\d{2}$' }
total  = { type = "number", minimum = 0 }
lines  = { type = "array", minItems = 1, maxItems = 20, items = { "$ref" = "line" } }
[type.command]
required = ["verb", "amount"]
[type.command.properties]
verb   = { enum = ["forward", "back", "left", "right", "stop"] }
amount = { type = "number", minimum = 0, maximum = 90 }
note   = { type = "string" }
)";

// A stage that checks an input; `with` begins on line 8.
std::string file(const std::string& input, const std::string& with) {
  return "tinyphi = 1\ninput.x = \"" + input +
         "\"\noutput.ok = \"check.ok\"\n[stage.check]\nuse = \"json.check\"\n"
         "in.value = \"input.x\"\n\n" +
         with + "\n" + std::string(types);
}

// Without what the file does not use of the types.
std::string told(const std::string& input, const std::string& with) {
  std::string all;
  for (const diagnostic& d :
       check_pipeline_text(file(input, with), "t.toml", stages()).faults) {
    if (d.code != fault::unused_name) all += to_string(d, "t.toml") + "\n";
  }
  return all;
}

// The type of that name.
type named(const std::string& name) {
  std::vector<diagnostic> faults;
  const auto spec = read_spec(
      "tinyphi = 1\noutput.a = \"input.x\"\ninput.x = "
      "\"" +
          name + "\"\n" + std::string(types),
      "t.toml", {}, faults);
  INFO(to_string(faults, "t.toml"));
  REQUIRE(spec.has_value());
  REQUIRE(faults.empty());
  return spec->inputs[0].type;
}

json_check_stage::config config_of(const std::string& type,
                                   std::vector<json_rule> rules) {
  json_check_stage::config c;
  if (!type.empty()) c.type = type_ref{type, named(type)};
  c.rules = std::move(rules);
  return c;
}

call_facts given(const type& t) {
  call_facts call;
  call.types["value"] = t;
  return call;
}

value_data parsed(const std::string& text) {
  auto v = parse_json(text, "test");
  if (!v) FAIL(text << ": " << v.error().message);
  return from_json(*v);
}

// "ok", or the errors, one a line; what is wrong with the stage begins with
// "!".
std::string judged(const json_check_stage::config& c, const call_facts& call,
                   const value_data& value) {
  host h = no_models();
  const json_check_stage stage(c, call, h);
  const auto out = run_stage(stage, {value});
  if (!out) return "!" + out.error().message;
  CHECK(out->ok == out->errors.empty());
  CHECK(out->ok == out->value.has_value());
  if (out->ok) return "ok " + json_text(*out->value, 1000).value_or("");
  std::string all;
  for (const std::string& e : out->errors) all += e + "\n";
  return all;
}

}  // namespace

TEST_CASE("json.check says what is wrong with an invoice, in words") {
  const auto check = [](const std::string& value) {
    return judged(
        config_of("invoice",
                  {{"abs(sum(value.lines[].amount) - value.total) <= 0.01",
                    "the lines do not add up"},
                   {"value.total < 100", "large sums need a second look"}}),
        given(type_kind::json), parsed(value));
  };
  CHECK(check(R"({"total":9,"number":"7","date":"2025-01-31",)"
              R"("lines":[{"text":"a","amount":9.0}]})") ==
        R"(ok {"number":"7","date":"2025-01-31","total":9,)"
        R"("lines":[{"text":"a","amount":9}]})");
  CHECK(check(R"({"number":"7","date":"2025-01-31","total":10.0,)"
              R"("lines":[{"text":"a","amount":9.0}]})") ==
        "the lines do not add up\n");
  CHECK(check(R"({"number":"7","date":"2025-01-31","total":500,)"
              R"("lines":[{"text":"a","amount":9.0}]})") ==
        "the lines do not add up\nlarge sums need a second look\n");
  // Rules are about values of the type.
  CHECK(check(R"({"number":"","date":"today","total":-1,"lines":[{"text":)"
              R"("a\u001bb","amount":"9"}],"paid":true})") ==
        "/number: 0 characters found; at least 1 are allowed\n"
        "/date: \"today\" found; it does not match the pattern "
        "\"^\\\\d{4}-\\\\d{2}-\\\\d{2}$\"\n"
        "/total: -1 found; at least 0 is allowed\n"
        "/lines/0/amount: \"9\" found; 'number' is allowed\n"
        "/paid: the member 'paid' found; no other names than those of "
        "'properties' are allowed\n");
  CHECK(check("null") == "null found; 'object' is allowed\n");
}

TEST_CASE("json.check asks rules alone, by the type of what is bound") {
  const std::vector<json_rule> robot = {
      {"not (value.verb in ['forward', 'back']) or value.amount <= 2",
       "at most 2 metres at a time"}};
  const auto check = [&](const std::string& value) {
    return judged(config_of("", robot), given(named("command")), parsed(value));
  };
  CHECK(check(R"({"verb":"forward","amount":10})") ==
        "at most 2 metres at a time\n");
  CHECK(check(R"({"verb":"left","amount":10})") ==
        R"(ok {"verb":"left","amount":10})");
  // Of json nothing is known.
  CHECK(judged(config_of("", {{"has(value.a) and value.a == 1", "no a"}}),
               given(type_kind::json), parsed(R"({"a":"1"})")) == "no a\n");
  // Of a list, each item by its place.
  CHECK(judged(config_of("list<line>", {}), given(type_kind::json),
               parsed(R"([{"text":"a","amount":1},{"text":"a"}])")) ==
        "/1: the member 'amount' is missing; it is required\n");
}

TEST_CASE("json.check: faults are told where they stand") {
  const std::pair<std::string, std::string> all[] = {
      {"with.rules = [{ expr = 'value.totl > 1', message = 'no' }]",
       "8:31: error[TP2008]: stage check: with.rules[0].expr: invoice has no "
       "field 'totl'; did you mean 'total'?"},
      {"with.rules = [{ expr = 'true', message = 'a' }, { expr = 'value. ', "
       "message = 'no' }]",
       "8:65: error[TP2008]: stage check: with.rules[1].expr: "},
      {"with.rules = [{ expr = 'total > 1', message = 'no' }]",
       "8:25: error[TP2008]: stage check: with.rules[0].expr: no such value "
       "'total'; a rule looks at value, which is what is checked"},
      {"with.rules = [{ expr = 'value.total', message = 'no' }]",
       "8:25: error[TP2008]: stage check: with.rules[0].expr: "},
      {"with.rules = [{ expr = 'true', message = '' }]",
       "8:43: error[TP1005]: stage check: with.rules[0].message: has 0 bytes, "
       "allowed are 1 to 500"},
      {"with.rules = [{ expr = 'true' }]",
       "8:15: error[TP1003]: stage check: with.rules[0].message must be given"},
      {"with.rules = [{ exp = 'true', expr = 'true', message = 'a' }]",
       "8:17: error[TP1002]: stage check: unknown parameter "
       "'with.rules[0].exp'; did you mean 'expr'?"},
      {"with.rules = ['true']",
       "8:15: error[TP1004]: stage check: with.rules[0] is a string, it must "
       "be a table"},
      {"with.rules = 'true'",
       "8:14: error[TP1004]: stage check: with.rules is a string, the plugin "
       "wants list of tables"},
      {"with.rules = []",
       "4:8: error[TP1003]: stage check: with.type: is missing, and so is "
       "with.rules: nothing would be checked"},
      {"with.type = 'text'",
       "8:14: error[TP2003]: stage check: with.type is text, but in.value is "
       "invoice"},
      {"with.type = 'invoce'",
       "8:13: error[TP1016]: stage check: with.type: "
       "no type 'invoce'; there are command, "},
  };
  for (const auto& [with, expected] : all) {
    INFO(with);
    const std::string found = told("invoice", with);
    CHECK(found.substr(0, 7 + expected.size()) == "t.toml:" + expected);
    CHECK(std::ranges::count(found, '\n') == 1);
  }
  std::string many;
  for (int i = 0; i < 65; ++i) many += "{ expr = 'true', message = 'a' },";
  CHECK(told("invoice", "with.rules = [" + many + "]") ==
        "t.toml:8:14: error[TP1005]: stage check: with.rules: has 65 rules, "
        "allowed are 64\n");
  // A text is no JSON, unless texts are wanted.
  const std::string way =
      " and a text is not read as JSON; bind json, such as an input, a row of "
      "table.read, or what json.pick takes out of one\n";
  CHECK(told("text", "with.type = 'invoice'") ==
        "t.toml:8:14: error[TP2003]: stage check: with.type is invoice, but "
        "in.value is text," +
            way);
  CHECK(told("text", "with.rules = [{ expr = 'true', message = 'a' }]") ==
        "t.toml:8:14: error[TP2003]: stage check: with.rules: in.value is "
        "text," +
            way);
  CHECK(told("text", "with.type = 'text'").empty());
  CHECK(told("invoice", "with.type = 'command'").empty());
  CHECK(told("json", "with.type = 'invoice'").empty());
}

TEST_CASE("json.check: the value is of the type, and absent unless ok") {
  const std::string head =
      "tinyphi = 1\ninput.x = \"json\"\noutput.ok = \"check.ok\"\n"
      "output.total = \"pick.value?\"\n[stage]\ncheck = { use = "
      "\"json.check\", in.value = \"input.x\", with.type = \"invoice\" }\n"
      "pick = { use = \"json.pick\", in.value = \"check.value\", with = { path "
      "= \"total\", type = \"float\" } }\n";
  const auto p = pipeline::compile_text(
      head + std::string(types.substr(0, types.find("[type.command]"))),
      "t.toml", stages(), {});
  INFO(message_of(p));
  REQUIRE(p.has_value());
  const auto ran = [&](const std::string& value) {
    const auto done = p->run({{"x", parsed(value)}});
    REQUIRE(done.has_value());
    const auto total = done->outputs.find("total");
    return total == done->outputs.end()
               ? std::string("-")
               : json_text(total->second.data, 100).value_or("");
  };
  CHECK(ran(R"({"number":"7","date":"2025-01-31","total":9,)"
            R"("lines":[{"text":"a","amount":9}]})") == "9");
  CHECK(ran("{}") == "-");
  const graph& g = p->graph();
  const auto slot =
      std::ranges::find(g.slots, "check.value", &graph_slot::name);
  REQUIRE(slot != g.slots.end());
  CHECK(to_string(slot->type) == "invoice");
  CHECK(slot->may_be_absent());
}

TEST_CASE("json.check: what it says is bounded") {
  const std::string long_name(5000, 'n');
  value_data::record members;
  for (int i = 0; i < 100; ++i) {
    members.push_back({long_name + std::to_string(i), 1});
  }
  const std::string errors =
      judged(config_of("command", {}), given(type_kind::json), members);
  CHECK(std::ranges::count(errors, '\n') == 16);
  CHECK(errors.size() <= 16 * 501);
  CHECK(errors.find("...\n") != std::string::npos);
  const std::string half(600'000, 'x');
  CHECK(judged(config_of("", {{"len(value.a + value.a) > 0", "m"}}),
               given(type::record_of("", {{"a", type_kind::text}})),
               value_data::record{{"a", half}}) ==
        "!the rule 'm': an expression makes a text of more than 1048576 bytes");
}

TEST_CASE("json.check: a rule that passed the check has a value in every run") {
  const std::string names[] = {"",        "invoice",    "line",
                               "command", "list<line>", "json"};
  const char* const rules[] = {
      "true",
      "value.total > 1",
      "has(value.total) and value.total > 1",
      "sum(value.lines[].amount) / len(value.lines) > value.total",
      "value.lines[0].amount > 0",
      "not has(value.lines[0]) or value.lines[0].amount > 0",
      "min(value.lines[].amount) < 3",
      "default(first(value.lines[].amount), 0.0) >= 0",
      "value.note == 'x'",
      "has(value.note) and value.note matches 'x+'",
      "default(value.note, '') != 'x'",
      "value.verb in ['left', 'right']",
      "value.verb == 'up'",
      "len(value) > 1",
      "value[0].amount > 1",
      "has(value[0].amount) and value[0].amount > 1",
      "has(value[1]) and value[1].amount * 2 > value[0].amount",
      "value[].text == ['a']",
      "value.amount / 0 > 1",
      "json(value) contains 'a'",
      "value.x.y",
      "default(value.x.y, 1) == 1",
      "value == value",
  };
  const std::string values[] = {
      "null",
      "1",
      R"("a")",
      "[]",
      "{}",
      R"({"number":"7","date":"2025-01-31","total":9.5,"lines":[{"text":"a","amount":9}]})",
      R"({"number":"7","date":"2025-01-31","total":0,"lines":[{"text":"a","amount":1},{"text":"b","amount":-1}]})",
      R"({"text":"a","amount":1e300})",
      R"({"verb":"left","amount":2})",
      R"({"verb":"left","amount":2,"note":"xx"})",
      R"([{"text":"a","amount":1},{"text":"b","amount":2}])",
      R"([{"text":"a"}])",
      R"({"total":"9","lines":[1],"note":1,"verb":[],"x":{"y":true}})",
  };
  host h = no_models();
  int n_refused = 0, n_asked = 0;
  for (const std::string& name : names) {
    for (const char* const rule : rules) {
      const auto c = config_of(name, {{rule, "broken"}});
      const call_facts call = given(type_kind::json);
      if (!json_check_stage::check(c, call, h).faults.empty()) {
        ++n_refused;
        continue;
      }
      for (const std::string& value : values) {
        INFO(name << " " << rule << " of " << value);
        const std::string said = judged(c, call, parsed(value));
        CHECK(!said.starts_with('!'));
        if (said.starts_with("ok ") || said == "broken\n") ++n_asked;
      }
    }
  }
  CHECK(n_refused > 30);
  CHECK(n_asked > 100);
}
