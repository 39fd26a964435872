// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_EXECUTOR_IPP_
#define TINYPHI_PIPELINE_EXECUTOR_IPP_

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

#include "tinyphi/pipeline/cancel_watch.h"
#include "tinyphi/pipeline/executor.h"
#include "tinyphi/pipeline/stage_calls.ipp"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// Whether a test leaves out the stages that would give the value.
inline bool is_left_out(const request& r, const graph_binding& b) {
  const auto left_out = [&](const graph_source& s) {
    const std::size_t stage = s.what == graph_source::kind::slot
                                  ? r.g->slots[s.slot].stage
                                  : no_stage;
    return stage != no_stage && r.leaves_out(stage);
  };
  return std::ranges::all_of(b.from, left_out);
}

// Why the stage does not run; empty if it does.
inline result<std::string> reason_to_skip(request& r, const graph_stage& s) {
  for (const graph_port& p : s.in) {
    if (auto wrong = decide_cases(r, p.binding)) return *std::move(wrong);
    if (!p.required || p.binding.from.empty() || is_left_out(r, p.binding)) {
      continue;
    }
    // `item` and `index` are there whenever it runs.
    frame any;
    any.item = value_data();
    const bool is_item =
        p.binding.from.front().what == graph_source::kind::item;
    if (is_item || value_of(r, p.binding, &any)) continue;
    if (const auto stream = stream_of(r, p);
        stream != nullptr && !stream->text().empty()) {
      continue;
    }
    return "in." + p.info.name + " is absent";
  }
  if (s.each && !value_of(r, *s.each, nullptr)) {
    return "each: " + s.each->name + " is absent";
  }
  if (!s.when || s.when_asks_item) return std::string();
  TINYPHI_TRY(const bool yes, holds(r, *s.when, nullptr));
  return yes ? std::string() : "when: " + s.when->text;
}

task<void> run_stage(request& r, std::size_t i);

// What a coroutine of the request threw is the request's failure.
inline void end_coroutine(request& r, const std::exception_ptr& thrown,
                          std::string_view doing = {}) {
  if (thrown) {
    try {
      std::rethrow_exception(thrown);
    } catch (...) {
      error e = current_stage_error();
      r.fail(doing.empty() ? std::move(e) : std::move(e).within(doing));
    }
  }
  if (--r.running == 0) r.tick.cancel();
  r.notify();
}

// Starts what waited for nothing but this.
inline void count_down(request& r, std::size_t stage) {
  if (--r.stages[stage].waits_for > 0 || r.stopping()) return;
  ++r.running;
  const auto ended = [&r](std::exception_ptr thrown) {
    end_coroutine(r, thrown);
  };
  asio::co_spawn(r.strand, run_stage(r, stage), ended);
}

inline void stage_began(request& r, std::size_t stage) {
  if (std::exchange(r.stages[stage].began, true)) return;
  for (const std::size_t other : r.g->stages[stage].read_while_running_by) {
    count_down(r, other);
  }
}

// Afterwards those who waited for the stage may run.
inline void end_stage(request& r, std::size_t i, stage_run::state how) {
  stage_run& run = r.stages[i];
  const graph_stage& s = r.g->stages[i];
  run.now = how;
  stage_began(r, i);
  r.let_go(s);
  for (const std::size_t other : s.before) count_down(r, other);
  r.notify();
}

inline task<void> run_stage(request& r, std::size_t i) {
  const graph_stage& s = r.g->stages[i];
  stage_run& run = r.stages[i];
  if (r.stopping()) co_return;
  if (r.leaves_out(i)) {
    run.reason = r.options.doubles->why_left_out;
    end_stage(r, i, stage_run::state::skipped);
    co_return;
  }
  auto reason = reason_to_skip(r, s);
  if (!reason) {
    r.fail_in(s, std::move(reason).error());
    co_return;
  }
  if (!reason->empty()) {
    run.reason = *std::move(reason);
    if (r.options.trace) tell_skip(r, i, std::nullopt, run.reason);
    end_stage(r, i, stage_run::state::skipped);
    co_return;
  }
  run.started = std::chrono::steady_clock::now();
  run.now = stage_run::state::running;
  std::optional<result<kept_values>> out;
  if (s.each) {
    out.emplace(co_await run_items(r, i));
  } else {
    frame only;
    out.emplace(co_await run_call(r, i, only));
  }
  run.seconds = seconds_since(run.started);
  if (r.stopping()) co_return;
  if (!*out) {
    r.fail_in(s, std::move(*out).error());
    co_return;
  }
  bool any = false;
  call_outputs given = (**out).take();
  for (std::size_t port = 0; port < s.out.size(); ++port) {
    any = any || given[port].has_value();
    r.fill(s.first_slot + port, std::move(given[port]));
  }
  const bool is_done = !run.failed || s.each || any;
  end_stage(r, i, is_done ? stage_run::state::done : stage_run::state::skipped);
}

inline task<void> deliver(request& r, const graph_output& out,
                          std::string piece) {
  if (piece.empty()) co_return;
  task<void> taken = r.options.on_text(out.name, std::move(piece));
  co_await std::move(taken);
}

// Reads a stream while its stage runs; true if anything was read.
inline task<bool> read_stream(request& r, const graph_output& out,
                              std::shared_ptr<stream_port> port) {
  stream_port::cursor cursor(*port);
  bool any = false;
  while (true) {
    auto piece = co_await cursor.next(r.token);
    if (!piece) break;
    any = true;
    const std::size_t n = piece->size();
    co_await deliver(r, out, *std::move(piece));
    cursor.advance(n);
  }
  co_return any;
}

// Sends one output to the reader: the first of its sources that is present, as
// it comes.
inline task<void> stream_output(request& r, const graph_output& out) {
  for (const graph_source& source : out.binding.from) {
    const bool is_slot = source.what == graph_source::kind::slot;
    const std::size_t stage =
        is_slot ? r.g->slots[source.slot].stage : no_stage;
    // Each attempt has a stream of its own, until somebody has read one.
    std::shared_ptr<stream_port> last;
    while (stage != no_stage && !r.stopping() && !r.stages[stage].ended()) {
      const auto port = r.streams[source.slot];
      if (port == last) {
        co_await wait_for_change(r);
        continue;
      }
      last = port;
      const bool any = co_await read_stream(r, out, port);
      if (any) co_return;
    }
    if (r.stopping()) co_return;
    const auto data = value_of(r, source, nullptr);
    if (!data) continue;
    std::string text = *data->get<std::string>();
    co_await deliver(r, out, std::move(text));
    co_return;
  }
  if (!r.stopping() && out.default_value) {
    std::string text = *out.default_value->get<std::string>();
    co_await deliver(r, out, std::move(text));
  }
}

// Ends what is out of time.
inline task<void> watch(request& r) {
  while (r.running > 0) {
    r.tick_at = r.next_deadline();
    r.clock->set(r.tick, r.tick_at);
    boost::system::error_code woken;
    auto token = asio::redirect_error(asio::use_awaitable, woken);
    co_await r.tick.async_wait(token);
    r.enforce_limits();
  }
  r.clock->forget(r.tick);
}

// A called file is cancelled by its caller; all others are told by the token.
inline std::optional<cancel_watch::entry> watch_token(
    const std::shared_ptr<request>& r) {
  if (r->options.within != nullptr) return std::nullopt;
  std::function<void()> wake = [weak = std::weak_ptr(r), strand = r->strand] {
    asio::post(strand, [weak] {
      if (const auto still = weak.lock()) still->enforce_limits();
    });
  };
  return cancel_watch::add(r->strand, r->options.stop.token, std::move(wake));
}

inline task<void> run_request(std::shared_ptr<request> r) {
  co_await asio::this_coro::throw_if_cancelled(false);
  const auto ended = [r](std::exception_ptr thrown) {
    end_coroutine(*r, thrown, "reading the output");
  };
  // One more than it waits for, so that none starts before all are counted.
  for (const std::size_t i : r->g->order) {
    r->stages[i].waits_for = r->g->stages[i].n_waits + 1;
  }
  for (const graph_output& out : r->g->outputs) {
    if (!out.stream || !r->options.on_text) continue;
    ++r->running;
    auto& signal = r->readers.emplace_back();
    auto token = asio::bind_cancellation_slot(signal.slot(), ended);
    asio::co_spawn(r->strand, stream_output(*r, out), token);
  }
  for (const std::size_t i : r->g->order) count_down(*r, i);
  const auto watched_token = watch_token(r);
  bool watching = true;
  const auto watched = [r, &watching](std::exception_ptr) {
    watching = false;
    r->notify();
  };
  asio::co_spawn(r->strand, watch(*r), watched);
  while (r->running > 0 || watching) {
    co_await wait_for_change(*r);
    const asio::cancellation_state cancelled =
        co_await asio::this_coro::cancellation_state;
    if (cancelled.cancelled() != asio::cancellation_type::none) {
      r->fail({error_code::cancelled, "the request was cancelled"});
    }
  }
}

inline void count_inputs(request& r) {
  for (std::size_t i = 0; i < r.g->inputs.size(); ++i) {
    if (!r.slots[i]) continue;
    auto over = r.values->keep(*r.slots[i], "input " + r.g->inputs[i].name);
    if (over) return r.fail(*std::move(over));
  }
}

}  // namespace detail

TINYPHI_FUNC task<result<run_result>> run_graph(
    std::shared_ptr<const graph> g, input_values inputs, run_options options,
    boost::asio::any_io_executor pool) {
  auto slots = detail::take_inputs(*g, inputs);
  if (!slots) co_return std::move(slots).error();
  const boost::asio::any_io_executor home =
      co_await boost::asio::this_coro::executor;
  const auto r = std::make_shared<detail::request>(
      std::move(g), std::move(options), std::move(pool), home);
  r->slots = *std::move(slots);
  detail::count_inputs(*r);
  if (!r->failure) {
    task<void> whole = detail::run_request(r);
    const auto& token = boost::asio::use_awaitable;
    co_await boost::asio::co_spawn(r->strand, std::move(whole), token);
  }
  std::optional<result<run_result>> ended;
  if (r->failure) {
    ended.emplace(std::move(*r->failure));
  } else {
    ended.emplace(detail::make_result(*r));
  }
  if (r->options.record != nullptr) detail::keep_record(*r);
  co_return *std::move(ended);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_EXECUTOR_IPP_
