// SPDX-License-Identifier: MIT
// The modifiers of calls, switches and alternatives: what is proved of them,
// and what they do.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <fstream>

#include "pipeline/fakes.h"
#include "support/temp_folder.h"
#include "support/test.h"
#include "tinyphi/pipeline/executor.h"
#include "tinyphi/pipeline/value_json.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

// One text of a list of texts, with the number of runs so far.
struct flaky {
  static constexpr stage_info info{.id = "flaky", .summary = "Fails at times"};
  struct config {
    std::int64_t fails = 0;  // of the first runs
    std::string code = "unavailable";
  };
  struct inputs {
    std::string_view text;
    std::optional<std::string_view> before;
  };
  struct outputs {
    std::string text;
    std::int64_t length = 0;
    bool ok = true;
    std::optional<std::string> rest;
  };
  static constexpr auto params() {
    return std::tuple{param("fails", &config::fails),
                      param("code", &config::code)};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("text", &inputs::text),
                      port("before", &inputs::before)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("text", &outputs::text),
                      port("length", &outputs::length),
                      port("ok", &outputs::ok), port("rest", &outputs::rest)};
  }
  flaky(config c, host&) : config_(std::move(c)) {}
  task<outputs> run(run_context&, inputs in) const {
    if (runs_++ < config_.fails || in.text == "bad") {
      throw stage_error(
          config_.code == "io" ? error_code::io : error_code::unavailable,
          "it is down");
    }
    outputs out;
    out.text = std::string(in.before.value_or("")) + std::string(in.text);
    out.length = static_cast<std::int64_t>(out.text.size());
    out.ok = out.length >= 3;
    if (out.ok) out.rest = "rest";
    co_return out;
  }
  config config_;
  mutable std::atomic<std::int64_t> runs_ = 0;
};

// A list of the letters of a text.
struct letters {
  static constexpr stage_info info{.id = "letters",
                                   .summary = "Takes a text apart",
                                   .makes = trust::untrusted};
  struct config {};
  struct inputs {
    std::string_view text;
  };
  struct outputs {
    std::vector<std::string> all;
    verdict first;
  };
  static constexpr auto params() { return std::tuple{}; }
  static constexpr auto in_ports() {
    return std::tuple{port("text", &inputs::text)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("all", &outputs::all),
                      port("first", &outputs::first)};
  }
  letters(config, host&) {}
  task<outputs> run(run_context&, inputs in) const {
    outputs out;
    for (const char c : in.text) out.all.emplace_back(1, c);
    out.first = {in.text.starts_with('x'), "x", "begins with x"};
    co_return out;
  }
};

// Joins texts, and writes them somewhere.
struct store {
  static constexpr stage_info info{
      .id = "store", .summary = "Keeps texts", .effects = effect::write};
  struct config {};
  struct inputs {
    std::vector<std::string> texts;
    std::optional<std::string_view> place;
  };
  struct outputs {
    std::string text;
  };
  static constexpr auto params() { return std::tuple{}; }
  static constexpr auto in_ports() {
    return std::tuple{port("texts", &inputs::texts),
                      port("place", &inputs::place).control()};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("text", &outputs::text)};
  }
  store(config, host&) {}
  task<outputs> run(run_context&, inputs in) const {
    outputs out;
    for (const std::string& t : in.texts) out.text += t + ";";
    co_return out;
  }
};

// Passes a text on while it is being written, and says how long it was when the
// first piece came.
struct shout {
  static constexpr stage_info info{.id = "shout", .summary = "In capitals"};
  struct config {};
  struct inputs {
    text_source text;
  };
  struct outputs {
    std::int64_t first = 0;
  };
  struct streams {
    text_stream text;
  };
  static constexpr auto params() { return std::tuple{}; }
  static constexpr auto in_ports() {
    return std::tuple{port("text", &inputs::text)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("first", &outputs::first)};
  }
  static constexpr auto stream_ports() {
    return std::tuple{port("text", &streams::text)};
  }
  shout(config, host&) {}
  task<outputs> run(run_context&, inputs in, streams out) const {
    outputs given;
    for (;;) {
      std::optional<std::string> piece = co_await in.text.next();
      if (!piece) break;
      if (given.first == 0) {
        given.first = static_cast<std::int64_t>(piece->size());
      }
      for (char& c : *piece) {
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
      }
      co_await out.text.send(*std::move(piece));
    }
    co_return given;
  }
};

// Bools that may be absent, as digits.
struct tell {
  static constexpr stage_info info{.id = "tell", .summary = "Tells bools"};
  struct config {};
  struct inputs {
    std::optional<std::vector<bool>> all;
    std::optional<bool> one;
    std::optional<std::string_view> text;
  };
  struct outputs {
    std::string text;
  };
  static constexpr auto params() { return std::tuple{}; }
  static constexpr auto in_ports() {
    return std::tuple{port("all", &inputs::all), port("one", &inputs::one),
                      port("text", &inputs::text)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("text", &outputs::text)};
  }
  tell(config, host&) {}
  task<outputs> run(run_context&, inputs in) const {
    outputs out;
    if (in.all) {
      for (const bool b : *in.all) out.text += b ? '1' : '0';
    }
    if (in.one) out.text += *in.one ? '1' : '0';
    co_return out;
  }
};

// Reads nothing, but would.
struct opens {
  static constexpr stage_info info{
      .id = "opens", .summary = "Takes a file", .effects = effect::read};
  struct config {};
  struct inputs {
    file_name file;
  };
  struct outputs {
    std::string text;
  };
  static constexpr auto params() { return std::tuple{}; }
  static constexpr auto in_ports() {
    return std::tuple{port("file", &inputs::file)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("text", &outputs::text)};
  }
  opens(config, host&) {}
  task<outputs> run(run_context&, inputs in) const {
    co_return outputs{std::move(in.file.name)};
  }
};

registry all_stages() {
  registry r = fakes();
  r.add<flaky>()
      .add<letters>()
      .add<store>()
      .add<shout>()
      .add<tell>()
      .add<opens>();
  return r;
}

std::string faults(std::string_view text) {
  return to_string(check_pipeline_text(text, "t.toml", all_stages()).faults,
                   "t.toml");
}

pipeline compiled(std::string_view text) {
  auto p = pipeline::compile_text(text, "t.toml", all_stages());
  INFO(message_of(p));
  REQUIRE(p.has_value());
  return *std::move(p);
}

json::value output_of(const run_result& r, std::string_view name) {
  const auto it = r.outputs.find(name);
  return it == r.outputs.end() ? json::value("(absent)")
                               : to_json(it->second.data);
}

const stage_report& report_of(const run_result& r, std::string_view id) {
  return *std::ranges::find(r.stages, id, &stage_report::id);
}

constexpr std::string_view gate = R"toml(tinyphi = 1
input.text = "text"
[switch.gate]
short = "len(input.text) < 3"
long  = "len(input.text) > 5"
other = "else"
[stage]
a = { use = "echo", when = "gate.short", with.add = "a" }
b = { use = "echo", when = "not gate.short", with.add = "b" }
c = { use = "echo", when = "gate.long", with.add = "c" }
)toml";

}  // namespace

TEST_CASE("the first case of a switch that holds wins") {
  const auto p = compiled(std::string(gate) +
                          "[output]\ntext = { first = [\"a.text\", "
                          "\"b.text\"] }\nis_long = \"gate.long\"\n"
                          "c = \"c.text?\"\n");
  for (const auto& [q, answer, is_long] :
       {std::tuple("ab", "aba", false), std::tuple("abcd", "abcdb", false),
        std::tuple("abcdef", "abcdefb", true)}) {
    const auto r = p.run({{"text", q}});
    REQUIRE_OK(r);
    CHECK(output_of(*r, "text") == answer);
    CHECK(output_of(*r, "is_long") == is_long);
    CHECK(output_of(*r, "c").as_string().starts_with("(") == !is_long);
  }
}

TEST_CASE("a case is chosen also for those who could do without it") {
  // Nobody else looks at the switch before them.
  const std::string text = std::string(gate).substr(0, gate.find("[stage]")) +
                           "[output]\nall = \"k.text\"\none = \"o.text\"\n"
                           "[stage]\nk = { use = \"tell\", in.all = "
                           "[\"gate.short\", \"gate.other\"] }\no = { use = "
                           "\"tell\", in.one = \"gate.other\", in.text = "
                           "\"input.text\" }\n";
  const auto r = compiled(text).run({{"text", "abcd"}});
  REQUIRE_OK(r);
  CHECK(output_of(*r, "all") == "01");
  CHECK(output_of(*r, "one") == "1");
}

TEST_CASE("alternatives are counted by what excludes each other") {
  const auto with = [](const std::string& output) {
    return faults(std::string(gate) + "[output]\nkept = \"c.text?\"\n" +
                  "all = { first = [\"a.text\", \"b.text\"] }\nx = " + output);
  };
  CHECK(with("{ first = [\"a.text\", \"b.text\"] }").empty());
  CHECK(with("\"c.text?\"").empty());
  CHECK(with("{ from = \"c.text\", default = \"\" }").empty());
  CHECK(with("[\"a.text\", \"c.text\"]") == "");
  CHECK(with("\"c.text\"") ==
        "t.toml:14:5: error[TP2007]: output x: c.text may be absent: switch "
        "gate may choose short, switch gate may choose other; cover that with "
        "first, give a default, or write \"c.text?\"");
  CHECK(with("{ first = [\"a.text\", \"c.text\"] }") ==
        "t.toml:14:16: error[TP2007]: output x: a.text may be absent: switch "
        "gate may choose other; cover that with first, give a default, or "
        "write \"a.text?\"");
}

TEST_CASE("switches and stages that contradict themselves are refused") {
  const auto broken = [](const std::string& switches) {
    return faults(
        "tinyphi = 1\ninput.text = \"text\"\noutput.a = "
        "\"input.text\"\n" +
        switches);
  };
  CHECK(broken("[switch.s]\na = \"else\"\nb = \"true\"") ==
        "t.toml:5:1: error[TP2012]: switch s: the last case must be \"else\", "
        "and only the last");
  CHECK(broken("[switch.s]\na = \"else\"") ==
        "t.toml:4:9: error[TP2012]: switch s has 1 case; it chooses among two "
        "or more");
  CHECK(broken("[switch.s]\na = \"s.c\"\nb = \"else\"") ==
        "t.toml:5:6: error[TP2002]: switch s.a: no such value 's.c'; did you "
        "mean 's.a'?");
  CHECK(broken("[switch.s]\na = \"s.b\"\nb = \"else\"\n[stage.e]\nuse = "
               "\"echo\"\nwhen = \"s.a\"") ==
        "t.toml:4:9: error[TP2006]: stages wait for each other: s -> s");
  CHECK(broken("[switch.s]\na = \"input.text\"\nb = \"else\"")
            .starts_with("t.toml:5:6: error[TP2008]: switch s.a: "));
  CHECK(broken("[switch.e]\na = \"true\"\nb = \"else\"\n[stage.e]\nuse = "
               "\"echo\"") ==
        "t.toml:7:8: error[TP1012]: stage e: 'e' is defined on line 4, too; "
        "stages, switches and tools share their names");
  CHECK(faults(std::string(gate) +
               "d = { use = \"echo\", in.text = \"a.text\", when = "
               "\"gate.long\" }\n[output]\nx = \"d.text?\"\ny = "
               "\"b.text?\"\nz = \"c.text?\"\n") ==
        "t.toml:11:1: error[TP2020]: stage d: never runs, since its inputs and "
        "when need different outcomes");
}

TEST_CASE("conditions ask for what may be absent with has()") {
  const auto when = [](const std::string& condition) {
    return faults(
        "tinyphi = 1\ninput.text = \"text\"\noutput.a = "
        "\"s.text?\"\noutput.b = \"f.rest?\"\n"
        "[stage.f]\nuse = \"flaky\"\n[stage.s]\nuse = \"echo\"\n"
        "when = \"" +
        condition + "\"");
  };
  CHECK(when("has(f.rest) and f.rest == 'rest'").empty());
  CHECK(when("not has(f.rest) or f.rest == 'rest'").empty());
  CHECK(when("f.rest == 'rest'") ==
        "t.toml:9:9: error[TP2007]: stage s.when: f.rest may be absent: f.rest "
        "may be absent; guard it with has(f.rest)");
  CHECK(when("failed(f)") ==
        "t.toml:9:16: error[TP2013]: stage s.when: stage f ends the request "
        "when it fails, so failed(f) never holds; give f fallback = \"skip\"");
}

TEST_CASE("an input that may be left out is absent without it") {
  const auto p = compiled(R"toml(tinyphi = 1
input.text = "text"
input.before = "text?"
output.a = "s.text"
output.b = "input.before?"
[stage.s]
use = "flaky")toml");
  auto r = p.run({{"text", "abc"}});
  REQUIRE_OK(r);
  CHECK(output_of(*r, "a") == "abc");
  CHECK(output_of(*r, "b") == "(absent)");
  r = p.run({{"text", "abc"}, {"before", "-"}});
  REQUIRE_OK(r);
  CHECK(output_of(*r, "a") == "-abc");
  CHECK(faults("tinyphi = 1\ninput.a = { type = \"text?\", default = \"\" }\n"
               "output.a = \"input.a\"") ==
        "t.toml:2:29: error[TP1013]: input a: an input with a default is never "
        "absent; leave out '?' or the default");
}

TEST_CASE("each runs for every item, in order, and leaves out what when says") {
  const std::string text = R"toml(tinyphi = 1
input.texts = "list<text>"
output.a = "s.text"
output.n = "s.length"
[stage.s]
use = "flaky"
each = "input.texts"
in.text = "item"
)toml";
  const value_data texts = value_data::list{"abc", "d", "efgh"};
  for (const std::string more : {"", "parallel = 3\n"}) {
    const auto r = compiled(text + more).run({{"texts", texts}});
    REQUIRE_OK(r);
    CHECK(output_of(*r, "a") == json::array{"abc", "d", "efgh"});
    CHECK(output_of(*r, "n") == json::array{3, 1, 4});
    CHECK(report_of(*r, "s").rounds == 3);
  }
  auto r = compiled(text + "when = \"len(item) > 1 and index < 2\"\n")
               .run({{"texts", texts}});
  REQUIRE_OK(r);
  CHECK(output_of(*r, "a") == json::array{"abc"});
  r = compiled(text).run({{"texts", value_data::list{}}});
  REQUIRE_OK(r);
  CHECK(output_of(*r, "a") == json::array{});
  r = compiled(text).run({{"texts", value_data::list(10001, "x")}});
  CHECK(message_of(r) ==
        "input texts has 10001 items, at most 10000 are allowed");
}

TEST_CASE("a failed item fails the stage, is collected, or has a fallback") {
  const std::string text = R"toml(tinyphi = 1
input.texts = "list<text>"
output.a = "s.text"
[stage.s]
use = "flaky"
each = "input.texts"
in.text = "item"
)toml";
  const input_values in{{"texts", value_data::list{"abc", "bad", "def"}}};
  CHECK(message_of(compiled(text).run(in)) == "stage s: item 1: it is down");
  const std::string collect =
      "tinyphi = 1\ninput.texts = \"list<text>\"\noutput.f = \"s.failed\"\n" +
      text.substr(text.find("output.a")) + "on_error = \"collect\"\n";
  auto r = compiled(collect).run(in);
  REQUIRE_OK(r);
  CHECK(output_of(*r, "a") == json::array{"abc", "def"});
  CHECK(output_of(*r, "f") ==
        json::value{json::object{
            {"index", 1}, {"code", "unavailable"}, {"message", "it is down"}}});
  r = compiled(text + "fallback = { text = \"-\" }\n").run(in);
  REQUIRE_OK(r);
  CHECK(output_of(*r, "a") == json::array{"abc", "-", "def"});
  CHECK(faults(text + "fallback = \"skip\"\n") ==
        "t.toml:4:8: error[TP2010]: stage s.each: port text may be absent for "
        "an item, so its list would have holes; give it a value in fallback = "
        "{ text = ... }");
  CHECK(faults("tinyphi = 1\noutput.rest = \"s.rest\"\n" + text.substr(12))
            .ends_with("would have holes; give it a default in a file of its "
                       "own"));
}

TEST_CASE("members of json are not taken by name, they may be absent") {
  CHECK(faults("tinyphi = 1\ninput.j = \"json\"\noutput.a = \"input.j.x\"\n") ==
        "t.toml:3:12: error[TP2002]: output a: what is before 'x' is json, "
        "whose members are not known before it runs");
}

TEST_CASE("each of what is no list, and items elsewhere, are refused") {
  CHECK(faults("tinyphi = 1\ninput.text = \"text\"\noutput.a = \"s.text\"\n"
               "[stage.s]\nuse = \"echo\"\neach = \"input.text\"\nin.text = "
               "\"item\"") ==
        "t.toml:6:8: error[TP2009]: stage s.each: input.text is text, not a "
        "list");
  CHECK(faults("tinyphi = 1\noutput.a = \"s.text\"\n[stage.s]\nuse = \"echo\"\n"
               "in.text = \"item\"")
            .starts_with("t.toml:5:11: error[TP2002]: stage s.in.text: no such "
                         "value 'item'"));
  CHECK(faults("tinyphi = 1\ninput.text = \"text\"\noutput.a = \"s.text\"\n"
               "[stage.s]\nuse = \"echo\"\nparallel = 2") ==
        "t.toml:6:1: error[TP1013]: stage s: parallel needs each");
}

TEST_CASE("repeat goes on until it is enough, and hands on what it carries") {
  const std::string text = R"toml(tinyphi = 1
input.text = "text"
output.a = "s.text"
[stage.s]
use = "flaky"
repeat = { until = "length >= 5", max = 4, carry = { before = "text" } }
)toml";
  auto r = compiled(text).run({{"text", "ab"}});
  REQUIRE_OK(r);
  CHECK(output_of(*r, "a") == "ababab");
  CHECK(report_of(*r, "s").rounds == 3);
  r = compiled(text).run({{"text", "a"}});
  REQUIRE(!r);
  CHECK(r.error().code == error_code::exhausted);
  CHECK(message_of(r) == "stage s: 4 rounds, and still not length >= 5");
  const std::string last =
      text.substr(0, text.rfind(" }")) + ", exhausted = \"last\" }\n";
  r = compiled(last).run({{"text", "a"}});
  REQUIRE_OK(r);
  CHECK(output_of(*r, "a") == "aaaa");
  const auto carry = [](const std::string& what) {
    return faults(
        "tinyphi = 1\ninput.text = \"text\"\noutput.a = "
        "\"s.text\"\n[stage.s]\nuse = \"flaky\"\nrepeat = { until = "
        "\"ok\", max = 2, carry = { " +
        what + " } }\n");
  };
  CHECK(carry("before = \"txt\"") ==
        "t.toml:6:45: error[TP2011]: stage s.repeat.carry: no out-port 'txt'; "
        "did you mean 'text'?");
  CHECK(carry("befor = \"text\"") ==
        "t.toml:6:45: error[TP2011]: stage s.repeat.carry: no in-port 'befor'; "
        "did you mean 'before'?");
  CHECK(carry("text = \"text\"") ==
        "t.toml:6:45: error[TP2011]: stage s.repeat.carry: in.text is absent "
        "in round 1, so it must be optional");
  CHECK(carry("before = \"length\"") ==
        "t.toml:6:1: error[TP2011]: stage s.repeat.carry: length is int, "
        "in.before takes text");
}

TEST_CASE("a failure is tried again, as often and for as long as said") {
  const auto run = [](const std::string& more) {
    return compiled(
               "tinyphi = 1\ninput.text = \"text\"\noutput.a = "
               "\"s.text\"\n[stage.s]\nuse = \"flaky\"\nwith.fails = 2\n" +
               more)
        .run({{"text", "x"}});
  };
  auto r = run("retry = 2");
  REQUIRE_OK(r);
  CHECK(report_of(*r, "s").attempts == 3);
  CHECK(message_of(run("retry = 1")) == "stage s: it is down");
  CHECK(message_of(run("retry = 2\nwith.code = \"io\"")) ==
        "stage s: it is down");
  r =
      run("retry = { max = 2, on = [\"io\"], wait = \"1ms\" }\nwith.code = "
          "\"io\"");
  REQUIRE_OK(r);
  CHECK(report_of(*r, "s").attempts == 3);
  CHECK(faults("tinyphi = 1\ninput.texts = \"list<text>\"\noutput.a = "
               "\"s.text\"\n[stage.s]\nuse = \"store\"\nretry = 2") ==
        "t.toml:6:1: error[TP2019]: stage s: has effect write, so it is not "
        "retried");
}

TEST_CASE("values of a fallback stand for a failed stage") {
  const auto p = compiled(R"toml(tinyphi = 1
input.text = "text"
output.a = "s.text"
output.n = { from = "s.length", default = -1 }
output.b = { first = ["t.text", "s.text"] }
[stage.s]
use = "flaky"
with.fails = 1
fallback = { text = "none" }
[stage.t]
use = "echo"
when = "failed(s)"
with.add = "!"
)toml");
  auto r = p.run({{"text", "abc"}});
  REQUIRE_OK(r);
  CHECK(output_of(*r, "a") == "none");
  CHECK(output_of(*r, "n") == -1);
  CHECK(output_of(*r, "b") == "abc!");
  CHECK(report_of(*r, "s").failed);
  r = p.run({{"text", "abc"}});
  REQUIRE_OK(r);
  CHECK(output_of(*r, "n") == 3);
  CHECK(output_of(*r, "b") == "abc");
  const auto fallback = [](const std::string& table) {
    return faults(
        "tinyphi = 1\ninput.text = \"text\"\noutput.a = "
        "\"s.text\"\n[stage.s]\nuse = \"flaky\"\nfallback = " +
        table);
  };
  CHECK(fallback("{ txt = \"a\" }") ==
        "t.toml:6:14: error[TP2014]: stage s.fallback: no out-port 'txt'; did "
        "you mean 'text'?");
  CHECK(fallback("{ text = 1 }") ==
        "t.toml:6:21: error[TP2003]: stage s.fallback.text: an integer, not a "
        "text");
}

TEST_CASE("a stage that fails, or another in its place, is always one of two") {
  const std::string text = R"toml(tinyphi = 1
input.text = "text"
output.a = { first = ["s.text", "t.text"] }
[stage]
s = { use = "flaky", fallback = "skip" }
t = { use = "echo", when = "failed(s)" }
)toml";
  CHECK(faults(text).empty());
}

TEST_CASE("lists of references leave out what is absent") {
  const auto p = compiled(R"toml(tinyphi = 1
input.text = "text"
output.a = "j.text"
[stage]
s = { use = "echo", when = "input.text == 'x'", with.add = "1" }
t = { use = "echo", with.add = "2" }
j = { use = "store", in.texts = ["s.text", "t.text", "input.text"] }
)toml");
  auto r = p.run({{"text", "x"}});
  REQUIRE_OK(r);
  CHECK(output_of(*r, "a") == "x1;x2;x;");
  r = p.run({{"text", "y"}});
  REQUIRE_OK(r);
  CHECK(output_of(*r, "a") == "y2;y;");
}

TEST_CASE("fields of records are bound by their names") {
  const std::string text = R"toml(tinyphi = 1
input.text = "text"
output.a = "s.text"
output.b = "l.first.blocked"
[stage]
l = { use = "letters" }
s = { use = "echo", in.text = "l.first.reason" }
)toml";
  const auto r = compiled(text).run({{"text", "xyz"}});
  REQUIRE_OK(r);
  CHECK(output_of(*r, "a") == "begins with x");
  CHECK(output_of(*r, "b") == true);
  std::string misspelt = text;
  misspelt.replace(misspelt.find("first.reason"), 12, "first.raeson");
  CHECK(faults(misspelt) ==
        "t.toml:7:31: error[TP2002]: stage s.in.text: verdict has no field "
        "'raeson'; did you mean 'reason'?");
}

TEST_CASE("untrusted data drives no effect, but by a grant with a reason") {
  const std::string head = R"toml(tinyphi = 1
input.text = { type = "text", trust = "untrusted" }
input.texts = "list<text>"
output.a = "k.text?"
)toml";
  const auto stored = [&](const std::string& stage,
                          const std::string& allow = "") {
    return faults(head + allow +
                  "[stage]\nl = { use = \"letters\" }\nk = { "
                  "use = \"store\", " +
                  stage + " }\n");
  };
  // What is written is free; whether and where is not.
  CHECK(stored("in.texts = \"l.all\"").find("TP40") == std::string::npos);
  CHECK(stored("when = \"l.first.blocked\"") ==
        "t.toml:7:29: error[TP4002]: stage k: has effect write, and untrusted "
        "data decides whether it runs: k.when <- l.first <- input.text; put a "
        "person in between (use = \"approve\") or grant k.when with a reason "
        "in [allow].flow");
  CHECK(stored("in.place = \"l.first.rule\"") ==
        "t.toml:7:33: error[TP4001]: stage k: in.place decides what is done "
        "(effect write) and is untrusted: l.first <- input.text; put a person "
        "in between (use = \"approve\") or grant k.place with a reason in "
        "[allow].flow");
  CHECK(stored("each = \"l.all\", in.texts = \"input.texts\"")
            .find("k.each <- l.all") != std::string::npos);
  CHECK(stored("when = \"l.first.blocked\"",
               "allow.flow = [{ to = \"k.when\", why = \"it is cheap\" }]\n") ==
        "t.toml:5:15: note[TP4009]: [allow].flow: k.when is driven by "
        "untrusted data: it is cheap");
  CHECK(stored("in.texts = \"l.all\"",
               "allow.flow = [{ to = \"k.when\", why = \"it is cheap\" }]\n")
            .find("error[TP4008]: [allow].flow: nothing needs the grant for "
                  "'k.when'") != std::string::npos);
}

TEST_CASE("a reader of a stream begins with its first piece") {
  const auto p = compiled(R"toml(tinyphi = 1
output.a = "s.text"
output.n = "s.first"
[stage.f]
use = "flood"
with.n = 20
[stage.s]
use = "shout"
in.text = "f.text"
)toml");
  std::string seen;
  auto r = p.run({}, {}, [&](std::string_view output, std::string_view piece) {
    CHECK(output == "a");
    seen += piece;
  });
  REQUIRE_OK(r);
  CHECK(seen.size() == 20000);
  CHECK(seen.starts_with("AAAA"));
  // It did not wait for the whole text.
  CHECK(output_of(*r, "n").as_int64() < 20000);
  r = p.run({});
  REQUIRE_OK(r);
  CHECK(output_of(*r, "a").as_string().size() == 20000);
}

TEST_CASE("a text that is there is a stream of one piece") {
  const auto p = compiled(R"toml(tinyphi = 1
input.text = "text"
output.a = "s.text"
[stage.s]
use = "shout"
)toml");
  const auto r = p.run({{"text", "abc"}});
  REQUIRE_OK(r);
  CHECK(output_of(*r, "a") == "ABC");
}

TEST_CASE("a stream that fails after it was read ends the request") {
  const std::string text = R"toml(tinyphi = 1
output.a = { from = "s.text", default = "none" }
[stage.f]
use = "flood"
fallback = "skip"
with.fail_at = 3
[stage.s]
use = "shout"
in.text = "f.text"
)toml";
  CHECK(message_of(compiled(text).run({})) == "stage f: the flood dried up");
}

TEST_CASE("a fake stands for every attempt of a stage") {
  const auto p = compiled(R"toml(tinyphi = 1
input.text = "text"
output.a = { first = ["s.text", "t.text"] }
[stage]
s = { use = "flaky", retry = 1, fallback = "skip" }
t = { use = "echo", when = "failed(s)" }
)toml");
  std::size_t n = 0;
  run_options options;
  const auto doubles = std::make_shared<run_doubles>();
  doubles->left_out.resize(2);
  doubles->fake =
      [&](std::size_t stage,
          std::size_t attempt) -> std::optional<result<call_outputs>> {
    if (p.graph().stages[stage].id != "s") return std::nullopt;
    CHECK(attempt == n++);
    return result<call_outputs>(error{error_code::unavailable, "faked"});
  };
  options.doubles = doubles;
  boost::asio::io_context context;
  std::optional<result<run_result>> r;
  const auto whole = [&]() -> task<void> {
    input_values in{{"text", "x"}};
    r.emplace(co_await p.async_run(std::move(in), options));
  };
  boost::asio::co_spawn(context, whole, [](std::exception_ptr) {});
  context.run();
  REQUIRE_OK(*r);
  CHECK(n == 2);
  CHECK(output_of(**r, "a") == "x");
}

namespace {

// A folder with files that call each other; `main.toml` is compiled.
struct files {
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder.path() / name) << text;
  }
  [[nodiscard]] std::string faults() const {
    const auto file = folder.path() / "main.toml";
    const auto checked = check_pipeline(file, all_stages());
    INFO(message_of(checked));
    REQUIRE(checked.has_value());
    std::string all = to_string(checked->faults, "main.toml");
    const std::string at = folder.path().string() + "/";
    for (std::size_t i = all.find(at); i != std::string::npos;
         i = all.find(at)) {
      all.erase(i, at.size());
    }
    return all;
  }
  [[nodiscard]] pipeline compiled() const {
    auto p = pipeline::compile(folder.path() / "main.toml", all_stages());
    INFO(message_of(p));
    REQUIRE(p.has_value());
    return *std::move(p);
  }

  temp_folder folder;
};

constexpr const char* loud_file = R"toml(tinyphi = 1
input.text = "text"
input.mark = { type = "text", default = "!" }
output.loud = "s.text"
output.length = "f.length"
output.rest = "f.rest?"
[stage]
f = { use = "flaky" }
s = { use = "store", in.texts = ["f.text", "input.mark"] }
)toml";

}  // namespace

TEST_CASE("a file is called like a plugin, for every item and again") {
  const files f;
  f.write("loud.toml", loud_file);
  f.write("main.toml", R"toml(tinyphi = 1
input.texts = "list<text>"
input.more = "text"
output.a = "one.loud"
output.n = "two.length"
output.rest = "two.rest?"
[stage]
one = { use = "./loud.toml", each = "input.texts", in.text = "item" }
two = { use = "./loud.toml", in.text = "input.more", in.mark = "input.more", repeat = { until = "length > 0", max = 2 } }
)toml");
  const auto r = f.compiled().run(
      {{"texts", value_data::list{"a", "b"}}, {"more", "abc"}});
  REQUIRE_OK(r);
  CHECK(output_of(*r, "a") == json::array{"a;!;", "b;!;"});
  CHECK(output_of(*r, "n") == 3);
  CHECK(output_of(*r, "rest") == "rest");
}

TEST_CASE("what is wrong with a call is told, in the caller or in the file") {
  const files f;
  f.write("loud.toml", loud_file);
  const auto with_stage = [&](const std::string& stage) {
    f.write("main.toml",
            "tinyphi = 1\ninput.text = { type = \"text\", trust = "
            "\"untrusted\" }\noutput.a = \"one.loud\"\n[stage]\none = { " +
                stage + " }\n");
    return f.faults();
  };
  CHECK(with_stage("use = \"./quiet.toml\"")
            .starts_with("main.toml:5:15: error[TP1010]: stage one: "));
  CHECK(with_stage("use = \"./loud.toml\", in.txt = \"input.text\"") ==
        "main.toml:5:33: error[TP2001]: stage one: plugin './loud.toml' has no "
        "in-port 'txt'; did you mean 'text'?");
  CHECK(with_stage("use = \"./loud.toml\"") ==
        "main.toml:5:1: error[TP4004]: stage one.in.text: input.text is "
        "untrusted, ./loud.toml declares input text as user");
  CHECK(with_stage("use = \"./main.toml\"") ==
        "main.toml:5:15: error[TP2018]: stage one: files call each other: "
        "main.toml -> main.toml");
  f.write("broken.toml",
          "tinyphi = 1\ninput.text = \"text\"\noutput.a = \"s.txt\"\n"
          "[stage.s]\nuse = \"echo\"\n");
  CHECK(with_stage("use = \"./broken.toml\"") ==
        "broken.toml:3:12: error[TP2002]: output a: no such value 's.txt'; did "
        "you mean 's.text'?");
  for (int i = 0; i < 9; ++i) {
    f.write("n" + std::to_string(i) + ".toml",
            "tinyphi = 1\ninput.text = \"text\"\noutput.a = \"s.a\"\n[stage.s]"
            "\nuse = \"./n" +
                std::to_string(i + 1) + ".toml\"\n");
  }
  CHECK(with_stage("use = \"./n0.toml\"").find("more than 8 deep") !=
        std::string::npos);
}

TEST_CASE("a called file may read no more than its caller") {
  const files f;
  f.write("main.toml", R"toml(tinyphi = 1
allow.read = ["in"]
input.file = "file"
output.a = "one.a"
stage.one.use = "./one.toml"
)toml");
  const auto with_folder = [&](const std::string& folder) {
    f.write("one.toml", "tinyphi = 1\nallow.read = [\"" + folder +
                            "\"]\ninput.file = \"file\"\noutput.a = "
                            "\"s.text\"\nstage.s.use = \"opens\"\n");
    return f.faults();
  };
  CHECK(with_folder("in/new").empty());
  CHECK_THAT(with_folder("inn"),
             Catch::StartsWith("main.toml:5:17: error[TP4003]: stage one: "
                               "./one.toml grants [allow].read = '") &&
                 Catch::EndsWith("inn', which nothing in this file's "
                                 "[allow].read holds"));
}
