// SPDX-License-Identifier: MIT
#include "tinyphi/pipeline/executor.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "pipeline/fakes.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

pipeline compiled(std::string_view text) {
  auto p = pipeline::compile_text(text, "t.toml", fakes());
  INFO(message_of(p));
  REQUIRE(p.has_value());
  return *std::move(p);
}

std::string text_of(const run_result& r, std::string_view output) {
  const auto it = r.outputs.find(output);
  return it == r.outputs.end() ? "(no output)" : *it->second.get<std::string>();
}

// Runs a pipeline whose only input is `q`.
result<run_result> run(std::string_view text, std::string q = "x",
                       const stop_condition& stop = {}) {
  return compiled(text).run({{"q", std::move(q)}}, stop);
}

// What a run on a loop of its own ends with.
std::string message_of_run(const pipeline& p, const run_options& options) {
  std::string message;
  boost::asio::io_context context;
  const auto whole = [&]() -> task<void> {
    const auto r = co_await p.async_run({}, options);
    message = message_of(r);
  };
  boost::asio::co_spawn(context, whole, [](std::exception_ptr) {});
  context.run();
  return message;
}

}  // namespace

TEST_CASE("a pipeline runs from its input to its output") {
  const auto r = run(R"(
tinyphi = 1
[input]
q = "text"
[output]
a = "second.text"
[stage.second]
use = "echo"
in.text = "first.text"
with.add = "!"
[stage.first]
use = "echo"
in.text = "input.q"
with.add = "?")",
                     "why");
  REQUIRE_OK(r);
  CHECK(text_of(*r, "a") == "why?!");
  REQUIRE(r->stages.size() == 2);
  CHECK(r->stages[0].id == "first");
  CHECK(r->stages[1].outcome == stage_outcome::done);
}

TEST_CASE("labels follow the values, each prompt segment keeps its own") {
  const std::string_view text = R"(
tinyphi = 1
[input]
q = "text"
[output]
a = "gen.text"
docs = "look.docs"
echo = "say.text"
[stage.say]
use = "echo"
in.text = "input.q"
[stage.look]
use = "find.x"
in.query = "input.q"
with.index = "i.db"
[stage.ask]
use = "lay_out"
in.docs = "look.docs"
with.names = "q docs*"
[stage.gen]
use = "answer")";
  const pipeline p = compiled(text);
  const auto label = [&](std::string_view name) {
    for (const graph_slot& s : p.graph().slots) {
      if (s.name == name) return s.label;
    }
    return trust::trusted;
  };
  CHECK(label("say.text") == trust::user);
  CHECK(label("look.docs") == trust::untrusted);
  CHECK(label("ask.prompt") == trust::untrusted);
  const auto r = p.run({{"q", std::string("xx")}});
  REQUIRE_OK(r);
  CHECK(text_of(*r, "a") == "docs=2;q=xx;");
  CHECK(r->outputs.find("a")->second.label == trust::untrusted);
  CHECK(r->outputs.find("echo")->second.label == trust::user);
}

TEST_CASE("a condition skips a stage and what needs it") {
  const std::string_view text = R"toml(
tinyphi = 1
[input]
q = "text"
[output]
a = { first = ["gen.text", "other.text"], default = "nothing" }
[stage.look]
use = "find.x"
in.query = "input.q"
with.index = "i.db"
[stage.ask]
use = "lay_out"
in.docs = "look.docs"
when = "look.count > 0 and not (input.q == 'xno')"
with.names = "docs*"
[stage.gen]
use = "answer"
[stage.other]
use = "echo"
in.text = "input.q"
when = "len(input.q) == 2")toml";
  const auto found = run(text, "ax");
  REQUIRE_OK(found);
  CHECK(text_of(*found, "a") == "docs=1;");
  const auto other = run(text, "ab");
  REQUIRE_OK(other);
  CHECK(text_of(*other, "a") == "ab");
  const auto none = run(text, "xno");
  REQUIRE_OK(none);
  CHECK(text_of(*none, "a") == "nothing");
  for (const stage_report& s : none->stages) {
    if (s.id == "ask") CHECK(s.reason.starts_with("when: look.count"));
    if (s.id == "gen") CHECK(s.reason == "in.prompt is absent");
  }
}

TEST_CASE(
    "a condition that asks for a value of a skipped stage does not hold") {
  const auto r = run(R"toml(
tinyphi = 1
[input]
q = "text"
[output]
a = { first = ["late.text", "longer.text"], default = "nothing" }
[stage.early]
use = "echo"
in.text = "input.q"
when = "input.q == 'other'"
[stage.late]
use = "echo"
in.text = "input.q"
when = "has(early.text) and early.text != 'x'"
[stage.longer]
use = "echo"
in.text = "input.q"
when = "has(early.text) and not (len(early.text) == 5)")toml",
                     "why");
  REQUIRE_OK(r);
  CHECK(text_of(*r, "a") == "nothing");
  for (const stage_report& s : r->stages) {
    CHECK(s.outcome == stage_outcome::skipped);
    CHECK(s.reason.starts_with("when: "));
  }
}

TEST_CASE("independent stages run at the same time") {
  const auto r = run(R"(
tinyphi = 1
[input]
q = "text"
[output]
a = "a.text"
b = "b.text"
[stage.a]
use = "echo"
in.text = "input.q"
with.wait_ms = 200
[stage.b]
use = "echo"
in.text = "input.q"
with.wait_ms = 200)");
  REQUIRE_OK(r);
  CHECK(r->seconds < 0.35);
}

TEST_CASE("blocking work runs on the pool") {
  const auto r = run(R"(
tinyphi = 1
[input]
q = "text"
[output]
a = "b.on_pool"
[stage.b]
use = "block"
in.text = "input.q"
with.ms = 2)");
  REQUIRE_OK(r);
  CHECK(*r->outputs.find("a")->second.get<bool>());
}

TEST_CASE("a stage that is out of time is ended, waiting or blocking") {
  for (const std::string use :
       {"use = \"echo\"\nwith.wait_ms = 60000", "use = \"block\""}) {
    const bool waits = use.find("echo") != std::string::npos;
    const auto r =
        run("tinyphi = 1\n[input]\nq = \"text\"\n[output]\na = \"s." +
            std::string(waits ? "text" : "on_pool") +
            "\"\n[stage.s]\nin.text = \"input.q\"\n"
            "timeout = \"50ms\"\n" +
            use);
    REQUIRE(!r);
    CHECK(r.error().code == error_code::deadline);
    CHECK(message_of(r) == "stage s: no result within 50 ms");
  }
}

TEST_CASE("[limits] timeout and deadline hold") {
  const std::string tail = R"(
[input]
q = "text"
[output]
a = "s.text"
[stage.s]
use = "echo"
in.text = "input.q"
with.wait_ms = 60000)";
  auto r = run("tinyphi = 1\nlimits.timeout = \"40ms\"" + tail);
  CHECK(message_of(r) == "stage s: no result within 40 ms");
  r = run("tinyphi = 1\nlimits.deadline = \"40ms\"" + tail);
  REQUIRE(!r);
  CHECK(r.error().code == error_code::deadline);
  CHECK(message_of(r) == "the request's deadline has passed");
}

TEST_CASE("fallback = skip makes a failed stage absent") {
  const auto r = run(R"(
tinyphi = 1
[input]
q = "text"
[output]
a = { first = ["s.text", "t.text"], default = "" }
[stage.s]
use = "throw"
fallback = "skip"
[stage.t]
use = "echo"
in.text = "input.q")");
  REQUIRE_OK(r);
  CHECK(text_of(*r, "a") == "x");
  for (const stage_report& s : r->stages) {
    if (s.id == "s") CHECK(s.reason == "the server is down");
  }
}

TEST_CASE("an error names its stage, whatever the plugin threw") {
  const auto thrown = [](const std::string& how) {
    return run(
        "tinyphi = 1\n[input]\nq = \"text\"\n[output]\na = \"s.text\"\n"
        "q = \"input.q\"\n[stage.s]\nuse = \"throw\"\nwith.how = \"" +
        how + "\"");
  };
  auto r = thrown("error");
  REQUIRE(!r);
  CHECK(r.error().code == error_code::unavailable);
  CHECK(message_of(r) == "stage s: the server is down");
  r = thrown("std");
  REQUIRE(!r);
  CHECK(r.error().code == error_code::internal);
  CHECK(message_of(r) == "stage s: threw: a plain exception");
  CHECK(message_of(thrown("int")) ==
        "stage s: threw something that is not an exception");
  CHECK(message_of(thrown("pool")) == "stage s: threw: from the pool");
  CHECK(message_of(thrown("long")) ==
        "stage s: port text is 1048577 bytes, at most 1048576 are allowed by "
        "[limits].text");
}

TEST_CASE("one failure cancels the stages that run") {
  const auto start = std::chrono::steady_clock::now();
  const auto r = run(R"(
tinyphi = 1
[input]
q = "text"
[output]
a = "s.text"
b = "slow.text"
c = "busy.on_pool"
d = "first.text"
[stage.s]
use = "throw"
after = ["first"]
[stage.first]
use = "echo"
in.text = "input.q"
with.wait_ms = 30
[stage.slow]
use = "echo"
in.text = "input.q"
with.wait_ms = 60000
[stage.busy]
use = "block"
in.text = "input.q")");
  CHECK(message_of(r) == "stage s: the server is down");
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}

TEST_CASE("the caller cancels from another thread") {
  const pipeline p = compiled(R"(
tinyphi = 1
[input]
q = "text"
[output]
a = "s.text"
[stage.s]
use = "echo"
in.text = "input.q"
with.wait_ms = 60000)");
  stop_condition stop;
  std::thread other([token = stop.token] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    token.cancel();
  });
  const auto r = p.run({{"q", std::string("x")}}, stop);
  other.join();
  REQUIRE(!r);
  CHECK(r.error().code == error_code::cancelled);
}

namespace {

constexpr std::string_view flood_text = R"(
tinyphi = 1
[output]
a = { from = "s.text" }
[stage.s]
use = "flood")";

}  // namespace

TEST_CASE("a streamed output comes piece by piece and is the value") {
  std::string seen;
  std::size_t pieces = 0;
  const auto r =
      compiled(flood_text)
          .run({}, {}, [&](std::string_view output, std::string_view piece) {
            CHECK(output == "a");
            seen += piece;
            ++pieces;
          });
  REQUIRE_OK(r);
  CHECK(seen.size() == 100000);
  CHECK(pieces > 10);
  CHECK(seen == text_of(*r, "a"));
}

TEST_CASE("a slow reader holds the sender back") {
  const pipeline p = compiled(flood_text);
  flood::sent = 0;
  std::int64_t ahead = 0, got = 0;
  run_options options;
  options.on_text = [&](std::string_view, std::string piece) -> task<void> {
    co_await sleep_ms(1);
    ahead = std::max(ahead, flood::sent - got);
    got += static_cast<std::int64_t>(piece.size() / 1000);
  };
  const std::string message = message_of_run(p, options);
  CHECK(message == "(no error)");
  CHECK(got == 100);
  CHECK(ahead <= 6);
}

TEST_CASE("without a reader a stream is only collected") {
  const auto r = compiled(flood_text).run({});
  REQUIRE_OK(r);
  CHECK(text_of(*r, "a").size() == 100000);
}

TEST_CASE("a reader that throws ends the request") {
  const auto r =
      compiled(flood_text).run({}, {}, [](std::string_view, std::string_view) {
        throw std::runtime_error("pipe closed");
      });
  CHECK(message_of(r) == "reading the output: threw: pipe closed");
}

TEST_CASE("a stream that fails after its first piece fails for good") {
  const std::string text =
      std::string(flood_text) + "\nfallback = \"skip\"\nwith.fail_at = 50\n";
  const std::string with_default =
      "tinyphi = 1\n[output]\na = { from = \"s.text\", default "
      "= \"none\" }" +
      text.substr(text.find("\n[stage.s]"));
  const pipeline p = compiled(with_default);
  std::string seen;
  const auto keep = [&](std::string_view, std::string_view piece) {
    seen += piece;
  };
  CHECK(message_of(p.run({}, {}, keep)) == "stage s: the flood dried up");
  CHECK(!seen.empty());
  // Nobody saw a piece: the fallback holds.
  const auto r = p.run({});
  REQUIRE_OK(r);
  CHECK(text_of(*r, "a") == "none");
}

TEST_CASE("a stream that fails while its first piece is read fails for good") {
  const pipeline p = compiled(
      "tinyphi = 1\n[output]\na = { from = \"s.text\", default "
      "= \"none\" }\n[stage.s]\nuse = \"flood\"\nfallback = \"skip\"\n"
      "with.fail_at = 1\n");
  std::string seen;
  run_options options;
  options.on_text = [&](std::string_view, std::string piece) -> task<void> {
    seen += piece;
    co_await sleep_ms(50);
  };
  const std::string message = message_of_run(p, options);
  CHECK(message == "stage s: the flood dried up");
  CHECK(seen == std::string(1000, 'a'));
}

TEST_CASE("a stream that failed before anybody read it is not read later") {
  std::string seen;
  const auto r = compiled(R"(
tinyphi = 1
[input]
q = "text"
[output]
a = { first = ["late.text", "s.text"], default = "none" }
[stage.slow]
use = "echo"
in.text = "input.q"
with.wait_ms = 50
[stage.late]
use = "echo"
in.text = "slow.text"
when = "slow.text == 'no'"
[stage.s]
use = "flood"
fallback = "skip"
with.fail_at = 3)")
                     .run({{"q", "yes"}}, {},
                          [&](std::string_view, std::string_view piece) {
                            seen += piece;
                          });
  REQUIRE_OK(r);
  CHECK(text_of(*r, "a") == "none");
  CHECK(seen == "none");
}

TEST_CASE("a streamed output falls to its next source and its default") {
  const std::string_view text = R"(
tinyphi = 1
[input]
q = "text"
[output]
a = { first = ["s.text", "t.text"], default = "none" }
[stage.s]
use = "flood"
when = "input.q == 'flood'"
[stage.t]
use = "echo"
in.text = "input.q"
when = "input.q != 'none'")";
  for (const std::string q : {"other", "none"}) {
    std::string seen;
    const auto r = compiled(text).run(
        {{"q", q}}, {},
        [&](std::string_view, std::string_view piece) { seen += piece; });
    REQUIRE_OK(r);
    CHECK(seen == q);
    CHECK(text_of(*r, "a") == q);
  }
}

TEST_CASE("cancelling the awaiting coroutine cancels the request") {
  const pipeline p = compiled(R"(
tinyphi = 1
[output]
a = "s.text"
[stage.s]
use = "echo"
in.text = "t.text"
with.wait_ms = 60000
[stage.t]
use = "echo"
in.text = "u.text"
[stage.u]
use = "flood"
with.n = 1)");
  boost::asio::io_context context;
  boost::asio::cancellation_signal signal;
  std::string message = "(not ended)";
  const auto whole = [&]() -> task<void> {
    const auto r = co_await p.async_run({});
    message = message_of(r);
  };
  const auto stop = [&]() -> task<void> {
    co_await sleep_ms(30);
    signal.emit(boost::asio::cancellation_type::terminal);
  };
  const auto ended = [](std::exception_ptr) {};
  boost::asio::co_spawn(
      context, whole,
      boost::asio::bind_cancellation_slot(signal.slot(), ended));
  boost::asio::co_spawn(context, stop, ended);
  context.run();
  CHECK(message == "the request was cancelled");
}

TEST_CASE("many requests share one pipeline and one io_context") {
  const pipeline p = compiled(R"(
tinyphi = 1
limits.concurrency = 50
[input]
q = "text"
[output]
a = "s.text"
b = "b.on_pool"
[stage.s]
use = "echo"
in.text = "input.q"
with.wait_ms = 5
[stage.b]
use = "block"
in.text = "s.text"
with.ms = 1)");
  boost::asio::io_context context;
  std::atomic<int> right = 0;
  const auto one = [&](int i) -> task<void> {
    input_values inputs{{"q", std::to_string(i)}};
    const auto r = co_await p.async_run(std::move(inputs));
    if (r && text_of(*r, "a") == std::to_string(i)) ++right;
  };
  for (int i = 0; i < 50; ++i) {
    boost::asio::co_spawn(context, one(i), [](std::exception_ptr) {});
  }
  std::thread second([&] { context.run(); });
  context.run();
  second.join();
  CHECK(right == 50);
}

TEST_CASE("inputs are checked for name, presence, type, size and UTF-8") {
  const pipeline p = compiled(R"(
tinyphi = 1
[input]
question = { type = "text", max_bytes = 4 }
k = { type = "int", default = 3 }
[output]
a = "s.text"
k = "input.k"
[stage.s]
use = "echo"
in.text = "input.question")");
  CHECK(message_of(p.run({})) == "input question (text) is missing");
  CHECK(message_of(p.run({{"question", true}})) ==
        "input question: true or false, not a text");
  CHECK(message_of(p.run({{"question", std::string("12345")}})) ==
        "input question is 5 bytes, at most 4 are allowed");
  CHECK(message_of(p.run({{"question", std::string("a\xFF")}})) ==
        "input question: byte 1 is not UTF-8");
  CHECK(message_of(p.run({{"question", std::string("x")},
                          {"questoin", std::string("x")}})) ==
        "no input 'questoin'; did you mean 'question'?");
  CHECK(message_of(parse_input(p.graph(), "k", "3x")) ==
        "input k: '3x' is not an int");
  CHECK(message_of(parse_input(p.graph(), "kk", "3")) ==
        "no input 'kk'; did you mean 'k'?");
  CHECK(*parse_input(p.graph(), "k", "-3") == value_data(std::int64_t{-3}));
  CHECK(p.run({{"question", std::string("x")}}).has_value());
}

TEST_CASE("outputs come in the order of the file") {
  const auto p = compiled(R"(tinyphi = 1
input.text = "text"
output.zebra = "s.text"
output.ape = "input.text"
output.moose = "s.text"
[stage.s]
use = "echo")");
  const auto r = p.run({{"text", std::string("x")}});
  REQUIRE_OK(r);
  std::string names;
  for (const auto& [name, value] : r->outputs) names += name + ' ';
  CHECK(names == "zebra ape moose ");
}

TEST_CASE(
    "of two outputs that take a stream the first is one, both are whole") {
  const auto p = compiled(R"(tinyphi = 1
output.b = "s.text"
output.a = "s.text"
output.c = "t.text"
[stage.s]
use = "flood"
[stage.t]
use = "flood")");
  std::string seen;
  const auto r =
      p.run({}, {}, [&](std::string_view output, std::string_view piece) {
        CHECK(output == "b");
        seen += piece;
      });
  REQUIRE_OK(r);
  CHECK(seen == text_of(*r, "b"));
  for (const char* name : {"a", "b", "c"}) {
    CHECK(text_of(*r, name).size() == 100000);
  }
}
