// SPDX-License-Identifier: MIT
// Random files: whatever passes the check keeps its promises when it runs.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <random>

#include "pipeline/fakes.h"
#include "support/effort.h"
#include "support/test.h"
#include "tinyphi/pipeline/executor.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

// Fails for texts that hold an 'f', gives `rest` for those that hold an 'r'.
struct moody {
  static constexpr stage_info info{.id = "moody", .summary = "Fails at times"};
  struct config {};
  struct inputs {
    std::string_view text;
    std::optional<std::string_view> before;
  };
  struct outputs {
    std::string text;
    bool ok = false;
    std::optional<std::string> rest;
    std::vector<std::string> parts;
  };
  static constexpr auto params() { return std::tuple{}; }
  static constexpr auto in_ports() {
    return std::tuple{port("text", &inputs::text),
                      port("before", &inputs::before)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("text", &outputs::text), port("ok", &outputs::ok),
                      port("rest", &outputs::rest),
                      port("parts", &outputs::parts)};
  }
  moody(config, host&) {}
  task<outputs> run(run_context&, inputs in) const {
    if (in.text.find('f') != std::string_view::npos) {
      throw stage_error(error_code::unavailable, "it is moody");
    }
    outputs out;
    out.text = std::string(in.text.substr(0, 40));
    out.ok = in.text.size() % 2 == 0;
    if (in.text.find('r') != std::string_view::npos) out.rest = "rest";
    for (const char c : out.text.substr(0, 3)) out.parts.emplace_back(1, c);
    co_return out;
  }
};

// Writes a file, most of which make sense.
class file_maker {
 public:
  explicit file_maker(std::uint64_t seed) : random_(seed) {}

  std::string make() {
    out_ =
        "tinyphi = 1\ninput.a = \"text\"\ninput.b = \"text?\"\n"
        "input.n = \"int\"\ninput.l = \"list<text>\"\n";
    texts_ = {"input.a", "input.b"};
    bools_.clear();
    stages_.clear();
    lists_.clear();
    std::string body;
    const std::size_t n = 2 + below(5);
    for (std::size_t i = 0; i < n; ++i) {
      if (below(3) == 0) body += make_switch("w" + std::to_string(i));
      body += make_stage("s" + std::to_string(i));
    }
    // All that a file declares is used.
    std::string outputs =
        "output.a = \"input.a\"\noutput.b = \"input.b?\"\n"
        "output.n = \"input.n\"\noutput.l = \"input.l\"\n";
    for (std::size_t i = 0; i < bools_.size(); ++i) {
      outputs +=
          "output.u" + std::to_string(i) + " = [" + quoted(bools_[i]) + "]\n";
    }
    for (const std::string& list : lists_) {
      outputs += "output.l_" + list + " = " + quoted(list + ".parts?") + "\n";
    }
    for (std::size_t i = 0; i < 3; ++i) {
      outputs += "output.o" + std::to_string(i) + " = " + make_output() + "\n";
    }
    return out_ + outputs + body;
  }

  std::size_t below(std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_);
  }

 private:
  std::string text() { return texts_[below(texts_.size())]; }
  std::string quoted(const std::string& s) { return "\"" + s + "\""; }

  std::string binding() {
    if (below(4) != 0) return quoted(text());
    std::string all = "{ first = [" + quoted(text());
    for (std::size_t n = below(3); n > 0; --n) all += ", " + quoted(text());
    return all + "] }";
  }

  std::string condition() {
    switch (below(8)) {
      case 0:
        return "input.n > " + std::to_string(below(5));
      case 1:
        return "has(" + text() + ")";
      case 2:
        return "not has(" + text() + ")";
      case 3: {
        const std::string t = text();
        return "has(" + t + ") and len(" + t + ") > 2";
      }
      case 4:
        return stages_.empty()
                   ? "len(input.a) > 1"
                   : "failed(" + stages_[below(stages_.size())] + ")";
      case 5:
        return "len(input.l) > 1 or input.n == 2";
      default:
        if (bools_.empty()) return "len(input.a) > 2";
        return (below(2) == 0 ? "not " : "") + bools_[below(bools_.size())];
    }
  }

  std::string make_switch(const std::string& name) {
    std::string s = "[switch." + name + "]\n";
    for (std::size_t n = 1 + below(2); n > 0; --n) {
      s += "c" + std::to_string(n) + " = " + quoted(condition()) + "\n";
    }
    s += "rest = \"else\"\n";
    bools_.push_back(name + ".c1");
    bools_.push_back(name + ".rest");
    return s;
  }

  std::string make_stage(const std::string& id) {
    std::string s = "[stage." + id + "]\nuse = \"moody\"\n";
    const bool each = below(6) == 0;
    if (each) s += "each = \"input.l\"\n";
    s += "in.text = " + (each ? quoted("item") : binding()) + "\n";
    if (below(3) == 0) s += "in.before = " + quoted(text() + "?") + "\n";
    if (below(2) == 0) s += "when = " + quoted(condition()) + "\n";
    switch (each ? 9 : below(5)) {
      case 0:
        s += "fallback = \"skip\"\n";
        break;
      case 1:
        s += "fallback = { text = \"none\", ok = true }\n";
        break;
      case 2:
        s += "repeat = { until = \"ok\", max = 3, exhausted = \"last\" }\n";
        break;
      default:
        break;
    }
    if (each) {
      lists_.push_back(id);
      return s;
    }
    texts_.push_back(id + ".text");
    texts_.push_back(id + ".rest");
    bools_.push_back(id + ".ok");
    stages_.push_back(id);
    return s;
  }

  std::string make_output() {
    switch (below(5)) {
      case 0:
        return quoted(text() + "?");
      case 1:
        return "{ from = " + quoted(text()) + ", default = \"\" }";
      case 2:
        return "[" + quoted(text()) + ", " + quoted(text()) + "]";
      default:
        return binding();
    }
  }

  std::mt19937_64 random_;
  std::string out_;
  std::vector<std::string> texts_, bools_, stages_, lists_;
};

// What a run broke of what was proved; empty: nothing.
std::string broken_promise(const graph& g, const result<run_result>& r,
                           const run_record& record) {
  if (!r) {
    // A stage without a fallback may fail, and nothing else.
    return r.error().message.find("it is moody") == std::string::npos
               ? message_of(r)
               : "";
  }
  for (const graph_output& o : g.outputs) {
    if (o.may_be_absent || r->outputs.find(o.name) != r->outputs.end()) {
      continue;
    }
    return "output " + o.name + " is absent";
  }
  for (std::size_t i = 0; i < g.slots.size(); ++i) {
    if (g.slots[i].may_be_absent() || record.slots[i]) continue;
    return g.slots[i].name + " is absent";
  }
  return {};
}

}  // namespace

TEST_CASE("what passes the check keeps its promises in thousands of runs") {
  const auto wanted = static_cast<std::size_t>(sweep_rounds(1000, 20000));
  registry stages;
  stages.add<moody>();
  boost::asio::thread_pool pool(1);
  host_options options;
  options.pool = &pool;
  std::size_t n_proved = 0, n_refused = 0, n_runs = 0, n_full = 0;
  for (std::uint64_t seed = 1; n_proved < wanted; ++seed) {
    file_maker maker(seed);
    const std::string text = maker.make();
    auto checked = check_pipeline_text(text, "t.toml", stages, options);
    if (!checked.proved) {
      ++n_refused;
      continue;
    }
    ++n_proved;
    const auto p =
        pipeline::create(std::move(checked.proved), "t.toml", options);
    REQUIRE_OK(p);
    for (int round = 0; round < 5; ++round) {
      constexpr const char* words[] = {"", "a", "ar", "f", "xyz", "rr", "arf"};
      input_values in{{"a", words[maker.below(7)]},
                      {"n", static_cast<std::int64_t>(maker.below(5))}};
      if (maker.below(2) == 0) in.emplace("b", words[maker.below(7)]);
      value_data::list items;
      for (std::size_t n = maker.below(4); n > 0; --n) {
        items.emplace_back(words[maker.below(7)]);
      }
      in.emplace("l", std::move(items));
      run_options run;
      run.record = std::make_shared<run_record>();
      boost::asio::io_context context(1);
      std::optional<result<run_result>> r;
      const auto whole = [&]() -> task<void> {
        input_values inputs = in;
        r.emplace(co_await p->async_run(std::move(inputs), run));
      };
      boost::asio::co_spawn(context, whole, [](std::exception_ptr) {});
      context.run();
      REQUIRE(r);
      ++n_runs;
      n_full += *r ? 1 : 0;
      const std::string broken = broken_promise(p->graph(), *r, *run.record);
      INFO("seed " << seed << "\n" << text);
      REQUIRE(broken == "");
    }
  }
  // The sweep reaches what it is for.
  CHECK(n_runs == 5 * wanted);
  CHECK(n_full > n_runs / 5);
  CHECK(n_refused > 0);
}
