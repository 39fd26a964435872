// SPDX-License-Identifier: MIT
// What a request may take: [limits] and what it proves, files that are called
// within those of their caller, and the streams and the cancellation that go
// through such calls.
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <fstream>

#include "pipeline/fakes.h"
#include "support/temp_folder.h"
#include "support/test.h"
#include "tinyphi/pipeline/executor.h"
#include "tinyphi/pipeline/request_queue.h"
#include "tinyphi/pipeline/value_json.h"
#include "tinyphi/pipeline/value_ledger.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

// `n` texts of `bytes` letters; and for whom it runs, and how many of it do.
struct give {
  static constexpr stage_info info{.id = "give", .summary = "Gives texts"};
  struct config {
    std::int64_t n = 1;
    std::int64_t bytes = 1;
    std::int64_t wait_ms = 0;
  };
  struct inputs {
    std::optional<std::string_view> text;
  };
  struct outputs {
    std::vector<std::string> texts;
    std::string priority;
    std::int64_t at_once = 0;
  };
  static constexpr auto params() {
    return std::tuple{param("n", &config::n), param("bytes", &config::bytes),
                      param("wait_ms", &config::wait_ms)};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("text", &inputs::text)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("texts", &outputs::texts),
                      port("priority", &outputs::priority),
                      port("at_once", &outputs::at_once)};
  }
  give(config c, host&) : config_(c) {}
  task<outputs> run(run_context& cx, inputs) const {
    outputs out;
    ++running_;
    if (config_.wait_ms > 0) co_await sleep_ms(config_.wait_ms);
    out.at_once = running_--;
    out.texts.assign(static_cast<std::size_t>(config_.n),
                     std::string(static_cast<std::size_t>(config_.bytes), 'x'));
    constexpr const char* names[] = {"interactive", "normal", "batch"};
    out.priority = names[static_cast<std::size_t>(cx.origin().priority)];
    co_return out;
  }
  config config_;
  mutable std::atomic<std::int64_t> running_ = 0;
};

// A text as it comes; how much of it the first piece was.
struct follow {
  static constexpr stage_info info{.id = "follow", .summary = "Follows a text"};
  struct config {};
  struct inputs {
    text_source text;
  };
  struct outputs {
    std::string text;
    std::int64_t first = 0;
  };
  static constexpr auto params() { return std::tuple{}; }
  static constexpr auto in_ports() {
    return std::tuple{port("text", &inputs::text)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("text", &outputs::text),
                      port("first", &outputs::first)};
  }
  follow(config, host&) {}
  task<outputs> run(run_context&, inputs in) const {
    outputs out;
    for (;;) {
      const std::optional<std::string> piece = co_await in.text.next();
      if (!piece) break;
      if (out.text.empty())
        out.first = static_cast<std::int64_t>(piece->size());
      out.text += *piece;
    }
    co_return out;
  }
};

registry all_stages() {
  registry r = fakes();
  r.add<give>().add<follow>();
  return r;
}

// Files that call each other; main.toml is the one that runs.
struct files {
  files& write(const std::string& name, const std::string& text) {
    std::ofstream(folder.path() / name) << "tinyphi = 1\n" << text;
    return *this;
  }
  [[nodiscard]] std::string faults() const {
    const auto file = folder.path() / "main.toml";
    const auto checked = check_pipeline(file, all_stages());
    REQUIRE(checked.has_value());
    return to_string(checked->faults, "main.toml");
  }
  [[nodiscard]] pipeline compiled() const {
    auto p = pipeline::compile(folder.path() / "main.toml", all_stages());
    INFO(message_of(p));
    REQUIRE(p.has_value());
    return *std::move(p);
  }

  temp_folder folder;
};

pipeline compiled(const std::string& text) {
  auto p =
      pipeline::compile_text("tinyphi = 1\n" + text, "t.toml", all_stages());
  INFO(message_of(p));
  REQUIRE(p.has_value());
  return *std::move(p);
}

std::string faults(const std::string& text) {
  return to_string(
      check_pipeline_text("tinyphi = 1\n" + text, "t.toml", all_stages())
          .faults,
      "t.toml");
}

json::value output_of(const run_result& r, std::string_view name) {
  const auto it = r.outputs.find(name);
  return it == r.outputs.end() ? json::value("(absent)")
                               : to_json(it->second.data);
}

// What streams of a run and its end are.
struct followed {
  std::string text, message;
  std::size_t pieces = 0;
};
followed follow_run(const pipeline& p, const input_values& inputs = {}) {
  followed seen;
  const auto r = p.run(inputs, {}, [&](std::string_view, std::string_view s) {
    seen.text += s;
    ++seen.pieces;
  });
  seen.message = message_of(r);
  if (r) CHECK(output_of(*r, "a") == json::value(seen.text));
  return seen;
}

}  // namespace

TEST_CASE("[limits] has ranges, and inputs lie within them") {
  const auto with = [](const std::string& limits, const std::string& input) {
    return faults("input.q = { type = \"text\"" + input +
                  " }\noutput.a = \"input.q\"\n[limits]\n" + limits);
  };
  CHECK(with("items = 1\ntext = 1\nmemory = \"1KiB\"\nconcurrency = 1\n"
             "queue = 0\nclass = \"interactive\"\n",
             "")
            .empty());
  CHECK(with("items = 1000000\ntext = \"64MiB\"\nmemory = \"1TiB\"\n"
             "concurrency = 10000\nqueue = 100000\nclass = \"batch\"",
             ", max_bytes = \"64MiB\", max_items = 1000000")
            .empty());
  const std::pair<const char*, const char*> broken[] = {
      {"items = 0", "items is 0, allowed are 1 to 1000000"},
      {"text = \"65MiB\"", "text is 65MiB, allowed are 1KiB to 64MiB"},
      {"memory = 0", "memory is 0, allowed are 1 to 1099511627776"},
      {"concurrency = 10001", "concurrency is 10001, allowed are 1 to 10000"},
      {"queue = -1", "queue is -1, allowed are 0 to 100000"}};
  for (const auto& [line, message] : broken) {
    const std::string found = with(line, "");
    INFO(found);
    CHECK(found.starts_with("t.toml:5:"));
    CHECK(found.ends_with("error[TP1005]: [limits]: " + std::string(message)));
  }
  CHECK_THAT(with("class = \"bach\"", ""),
             Catch::Contains("error[TP1005]: [limits]: class") &&
                 Catch::Contains("batch"));
  CHECK(with("text = 2000", ", max_bytes = 2001") ==
        "t.toml:2:40: error[TP1005]: input q: max_bytes is 2001, [limits].text "
        "allows 2000; raise it, too");
  CHECK(with("items = 5", ", max_items = 6") ==
        "t.toml:2:40: error[TP1005]: input q: max_items is 6, [limits].items "
        "allows 5; raise it, too");
}

TEST_CASE("what stands in the file itself is no longer than a value may be") {
  CHECK(faults("limits.text = 3\ninput.q = { type = \"text\", default = "
               "\"abcd\" }\noutput.a = \"input.q\"\n") ==
        "t.toml:3:38: error[TP1005]: input q: default is 4 bytes, at most 3 "
        "are allowed");
  CHECK(faults("limits.items = 1\n[output]\na = \"s.priority?\"\nb = { from = "
               "\"s.texts\", default = [\"\", \"\"] }\n[stage.s]\nuse = "
               "\"give\"\nwhen = \"1 == 2\"\n")
            .find("error[TP1005]: output b: default has 2 items, at most 1 are "
                  "allowed by [limits]") != std::string::npos);
  CHECK_THAT(
      faults("limits.text = 1\noutput.a = \"s.priority\"\n[stage.s]\nuse "
             "= \"give\"\nfallback = { priority = \"none\" }\n"),
      Catch::Contains("error[TP1005]: stage s.fallback.priority is 4 "
                      "bytes, at most 1 are allowed by [limits]"));
}

TEST_CASE("a text or list of a stage that is too large is a failure of it") {
  const auto run = [](const std::string& limits, const std::string& stage) {
    return message_of(compiled("output.a = \"s.texts\"\n" + limits +
                               "[stage.s]\nuse = \"give\"\n" + stage)
                          .run({}));
  };
  CHECK(run("limits.items = 2\n", "with.n = 2") == "(no error)");
  CHECK(run("limits.items = 2\n", "with.n = 3") ==
        "stage s: port texts has 3 items, at most 2 are allowed by "
        "[limits].items");
  CHECK(run("limits.text = 6\n", "with.bytes = 6") == "(no error)");
  CHECK(run("limits.text = 6\n", "with.n = 2\nwith.bytes = 7") ==
        "stage s: port texts[0] is 7 bytes, at most 6 are allowed by "
        "[limits].text");
  CHECK(run("limits.items = 2\n",
            "with.n = 3\nfallback = { texts = [\"-\"] }") == "(no error)");
  const auto p = compiled(
      "limits.text = 2500\noutput.a = \"s.text\"\n[stage.s]\nuse = \"flood\"");
  CHECK(message_of(p.run({})) ==
        "stage s: port text is longer than the 2500 bytes that are allowed by "
        "[limits].text");
  CHECK(follow_run(p).text.size() == 2000);
}

TEST_CASE("lists of inputs and of items lie within [limits].items") {
  const auto p = compiled(
      "limits.items = 2\ninput.l = \"list<text>\"\noutput.a = "
      "\"s.text\"\n[stage.s]\nuse = \"echo\"\neach = \"input.l\"\nin.text = "
      "\"item\"\n");
  CHECK(p.run({{"l", value_data::list(2, "x")}}).has_value());
  CHECK(message_of(p.run({{"l", value_data::list(3, "x")}})) ==
        "input l has 3 items, at most 2 are allowed");
}

TEST_CASE("what a request holds at once has a bound") {
  const std::string head =
      "input.q = { type = \"text\", max_bytes = 400000 }\n[limits]\nmemory = "
      "\"1MiB\"\n";
  const input_values q{{"q", std::string(300000, 'x')}};
  std::string stages, outputs;
  for (int i = 0; i < 6; ++i) {
    const std::string id = "s" + std::to_string(i);
    stages += "[stage." + id + "]\nuse = \"echo\"\nin.text = \"" +
              (i == 0 ? "input.q" : "s" + std::to_string(i - 1) + ".text") +
              "\"\n";
    outputs += "a" + std::to_string(i) + " = \"" + id + ".text\"\n";
  }
  // What nobody will read any more is let go.
  CHECK(message_of(
            compiled(head + "[output]\na = \"s5.text\"\n" + stages).run(q)) ==
        "(no error)");
  CHECK_THAT(
      message_of(compiled(head + "[output]\n" + outputs + stages).run(q)),
      Catch::StartsWith("stage s3: port text: the request's values are "
                        "12") &&
          Catch::EndsWith(
              "bytes, at most 1048576 are allowed by [limits].memory"));
  const input_values more{{"q", std::string(400000, 'x')}};
  CHECK_THAT(message_of(compiled("input.q = { type = \"text\", max_bytes = "
                                 "400000 }\nlimits.memory = "
                                 "\"300KiB\"\noutput.a = \"input.q\"\n")
                            .run(more)),
             Catch::StartsWith("input q: the request's values are 4000"));
  CHECK_THAT(message_of(compiled("limits.memory = \"2KiB\"\noutput.a = "
                                 "\"s.text\"\n[stage.s]\nuse = \"flood\"")
                            .run({})),
             Catch::StartsWith("stage s: port text: the request's values are"));
}

TEST_CASE("what items give counts while it is held, what they share once") {
  files f;
  f.write("same.toml",
          "input.text = { type = \"text\", max_bytes = 400000 "
          "}\noutput.text = \"input.text\"\n");
  const std::string main =
      "input.q = { type = \"text\", max_bytes = 400000 }\ninput.l = "
      "\"list<int>\"\noutput.a = \"s.text\"\nlimits.memory = "
      "\"1MiB\"\n[stage.s]\neach = \"input.l\"\nin.text = \"input.q\"\nuse = ";
  const input_values in{{"q", std::string(300000, 'x')},
                        {"l", value_data::list(5, value_data(1))}};
  CHECK(
      message_of(
          f.write("main.toml", main + "\"./same.toml\"").compiled().run(in)) ==
      "(no error)");
  CHECK_THAT(
      message_of(f.write("main.toml", main + "\"echo\"").compiled().run(in)),
      Catch::StartsWith("stage s: item 2: port text: the request's values are "
                        "12"));
  // Failed items are not held.
  const auto r = f.write("main.toml", main + "\"echo\"\non_error = \"collect\"")
                     .compiled()
                     .run(in);
  REQUIRE_OK(r);
  CHECK(output_of(*r, "a").as_array().size() == 2);
}

TEST_CASE("a ledger counts a payload once and lets it go with the last") {
  request_limits limits;
  limits.memory = 1000;
  const auto outer = std::make_shared<value_ledger>(limits, nullptr);
  const value_data text(std::string(400, 'x'));
  const std::size_t one = text.own_bytes();
  const value_data both(value_data::list{text, text});
  CHECK_FALSE(outer->keep(both, "both"));
  CHECK(outer->bytes() == one + both.own_bytes());
  {
    value_ledger inner(limits, outer);
    CHECK_FALSE(inner.keep(text, "text"));
    CHECK(inner.bytes() == one);
    CHECK(outer->bytes() == one + both.own_bytes());
    outer->release(both);
    CHECK(outer->bytes() == one);
    CHECK_FALSE(inner.grow(300, "s"));
    CHECK(outer->bytes() == one + 300);
    // The caller's bound holds for what is called.
    CHECK_FALSE(outer->grow(200, "t"));
    const auto over = inner.grow(200, "s");
    REQUIRE(over);
    CHECK(over->code == error_code::limit);
    CHECK_FALSE(outer->keep(value_data(1), "number"));
    outer->shrink(200);
  }
  CHECK(outer->bytes() == 0);
  limits.items = 1;
  value_ledger narrow(limits, nullptr);
  const auto wrong = narrow.keep(value_data::record{{"l", both}}, "port docs");
  REQUIRE(wrong);
  CHECK(wrong->message ==
        "port docs.l has 2 items, at most 1 are allowed by [limits].items");
  CHECK(narrow.bytes() == 0);
}

TEST_CASE("a called file takes what its caller leaves it, or less") {
  files f;
  const auto with = [&](const std::string& callers, const std::string& own) {
    f.write("one.toml",
            own +
                "output.a = \"s.texts\"\n[stage.s]\nuse = \"give\"\nwith = { "
                "n = 3, bytes = 20 }\n");
    return f
        .write("main.toml", callers +
                                "output.a = \"one.a\"\nstage.one.use = "
                                "\"./one.toml\"\n")
        .faults();
  };
  CHECK(with("", "limits.text = \"2MiB\"\n")
            .ends_with("main.toml:3:17: error[TP1005]: stage one: ./one.toml "
                       "sets [limits].text to 2097152, and this file allows "
                       "1048576; a called file may take less, not more"));
  CHECK(with("limits.items = 20000\n", "limits.items = 20000\n").empty());
  CHECK(with("", "limits.items = 2\n").empty());
  CHECK(message_of(f.compiled().run({})) ==
        "stage one: stage s: port texts has 3 items, at most 2 are allowed by "
        "[limits].items");
  CHECK(with("limits.text = 19\n", "").empty());
  CHECK(message_of(f.compiled().run({})) ==
        "stage one: stage s: port texts[0] is 20 bytes, at most 19 are allowed "
        "by [limits].text");
  CHECK(with("limits.memory = 200\n", "").empty());
  CHECK_THAT(message_of(f.compiled().run({})),
             Catch::StartsWith("stage one: stage s: port texts: the request's "
                               "values are"));
}

TEST_CASE(
    "a file's class reaches its models, and is never above the caller's") {
  const auto class_of = [](const pipeline& p,
                           std::optional<priority_class> best = {}) {
    run_options options;
    if (best) options.origin.priority = *best;
    json::value seen;
    boost::asio::io_context context;
    const auto whole = [&]() -> task<void> {
      const auto r = co_await p.async_run({}, options);
      if (r) seen = output_of(*r, "a");
    };
    boost::asio::co_spawn(context, whole, [](std::exception_ptr) {});
    context.run();
    return seen;
  };
  const std::string rest =
      "output.a = \"s.priority\"\nstage.s.use = \"give\"\n";
  CHECK(class_of(compiled(rest)) == "normal");
  const auto first = compiled("limits.class = \"interactive\"\n" + rest);
  CHECK(class_of(first) == "interactive");
  CHECK(class_of(first, priority_class::batch) == "batch");
  files f;
  f.write("one.toml", rest)
      .write("main.toml",
             "limits.class = \"interactive\"\noutput.a = "
             "\"s.a\"\nstage.s.use = \"./one.toml\"\n");
  CHECK(class_of(f.compiled()) == "interactive");
  f.write("one.toml", "limits.class = \"batch\"\n" + rest);
  CHECK(class_of(f.compiled()) == "batch");
}

TEST_CASE("what an input may have bounds what a prompt can need") {
  const auto p = compiled(R"toml(input.q = { type = "text", max_bytes = 40 }
input.l = { type = "list<text>", max_bytes = 50 }
env.E = { type = "text", default = "abc" }
output.a = "s.text"
output.b = "t.text"
output.c = "u.text"
[stage]
s = { use = "echo", in.text = { first = ["input.q", "env.E"] } }
t = { use = "echo", each = "input.l", in.text = "item" }
u = { use = "echo", in.text = "s.text" }
)toml");
  std::string known;
  for (const graph_stage& s : p.graph().stages) {
    for (const auto& [port, n] : s.call.max_bytes) {
      known += s.id + "." + port + " " + std::to_string(n) + "; ";
    }
  }
  CHECK(known == "s.text 40; t.text 50; ");
}

TEST_CASE("so many requests run, so many wait, the others are refused",
          "[threads]") {
  const auto p = compiled(
      "input.q = \"text\"\noutput.a = \"s.text\"\n[limits]\nconcurrency = "
      "1\nqueue = 1\n[stage.s]\nuse = \"echo\"\nin.text = "
      "\"input.q\"\nwith.wait_ms = 30\n");
  boost::asio::io_context context;
  std::string ended;
  const auto one = [&](std::string q, stop_condition stop) -> task<void> {
    run_options options;
    options.stop = std::move(stop);
    input_values in{{"q", q}};
    const auto r = co_await p.async_run(std::move(in), options);
    ended += q + ": " + message_of(r) + "\n";
  };
  const auto start = [&](const std::string& q, const stop_condition& stop) {
    boost::asio::co_spawn(context, one(q, stop), [](std::exception_ptr) {});
  };
  for (const char* q : {"a", "b", "c"}) start(q, {});
  context.run();
  CHECK(
      ended ==
      "c: 1 running and 1 waiting are as many requests as [limits].concurrency "
      "and queue allow; try again later\na: (no error)\nb: (no error)\n");
  CHECK(p.retry_after_seconds() > 0.02);

  // Who stops waiting leaves the line.
  ended.clear();
  context.restart();
  stop_condition late, gone;
  late.deadline =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(5);
  start("a", {});
  start("late", late);
  const auto next = [&]() -> task<void> {
    co_await sleep_ms(15);
    start("gone", gone);
    co_await sleep_ms(5);
    gone.token.cancel();
  };
  boost::asio::co_spawn(context, next, [](std::exception_ptr) {});
  context.run();
  CHECK(ended ==
        "late: the request's deadline has passed while it waited\n"
        "gone: the request was cancelled\na: (no error)\n");
  CHECK(p.run({{"q", "x"}}).has_value());
}

TEST_CASE("requests from many threads take turns", "[threads]") {
  const auto p = compiled(
      "output.a = \"s.at_once\"\n[limits]\nconcurrency = 3\nqueue = "
      "40\n[stage.s]\nuse = \"give\"\nwith.wait_ms = 2\n");
  boost::asio::io_context context;
  std::atomic<std::int64_t> right = 0, most = 0;
  const auto one = [&]() -> task<void> {
    const auto r = co_await p.async_run({});
    if (!r) co_return;
    ++right;
    const std::int64_t n = output_of(*r, "a").as_int64();
    for (std::int64_t m = most; m < n && !most.compare_exchange_weak(m, n);) {
    }
  };
  for (int i = 0; i < 40; ++i) {
    boost::asio::co_spawn(context, one, [](std::exception_ptr) {});
  }
  std::thread second([&] { context.run(); });
  context.run();
  second.join();
  CHECK(right == 40);
  CHECK(most <= 3);
  CHECK(most > 1);
}

TEST_CASE("who is thrown away while it waits leaves its turn to others") {
  const auto p = compiled(
      "output.a = \"s.priority\"\n[limits]\nconcurrency = 1\nqueue = "
      "2\n[stage.s]\nuse = \"give\"\nwith.wait_ms = 1\n");
  {
    boost::asio::io_context context;
    const auto one = [&]() -> task<void> { (void)co_await p.async_run({}); };
    for (int i = 0; i < 2; ++i) {
      boost::asio::co_spawn(context, one, [](std::exception_ptr) {});
    }
    context.poll();
  }
  CHECK(p.run({}).has_value());
}

TEST_CASE("a stream comes through the call of a file as it is written") {
  files f;
  f.write("talk.toml",
          "output.n = \"input.n\"\ninput.n = { type = \"int\", default = 3 "
          "}\noutput.text = \"s.text\"\n[stage.s]\nuse = \"flood\"\nwith.n = "
          "20\n");
  f.write("main.toml",
          "output.a = \"one.text\"\noutput.n = \"one.n\"\nstage.one.use = "
          "\"./talk.toml\"\n");
  const followed seen = follow_run(f.compiled());
  CHECK(seen.message == "(no error)");
  CHECK(seen.text.size() == 20000);
  CHECK(seen.pieces > 3);
  auto r = f.compiled().run({});
  REQUIRE_OK(r);
  CHECK(output_of(*r, "a").as_string().size() == 20000);
  CHECK(output_of(*r, "n") == 3);
  // A stage that follows it begins with its first piece.
  f.write("main.toml",
          "output.a = \"s.text\"\noutput.first = \"s.first\"\n[stage]\none = { "
          "use = \"./talk.toml\" }\ns = { use = \"follow\", in.text = "
          "\"one.text\" }\n");
  r = f.compiled().run({});
  REQUIRE_OK(r);
  CHECK(output_of(*r, "a").as_string().size() == 20000);
  CHECK(output_of(*r, "first").as_int64() < 20000);
  // Items are collected.
  f.write(
      "main.toml",
      "input.l = \"list<int>\"\noutput.a = \"one.text\"\n[stage.one]\nuse = "
      "\"./talk.toml\"\neach = \"input.l\"\nin.n = \"item\"\n");
  r = f.compiled().run({{"l", value_data::list{1, 2}}});
  REQUIRE_OK(r);
  CHECK(output_of(*r, "a").as_array().size() == 2);
}

TEST_CASE("there is no way back once a piece came through a call") {
  files f;
  f.write("talk.toml",
          "output.text = { from = \"s.text\", default = \"inner\" "
          "}\n[stage.s]\nuse = \"flood\"\nwith.fail_at = 5\nfallback = "
          "\"skip\"\n");
  f.write("main.toml",
          "output.a = \"one.text\"\n[stage.one]\nuse = "
          "\"./talk.toml\"\nfallback = { text = \"outer\" }\n");
  followed seen = follow_run(f.compiled());
  CHECK(seen.message == "stage one: stage s: the flood dried up");
  CHECK(!seen.text.empty());
  auto r = f.compiled().run({});
  REQUIRE_OK(r);
  CHECK(output_of(*r, "a") == "inner");
  f.write("talk.toml",
          "output.text = \"s.text\"\n[stage.s]\nuse = "
          "\"flood\"\nwith.fail_at = 5\n");
  r = f.compiled().run({});
  REQUIRE_OK(r);
  CHECK(output_of(*r, "a") == "outer");
  // Before the first piece there is one.
  f.write("talk.toml",
          "output.text = \"s.text\"\n[stage.s]\nuse = "
          "\"flood\"\nwith.fail_at = 0\n");
  seen = follow_run(f.compiled());
  CHECK(seen.message == "(no error)");
  CHECK(seen.text == "outer");
}

TEST_CASE("a stream that a called file does not give is absent") {
  files f;
  f.write("talk.toml",
          "input.q = \"text\"\noutput.text = \"s.text?\"\n[stage.s]\nuse = "
          "\"flood\"\nwith.n = 2\nwhen = \"input.q == 'talk'\"\n");
  f.write("main.toml",
          "input.q = \"text\"\noutput.a = { from = \"one.text\", default = "
          "\"nothing\" }\nstage.one.use = \"./talk.toml\"\n");
  const pipeline p = f.compiled();
  CHECK(follow_run(p, {{"q", "talk"}}).text.size() == 2000);
  CHECK(follow_run(p, {{"q", "no"}}).text == "nothing");
  const auto r = p.run({{"q", "no"}});
  REQUIRE_OK(r);
  CHECK(output_of(*r, "a") == "nothing");
}

TEST_CASE("what is called ends with its caller, in time and when cancelled",
          "[threads]") {
  files f;
  f.write("one.toml",
          "input.q = \"text\"\noutput.a = \"s.text\"\n[stage.s]\nuse = "
          "\"echo\"\nin.text = \"input.q\"\nwith.wait_ms = 60000\n");
  const std::string main =
      "input.q = \"text\"\noutput.a = \"one.a\"\n[stage.one]\nuse = "
      "\"./one.toml\"\n";
  f.write("main.toml", main + "timeout = \"20ms\"\n");
  CHECK(message_of(f.compiled().run({{"q", "x"}})) ==
        "stage one: no result within 20 ms");
  f.write("main.toml", "limits.deadline = \"20ms\"\n" + main);
  CHECK(message_of(f.compiled().run({{"q", "x"}})) ==
        "the request's deadline has passed");
  f.write("main.toml", main);
  const pipeline p = f.compiled();
  stop_condition stop;
  std::thread other([token = stop.token] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    token.cancel();
  });
  const auto began = std::chrono::steady_clock::now();
  CHECK(message_of(p.run({{"q", "x"}}, stop)) == "the request was cancelled");
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(5));
  other.join();
}
