// SPDX-License-Identifier: MIT
#include "tinyphi/pipeline/trace.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>

#include "pipeline/recording.h"
#include "support/temp_folder.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

// A text, as a model would give it; "bad" fails.
struct told {
  static constexpr stage_info info{.id = "told", .summary = "Has used tokens"};
  struct config {};
  struct inputs {
    std::string_view text;
    std::optional<std::string_view> before;
  };
  struct outputs {
    std::string text;
  };
  static constexpr auto params() { return std::tuple{}; }
  static constexpr auto in_ports() {
    return std::tuple{port("text", &inputs::text),
                      port("before", &inputs::before)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("text", &outputs::text)};
  }
  told(config, host&) {}
  task<outputs> run(run_context& cx, inputs in) const {
    usage u;
    u.prompt_tokens = 7;
    u.cached_tokens = 3;
    u.completion_tokens = 1;
    cx.note_usage(u);
    cx.note_usage(u);
    if (in.text == "bad") {
      throw stage_error(error_code::unavailable, "it is down");
    }
    co_return outputs{std::string(in.before.value_or("")) +
                      std::string(in.text)};
  }
};

registry stages() {
  registry r = fakes();
  r.add<told>();
  return r;
}

pipeline compiled(std::string_view text) {
  auto p = pipeline::compile_text(text, "t.toml", stages());
  INFO(message_of(p));
  REQUIRE(p.has_value());
  return *std::move(p);
}

}  // namespace

TEST_CASE("each run of a stage is told, with what it took and gave") {
  const pipeline p = compiled(R"toml(tinyphi = 1
input.texts = "list<text>"
input.q = { type = "text", trust = "untrusted" }
output.a = "s.text"
output.b = { first = ["late.text"], default = "-" }
output.c = "more.text"
[stage]
s = { use = "told", each = "input.texts", in.text = "item", when = "len(item) > 0", on_error = "collect", retry = 1 }
late = { use = "echo", when = "len(s.text) > 5", in.text = "input.q" }
more = { use = "told", in.text = "input.q", repeat = { until = "len(text) > 1", max = 3, carry = { before = "text" } } }
)toml");
  const input_values inputs{{"texts", value_data::list{"a", "", "bad"}},
                            {"q", "x"}};
  const recording whole = record_request(p, inputs);
  REQUIRE_OK(whole.ended);
  // Stages that run at once are told as they end.
  std::vector<trace_event> of_s, others;
  for (const trace_event& e : whole.events) {
    (e.call.stage == "s" ? of_s : others).push_back(e);
  }
  CHECK(to_lines(of_s) ==
        "s[1] 0.0 skipped: when: len(item) > 0\n"
        "s[0] 1.1 done text=\"a\" -> text=\"a\"\n"
        "s[2] 1.1 failed unavailable: it is down text=\"bad\"\n"
        "s[2] 1.2 failed unavailable: it is down text=\"bad\"\n");
  std::ranges::stable_sort(others, {},
                           [](const trace_event& e) { return e.call.stage; });
  CHECK(to_lines(others) ==
        "late 0.0 skipped: when: len(s.text) > 5\n"
        "more 1.1 done text=\"x\" -> text=\"x\"\n"
        "more 2.1 done text=\"x\" before=\"x\" -> text=\"xx\"\n");
  const trace_event& last = others.back();
  CHECK(last.used.prompt_tokens == 14);
  CHECK(last.used.cached_tokens == 6);
  CHECK(last.used.completion_tokens == 2);
  CHECK(last.label == trust::untrusted);
  CHECK(last.start >= others[1].start);
  CHECK(last.request == "r1");
  CHECK(last.file == "t.toml");
  CHECK(last.hash == p.graph().hash);
  const recording bare = record_request(p, inputs, /*contents=*/false);
  CHECK(bare.events.size() == whole.events.size());
  for (const trace_event& e : bare.events) {
    CHECK(e.in.empty());
    CHECK(e.out.empty());
  }
}

TEST_CASE("what a request did before it failed is told") {
  const pipeline p = compiled(R"toml(tinyphi = 1
input.q = "text"
output.a = "f.text"
output.b = "e.text"
output.c = "b.on_pool"
[stage]
e = { use = "echo", in.text = "input.q" }
f = { use = "flood", with.fail_at = 3, after = ["e"] }
b = { use = "block", in.text = "input.q" }
)toml");
  const recording r = record_request(p, {{"q", "x"}});
  CHECK(message_of(r.ended) == "stage f: the flood dried up");
  REQUIRE(r.events.size() == 3);
  CHECK(to_line(r.events[0]) == "e 1.1 done text=\"x\" -> text=\"x\"");
  CHECK(r.events[1].call.stage == "f");
  REQUIRE(r.events[1].out.size() == 1);
  CHECK(r.events[1].out[0].second.get<std::string>()->size() == 3000);
  REQUIRE(r.events[2].failure);
  CHECK(r.events[2].failure->code == error_code::cancelled);
}

TEST_CASE("stages of a called file are told with the way to them") {
  const temp_folder folder;
  folder.write("one.toml", R"toml(tinyphi = 1
input.text = "text"
output.text = "s.text"
stage.s.use = "told"
)toml");
  const auto file = folder.write("main.toml", R"toml(tinyphi = 1
input.texts = "list<text>"
output.a = "one.text"
stage.one = { use = "./one.toml", each = "input.texts", in.text = "item" }
)toml");
  const auto p = pipeline::compile(file, stages());
  REQUIRE_OK(p);
  const recording r =
      record_request(*p, {{"texts", value_data::list{"a", "b"}}});
  CHECK(to_lines(r.events) ==
        "one[0]/s 1.1 done text=\"a\" -> text=\"a\"\n"
        "one[0] 1.1 done text=\"a\" -> text=\"a\"\n"
        "one[1]/s 1.1 done text=\"b\" -> text=\"b\"\n"
        "one[1] 1.1 done text=\"b\" -> text=\"b\"\n");
  CHECK(r.events[0].file == (folder.path() / "one.toml").string());
  CHECK(r.events[1].file == file.string());
  CHECK(r.events[0].hash != r.events[1].hash);
  CHECK(r.events[2].start >= r.events[1].start);
}

TEST_CASE("stages that run at once on several threads are told", "[threads]") {
  const temp_folder folder;
  folder.write("one.toml", R"toml(tinyphi = 1
input.text = "text"
output.text = "s.text"
stage.s.use = "told"
)toml");
  const auto file = folder.write("main.toml", R"toml(tinyphi = 1
input.texts = "list<text>"
output.a = "one.text"
stage.one = { use = "./one.toml", each = "input.texts", in.text = "item", parallel = 4 }
)toml");
  const auto p = pipeline::compile(file, stages());
  REQUIRE_OK(p);
  std::mutex mutex;
  std::size_t n = 0;
  const auto trace = std::make_shared<request_trace>();
  trace->contents = true;
  trace->on_event = [&](const trace_event& e) {
    const std::lock_guard lock(mutex);
    n += e.outcome == trace_event::kind::done ? 1 : 0;
  };
  run_options options;
  options.trace = trace;
  std::optional<result<run_result>> ended;
  const auto whole = [&]() -> task<void> {
    input_values in{{"texts", value_data::list(100, value_data("x"))}};
    ended.emplace(co_await p->async_run(std::move(in), options));
  };
  boost::asio::thread_pool threads(4);
  boost::asio::co_spawn(threads, whole, [](std::exception_ptr) {});
  threads.join();
  REQUIRE(ended);
  REQUIRE_OK(*ended);
  CHECK(n == 200);
}

TEST_CASE("a hash tells what a file says, and what a stage is made of") {
  struct hashes {
    std::string file, a, b;
    bool operator==(const hashes&) const = default;
  };
  const auto of = [](const std::string& a, const std::string& more) {
    const auto checked = check_pipeline_text(
        "tinyphi = 1\ninput.q = \"text\"\noutput.a = \"a.text\"\noutput.b = "
        "\"b.text\"\n[stage]\na = { use = \"echo\", in.text = \"input.q\"" +
            a + " }\nb = { use = \"echo\", in.text = \"input.q\" }\n" + more,
        "t.toml", stages());
    INFO(to_string(checked.faults, "t.toml"));
    REQUIRE(checked.proved);
    return hashes{checked.proved->hash, checked.proved->stages[0].hash,
                  checked.proved->stages[1].hash};
  };
  const hashes plain = of("", "");
  CHECK(plain.file.size() == 16);
  CHECK(plain.a == plain.b);
  CHECK(of("",
           "# a remark\n[[test]]\nname = \"t\"\nexpect = [\"ran(a)\"]\n"
           "input = { q = \"x\" }\n") == plain);
  const hashes other = of(", with.add = \"1\"", "");
  CHECK(other.file != plain.file);
  CHECK(other.a != plain.a);
  CHECK(other.b == plain.b);
  CHECK(of(", with.add = \"2\"", "").a != other.a);
  const hashes limits = of("", "[limits]\ndeadline = \"5s\"\n");
  CHECK(limits.file != plain.file);
  CHECK(limits.a == plain.a);
  // What stages may be made of counts for all of them.
  const auto with_env = [&](const std::string& value) {
    return of(", with.add = \"${env.X}\"",
              "[env]\nX = { type = \"text\", default = \"" + value + "\" }\n");
  };
  CHECK(with_env("1").b != with_env("2").b);

  const temp_folder folder;
  const auto with_file = [&](const std::string& add) {
    folder.write("one.toml",
                 "tinyphi = 1\ninput.text = \"text\"\noutput.text = "
                 "\"s.text\"\nstage.s = { use = \"echo\", with.add = \"" +
                     add + "\" }\n");
    const auto file = folder.write("main.toml",
                                   "tinyphi = 1\ninput.text = \"text\"\n"
                                   "output.a = \"one.text\"\nstage.one.use = "
                                   "\"./one.toml\"\n");
    const auto p = pipeline::compile(file, stages());
    REQUIRE_OK(p);
    return std::pair(p->graph().hash, p->graph().stages[0].hash);
  };
  const auto before = with_file("a"), now = with_file("b");
  CHECK(before.first != now.first);
  CHECK(before.second != now.second);
}
