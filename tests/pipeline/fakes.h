// SPDX-License-Identifier: MIT
// Small stages for the pipeline tests, and helpers to compile and run texts.
#ifndef TESTS_PIPELINE_FAKES_H_
#define TESTS_PIPELINE_FAKES_H_

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tinyphi/pipeline.h"

namespace tinyphi_test {

using namespace tinyphi;

inline task<void> sleep_ms(std::int64_t ms) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor,
                                  std::chrono::milliseconds(ms));
  co_await timer.async_wait(boost::asio::use_awaitable);
}

// text -> the same text, after a while.
struct echo {
  static constexpr stage_info info{.id = "echo", .summary = "Repeats a text"};
  struct config {
    std::string add;
    std::int64_t wait_ms = 0;
  };
  struct inputs {
    std::string_view text;
  };
  struct outputs {
    std::string text;
  };
  static constexpr auto params() {
    return std::tuple{param("add", &config::add),
                      param("wait_ms", &config::wait_ms).range(0, 60000)};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("text", &inputs::text)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("text", &outputs::text)};
  }
  echo(config c, host&) : config_(std::move(c)) {}
  task<outputs> run(run_context&, inputs in) const {
    if (config_.wait_ms > 0) co_await sleep_ms(config_.wait_ms);
    co_return outputs{std::string(in.text) + config_.add};
  }
  config config_;
};

// query -> untrusted docs, as many as the query has letters 'x'.
struct find {
  static constexpr stage_info info{.id = "find.x",
                                   .major = 2,
                                   .summary = "Finds documents",
                                   .effects = effect::read,
                                   .makes = trust::untrusted};
  struct config {
    std::int64_t top_k = 8;
    double weight = 1;
    std::filesystem::path index;
  };
  struct inputs {
    std::string_view query;
  };
  struct outputs {
    documents docs;
    std::int64_t count = 0;
  };
  static constexpr auto params() {
    return std::tuple{param("top_k", &config::top_k).range(1, 32),
                      param("weight", &config::weight).range(0, 1),
                      param("index", &config::index).required()};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("query", &inputs::query)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("docs", &outputs::docs),
                      port("count", &outputs::count)};
  }
  find(config c, host&) : config_(std::move(c)) {
    if (config_.index.filename() == "missing.db") {
      throw stage_error(error_code::not_found,
                        config_.index.string() + ": no such index");
    }
  }
  task<outputs> run(run_context&, inputs in) const {
    outputs out;
    for (const char c : in.query) {
      if (c != 'x') continue;
      ++out.count;
      out.docs.push_back({.id = std::to_string(out.count),
                          .source = "a.md",
                          .title = "A",
                          .locator = "",
                          .text = "x is " + config_.index.string(),
                          .score = 1});
    }
    co_return out;
  }
  config config_;
};

// A prompt of all its open ports; `names` says which: "docs*" wants docs.
// A name "bad" is a fault of the template.
struct lay_out {
  static constexpr stage_info info{.id = "lay_out", .summary = "Makes prompts"};
  struct config {
    std::string names;
    std::int64_t cap = 10;
    model_ref model;
  };
  struct inputs {
    named_values values;
  };
  struct outputs {
    labelled_prompt prompt;
  };
  static constexpr auto params() {
    return std::tuple{param("names", &config::names).required(),
                      param("cap", &config::cap).range(1, 1000000),
                      param("model", &config::model)};
  }
  static constexpr auto in_ports() {
    return std::tuple{open_ports(&inputs::values)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("prompt", &outputs::prompt)};
  }
  static constexpr retired_key retired_params[] = {
      {"reserve",
       "leave it out: it follows from the stages that take the prompt"}};
  static stage_ports ports(const config& c) {
    stage_ports ports;
    for (std::size_t i = 0; i < c.names.size();) {
      if (c.names[i] == ' ' || c.names[i] == '\n') {
        ++i;
        continue;
      }
      const std::size_t end =
          std::min(c.names.find_first_of(" \n", i), c.names.size());
      std::string name = c.names.substr(i, end - i);
      if (name == "bad" || name == "worse") {
        ports.faults.push_back({.code = fault::bad_template,
                                .param = "names",
                                .offset = i,
                                .message = name == "bad"
                                               ? "bad name"
                                               : "with.names: a worse name"});
      }
      port_info p{.name = name,
                  .types = {type_kind::text, type_kind::integer},
                  .param = "names",
                  .offset = i};
      if (name.ends_with('*')) {
        p.name.pop_back();
        p.types = {type_of<documents>()};
      }
      if (name.ends_with('?')) {
        p.name.pop_back();
        p.required = false;
      }
      ports.in.push_back(p);
      i = end;
    }
    return ports;
  }
  static stage_facts check(const config& c, const call_facts&, host&) {
    stage_facts facts;
    facts.prompt = {c.model.name, static_cast<std::size_t>(c.cap)};
    return facts;
  }
  lay_out(config c, host&) : config_(std::move(c)) {}
  task<outputs> run(run_context&, inputs in) const {
    outputs out;
    for (const auto& [name, v] : in.values) {
      const auto* text = v.get<std::string>();
      const auto* docs = v.get<value_data::list>();
      out.prompt.segments.push_back(
          {.text = name + "=" +
                   (text ? *text : std::to_string(docs ? docs->size() : 0)),
           .label = v.label,
           .control = false});
    }
    co_return out;
  }
  config config_;
};

// prompt -> its segments, streamed one after the other.
struct answer {
  static constexpr stage_info info{.id = "answer", .summary = "Answers"};
  struct config {
    std::int64_t max_tokens = 5;
    model_ref model;
  };
  struct inputs {
    const labelled_prompt* prompt = nullptr;
  };
  struct outputs {};
  struct streams {
    text_stream text;
  };
  static constexpr auto params() {
    return std::tuple{param("max_tokens", &config::max_tokens),
                      param("model", &config::model)};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("prompt", &inputs::prompt)};
  }
  static constexpr auto out_ports() { return std::tuple{}; }
  static constexpr auto stream_ports() {
    return std::tuple{port("text", &streams::text)};
  }
  static stage_facts check(const config& c, const call_facts&, host&) {
    stage_facts facts;
    facts.answer = {c.model.name, static_cast<std::size_t>(c.max_tokens)};
    return facts;
  }
  answer(config, host&) {}
  task<outputs> run(run_context&, inputs in, streams out) const {
    for (const prompt_segment& s : in.prompt->segments) {
      std::string piece = s.text + ";";
      co_await out.text.send(std::move(piece));
    }
    co_return outputs{};
  }
};

// Streams `n` pieces of 1000 bytes; counts what was accepted. Fails after
// `fail_at` of them.
struct flood {
  static constexpr stage_info info{.id = "flood", .summary = "Streams a lot"};
  struct config {
    std::int64_t n = 100;
    std::int64_t fail_at = -1;
  };
  struct inputs {};
  struct outputs {};
  struct streams {
    text_stream text;
  };
  static constexpr auto params() {
    return std::tuple{param("n", &config::n),
                      param("fail_at", &config::fail_at)};
  }
  static constexpr auto in_ports() { return std::tuple{}; }
  static constexpr auto out_ports() { return std::tuple{}; }
  static constexpr auto stream_ports() {
    return std::tuple{port("text", &streams::text)};
  }
  flood(config c, host&) : config_(c) {}
  task<outputs> run(run_context&, inputs, streams out) const {
    for (std::int64_t i = 0; i < config_.n; ++i) {
      if (i == config_.fail_at) {
        throw stage_error(error_code::unavailable, "the flood dried up");
      }
      co_await out.text.send(
          std::string(1000, static_cast<char>('a' + i % 26)));
      ++sent;
    }
    co_return outputs{};
  }
  config config_;
  static inline std::atomic<std::int64_t> sent = 0;
};

// Works on the pool until it is stopped or `ms` are over.
struct block {
  static constexpr stage_info info{.id = "block", .summary = "Blocks"};
  struct config {
    std::int64_t ms = 100000;
  };
  struct inputs {
    std::string_view text;
  };
  struct outputs {
    bool on_pool = false;
  };
  static constexpr auto params() {
    return std::tuple{param("ms", &config::ms)};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("text", &inputs::text)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("on_pool", &outputs::on_pool)};
  }
  block(config c, host&) : config_(c) {}
  task<outputs> run(run_context& cx, inputs) const {
    const auto home = std::this_thread::get_id();
    const auto work = [&]() -> bool {
      for (std::int64_t i = 0; i < config_.ms; ++i) {
        unwrap(cx.stop().check());
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      return std::this_thread::get_id() != home;
    };
    outputs out;
    out.on_pool = co_await cx.blocking(work);
    co_return out;
  }
  config config_;
};

// Throws what `how` says: "error", "std", "int", "pool".
struct thrower {
  static constexpr stage_info info{.id = "throw", .summary = "Throws"};
  struct config {
    std::string how = "error";
  };
  struct inputs {};
  struct outputs {
    std::string text;
  };
  static constexpr auto params() {
    return std::tuple{param("how", &config::how)};
  }
  static constexpr auto in_ports() { return std::tuple{}; }
  static constexpr auto out_ports() {
    return std::tuple{port("text", &outputs::text)};
  }
  thrower(config c, host&) : config_(std::move(c)) {}
  task<outputs> run(run_context& cx, inputs) const {
    if (config_.how == "std") throw std::runtime_error("a plain exception");
    if (config_.how == "int") throw 7;
    if (config_.how == "pool") {
      const auto work = [] { throw std::runtime_error("from the pool"); };
      co_await cx.blocking(work);
    }
    if (config_.how == "long") {
      co_return outputs{std::string(request_limits().text + 1, 'x')};
    }
    throw stage_error(error_code::unavailable, "the server is down");
  }
  config config_;
};

inline registry fakes() {
  registry r;
  r.add<echo>().add<find>().add<lay_out>().add<answer>();
  r.add<flood>().add<block>().add<thrower>();
  return r;
}

// All diagnostics of a text, one a line, as for a file "t.toml".
inline std::string faults_of(std::string_view text,
                             const host_options& options = {}) {
  return to_string(check_pipeline_text(text, "t.toml", fakes(), options).faults,
                   "t.toml");
}

}  // namespace tinyphi_test

#endif  // TESTS_PIPELINE_FAKES_H_
