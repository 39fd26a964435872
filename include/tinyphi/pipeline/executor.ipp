// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_EXECUTOR_IPP_
#define TINYPHI_PIPELINE_EXECUTOR_IPP_

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <deque>

#include "tinyphi/base/utf8.h"
#include "tinyphi/pipeline/executor.h"

// g++ 12 destroys temporaries of a co_await expression twice when a capturing
// lambda is among them (asio issue 858): lambdas and tokens here have names,
// and coroutines take their state as parameters.

TINYPHI_NAMESPACE_BEGIN

namespace detail {

namespace asio = boost::asio;

struct request;

// A stream out-port of one request: keeps all that was sent, so that any
// reader may begin late, and holds the sender back for a slow one.
class stream_port final : public text_sink {
 public:
  stream_port(request& r, std::size_t stage) : request_(&r), stage_(stage) {}
  task<void> send(std::string piece) override;

  std::string text;
  std::size_t read = 0;
  bool has_reader = false;

 private:
  request* request_;
  std::size_t stage_;
};

struct stage_run {
  enum class state : std::uint8_t { waiting, running, done, skipped };
  state now = state::waiting;
  bool timed_out = false;
  std::string reason;  // of a skip
  steady_time started;
  std::optional<steady_time> deadline;
  double seconds = 0;
  cancel_token token;
  asio::cancellation_signal signal;
};

// All state of one request. Everything but `stop.token` is touched on the
// strand only.
struct request {
  request(std::shared_ptr<const graph> graph, run_options opts,
          asio::any_io_executor blocking_pool, asio::any_io_executor home)
      : g(std::move(graph)),
        options(std::move(opts)),
        pool(std::move(blocking_pool)),
        strand(asio::make_strand(home)),
        changed(strand, steady_time::max()),
        tick(strand),
        started(std::chrono::steady_clock::now()),
        token(options.stop.token.child()),
        stages(g->stages.size()),
        streams(g->slots.size()) {
    if (g->deadline) deadline = started + *g->deadline;
  }

  // Wakes every coroutine that waits for a change.
  void notify() { changed.cancel(); }
  [[nodiscard]] bool stopping() const { return failure.has_value(); }
  // The first failure ends the request; later ones are its echo.
  void fail(error e) {
    if (stopping()) return;
    failure = std::move(e);
    token.cancel();
    for (stage_run& s : stages) interrupt(s);
    for (auto& reader : readers) reader.emit(asio::cancellation_type::terminal);
    notify();
  }
  static void interrupt(stage_run& s) {
    if (s.now != stage_run::state::running) return;
    s.token.cancel();
    s.signal.emit(asio::cancellation_type::terminal);
  }
  // Ends what has run out of time or was cancelled from outside.
  void enforce_limits();

  std::shared_ptr<const graph> g;
  run_options options;
  asio::any_io_executor pool;
  asio::strand<asio::any_io_executor> strand;
  asio::steady_timer changed;
  asio::steady_timer tick;
  steady_time started;
  std::optional<steady_time> deadline;
  cancel_token token;
  std::vector<std::optional<value>> slots;
  std::deque<stage_run> stages;
  std::vector<std::unique_ptr<stream_port>> streams;  // by slot
  std::deque<asio::cancellation_signal> readers;      // of streamed outputs
  std::size_t running = 0;  // coroutines that have not ended
  std::optional<error> failure;
};

inline double seconds_since(steady_time start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

inline task<void> wait_for_change(request& r) {
  boost::system::error_code woken;
  auto token = asio::redirect_error(asio::use_awaitable, woken);
  co_await r.changed.async_wait(token);
}

inline void request::enforce_limits() {
  if (stopping()) return;
  const auto now = std::chrono::steady_clock::now();
  if (options.stop.token.cancelled()) {
    return fail({error_code::cancelled, "the request was cancelled"});
  }
  if ((options.stop.deadline && now >= *options.stop.deadline) ||
      (deadline && now >= *deadline)) {
    return fail({error_code::deadline, "the request's deadline has passed"});
  }
  for (stage_run& s : stages) {
    if (s.now != stage_run::state::running || s.timed_out) continue;
    if (s.deadline && now >= *s.deadline) {
      s.timed_out = true;
      interrupt(s);
    }
  }
}

inline task<void> stream_port::send(std::string piece) {
  stage_run& run = request_->stages[stage_];
  if (piece.size() > max_text_bytes - text.size()) {
    throw stage_error(
        error_code::limit,
        "more than " + std::to_string(max_text_bytes) + " bytes of text");
  }
  text += piece;
  request_->notify();
  // Lets the reader run even if this stage never waits for anything else.
  co_await asio::post(request_->strand, asio::use_awaitable);
  while (has_reader && text.size() - read > max_unread_bytes &&
         !run.token.cancelled()) {
    co_await wait_for_change(*request_);
  }
  if (run.token.cancelled()) {
    throw stage_error(error_code::cancelled, "cancelled");
  }
}

inline bool decided(const request& r, std::size_t stage) {
  const auto now = r.stages[stage].now;
  return now == stage_run::state::done || now == stage_run::state::skipped;
}

// The value that a port gets in this request; null if absent.
inline const value* choose(const request& r,
                           const std::vector<std::size_t>& from) {
  for (const std::size_t slot : from) {
    if (r.slots[slot]) return &*r.slots[slot];
  }
  return nullptr;
}

// Why the stage does not run; empty if it does.
inline std::string reason_to_skip(const request& r, const graph_stage& s) {
  for (const graph_port& p : s.in) {
    if (p.required && choose(r, p.from) == nullptr) {
      return "in." + p.info.name + " is absent";
    }
  }
  if (!s.when) return {};
  const auto at = [&](std::size_t slot) -> const value* {
    return r.slots[slot] ? &*r.slots[slot] : nullptr;
  };
  for (const std::size_t slot : s.when->needs()) {
    if (at(slot) == nullptr) {
      return "when: " + r.g->slots[slot].name + " is absent";
    }
  }
  return s.when->holds(at) ? "" : "when: " + s.when_text;
}

// Moves what the stage gave into its slots, or says what is wrong with it.
inline std::optional<error> store_outputs(request& r, const graph_stage& s,
                                          stage_outputs outputs, trust label) {
  for (std::size_t i = 0; i < s.out.size(); ++i) {
    const std::size_t slot = s.first_slot + i;
    if (r.streams[slot]) {
      r.slots[slot] = value{r.streams[slot]->text, label};
    } else if (outputs[i]) {
      const auto* text = std::get_if<std::string>(&*outputs[i]);
      if (text != nullptr && text->size() > max_text_bytes) {
        return error{error_code::limit,
                     "port " + s.out[i].name + " is " +
                         std::to_string(text->size()) + " bytes, at most " +
                         std::to_string(max_text_bytes) + " are allowed"};
      }
      r.slots[slot] = value{*std::move(outputs[i]), label};
    }
  }
  return std::nullopt;
}

inline error current_stage_error() {
  try {
    throw;
  } catch (const stage_error& e) {
    return e.error;
  } catch (const boost::system::system_error& e) {
    if (e.code() == asio::error::operation_aborted) {
      return {error_code::cancelled, "cancelled"};
    }
    return {error_code::internal, std::string("threw: ") + e.what()};
  } catch (const std::bad_alloc&) {
    return {error_code::limit, "out of memory"};
  } catch (const std::exception& e) {
    return {error_code::internal, std::string("threw: ") + e.what()};
  } catch (...) {
    return {error_code::internal, "threw something that is no exception"};
  }
}

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
      in.open.emplace(p.info.name, v);
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
  run_context cx({run.token, run.deadline}, r.pool, label);
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
    if (stream && stream->read > 0) return true;
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
    std::string text = std::get<std::string>(*out.default_value);
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

// The slots of a new request with its inputs filled in.
inline result<std::vector<std::optional<value>>> take_inputs(
    const graph& g, input_values inputs) {
  std::vector<std::optional<value>> slots(g.slots.size());
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < g.inputs.size(); ++i) {
    const input_spec& spec = g.inputs[i];
    names.push_back(spec.name);
    const auto given = inputs.find(spec.name);
    if (given == inputs.end() && !spec.default_value) {
      return error{error_code::invalid_argument,
                   "input " + spec.name + " (" +
                       std::string(to_string(spec.type)) + ") is missing"};
    }
    slots[i] = given == inputs.end()
                   ? value{*spec.default_value, trust::trusted}
                   : value{std::move(given->second), spec.label};
    if (slots[i]->type() != spec.type) {
      return error{error_code::invalid_argument,
                   "input " + spec.name + " is " +
                       std::string(to_string(slots[i]->type())) +
                       ", the pipeline takes " +
                       std::string(to_string(spec.type))};
    }
    const auto* text = slots[i]->get<std::string>();
    if (text == nullptr) continue;
    if (text->size() > spec.max_bytes) {
      return error{error_code::limit,
                   "input " + spec.name + " is " +
                       std::to_string(text->size()) + " bytes, at most " +
                       std::to_string(spec.max_bytes) + " are allowed"};
    }
    if (const std::size_t bad = find_invalid_utf8(*text);
        bad != std::string_view::npos) {
      return error{error_code::bad_data, "input " + spec.name + ": byte " +
                                             std::to_string(bad) +
                                             " is not UTF-8"};
    }
  }
  for (const auto& given : inputs) {
    if (std::ranges::find(names, given.first) == names.end()) {
      return error{
          error_code::invalid_argument,
          "no input " + quote(given.first) + did_you_mean(given.first, names)};
    }
  }
  return slots;
}

inline run_result make_result(request& r) {
  run_result out;
  for (const graph_output& o : r.g->outputs) {
    if (const value* v = choose(r, o.from)) {
      out.outputs.emplace(o.name, *v);
    } else if (o.default_value) {
      out.outputs.emplace(o.name, value{*o.default_value, trust::trusted});
    }
  }
  for (const std::size_t i : r.g->order) {
    const stage_run& run = r.stages[i];
    out.stages.push_back({r.g->stages[i].id,
                          run.now == stage_run::state::done
                              ? stage_outcome::done
                              : stage_outcome::skipped,
                          run.reason, run.seconds});
  }
  out.seconds = seconds_since(r.started);
  return out;
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
