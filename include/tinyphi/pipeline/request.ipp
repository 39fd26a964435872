// SPDX-License-Identifier: MIT
// The state of one request and what reads or changes it without running a
// stage: inputs, values, switches, limits, results. Used by executor.ipp only.
#ifndef TINYPHI_PIPELINE_REQUEST_IPP_
#define TINYPHI_PIPELINE_REQUEST_IPP_

#include <algorithm>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <deque>
#include <list>

#include "tinyphi/pipeline/executor.h"
#include "tinyphi/pipeline/stream_port.ipp"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// One run of a stage's code.
struct attempt {
  cancel_token token;
  asio::cancellation_signal signal;
  std::optional<steady_time> deadline;  // its own timeout
  bool timed_out = false;

  void interrupt() {
    token.cancel();
    signal.emit(asio::cancellation_type::terminal);
  }
};

struct stage_run {
  enum class state : std::uint8_t { waiting, running, done, skipped };
  state now = state::waiting;
  std::size_t waits_for = 0;  // stages that have not ended, or not begun
  bool began = false;         // its first piece is there, or it has ended
  std::string reason;         // of a skip
  steady_time started;
  double seconds = 0;
  std::size_t rounds = 0;
  std::size_t n_attempts = 0;
  bool failed = false;  // and its fallback stands for it
  std::list<attempt> attempts;

  [[nodiscard]] bool ended() const {
    return now == state::done || now == state::skipped;
  }
};

// All state of one request. Everything but `stop.token` is touched on the
// strand only.
struct request {
  request(std::shared_ptr<const graph> graph, run_options opts,
          asio::any_io_executor blocking_pool, asio::any_io_executor home)
      : g(std::move(graph)),
        options(std::move(opts)),
        pool(std::move(blocking_pool)),
        clock(options.within != nullptr ? options.within->clock
                                        : options.clock),
        values(std::make_shared<value_ledger>(
            g->limits,
            options.within != nullptr ? options.within->values : nullptr)),
        strand(asio::make_strand(home)),
        changed(strand, steady_time::max()),
        tick(strand),
        started(std::chrono::steady_clock::now()),
        token(options.stop.token.child()),
        stages(g->stages.size()),
        streams(g->slots.size()) {
    if (clock == nullptr) clock = std::make_shared<real_clock>();
    if (g->deadline) deadline = clock->now() + *g->deadline;
    const auto& outer = options.within != nullptr ? options.within->deadline
                                                  : options.stop.deadline;
    if (outer && (!deadline || *outer < *deadline)) deadline = outer;
    options.origin.priority =
        std::max(options.origin.priority, g->limits.priority);
    for (const graph_slot& s : g->slots) readers_left.push_back(s.n_readers);
    if (options.trace && !options.trace->began) {
      auto begun = std::make_shared<request_trace>(*options.trace);
      begun->began = started;
      options.trace = std::move(begun);
    }
  }

  // Wakes those who deliver outputs, and who waits for the end.
  void notify() { changed.cancel(); }
  [[nodiscard]] bool stopping() const { return failure.has_value(); }
  [[nodiscard]] bool leaves_out(std::size_t stage) const {
    return options.doubles && !options.doubles->left_out.empty() &&
           options.doubles->left_out[stage];
  }
  // The first failure ends the request; later ones are its echo.
  void fail(error e) {
    if (stopping()) return;
    failure = std::move(e);
    token.cancel();
    for (stage_run& s : stages) {
      for (attempt& a : s.attempts) a.interrupt();
    }
    for (auto& reader : readers) reader.emit(asio::cancellation_type::terminal);
    for (auto& stream : streams) {
      if (stream) stream->wake();
    }
    for (asio::steady_timer* t : timers) t->cancel();
    notify();
  }
  void fail_in(const graph_stage& s, error e) {
    if (!stopping()) failed_stage = s.id;
    fail(std::move(e).within("stage " + s.id));
  }
  // Ends what has run out of time or was cancelled from outside.
  void enforce_limits();
  // When it has to do that next.
  [[nodiscard]] steady_time next_deadline() const;
  // Something began that has to end by then.
  void expect(steady_time end) {
    if (end < tick_at) tick.cancel();
  }
  // A value of a stage, which counts already.
  void fill(std::size_t slot, std::optional<value_data> v);
  // A stage that reads slots has ended.
  void let_go(const graph_stage& reader);
  // Nobody will read it any more.
  void forget(std::size_t slot);

  std::shared_ptr<const graph> g;
  run_options options;
  asio::any_io_executor pool;
  std::shared_ptr<request_clock> clock;
  std::shared_ptr<value_ledger> values;
  asio::strand<asio::any_io_executor> strand;
  asio::steady_timer changed;
  asio::steady_timer tick;
  steady_time tick_at = steady_time::min();  // when it expires
  steady_time started;
  std::optional<steady_time> deadline;
  cancel_token token;
  std::vector<std::optional<value_data>> slots;
  std::vector<std::size_t> readers_left;  // by slot
  std::deque<stage_run> stages;
  std::vector<std::shared_ptr<stream_port>> streams;  // by slot
  std::deque<asio::cancellation_signal> readers;      // of streamed outputs
  std::list<asio::steady_timer*> timers;              // of waits for a retry
  std::size_t running = 0;  // coroutines that have not ended
  std::optional<error> failure;
  std::string failed_stage;
  tinyphi::tool_counts tool_counts;
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
  const auto now = clock->now();
  if (options.stop.token.cancelled()) {
    return fail({error_code::cancelled, "the request was cancelled"});
  }
  if (deadline && now >= *deadline) {
    return fail({error_code::deadline, "the request's deadline has passed"});
  }
  for (stage_run& s : stages) {
    for (attempt& a : s.attempts) {
      if (!a.deadline || a.timed_out || now < *a.deadline) continue;
      a.timed_out = true;
      a.interrupt();
    }
  }
}

inline steady_time request::next_deadline() const {
  steady_time next = steady_time::max();
  if (stopping()) return next;
  if (deadline) next = *deadline;
  for (const stage_run& s : stages) {
    for (const attempt& a : s.attempts) {
      if (a.deadline && !a.timed_out) next = std::min(next, *a.deadline);
    }
  }
  return next;
}

inline void request::fill(std::size_t slot, std::optional<value_data> v) {
  slots[slot] = std::move(v);
  if (readers_left[slot] == 0) forget(slot);
}

inline void request::let_go(const graph_stage& reader) {
  for (const std::size_t slot : reader.reads) {
    if (--readers_left[slot] == 0) forget(slot);
  }
}

// A test looks at all values in the end.
inline void request::forget(std::size_t slot) {
  if (!slots[slot] || options.record != nullptr) return;
  values->release(*slots[slot]);
  slots[slot].reset();
  streams[slot].reset();
}

// What `item`, `index` and carried values are while a stage runs for one item
// and one round.
struct frame {
  std::optional<value_data> item;
  std::size_t index = 0;
  std::size_t round = 1;
  std::size_t attempt = 1;  // of the round
  // Of the round before, by out-port; none in the first.
  std::optional<kept_values> carried;
};

// Decides the switch that a slot is a case of, if it is one.
inline std::optional<error> decide_case(request& r, std::size_t slot);

// A condition in the middle of a request. Its error is `limit` only.
inline result<bool> holds(request& r, const graph_condition& condition,
                          const frame* f) {
  for (const std::size_t slot : condition.test.reads()) {
    if (auto wrong = decide_case(r, slot)) return *std::move(wrong);
  }
  const value_data index = f == nullptr ? 0 : f->index;
  expression_values values;
  values.slot = [&](std::size_t slot) -> const value_data* {
    if (slot < r.slots.size()) {
      return r.slots[slot] ? &*r.slots[slot] : nullptr;
    }
    return slot == r.slots.size() ? &*f->item : &index;
  };
  values.call = [&](std::size_t stage) {
    return value_data(r.stages[stage].failed);
  };
  return condition.test.holds(values);
}

// Fills the cases' slots, at the first time somebody looks at one. All stages
// that it reads have ended.
inline std::optional<error> decide_switch(request& r, std::size_t i) {
  const graph_switch& s = r.g->switches[i];
  if (r.slots[s.first_slot]) return std::nullopt;
  std::size_t chosen = s.cases.size() - 1;
  for (std::size_t n = 0; n + 1 < s.cases.size(); ++n) {
    const auto yes = holds(r, *s.cases[n].test, nullptr);
    if (!yes) {
      return error{yes.error()}.within("switch " + s.name + "." +
                                       s.cases[n].name);
    }
    if (!*yes) continue;
    chosen = n;
    break;
  }
  for (std::size_t n = 0; n < s.cases.size(); ++n) {
    r.slots[s.first_slot + n] = value_data(n == chosen);
  }
  return std::nullopt;
}

inline std::optional<error> decide_case(request& r, std::size_t slot) {
  const auto of = switch_of(*r.g, slot);
  return of ? decide_switch(r, *of) : std::nullopt;
}

inline std::optional<error> decide_cases(request& r, const graph_binding& b) {
  for (const graph_source& source : b.from) {
    if (source.what != graph_source::kind::slot) continue;
    if (auto wrong = decide_case(r, source.slot)) return wrong;
  }
  return std::nullopt;
}

// What a source gives now; nothing if it is absent.
inline std::optional<value_data> value_of(const request& r,
                                          const graph_source& s,
                                          const frame* f) {
  std::optional<value_data> found;
  switch (s.what) {
    case graph_source::kind::slot:
      found = r.slots[s.slot];
      break;
    case graph_source::kind::item:
      found = f->item;
      break;
    case graph_source::kind::index:
      found = value_data(f->index);
      break;
    case graph_source::kind::constant:
      found = s.constant;
      break;
  }
  for (const std::string& field : s.fields) {
    if (!found) break;
    const value_data* member = found->find(field);
    found = member == nullptr ? std::nullopt : std::optional(*member);
  }
  return found;
}

// What a port or an output gets now; nothing if it is absent.
inline std::optional<value_data> value_of(const request& r,
                                          const graph_binding& b,
                                          const frame* f) {
  value_data::list all;
  for (const graph_source& s : b.from) {
    auto found = value_of(r, s, f);
    if (!found) continue;
    if (!b.is_list) return found;
    all.push_back(*std::move(found));
  }
  if (b.is_list) return value_data(std::move(all));
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
inline result<std::vector<std::optional<value_data>>> take_inputs(
    const graph& g, const input_values& inputs) {
  std::vector<std::optional<value_data>> slots(g.slots.size());
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < g.inputs.size(); ++i) {
    const input_spec& spec = g.inputs[i];
    names.push_back(spec.name);
    const auto given = inputs.find(spec.name);
    if (given != inputs.end()) {
      TINYPHI_TRY(slots[i], check_input(spec, given->second));
    } else if (spec.default_value) {
      slots[i] = *spec.default_value;
    } else if (!spec.optional) {
      return error{
          error_code::invalid_argument,
          "input " + spec.name + " (" + to_string(spec.type) + ") is missing"};
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

inline std::vector<stage_report> reports_of(const request& r) {
  std::vector<stage_report> all;
  for (const std::size_t i : r.g->order) {
    const stage_run& run = r.stages[i];
    all.push_back({r.g->stages[i].id,
                   run.now == stage_run::state::done ? stage_outcome::done
                                                     : stage_outcome::skipped,
                   run.reason, run.seconds, run.rounds, run.n_attempts,
                   run.failed});
  }
  return all;
}

inline void keep_record(request& r) {
  run_record& record = *r.options.record;
  record.tools = std::move(r.tool_counts);
  // Tests ask for cases that nobody has looked at.
  for (std::size_t i = 0; i < r.g->switches.size(); ++i) {
    const auto& before = r.g->switches[i].after;
    const auto ended = [&](std::size_t stage) {
      return r.stages[stage].ended();
    };
    if (std::ranges::all_of(before, ended)) {
      static_cast<void>(decide_switch(r, i));
    }
  }
  record.stages = reports_of(r);
  record.failed_stage = std::move(r.failed_stage);
  record.slots = std::move(r.slots);
}

inline result<run_result> make_result(request& r) {
  run_result out;
  for (const graph_output& o : r.g->outputs) {
    if (auto wrong = decide_cases(r, o.binding)) return *std::move(wrong);
    if (auto v = value_of(r, o.binding, nullptr)) {
      out.outputs.add(o.name, {conform(*v, o.type), o.label});
    } else if (o.default_value) {
      out.outputs.add(o.name, {*o.default_value, o.label});
    }
  }
  out.stages = reports_of(r);
  out.seconds = seconds_since(r.started);
  return out;
}

}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_REQUEST_IPP_
