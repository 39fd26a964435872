// SPDX-License-Identifier: MIT
#include "tinyphi/pipeline/expression/expression.h"

#include <cmath>
#include <random>

#include "pipeline/expression_scope.h"
#include "support/effort.h"
#include "support/test.h"

using namespace tinyphi_test;

namespace {

std::string show(const value_data& x) {
  std::string out;
  if (const auto* text = x.get<std::string>()) {
    for (const char c : *text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c == '\n' ? "\\n" : c == '\t' ? "\\t" : std::string(1, c);
    }
    return '"' + out + '"';
  }
  if (const auto* items = x.get<value_data::list>()) {
    for (const value_data& item : *items) {
      out += (out.empty() ? "" : ",") + show(item);
    }
    return "[" + out + "]";
  }
  const auto number = x.number();
  if (number && std::isnan(*number)) return "null";
  return printed(x, type_kind::integer);
}

// The value as JSON, or the fault with its kind and offset.
std::string result_of(std::string_view text, const named_scope& scope,
                      bool condition = false) {
  const auto fault = [](const expression_fault& f) {
    constexpr std::string_view kinds[] = {"syntax", "name", "absent", "type"};
    return std::string(kinds[static_cast<std::size_t>(f.what)]) + " " +
           std::to_string(f.offset) + ": " + f.message;
  };
  auto tree = expression_tree::parse(text);
  if (!tree) return fault(tree.error());
  auto e = condition ? check_condition(*std::move(tree), scope)
                     : check_expression(*std::move(tree), scope);
  if (!e) return fault(e.error());
  const auto x = e->evaluate(scope.values());
  if (!x)
    return std::string(to_string(x.error().code)) + ": " + x.error().message;
  return show(*x);
}
std::string result_of(std::string_view text) {
  static const named_scope scope = make_scope();
  return result_of(text, scope);
}

struct row {
  const char* text;
  const char* result;
};
void check_all(std::initializer_list<row> rows) {
  for (const row& r : rows) {
    INFO(r.text);
    CHECK(result_of(r.text) == r.result);
  }
}

}  // namespace

TEST_CASE("expressions: precedence and literals") {
  check_all({{"1 + 2 * 3", "7"},
             {"(1 + 2) * 3", "9"},
             {"10 - 2 - 3", "5"},
             {"8 / 4 / 2", "1"},
             {"-n + 1", "-2"},
             {"- - n", "3"},
             {"true or false and false", "true"},
             {"not false and false", "false"},
             {"not n == 4", "true"},
             {"not not yes", "true"},
             {"1 + 1 == 2", "true"},
             {"-2 | abs", "-2"},
             {"(-2) | abs", "2"},
             {"s | lines(1) | lower", "\"pump a\""},
             {"lower(lines(s, 1))", "\"pump a\""},
             {"'a' + \"b\"", "\"ab\""},
             {"'\\'\\\"\\\\\\n\\t'", "\"'\\\"\\\\\\n\\t\""},
             {"1.5e3", "1500"},
             {"500ms", "500"},
             {"1.5h == 90m and 90m == time * 1.0",
              "type 28: '*' takes two numbers; time is duration, 1.0 is float"},
             {"1.5h", "5400000"},
             {"time == 90s and bytes == 1MiB and 64KiB == 65536B", "true"},
             {"[1, 2.5, n]", "[1,2.5,3]"},
             {"[]", "[]"}});
}

TEST_CASE("expressions: comparisons") {
  check_all({{"n == 3 and n != 4 and n < 3.5 and n >= 3", "true"},
             {"s > 'P' and 'a' < 'b'", "true"},
             {"yes == true", "true"},
             {"sort.label == 'yes'", "true"},
             {"sort.label in ['yes', 'no']", "true"},
             {"'a' in words and not ('c' in words)", "true"},
             {"words contains 'b'", "true"},
             {"words == ['b', 'a'] and words != ['a', 'b']", "true"},
             {"[1, 2] == [1.0, 2.0]", "true"},
             {"value.lines[0] == value.lines[0] or true",
              "absent 0: value.lines[0] may be absent: the list may have fewer "
              "items; guard it with has(value.lines[0])"},
             {"s contains 'blue' and not (s contains 'red')", "true"},
             {"s contains ''", "true"},
             {"p.prompt contains 'pump is'", "true"},
             {"lines(s, 1) matches env.RE", "true"},
             {"s matches '^blue'", "false"},
             {"file matches '\\\\.pdf$' and file == 'a.pdf'", "true"},
             {"'b' in [] or [] == words", "false"},
             // Of json only the kind at run time is known.
             {"json.n == 3",
              "absent 0: json.n may be absent: it is json, which may lack it; "
              "guard it with has(json.n)"},
             {"has(json.n) and json.n == 3", "true"},
             {"has(json.n) and json.n == 3.0", "true"},
             {"has(json.n) and json.n == '3'", "false"},
             {"has(json.n) and json.n != '3'", "false"},
             {"has(json.s) and json.s < 'y'", "true"},
             {"has(json.s) and json.s < 3", "false"},
             {"has(json.s) and json.s in ['x', 'y']", "true"},
             {"has(json.items[]) and json.items[].y == [1, 2]", "true"},
             {"json == json", "true"},
             {"json != words", "false"},
             // Not a number compares false with everything.
             {"n / 0 == n / 0 or n / 0 != n / 0 or n / 0 < 1 or n / 0 >= 1",
              "false"}});
}

TEST_CASE("expressions: arithmetic ends at the ends of 64 bits") {
  check_all({{"huge + 1 == huge", "true"},
             {"-huge - 2", "-9223372036854775808"},
             {"-(-huge - 1)", "9223372036854775807"},
             {"abs(-huge - 1)", "9223372036854775807"},
             {"huge * -2", "-9223372036854775808"},
             {"-huge * -2", "9223372036854775807"},
             {"sum([huge, huge, -1])", "9223372036854775806"},
             {"7 / 2", "3.5"},
             {"n / 0", "null"},
             {"json([n / 0, 1e300, -0.5])", "\"[null,1e+300,-0.5]\""},
             {"0.1 + 0.2 == 0.3", "false"},
             {"time + 30s == 2m and time / 45s == 2", "true"},
             {"n + x", "5.5"}});
}

TEST_CASE("expressions: functions") {
  check_all(
      {{"len('h\xC3\xA9') + len(words) + len([])", "4"},
       {"lower('\xC3\x84 B')", "\"\xC3\xA4 b\""},
       {"upper('\xC3\xA4 b')", "\"\xC3\x84 B\""},
       {"trim(' \\n a b\\t')", "\"a b\""},
       {"trim(' ')", "\"\""},
       {"lines(s, 2)", "\"Pump A\\nis blue\""},
       {"lines(s, 9) == s", "true"},
       {"lines(s, 0) + lines(s, -1)", "\"\""},
       {"join(words, ', ')", "\"b, a\""},
       {"join([1, n], '+')", "\"1+3\""},
       {"join([true, false], ' ')", "\"true false\""},
       {"join([90s, 1500ms, 0s], ' ')", "\"90s 1500ms 0ms\""},
       {"join([64KiB, 3MiB], ' ')", "\"64KiB 3MiB\""},
       {"join([0.5, 1 / 0], ' ')", "\"0.5 nan\""},
       {"join([], ' ')", "\"\""},
       {"json('a\"b')", "\"\\\"a\\\\\\\"b\\\"\""},
       {"json(words)", "\"[\\\"b\\\",\\\"a\\\"]\""},
       {"json(maybe | default(value.lines)) contains '\"amount\":2.5'", "true"},
       {"tokens('12345678')", "2"},
       {"sum(value.lines[].amount)", "6.5"},
       {"sum(empty) + sum([])", "0"},
       {"'a' + sum([])",
        "type 4: '+' takes two numbers, two durations, two sizes or two "
        "texts; 'a' is text, sum([]) is int"},
       {"abs(-x)", "2.5"},
       {"min(3, 1, 2) + max(3, x)", "4"},
       {"default(min(empty), 5)", "5"},
       {"default(max([n, 9]), 5)", "9"},
       {"round(x)", "3"},
       {"round(-2.345, 2)", "-2.35"},
       {"round(1234, -2)", "1200"},
       {"round(0.1, 400) == 0.1 and round(5, -400) == 0", "true"},
       {"default(first(words), '') + default(last(words), '')", "\"ba\""},
       {"failed(agent) and rounds(agent) == 3", "true"},
       {"default(sort.gone, 'none')", "\"none\""},
       {"default(lower(sort.gone), 'none')", "\"none\""},
       {"sort.gone | default('none')", "\"none\""},
       {"has(sort.gone)", "false"},
       {"has(first(empty)) or has(value.lines[2])", "false"},
       {"has(value.lines[-2].text)", "true"}});
}

TEST_CASE("expressions: paths") {
  check_all({{"has(value.lines[1]) and value.lines[1].text == 'pen'", "true"},
             {"has(value.lines[-1]) and value.lines[-1].text == 'pen'", "true"},
             {"value.lines[].text", "[\"ink\",\"pen\"]"},
             {"value.lines[].tags[]", "[\"a\",\"b\",\"c\"]"},
             {"value.lines[].tags", "[[\"a\"],[\"b\",\"c\"]]"},
             {"words[] == words", "true"},
             {"default(words[n - 3], '')", "\"b\""},
             {"default(words[huge], '') + default(words[-huge], '')", "\"\""},
             {"env.N + 1", "1.5"}});
}

TEST_CASE("expressions: has() guards what stands behind it") {
  for (const char* guarded :
       {"has(sort.gone) and sort.gone == 'x'",
        "not has(sort.gone) or sort.gone == 'x'",
        "not (has(sort.gone) and true) or sort.gone == 'x'",
        "yes and has(sort.gone) and n == 3 and sort.gone == 'x'",
        "(has(sort.gone) and yes or has(sort.gone)) and sort.gone == 'x'",
        "has(value.lines[1].text) and value.lines[1].amount > 0",
        "has(value.lines[1]) and first(value.lines).amount[0] == 1"}) {
    INFO(guarded);
    const std::string r = result_of(guarded);
    CHECK(r.find("may be absent") == std::string::npos);
  }
  for (const char* open :
       {"sort.gone == 'x'", "has(sort.gone) or sort.gone == 'x'",
        "not has(sort.gone) and sort.gone == 'x'",
        "sort.gone == 'x' and has(sort.gone)",
        "(has(sort.gone) or yes) and sort.gone == 'x'",
        "has(value.lines[1]) and value.lines[2].text == ''",
        "has(maybe[].text) and first(maybe[].text) == 'x'",
        "has(value.lines[]) and value.lines[0].text == 'x'", "max(empty) == 1",
        "has(sort.gone) == true and sort.gone == 'x'"}) {
    INFO(open);
    CHECK(result_of(open).find("may be absent: ") != std::string::npos);
  }
  CHECK(result_of("n == 3 and sort.gone == 'x'") ==
        "absent 11: sort.gone may be absent: stage sort.gone may skip; guard "
        "it with has(sort.gone)");
  CHECK(result_of("1 + first(empty)") ==
        "absent 4: first(empty) may be absent: the list may be empty; guard it "
        "with has(first(empty))");
  CHECK(result_of("first([1, 2])") ==
        "absent 0: first([1, 2]) may be absent: the list may be empty; give it "
        "a default()");
}

TEST_CASE("expressions: facts flow in and out") {
  const named_scope scope = make_scope();
  presence_facts known;
  known.add("sort.gone");
  auto tree = expression_tree::parse("sort.gone == 'x'");
  REQUIRE(tree);
  CHECK(!check_expression(*tree, scope));
  CHECK(check_expression(*tree, scope, known));
  known.forget("sort");
  CHECK(!check_expression(*tree, scope, known));

  tree = expression_tree::parse(
      "has(a.b[1].c) and not has(d) and (has(e) or has(e.f))");
  REQUIRE(tree);
  const presence_facts yes = tree->proves(true);
  for (const char* path :
       {"a", "a.b", "a.b[1]", "a.b[1].c", "a.b[0]", "a.b[-1]", "e"}) {
    INFO(path);
    CHECK(yes.has(path));
  }
  for (const char* path :
       {"d", "a.b[2]", "a.b[1].d", "e.f", "a.b[]", "a.bc", "b"}) {
    INFO(path);
    CHECK(!yes.has(path));
  }
  CHECK(tree->proves(false) == presence_facts());
  tree = expression_tree::parse("not has(d) or q");
  REQUIRE(tree);
  CHECK(tree->proves(false).has("d"));

  presence_facts loop;
  loop.add("docs[i].text");
  loop.forget("i");
  CHECK(!loop.has("docs"));
}

TEST_CASE("expressions: paths are known before types") {
  const auto tree = expression_tree::parse(
      "has(a) and a.b > 1 or failed(agent) or default(c[d], e) == f[].g");
  REQUIRE(tree);
  std::string found;
  for (const auto& use : tree->paths()) {
    for (const std::string_view name : use.names)
      found += std::string(name) + ".";
    found += std::to_string(use.offset) + (use.optional ? "? " : " ");
  }
  CHECK(found == "a.4? a.b.11? c.47? d.49? e.53 f.59 ");
  presence_facts known;
  known.add("f");
  CHECK(tree->paths(known).back().optional);
}

TEST_CASE("expressions: an expression may begin a longer text") {
  const auto ends = [](std::string_view text) {
    std::size_t end = 0;
    const auto tree = expression_tree::parse(text, &end);
    return tree ? tree->text() + "|" + std::string(text.substr(end))
                : tree.error().message;
  };
  CHECK(ends(" a | join('}}') }} b") == " a | join('}}') |}} b");
  CHECK(ends("a -}} b") == "a |-}} b");
  CHECK(ends("a - b -%}") == "a - b |-%}");
  CHECK(ends("a b") == "a |b");
  CHECK(ends("a + }}") == "a value is missing");
  CHECK(ends("a }}\xFF") == "a |}}\xFF");
  CHECK(ends("a" + std::string(20000, ' ')) ==
        "an expression has at most 16384 bytes");
}

TEST_CASE("expressions: reads and calls are listed once") {
  const named_scope scope = make_scope();
  auto tree = expression_tree::parse(
      "has(sort.gone) and n > 1 and n < env.N and words[n] == '' and "
      "failed(agent)");
  REQUIRE(tree);
  named_scope open = make_scope();
  open.absent = true;
  const auto e = check_condition(*std::move(tree), open);
  REQUIRE(e);
  const std::vector<std::size_t> reads(e->reads().begin(), e->reads().end());
  CHECK(reads == std::vector<std::size_t>{9, 0, 11});
  const std::vector<std::size_t> calls(e->calls().begin(), e->calls().end());
  CHECK(calls == std::vector<std::size_t>{7});
}

TEST_CASE("expressions: expectations may look at what is absent") {
  named_scope scope = make_scope();
  scope.absent = true;
  const auto r = [&](const char* text) { return result_of(text, scope); };
  CHECK(r("sort.gone == 'x'") == "not_found: sort.gone is absent");
  CHECK(r("not (sort.gone == 'x')") == "not_found: sort.gone is absent");
  CHECK(r("n == 3 or sort.gone == 'x'") == "true");
  CHECK(r("value.lines[5].text == ''") ==
        "not_found: value.lines[5] is absent");
  CHECK(r("json.n.deep == 1") == "not_found: json.n.deep is absent");
  CHECK(r("1 + (empty | first)") == "not_found: empty | first is absent");
  CHECK(r("json.n[] == []") == "not_found: json.n[] is absent");
  CHECK(r("has(sort.gone) or has(json.n[0])") == "false");

  const auto e = check_condition(*expression_tree::parse("n + 1 == 5"), scope);
  REQUIRE(e);
  const expression_node& whole = e->tree().nodes().back();
  const auto left = e->evaluate(scope.values(), whole.operands[0]);
  REQUIRE(left);
  CHECK(*left == value_data(4));
}

TEST_CASE("expressions: faults of syntax") {
  check_all(
      {{"", "syntax 0: a value is missing"},
       {"n and", "syntax 5: a value is missing"},
       {"(n", "syntax 2: ')' is missing"},
       {"words[n", "syntax 7: ']' is missing"},
       {"len(n", "syntax 5: ')' is missing"},
       {"[1 2]", "syntax 3: ']' is missing"},
       {"s == 'x", "syntax 5: the text has no closing quote"},
       {"'a\\d'",
        "syntax 2: '\\' is followed by none of n t r \\ ' \"; write '\\\\' for "
        "itself"},
       {"n n", "syntax 2: unexpected 'n'"},
       {"n = 3", "syntax 2: unexpected '= 3'; write '=='"},
       {"1 < n < 3", "syntax 6: unexpected '< 3'; join comparisons with 'and'"},
       {"yes && yes", "syntax 4: unexpected '&& yes'; write 'and'"},
       {"yes || yes", "syntax 4: unexpected '||'; write 'or'"},
       {"!yes", "syntax 0: unexpected '!'; write 'not'"},
       {"s | ", "syntax 4: the name of a function is missing"},
       {"s.", "syntax 2: a name is missing"},
       {"value.lines[][0]",
        "syntax 13: one item of a list of all items; take first() or last()"},
       {"9223372036854775808", "syntax 0: an integer has 64 bits"},
       {"1e999", "syntax 0: outside the range of a float"},
       {"5 + 3min",
        "syntax 5: no unit 'min'; there are ms, s, m, h, B, KiB, MiB"},
       {"0.5ms", "syntax 0: not a whole number of milliseconds"},
       {"0.3B", "syntax 0: not a whole number of bytes"},
       {"9223372036854775807h", "syntax 0: the number is too large"},
       {"'\xFF'", "syntax 1: not UTF-8"}});
}

TEST_CASE("expressions: faults of names and types") {
  check_all(
      {{"nn == 3", "name 0: no such value 'nn'; did you mean 'n'?"},
       {"yes and value.lines[].texd == []",
        "name 22: line has no field 'texd'; did you mean 'text'?"},
       {"value.lines.text",
        "type 11: value.lines is list<line>; take one item, "
        "value.lines[0].text, or all, value.lines[].text"},
       {"n.x", "type 1: n is int, which has no fields"},
       {"n[0]", "type 1: n is int, which has no items"},
       {"words['a']", "type 6: an index is int; 'a' is text"},
       {"lenn(s)", "name 0: no function 'lenn'; did you mean 'len'?"},
       {"s | lwer", "name 4: no function 'lwer'; did you mean 'lower'?"},
       {"ran(agent)", "name 0: there is no ran() at this place"},
       {"failed(agnt)", "name 7: failed(): no stage or tool 'agnt'"},
       {"failed(a.b)", "type 0: failed() takes the name of a stage or a tool"},
       {"lines(s)", "type 0: lines(text, int) is called with 1 argument"},
       {"s | trim(1)", "type 4: trim(text) is called with 2 arguments"},
       {"has(n + 1)",
        "type 4: has() takes a path, or first() or last() of one"},
       {"len(n)", "type 4: len(text or list): n is int"},
       {"join(value.lines, ',')",
        "type 5: join(list, text): value.lines is list<line>"},
       {"join(words, n)", "type 12: join(list, text): n is int"},
       {"lines(s, 1.5)", "type 9: lines(text, int): 1.5 is float"},
       {"sum(words)", "type 4: sum(list of numbers): words is list<text>"},
       {"abs(s)", "type 4: abs(number): s is text"},
       {"min(n)", "type 4: min(list of numbers): n is int"},
       {"max(n, s)", "type 7: max() takes numbers; s is text"},
       {"max(n, time)",
        "type 7: time is duration, but n is int; max() takes two of one type"},
       {"first(s)", "type 6: first(list): s is text"},
       {"json(p.prompt)", "type 5: json(x): p.prompt is prompt"},
       {"default(n, 'a')",
        "type 11: 'a' is text, but n is int; default() takes two of one type"},
       {"[1, 'a']",
        "type 4: the items of a list have one type; 'a' is text, those before "
        "it are int"},
       {"n and yes", "type 0: n is int, not true or false; write n != 0"},
       {"yes and words",
        "type 8: words is list<text>, not true or false; write has(words) or "
        "len(words) > 0"},
       {"not s",
        "type 4: s is text, not true or false; write has(s) or len(s) > 0"},
       {"yes or json",
        "type 7: json is json, not true or false; write json == true"},
       {"n == 's'",
        "type 5: 's' is text, but n is int; == takes two of one type"},
       {"time > 5",
        "type 7: 5 is int, but time is duration; > takes two of one type"},
       {"yes < true", "type 0: yes is bool, which has no order for '<'"},
       {"words < words",
        "type 0: words is list<text>, which has no order for '<'"},
       {"p.prompt == 'x'",
        "type 0: p.prompt is prompt, which is not compared; use contains"},
       {"sort.label == 'yess'",
        "type 14: 'yess' is not one of yes, no; did you mean 'yes'?"},
       {"'maybe' != sort.label", "type 0: 'maybe' is not one of yes, no"},
       {"sort.label in ['yes', 'on']",
        "type 22: 'on' is not one of yes, no; did you mean 'no'?"},
       {"s + n",
        "type 2: '+' takes two numbers, two durations, two sizes or two texts; "
        "s is text, n is int"},
       {"s - s",
        "type 2: '-' takes two numbers, two durations or two sizes; s is text, "
        "s is text"},
       {"yes / n",
        "type 4: '/' takes two numbers, two durations or two sizes; yes is "
        "bool, n is int"},
       {"-s", "type 0: '-' takes a number; s is text"},
       {"'a' in s",
        "type 7: 'in' takes a list on its right; s is text; write x contains "
        "y"},
       {"n contains 3",
        "type 0: 'contains' takes a text, a list or a prompt on its left; n is "
        "int"},
       {"s contains 3",
        "type 11: 3 is int, but s is text, which contains texts only"},
       {"3 in words", "type 0: 3 is int, but the items of words are text"},
       {"p.prompt in [1]", "type 0: p.prompt is prompt, which is in no list"},
       {"n matches 'x'",
        "type 0: 'matches' takes a text on its left; n is int"},
       {"s matches s",
        "type 10: 'matches' takes a constant pattern on its right"},
       {"s matches '('", "type 10: not a pattern of RE2: missing ): ("}});
  const named_scope scope = make_scope();
  CHECK(result_of("n", scope, true) ==
        "type 0: n is int, not true or false; write n != 0");
  named_scope without = make_scope();
  without.tokens = false;
  CHECK(result_of("tokens(s)", without) ==
        "name 0: there is no tokens() at this place, since no model is known");
}

TEST_CASE("expressions: what is not known fits everything") {
  for (const char* text :
       {"unknown and yes", "unknown.a[0].b == 3", "unknown + 1 == 2",
        "len(unknown) > 0", "first(unknown) == 1", "unknown contains 'x'",
        "'x' in unknown", "unknown matches 'x'", "join(unknown, 'x') == ''",
        "max(unknown) > 1", "sort.label == unknown", "unknown | trim == ''"}) {
    INFO(text);
    auto tree = expression_tree::parse(text);
    REQUIRE(tree);
    CHECK(check_condition(*std::move(tree), make_scope()));
  }
}

TEST_CASE("expressions: what {{ }} can print") {
  const named_scope scope = make_scope();
  const auto fault = [&](const char* text) {
    const auto e = check_printed(*expression_tree::parse(text), scope);
    return e ? std::string() : e.error().message;
  };
  for (const char* text :
       {"s", "n", "x", "yes", "time", "bytes", "file", "sort.label"}) {
    INFO(text);
    CHECK(fault(text).empty());
  }
  CHECK(fault("words") ==
        "words is list<text>, which cannot be printed; write words | join(', "
        "'), or a loop");
  CHECK(fault("value.lines") ==
        "value.lines is list<line>, which cannot be printed; write a loop, or "
        "value.lines | json");
  CHECK(fault("default(value.lines[0], first(value.lines))")
            .find("first(value.lines) may be absent") == 0);
  CHECK(fault("value").find("no such value") == 0);
  CHECK(fault("row") ==
        "row is { a, b }, which cannot be printed; print its "
        "fields, such as row.a, or row | json");
  CHECK(fault("json") ==
        "json is json, which cannot be printed; write json | json");
  CHECK(fault("p.prompt") == "p.prompt is prompt, which cannot be printed");
  CHECK(printed(value_data(7'200'000), type_kind::duration) == "2h");
  CHECK(printed(value_data(1025), type_kind::size) == "1025B");
  CHECK(printed(value_data(-0.25), type_kind::number) == "-0.25");
}

TEST_CASE("expressions: size, depth and texts are limited") {
  std::string wide = "yes";
  for (int i = 0; i < 127; ++i) wide += " and yes";
  CHECK(result_of(wide) == "true");
  CHECK(result_of(wide + " and yes")
            .find("syntax 1020: the expression has more than 256 parts") == 0);
  std::string path = "json";
  for (int i = 0; i < 256; ++i) path += ".a";
  CHECK(result_of(path).find("the expression has more than 256 parts") !=
        std::string::npos);
  const auto nested = [](std::string_view open, std::size_t n,
                         std::string_view inner, std::string_view close) {
    std::string text;
    for (std::size_t i = 0; i < n; ++i) text += open;
    text += inner;
    for (std::size_t i = 0; i < n; ++i) text += close;
    return text;
  };
  CHECK(result_of(nested("(", 32, "yes", ")")) == "true");
  for (const std::string& text :
       {nested("(", 33, "yes", ")"), nested("not ", 33, "yes", ""),
        nested("-", 33, "n", ""), nested("[", 33, "n", "]"),
        nested("abs(", 33, "n", ")"), nested("words[", 33, "n", "]"),
        nested("", 33, "s", " | trim"), nested("(", 5000, "", "")}) {
    INFO(text.substr(0, 40));
    CHECK(result_of(text).find("nested more than 32 deep") !=
          std::string::npos);
  }
  CHECK(result_of(std::string(16385, ' ')) ==
        "syntax 16384: an expression has at most 16384 bytes");

  named_scope scope(
      {{"big", type_kind::text, value_data(std::string(600'000, 'a'))},
       {"quotes", type_kind::text, value_data(std::string(600'000, '"'))},
       {"many", type::list_of(type_kind::text),
        value_data(
            value_data::list(3, value_data(std::string(400'000, 'b'))))}});
  const std::string limit =
      "limit: an expression makes a text of more than 1048576 bytes";
  CHECK(result_of("len(big + 'b')", scope) == "600001");
  CHECK(result_of("big + big", scope) == limit);
  CHECK(result_of("join(many, '')", scope) == limit);
  CHECK(result_of("json(many)", scope) == limit);
  CHECK(result_of("json(quotes)", scope) == limit);
  CHECK(result_of("default(big + big, '')", scope) == limit);
  CHECK(result_of("len(join(many, ''))", scope) == limit);
  CHECK(result_of("has(many[len(big + big)])", scope) == limit);
  // As long as it takes to compare each with each, if the search were naive.
  CHECK(result_of("big + 'b' contains lines(big, 1) + 'c'", scope) == "false");
}

namespace {

// Random expressions of a wanted type over random scopes. They do not all pass
// the checks, by intention: guards are put by chance.
class random_expressions {
 public:
  explicit random_expressions(std::uint64_t seed) : random_(seed) {}

  named_scope scope() {
    std::vector<named_value> values;
    names_.clear();
    const std::size_t n = 2 + below(6);
    for (std::size_t i = 0; i < n; ++i) {
      named_value v;
      v.name = (i % 2 ? "s.v" : "v") + std::to_string(i);
      v.type = any_type(3);
      v.may_be_absent = below(3) == 0;
      if (!v.may_be_absent || below(2) == 0) v.data = data(v.type);
      names_.push_back(v.name);
      types_[i] = v.type;
      values.push_back(std::move(v));
    }
    return named_scope(std::move(values));
  }

  std::string boolean(int depth) {
    if (depth == 0) return below(2) ? "true" : "has(" + path() + ")";
    switch (below(9)) {
      case 0:
        return "not " + boolean(depth - 1);
      case 1:
        return "(" + boolean(depth - 1) + " or " + boolean(depth - 1) + ")";
      case 2:
        return boolean(depth - 1) + " and " + boolean(depth - 1);
      case 3:
      case 4: {
        const std::string p = path();
        return below(2) ? "(has(" + p + ") and " + test(p, depth) + ")"
                        : "(not has(" + p + ") or " + test(p, depth) + ")";
      }
      case 5:
        return number(depth - 1) + pick({" < ", " == ", " != ", " >= "}) +
               number(depth - 1);
      case 6:
        return text(depth - 1) +
               pick(
                   {" < ", " == ", " contains ", " matches 'a+|' + ", " in "}) +
               text(depth - 1);
      default:
        return test(path(), depth);
    }
  }
  std::string number(int depth) {
    if (depth == 0) return pick({"1", "-3", "0", "2.5", "9223372036854775807"});
    switch (below(7)) {
      case 0:
        return "(" + number(depth - 1) + pick({" + ", " - ", " * ", " / "}) +
               number(depth - 1) + ")";
      case 1:
        return "len(" + (below(2) ? path() : text(depth - 1)) + ")";
      case 2:
        return pick({"abs(", "round(", "-("}) + number(depth - 1) + ")";
      case 3:
        return pick({"min(", "max("}) + number(depth - 1) + ", " +
               number(depth - 1) + ")";
      case 4:
        return "default(" + pick({"", "first(", "min("}) + path() + ", " +
               number(depth - 1) + ")";
      case 5:
        return "sum(" + path() + "[])";
      default:
        return path();
    }
  }
  std::string text(int depth) {
    if (depth == 0) return pick({"'a'", "''", "'\\n a '"});
    switch (below(6)) {
      case 0:
        return "(" + text(depth - 1) + " + " + text(depth - 1) + ")";
      case 1:
        return pick({"lower(", "trim(", "upper(", "json("}) + text(depth - 1) +
               ")";
      case 2:
        return "(" + path() + " | json | lines(" + number(0) + "))";
      case 3:
        return "join(" + path() + ", " + text(0) + ")";
      case 4:
        return "default(" + path() + ", " + text(depth - 1) + ")";
      default:
        return path();
    }
  }

 private:
  std::size_t below(std::size_t n) { return random_() % n; }
  std::string pick(std::initializer_list<const char*> all) {
    return all.begin()[below(all.size())];
  }

  // Something true or false about a path.
  std::string test(const std::string& p, int depth) {
    switch (below(6)) {
      case 0:
        return p + " == " + number(depth - 1);
      case 1:
        return p + " == " + p;
      case 2:
        return p + " != " + path();
      case 3:
        return p + " contains " + text(depth - 1);
      case 4:
        return text(depth - 1) + " in " + p;
      default:
        return p;
    }
  }

  // Mostly along the type of a name, so that most paths exist.
  std::string path() {
    const std::size_t i = below(names_.size());
    std::string out = names_[i];
    type t = types_[i];
    while (below(4) != 0) {
      if (t.is(type_kind::record)) {
        const auto fields = t.fields();
        const auto& f = fields[below(fields.size())];
        out += "." + f.name;
        t = type(f.type);
      } else if (t.is(type_kind::list)) {
        out += pick({"[0]", "[-1]", "[]", "[1]"});
        t = t.element();
      } else if (t.is(type_kind::json)) {
        out += pick({"[0]", ".a", ".b", "[]"});
      } else {
        break;
      }
    }
    return out;
  }

  type any_type(int depth) {
    switch (below(depth == 0 ? 7 : 9)) {
      case 0:
        return type_kind::boolean;
      case 1:
        return type_kind::integer;
      case 2:
        return type_kind::number;
      case 3:
        return type_kind::json;
      case 4:
        return type::one_of({"a", "b"});
      case 5:
        return below(2) ? type_kind::duration : type_kind::prompt;
      case 6:
        return type_kind::text;
      case 7:
        return type::list_of(any_type(depth - 1));
      default:
        return type::record_of(
            "", {{"a", any_type(depth - 1)}, {"b", any_type(depth - 1)}});
    }
  }

  value_data data(const type& t) {
    value_data::list items;
    switch (t.kind()) {
      case type_kind::boolean:
        return below(2) == 0;
      case type_kind::integer:
      case type_kind::duration:
        return static_cast<std::int64_t>(below(4) ? below(5) : random_());
      case type_kind::number:
        return below(2) ? value_data(static_cast<double>(below(100)) / 8)
                        : value_data(below(9));
      case type_kind::json:
        return below(4) ? data(json_type(2)) : value_data();
      case type_kind::list:
        for (std::size_t n = below(4); n > 0; --n)
          items.push_back(data(t.element()));
        return items;
      case type_kind::record:
        return value_data::record{{"b", data(*t.find("b"))},
                                  {"a", data(*t.find("a"))}};
      case type_kind::prompt: {
        labelled_prompt p;
        p.segments.push_back({"a b", trust::user});
        return p;
      }
      default:
        if (!t.words().empty()) return t.words()[below(t.words().size())];
        return pick({"", "a", "A\nb\xC3\xA9", "x y z\n\n"});
    }
  }
  type json_type(int depth) {
    type t;
    do {
      t = any_type(depth);
    } while (!fits(t, type_kind::json));
    return t;
  }

  std::mt19937_64 random_;
  std::vector<std::string> names_;
  type types_[8];
};

}  // namespace

TEST_CASE("expressions: what passes the checks has a value of its type") {
  std::size_t n_passed = 0, n_limit = 0, n_parsed = 0;
  const int rounds = sweep_rounds(20'000, 2'000'000);
  for (int round = 0; round < rounds; ++round) {
    random_expressions make(static_cast<std::uint64_t>(round));
    const named_scope scope = make.scope();
    const std::string text = round % 4 == 0   ? make.number(3)
                             : round % 4 == 1 ? make.text(3)
                                              : make.boolean(3);
    auto tree = expression_tree::parse(text);
    if (!tree) continue;
    ++n_parsed;
    const auto e = check_expression(*std::move(tree), scope);
    if (!e) {
      if (e.error().offset > text.size() || e.error().message.empty()) {
        FAIL(text);
      }
      continue;
    }
    ++n_passed;
    const auto x = e->evaluate(scope.values());
    if (!x) {
      ++n_limit;
      if (x.error().code != error_code::limit) {
        FAIL(text << ": " << x.error().message);
      }
      continue;
    }
    const auto misfit = find_misfit(*x, e->type());
    // What was divided by 0 is not finite.
    if (misfit && misfit->find("not a finite number") == std::string::npos) {
      FAIL(text << " is no " << to_string(e->type()) << ": " << *misfit);
    }
  }
  INFO(n_parsed << " parsed, " << n_passed << " passed, " << n_limit
                << " limit");
  // Most are of the grammar, and many pass.
  CHECK(n_parsed > static_cast<std::size_t>(rounds) * 8 / 10);
  CHECK(n_passed > static_cast<std::size_t>(rounds) / 10);
}
