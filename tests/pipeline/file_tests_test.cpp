// SPDX-License-Identifier: MIT
// [[test]]: what is proved of tests, what they do, and what they reach.
#include "pipeline/fakes.h"
#include "support/test.h"
#include "tinyphi/pipeline/testing/run_tests.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

// Line 18 is the last of the head.
constexpr std::string_view head = R"toml(tinyphi = 1
input.q = "text"
output.a = { first = ["gen.text", "none.text"] }
output.n = "look.count"
[switch.found]
some = "look.count > 0"
none = "else"
[stage]
look = { use = "find.x", in.query = "input.q", with.index = "i.db" }
none = { use = "echo", in.text = "input.q", when = "found.none", with.add = "?" }
ask = { use = "lay_out", in.docs = "look.docs", with.names = "docs* q", when = "found.some" }
gen = { use = "answer" }
[stage.late]
use = "echo"
in.text = "input.q"
fallback = { text = "late" }
[output.late]
from = "late.text"
)toml";

std::string with(std::string_view tests) {
  std::string text(head);
  // One table has one form.
  text.replace(text.find("[output.late]\nfrom = \"late.text\"\n"), 35, "");
  text.replace(text.find("output.n ="), 0, "output.late = \"late.text\"\n");
  return text + std::string(tests);
}

std::string faults(std::string_view tests) { return faults_of(with(tests)); }

// The outcome and the problems of each test, one a line.
std::string outcomes(std::string_view tests, test_options options = {}) {
  const auto checked = check_pipeline_text(with(tests), "t.toml", fakes());
  INFO(to_string(checked.faults, "t.toml"));
  REQUIRE(checked.proved);
  const test_report report =
      run_tests(checked.proved, checked.tests, "t.toml", options);
  std::string text;
  for (const test_outcome& t : report.tests) {
    constexpr std::string_view names[] = {"passed", "failed", "skipped"};
    text += std::string(names[static_cast<std::size_t>(t.what)]) + " " + t.name;
    for (const diagnostic& d : t.problems) {
      text += "\n  " + to_string(d, "t.toml");
    }
    text += "\n";
  }
  return text;
}

std::string not_covered(std::string_view text) {
  const auto checked = check_pipeline_text(text, "t.toml", fakes());
  INFO(to_string(checked.faults, "t.toml"));
  REQUIRE(checked.proved);
  const auto report = run_tests(checked.proved, checked.tests, "t.toml", {});
  return to_string(report.not_covered, "t.toml");
}

}  // namespace

TEST_CASE("a test fakes stages and looks at what came of it") {
  CHECK(outcomes(R"toml(
[[test]]
name = "found"
input = { q = "xx" }
fake = { gen.text = "Two." }
expect = ["output.a == 'Two.'", "output.n == 2", "ran(gen)", "not ran(none)",
          "ask.prompt contains 'q=xx'", "look.docs[0].title == 'A'", "found.some"]
[[test]]
name = "faked passages, given in part"
input = { q = "?" }
fake = { look = { count = 1, docs = [{ title = "B" }] }, gen.text = "One." }
expect = ["look.docs[0].title == 'B' and look.docs[0].text == ''", "output.a == 'One.'"]
[[test]]
name = "nothing is found"
input = { q = "a" }
fake = { gen.text = "never" }
expect = ["output.a == 'a?'", "not ran(gen)", "found.none"]
)toml") ==
        "passed found\npassed faked passages, given in part\npassed nothing is "
        "found\n");
}

TEST_CASE("an expectation that does not hold says what was there instead") {
  CHECK(outcomes(R"toml(
[[test]]
name = "wrong"
input = { q = "x" }
fake = { gen.text = "One." }
expect = ["output.a == 'Two.'", "not ran(gen)", "none.text == 'x'", "len(look.docs) > 1"]
)toml") ==
        "failed wrong\n"
        "  t.toml:23:11: error[TP5004]: test 'wrong': output.a == 'Two.' is "
        "false: output.a is \"One.\"\n"
        "  t.toml:23:33: error[TP5004]: test 'wrong': not ran(gen) is false\n"
        "  t.toml:23:49: error[TP5004]: test 'wrong': none.text == 'x' is "
        "false: none.text is absent\n"
        "  t.toml:23:69: error[TP5004]: test 'wrong': len(look.docs) > 1 is "
        "false: len(look.docs) is 1\n");
}

TEST_CASE("a request that fails is expected, or is the problem") {
  CHECK(
      outcomes(R"toml(
[[test]]
name = "expected"
input = { q = "x" }
fake = { gen = { error = "unavailable" } }
expect = ["error.code == 'unavailable'", "error.stage == 'gen'"]
[[test]]
name = "not expected"
input = { q = "x" }
fake = { gen = { error = "io" } }
expect = ["output.n == 1"]
[[test]]
name = "a fallback"
input = { q = "a" }
fake = { late = { error = "io" }, gen.text = "" }
expect = ["output.late == 'late'", "failed(late)"]
)toml") ==
      "passed expected\n"
      "failed not expected\n"
      "  t.toml:24:1: error[TP5004]: test 'not expected': the request failed: "
      "stage gen: the test lets it fail\n"
      "passed a fallback\n");
}

TEST_CASE("a script gives one entry after the other, the last again") {
  const std::string text = R"toml(tinyphi = 1
input.all = "list<text>"
output.a = "s.text"
[stage.s]
use = "echo"
each = "input.all"
in.text = "item"
retry = 1
[[test]]
name = "in turn"
input = { all = ["x", "y", "z"] }
script.s = [{ error = "unavailable" }, { text = "1" }, { text = "2" }]
expect = ["output.a == ['1', '2', '2']", "attempts(s) == 4"]
)toml";
  const auto checked = check_pipeline_text(text, "t.toml", fakes());
  REQUIRE(checked.proved);
  const auto report = run_tests(checked.proved, checked.tests, "t.toml", {});
  REQUIRE(report.tests.size() == 1);
  INFO(to_string(report.tests[0].problems, "t.toml"));
  CHECK(report.tests[0].what == test_outcome::kind::passed);
}

TEST_CASE("a partial run takes what it reads from fakes") {
  CHECK(outcomes(R"toml(
[[test]]
name = "the prompt alone"
only = ["ask"]
input = { q = "why" }
fake = { look = { docs = [{}], count = 1 } }
expect = ["ask.prompt contains 'q=why'", "not ran(gen)", "not ran(none)"]
)toml") == "passed the prompt alone\n");
  CHECK(faults(R"toml(
[[test]]
name = "nothing to read"
only = ["ask"]
input = { q = "why" }
expect = ["ran(ask)"]
)toml") ==
        "t.toml:19:1: error[TP5002]: test 'nothing to read': stage ask reads "
        "look.docs, which does not run; give fake.look or run it, too");
}

TEST_CASE("what is wrong with a test is found where it stands") {
  const auto broken = [](const std::string& keys) {
    return faults("[[test]]\nname = \"t\"\ninput = { q = \"x\" }\n" + keys);
  };
  const std::string fake = "fake = { gen.text = \"x\" }\n";
  CHECK(broken(fake + "expect = [\"output.b == 'x'\"]") ==
        "t.toml:22:12: error[TP2002]: test 't': expect 'output.b == 'x'': no "
        "such value 'output.b'; did you mean 'output.a'?");
  CHECK(
      broken(fake + "expect = [\"output.a == 1\"]").starts_with("t.toml:22:"));
  CHECK(broken(fake + "expect = [\"ran(gne)\"]") ==
        "t.toml:22:16: error[TP2002]: test 't': expect 'ran(gne)': ran(): no "
        "stage 'gne'; did you mean 'gen'?");
  CHECK(broken(fake + "expect = [\"error.code == 'deadlin'\"]")
            .find("deadline") != std::string::npos);
  CHECK(broken(fake) ==
        "t.toml:18:1: error[TP1003]: test 't': expect is missing, so the test "
        "could not fail");
  CHECK(broken("fake = { gne.text = \"x\" }\nexpect = [\"ran(gen)\"]") ==
        "t.toml:21:10: error[TP5001]: test 't': fake.gne: no stage 'gne'; did "
        "you mean 'gen'?");
  CHECK(broken("fake = { gen.txt = \"x\" }\nexpect = [\"ran(gen)\"]") ==
        "t.toml:21:14: error[TP5001]: test 't': fake.gen: no out-port 'txt'; "
        "did you mean 'text'?");
  CHECK(broken("fake = { gen.text = 1 }\nexpect = [\"ran(gen)\"]") ==
        "t.toml:21:21: error[TP5001]: test 't': fake.gen.text: an integer, not "
        "a text");
  CHECK(broken("fake = { gen.error = \"no\" }\nexpect = [\"ran(gen)\"]")
            .starts_with("t.toml:21:22: error[TP5001]: test 't': "
                         "fake.gen.error: no error code 'no'"));
  CHECK(broken("fake = { gen = {} }\nexpect = [\"ran(gen)\"]").empty());
  CHECK(
      broken("fake = { look = { count = 1 }, gen.text = \"\" }\nexpect = "
             "[\"ran(gen)\"]") ==
      "t.toml:18:1: error[TP5002]: test 't': stage ask reads look.docs, which "
      "fake.look does not give");
  CHECK(faults("[[test]]\nname = \"t\"\ninput = { p = \"x\" }\n" + fake +
               "expect = [\"ran(gen)\"]") ==
        "t.toml:20:11: error[TP2002]: test 't': no input 'p'; did you mean "
        "'q'?");
  CHECK(broken("runs = { times = 2 }\n" + fake + "expect = [\"ran(gen)\"]") ==
        "t.toml:21:1: error[TP1013]: test 't': runs needs mode = \"model\"; "
        "with fakes each run is the same");
  CHECK(faults("[[test]]\nname = \"t\"\n" + fake +
               "expect = [\"ran(gen)\"]\n[[test]]\nname = \"t\"\n")
            .find("error[TP1012]: test 't': the test on line 18 has that name, "
                  "too") != std::string::npos);
}

TEST_CASE("a test that reaches a model without a fake fails") {
  const std::string text = R"toml(
[[test]]
name = "reached"
input = { q = "x" }
expect = ["output.n == 1"]
[[test]]
name = "not reached"
input = { q = "a" }
expect = ["output.a == 'a?'"]
)toml";
  CHECK(outcomes(text) ==
        "failed reached\n  t.toml:19:1: error[TP5003]: test 'reached': stage "
        "gen runs a model; fake it or say mode = \"model\"\npassed not "
        "reached\n");
}

TEST_CASE("tests of a model are skipped aloud, others are chosen by tag") {
  const std::string text = R"toml(
[[test]]
name = "real"
mode = "model"
runs = { times = 3, pass = 2 }
input = { q = "x" }
expect = ["output.a == 'docs=1;q=x;'"]
[[test]]
name = "tagged"
tags = ["slow"]
input = { q = "a" }
fake = { gen.text = "" }
expect = ["not ran(gen)"]
)toml";
  CHECK(outcomes(text) ==
        "skipped real\n  t.toml:19:1: error[TP5004]: test 'real' asks a model; "
        "run it with --models\npassed tagged\n");
  test_options options;
  options.with_models = true;
  CHECK(outcomes(text, options) == "passed real\npassed tagged\n");
  options.tag = "slow";
  CHECK(outcomes(text, options) == "passed tagged\n");
}

TEST_CASE("coverage names what no test reached, each cause once") {
  // Not that `none` never ran and that the `when` of `ask` always held.
  const std::string text = with(R"toml(
[[test]]
name = "found"
input = { q = "x" }
fake = { gen.text = "One." }
expect = ["ran(gen)"]
)toml");
  CHECK(not_covered(text) ==
        "t.toml:8:1: warning[TP5008]: switch found: case none was never "
        "chosen\n"
        "t.toml:14:8: warning[TP5008]: stage late: the fallback was never "
        "taken");
  // Who takes what a stage never gave, could not run.
  CHECK(not_covered(R"toml(tinyphi = 1
input.q = "text"
output.a = "b.text?"
output.c = "c.text"
[stage]
a = { use = "echo", in.text = "input.q", when = "input.q == 'a'" }
b = { use = "echo", in.text = "a.text" }
c = { use = "echo", in.text = { first = ["a.text", "input.q"] }, when = "has(input.q)" }
[[test]]
name = "t"
input = { q = "x" }
expect = ["output.c == 'x'"]
)toml") ==
        "t.toml:6:1: warning[TP5008]: stage a never ran\n"
        "t.toml:8:1: warning[TP5008]: stage c: when always held");
}

TEST_CASE("time passes in a test only while all wait, and then at once") {
  const std::string text = R"toml(tinyphi = 1
input.text = "text"
output.a = { first = ["s.text", "late.text"] }
output.b = "work.on_pool"
limits.deadline = "50m"
[stage]
s = { use = "echo", retry = { max = 2, wait = "15m" }, fallback = "skip" }
late = { use = "echo", when = "failed(s)", timeout = "5s", with.wait_ms = 60000 }
work = { use = "block", timeout = "10ms", with.ms = 50 }
[[test]]
name = "waits cost nothing, and work is not late"
input = { text = "x" }
script.s = [{ error = "unavailable" }, { error = "unavailable" }, { text = "done" }]
expect = ["output.a == 'done'", "attempts(s) == 3", "output.b"]
[[test]]
name = "nor does a timeout"
input = { text = "x" }
fake = { s.error = "io" }
expect = ["error.code == 'deadline'", "error.stage == 'late'"]
)toml";
  const auto problems = [](const std::string& file) {
    const auto checked = check_pipeline_text(file, "t.toml", fakes());
    INFO(to_string(checked.faults, "t.toml"));
    REQUIRE(checked.proved);
    std::string all;
    for (const test_outcome& t :
         run_tests(checked.proved, checked.tests, "t.toml", {}).tests) {
      CHECK(t.seconds < 30);
      all += to_string(t.problems, "t.toml");
    }
    return all;
  };
  CHECK(problems(text).empty());
  // 20 minutes and 40 are more than the request has.
  std::string late = text;
  late.replace(late.find("15m"), 3, "20m");
  late.replace(
      late.find("\"output.a == 'done'\", \"attempts(s) == 3\", \"output.b\""),
      52, "\"error.code == 'deadline'\"");
  CHECK(problems(late).empty());
}

TEST_CASE("a request whose inputs are refused has run nothing") {
  const std::string test = "[[test]]\nname = \"too long\"\ninput = { q = \"" +
                           std::string((std::size_t{64} << 10) + 1, 'x') +
                           "\" }\nexpect = [\"error.code == 'limit'\", \"not "
                           "ran(look)\", \"attempts(look) == 0\"]\n";
  CHECK(outcomes(test) == "passed too long\n");
}
