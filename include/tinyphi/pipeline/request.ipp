// SPDX-License-Identifier: MIT
// The state of one request and what reads or changes it without running a
// stage: inputs, streams, limits, results. Used by executor.ipp only.
#ifndef TINYPHI_PIPELINE_REQUEST_IPP_
#define TINYPHI_PIPELINE_REQUEST_IPP_

#include <algorithm>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <deque>

#include "tinyphi/base/utf8.h"
#include "tinyphi/pipeline/executor.h"

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
  bool was_read = false;  // the reader was given a piece, even if it has not
                          // taken it yet

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
      const auto* text = outputs[i]->get<std::string>();
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
    return {error_code::internal, "threw something that is not an exception"};
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
      return error{
          error_code::invalid_argument,
          "input " + spec.name + " (" + to_string(spec.type) + ") is missing"};
    }
    if (given == inputs.end()) {
      slots[i] = value{*spec.default_value, trust::trusted};
      continue;
    }
    TINYPHI_TRY(value_data data, check_input(spec, given->second));
    slots[i] = value{std::move(data), spec.label};
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
      out.outputs.add(o.name, *v);
    } else if (o.default_value) {
      out.outputs.add(o.name, value{*o.default_value, trust::trusted});
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

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_REQUEST_IPP_
