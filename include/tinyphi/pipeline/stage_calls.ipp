// SPDX-License-Identifier: MIT
// One stage of a request, from the outside in: for each item, with a fallback,
// in rounds, with attempts, each within its timeout. Used by executor.ipp only.
#ifndef TINYPHI_PIPELINE_STAGE_CALLS_IPP_
#define TINYPHI_PIPELINE_STAGE_CALLS_IPP_

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>

#include "tinyphi/pipeline/request.ipp"
#include "tinyphi/pipeline/stage_trace.ipp"

// g++ 12 destroys temporaries of a co_await expression twice when a capturing
// lambda is among them (asio issue 858): lambdas and tokens here have names,
// and coroutines take their state as parameters.

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// A stage whose reader may begin is told by its first piece.
void stage_began(request& r, std::size_t stage);

// The inputs of one attempt, and what they live in.
struct attempt_inputs {
  std::deque<value> values;
  std::vector<const value*> fixed;
  std::vector<std::unique_ptr<text_feed>> feeds;
  std::vector<text_feed*> fixed_feeds;
  named_values open;
  std::vector<text_sink*> sinks;
};

inline void gather_inputs(request& r, const graph_stage& s, const frame& f,
                          const cancel_token& stop, attempt_inputs& in) {
  for (std::size_t i = 0; i < s.in.size(); ++i) {
    const graph_port& p = s.in[i];
    const bool is_fixed = i < s.n_fixed_ports;
    if (is_fixed) {
      in.fixed.push_back(nullptr);
      in.fixed_feeds.push_back(nullptr);
    }
    if (auto stream = stream_of(r, p)) {
      in.feeds.push_back(std::make_unique<port_feed>(std::move(stream), stop));
      in.fixed_feeds.back() = in.feeds.back().get();
      continue;
    }
    auto data = port_value(r, p, f);
    if (!data) continue;
    if (is_fixed && p.info.stream) {
      in.feeds.push_back(
          std::make_unique<whole_feed>(*data->get<std::string>()));
      in.fixed_feeds.back() = in.feeds.back().get();
      continue;
    }
    value v{*std::move(data), p.label};
    if (is_fixed) {
      in.fixed.back() = &in.values.emplace_back(std::move(v));
    } else {
      in.open.emplace(p.info.name, std::move(v));
    }
  }
}

// Counts what a call gives, by out-port.
inline result<kept_values> keep_outputs(request& r, const graph_stage& s,
                                        call_outputs out) {
  kept_values kept(r.values);
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (auto over = kept.add(std::move(out[i]), "port " + s.out[i].name)) {
      return *std::move(over);
    }
  }
  return kept;
}

// What a stage gave, by out-port; or what is wrong with it.
inline result<call_outputs> sort_outputs(
    const graph_stage& s, stage_outputs given,
    const std::vector<std::shared_ptr<stream_port>>& streams) {
  call_outputs out(s.out.size());
  std::size_t next_plain = 0, next_stream = 0;
  for (std::size_t i = 0; i < s.out.size(); ++i) {
    const port_info& p = s.out[i];
    if (s.lists_failures(i)) break;
    if (p.stream) {
      const std::size_t n = next_stream++;
      const bool is_absent = n < given.absent.size() && given.absent[n];
      if (!is_absent) out[i] = streams[n]->whole();
      continue;
    }
    if (next_plain < given.plain.size()) {
      out[i] = std::move(given.plain[next_plain++]);
    } else if (const auto it = given.open.find(p.name);
               it != given.open.end()) {
      out[i] = it->second;
    }
    if (!out[i] && p.required) {
      return error{error_code::internal, "port " + p.name + " was not given"};
    }
  }
  return out;
}

// Whether an output follows the stream from its beginning.
inline bool is_streamed(const request& r, std::size_t slot) {
  return r.options.on_text &&
         std::ranges::any_of(r.g->outputs, [&](const graph_output& o) {
           const graph_source& first = o.binding.from.front();
           return o.stream && first.what == graph_source::kind::slot &&
                  first.slot == slot;
         });
}

// What stands for a run of the stage, in a test or a replay; nothing: it runs.
inline std::optional<result<call_outputs>> find_double(const request& r,
                                                       std::size_t i,
                                                       std::size_t number,
                                                       const frame& f) {
  if (!r.options.doubles) return std::nullopt;
  const run_doubles& doubles = *r.options.doubles;
  if (doubles.fake) {
    if (auto given = doubles.fake(i, number)) return given;
  }
  if (!doubles.recorded) return std::nullopt;
  return doubles.recorded(i, call_of(r.g->stages[i], f));
}

inline call_site site_of(const request& r, std::size_t i) {
  call_site site{.stage = r.g->stages[i].id, .doubles = r.options.doubles};
  if (r.options.approve) {
    site.approve = r.options.approve;
    site.effects = effects_behind(*r.g, i);
  }
  return site;
}

// One attempt, within its timeout.
inline task<result<kept_values>> run_attempt(request& r, std::size_t i,
                                             const frame& f, bool& was_read) {
  const graph_stage& s = r.g->stages[i];
  stage_run& run = r.stages[i];
  const std::size_t number = run.n_attempts++;
  if (auto given = find_double(r, i, number, f)) {
    if (r.options.trace) tell_double(r, i, f, *given);
    if (!*given) co_return std::move(*given).error();
    co_return keep_outputs(r, s, **std::move(given));
  }
  const auto now = run.attempts.emplace(run.attempts.end());
  now->token = r.token.child();
  enclosing_request part{.clock = r.clock,
                         .deadline = r.deadline,
                         .values = r.values,
                         .is_followed = false,
                         .tool_counts = &r.tool_counts};
  if (s.timeout) {
    now->deadline = r.clock->now() + *s.timeout;
    r.expect(*now->deadline);
    if (!part.deadline || *now->deadline < *part.deadline) {
      part.deadline = now->deadline;
    }
  }
  const steady_time begun = std::chrono::steady_clock::now();
  std::vector<std::shared_ptr<stream_port>> streams;
  attempt_inputs in;
  gather_inputs(r, s, f, now->token, in);
  for (std::size_t port = 0; port < s.out.size(); ++port) {
    if (!s.out[port].stream) continue;
    const bool is_read = r.g->slots[s.first_slot + port].stream;
    stream_port::followers followers;
    if (is_read) {
      followers.on_first = [&r, i] { stage_began(r, i); };
      followers.reader_comes = is_streamed(r, s.first_slot + port);
      part.is_followed =
          followers.reader_comes || !s.read_while_running_by.empty();
    }
    streams.push_back(std::make_shared<stream_port>(
        r.strand, now->token, std::move(followers), "port " + s.out[port].name,
        r.values));
    in.sinks.push_back(streams.back().get());
    if (is_read) r.streams[s.first_slot + port] = streams.back();
  }
  r.notify();
  std::optional<steady_time> deadline;
  if (part.deadline) deadline = r.clock->on_steady_clock(*part.deadline);
  run_context cx({now->token, deadline}, r.pool, s.label, r.options.origin,
                 site_of(r, i),
                 r.options.trace ? trace_within(r, s, f) : nullptr, &part);
  std::optional<result<kept_values>> out;
  try {
    stage_inputs views{.values = in.fixed,
                       .feeds = in.fixed_feeds,
                       .open = std::move(in.open),
                       .streams = in.sinks};
    task<stage_outputs> body = s.instance->run(cx, std::move(views));
    auto token =
        asio::bind_cancellation_slot(now->signal.slot(), asio::use_awaitable);
    stage_outputs given =
        co_await asio::co_spawn(r.strand, std::move(body), token);
    auto sorted = sort_outputs(s, std::move(given), streams);
    if (sorted) {
      out.emplace(keep_outputs(r, s, *std::move(sorted)));
    } else {
      out.emplace(std::move(sorted).error());
    }
    if (!cx.reason().empty()) run.reason = cx.reason();
  } catch (...) {
    out.emplace(current_stage_error());
  }
  r.enforce_limits();  // a request that is over says so, not its stages
  if (now->deadline && r.clock->now() >= *now->deadline) {
    out.emplace(error{
        error_code::deadline,
        "no result within " + std::to_string(s.timeout->count()) + " ms"});
  }
  if (r.options.trace) tell_run(r, i, f, {begun, cx.used()}, *out, streams);
  for (const auto& stream : streams) {
    stream->end(/*failed=*/!*out);
    was_read = was_read || stream->was_read();
  }
  run.attempts.erase(now);
  co_return *std::move(out);
}

// Attempts, until one succeeds or there are no more.
inline task<result<kept_values>> run_attempts(request& r, std::size_t i,
                                              frame& f, bool& was_read) {
  const retry_spec& retry = r.g->stages[i].retry;
  duration wait = retry.wait;
  f.attempt = 1;
  for (std::size_t left = retry.max;; --left, ++f.attempt) {
    auto out = co_await run_attempt(r, i, f, was_read);
    if (out || left == 0 || was_read || r.stopping() ||
        std::ranges::find(retry.on, out.error().code) == retry.on.end()) {
      co_return std::move(out);
    }
    if (wait.count() > 0) {
      asio::steady_timer timer(r.strand);
      const auto entry = r.timers.insert(r.timers.end(), &timer);
      r.clock->set(timer, r.clock->now() + wait);
      boost::system::error_code woken;
      auto token = asio::redirect_error(asio::use_awaitable, woken);
      co_await timer.async_wait(token);
      r.clock->forget(timer);
      r.timers.erase(entry);
      wait *= 2;
    }
    if (r.stopping()) co_return std::move(out);
  }
}

// Whether the outputs of a round are good enough.
inline result<bool> is_enough(const graph_repeat& repeat,
                              const kept_values& out) {
  expression_values values;
  values.slot = [&](std::size_t port) -> const value_data* {
    return out.all()[port] ? &*out.all()[port] : nullptr;
  };
  return repeat.until.test.holds(values);
}

inline task<result<kept_values>> run_rounds(request& r, std::size_t i, frame& f,
                                            bool& was_read) {
  const auto& repeat = r.g->stages[i].repeat;
  const std::size_t max = repeat ? repeat->max_rounds : 1;
  for (std::size_t& round = f.round;; ++round) {
    ++r.stages[i].rounds;
    auto out = co_await run_attempts(r, i, f, was_read);
    if (!out || !repeat) co_return std::move(out);
    const auto enough = is_enough(*repeat, *out);
    if (!enough) co_return error{enough.error()}.within("repeat.until");
    if (*enough || (round == max && repeat->last)) co_return std::move(out);
    if (round == max) {
      co_return error{
          error_code::exhausted,
          std::to_string(max) + " rounds, and still not " + repeat->until.text};
    }
    f.carried = *std::move(out);
  }
}

// One item, or the only run. A failure that a fallback stands for is none.
inline task<result<kept_values>> run_call(request& r, std::size_t i, frame& f) {
  const graph_stage& s = r.g->stages[i];
  bool was_read = false;
  auto out = co_await run_rounds(r, i, f, was_read);
  // After the first piece of a stream was read there is no way back.
  if (out || !s.has_fallback || was_read || r.stopping()) {
    co_return std::move(out);
  }
  r.stages[i].failed = true;
  r.stages[i].reason = out.error().message;
  co_return keep_outputs(r, s, s.fallback);
}

// The items of a stage with `each`, while they are worked through.
struct item_runs {
  explicit item_runs(request& r) : ended(r.strand, steady_time::max()) {}

  value_data::list items;
  std::vector<std::size_t> chosen;  // those that `when` does not leave out
  std::vector<std::optional<kept_values>> outputs;  // of the chosen ones
  std::vector<failure> failures;
  std::optional<error> failed;
  std::size_t next = 0;
  std::size_t workers = 0;
  asio::steady_timer ended;
};

inline task<void> work_through(request& r, std::size_t i, item_runs& runs) {
  const graph_stage& s = r.g->stages[i];
  while (runs.next < runs.chosen.size() && !runs.failed && !r.stopping()) {
    const std::size_t n = runs.next++;
    frame f;
    f.index = runs.chosen[n];
    f.item = runs.items[f.index];
    auto out = co_await run_call(r, i, f);
    if (out) {
      runs.outputs[n].emplace(*std::move(out));
    } else if (s.collect && !r.stopping()) {
      const error& e = out.error();
      runs.failures.push_back({static_cast<std::int64_t>(f.index),
                               std::string(to_string(e.code)), e.message});
    } else if (!runs.failed) {
      runs.failed =
          std::move(out).error().within("item " + std::to_string(f.index));
    }
  }
}

// The items that the stage runs for.
inline std::optional<error> choose_items(request& r, std::size_t i,
                                         item_runs& runs) {
  const graph_stage& s = r.g->stages[i];
  runs.items = *value_of(r, *s.each, nullptr)->get<value_data::list>();
  for (std::size_t n = 0; n < runs.items.size(); ++n) {
    if (s.when_asks_item) {
      frame f;
      f.index = n;
      f.item = runs.items[n];
      const auto yes = holds(r, *s.when, &f);
      if (!yes) return error{yes.error()}.within("when");
      if (!*yes) {
        if (r.options.trace) tell_skip(r, i, n, "when: " + s.when->text);
        continue;
      }
    }
    runs.chosen.push_back(n);
  }
  runs.outputs.resize(runs.chosen.size());
  return std::nullopt;
}

// Lists of what the items gave, in their order.
inline call_outputs join_items(const graph_stage& s, item_runs& runs) {
  call_outputs out;
  for (std::size_t port = 0; port < s.out.size(); ++port) {
    value_data::list all;
    for (const auto& one : runs.outputs) {
      if (one && one->all()[port]) all.push_back(*one->all()[port]);
    }
    out.emplace_back(value_data(std::move(all)));
  }
  if (s.collect) {
    std::ranges::sort(runs.failures, {}, &failure::index);
    out.back() = to_data(std::move(runs.failures));
  }
  return out;
}

inline task<result<kept_values>> run_items(request& r, std::size_t i) {
  const graph_stage& s = r.g->stages[i];
  item_runs runs(r);
  if (auto wrong = choose_items(r, i, runs)) co_return *std::move(wrong);
  const std::size_t n = std::min(s.parallel, runs.chosen.size());
  const auto ended = [&runs, &r](std::exception_ptr thrown) {
    if (thrown && !runs.failed) {
      try {
        std::rethrow_exception(thrown);
      } catch (...) {
        runs.failed = current_stage_error();
      }
    }
    if (--runs.workers == 0) runs.ended.cancel();
    r.notify();
  };
  runs.workers = n;
  for (std::size_t worker = 0; worker < n; ++worker) {
    asio::co_spawn(r.strand, work_through(r, i, runs), ended);
  }
  while (runs.workers > 0) {
    boost::system::error_code woken;
    auto token = asio::redirect_error(asio::use_awaitable, woken);
    co_await runs.ended.async_wait(token);
  }
  if (runs.failed) co_return *std::move(runs.failed);
  co_return keep_outputs(r, s, join_items(s, runs));
}

}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_STAGE_CALLS_IPP_
