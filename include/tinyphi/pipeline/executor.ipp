// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_EXECUTOR_IPP_
#define TINYPHI_PIPELINE_EXECUTOR_IPP_

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

#include "tinyphi/pipeline/executor.h"
#include "tinyphi/pipeline/request.ipp"

// g++ 12 destroys temporaries of a co_await expression twice when a capturing
// lambda is among them (asio issue 858): lambdas and tokens here have names,
// and coroutines take their state as parameters.

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// Gathers the inputs, runs the stage, and stores what it gave.
inline task<std::optional<error>> run_instance(request& r, std::size_t i) {
  const graph_stage& s = r.g->stages[i];
  stage_run& run = r.stages[i];
  std::vector<const value*> fixed;
  std::vector<text_sink*> sinks;
  stage_inputs in;
  trust label = s.plugin.makes;
  for (const graph_port& p : s.in) {
    const value* v = choose(r, p.from);
    if (v != nullptr) label = join(label, v->label);
    if (fixed.size() < s.n_fixed_ports) {
      fixed.push_back(v);
    } else if (v != nullptr) {
      in.open.emplace(p.info.name, *v);
    }
  }
  for (std::size_t port = 0; port < s.out.size(); ++port) {
    if (!s.out[port].stream) continue;
    auto& stream = r.streams[s.first_slot + port];
    stream = std::make_unique<stream_port>(r, i);
    sinks.push_back(stream.get());
  }
  in.values = fixed;
  in.streams = sinks;
  run_context cx({run.token, run.deadline}, r.pool, label, r.options.origin);
  std::optional<error> failed;
  try {
    task<stage_outputs> body = s.instance->run(cx, std::move(in));
    auto token =
        asio::bind_cancellation_slot(run.signal.slot(), asio::use_awaitable);
    stage_outputs outputs =
        co_await asio::co_spawn(r.strand, std::move(body), token);
    failed = store_outputs(r, s, std::move(outputs), label);
  } catch (...) {
    failed = current_stage_error();
  }
  co_return failed;
}

inline bool was_read(const request& r, const graph_stage& s) {
  for (std::size_t port = 0; port < s.out.size(); ++port) {
    const auto& stream = r.streams[s.first_slot + port];
    if (stream && stream->was_read) return true;
  }
  return false;
}

inline task<void> run_stage(request& r, std::size_t i) {
  const graph_stage& s = r.g->stages[i];
  stage_run& run = r.stages[i];
  for (const std::size_t other : s.after) {
    while (!r.stopping() && !decided(r, other)) co_await wait_for_change(r);
  }
  if (r.stopping()) co_return;
  run.reason = reason_to_skip(r, s);
  if (!run.reason.empty()) {
    run.now = stage_run::state::skipped;
    co_return;
  }
  run.started = std::chrono::steady_clock::now();
  run.deadline = r.deadline;
  const auto sooner = [&](std::optional<steady_time> t) {
    if (t && (!run.deadline || *t < *run.deadline)) run.deadline = t;
  };
  sooner(r.options.stop.deadline);
  if (s.timeout) sooner(run.started + *s.timeout);
  run.token = r.token.child();
  run.now = stage_run::state::running;
  r.notify();
  std::optional<error> failed = co_await run_instance(r, i);
  run.seconds = seconds_since(run.started);
  r.enforce_limits();  // a request that is over says so, not its stages
  if (s.timeout &&
      run.seconds >= std::chrono::duration<double>(*s.timeout).count()) {
    failed =
        error{error_code::deadline,
              "no result within " + std::to_string(s.timeout->count()) + " ms"};
  }
  run.now = stage_run::state::done;
  if (!failed || r.stopping()) co_return;
  if (!s.skip_on_error || was_read(r, s)) {
    r.fail(error{*failed}.within("stage " + s.id));
    co_return;
  }
  for (std::size_t port = 0; port < s.out.size(); ++port) {
    r.slots[s.first_slot + port].reset();
    // A reader that comes only now finds nothing.
    if (r.streams[s.first_slot + port]) {
      r.streams[s.first_slot + port]->text.clear();
    }
  }
  run.reason = failed->message;
  run.now = stage_run::state::skipped;
}

inline task<void> deliver(request& r, const graph_output& out,
                          std::string piece) {
  if (piece.empty()) co_return;
  task<void> taken = r.options.on_text(out.name, std::move(piece));
  co_await std::move(taken);
}

// Reads a stream while its stage runs; true unless the stage was skipped.
inline task<bool> read_stream(request& r, const graph_output& out,
                              std::size_t slot) {
  const stage_run& run = r.stages[r.g->slots[slot].stage];
  stream_port& port = *r.streams[slot];
  port.has_reader = true;
  while (!r.stopping()) {
    if (port.read < port.text.size()) {
      const std::size_t end = port.text.size();
      std::string piece = port.text.substr(port.read, end - port.read);
      port.was_read = true;
      co_await deliver(r, out, std::move(piece));
      port.read = end;
      r.notify();
    } else if (run.now == stage_run::state::running) {
      co_await wait_for_change(r);
    } else {
      break;
    }
  }
  co_return run.now != stage_run::state::skipped;
}

// Sends one output to the reader: the first of its sources that is present, as
// it comes.
inline task<void> stream_output(request& r, const graph_output& out) {
  for (const std::size_t slot : out.from) {
    const std::size_t stage = r.g->slots[slot].stage;
    const auto state = [&] { return r.stages[stage].now; };
    if (stage != no_stage) {
      while (!r.stopping() && state() == stage_run::state::waiting) {
        co_await wait_for_change(r);
      }
      if (!r.stopping() && r.streams[slot]) {
        const bool present = co_await read_stream(r, out, slot);
        if (present) co_return;
        continue;
      }
      while (!r.stopping() && !decided(r, stage)) co_await wait_for_change(r);
    }
    if (r.stopping()) co_return;
    if (r.slots[slot]) {
      std::string text = *r.slots[slot]->get<std::string>();
      co_await deliver(r, out, std::move(text));
      co_return;
    }
  }
  if (!r.stopping() && out.default_value) {
    std::string text = *out.default_value->get<std::string>();
    co_await deliver(r, out, std::move(text));
  }
}

// The stop token of the caller has no way to wake anybody, so it is polled.
inline task<void> watch(request& r) {
  constexpr auto period = std::chrono::milliseconds(5);
  while (r.running > 0) {
    r.tick.expires_after(period);
    boost::system::error_code woken;
    auto token = asio::redirect_error(asio::use_awaitable, woken);
    co_await r.tick.async_wait(token);
    r.enforce_limits();
  }
}

inline task<void> run_request(std::shared_ptr<request> r) {
  co_await asio::this_coro::throw_if_cancelled(false);
  const auto ended = [r](std::exception_ptr thrown) {
    if (thrown) {
      try {
        std::rethrow_exception(thrown);
      } catch (...) {
        r->fail(current_stage_error().within("reading the output"));
      }
    }
    if (--r->running == 0) r->tick.cancel();
    r->notify();
  };
  for (const std::size_t i : r->g->order) {
    ++r->running;
    asio::co_spawn(r->strand, run_stage(*r, i), ended);
  }
  for (const graph_output& out : r->g->outputs) {
    if (!out.stream || !r->options.on_text) continue;
    ++r->running;
    auto& signal = r->readers.emplace_back();
    auto token = asio::bind_cancellation_slot(signal.slot(), ended);
    asio::co_spawn(r->strand, stream_output(*r, out), token);
  }
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

}  // namespace detail

TINYPHI_FUNC task<result<run_result>> run_graph(
    std::shared_ptr<const graph> g, input_values inputs, run_options options,
    boost::asio::any_io_executor pool) {
  auto slots = detail::take_inputs(*g, std::move(inputs));
  if (!slots) co_return std::move(slots).error();
  const boost::asio::any_io_executor home =
      co_await boost::asio::this_coro::executor;
  const auto r = std::make_shared<detail::request>(
      std::move(g), std::move(options), std::move(pool), home);
  r->slots = *std::move(slots);
  task<void> whole = detail::run_request(r);
  const auto& token = boost::asio::use_awaitable;
  co_await boost::asio::co_spawn(r->strand, std::move(whole), token);
  if (r->failure) co_return std::move(*r->failure);
  co_return detail::make_result(*r);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_EXECUTOR_IPP_
