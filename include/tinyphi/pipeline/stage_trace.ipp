// SPDX-License-Identifier: MIT
// What a request tells of its stages' runs (trace.h). Used by executor.ipp
// only, and only while somebody is told.
#ifndef TINYPHI_PIPELINE_STAGE_TRACE_IPP_
#define TINYPHI_PIPELINE_STAGE_TRACE_IPP_

#include "tinyphi/pipeline/request.ipp"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// The stream that a port reads while it is being written; null if the text is
// there already.
inline std::shared_ptr<stream_port> stream_of(const request& r,
                                              const graph_port& p) {
  if (!p.info.stream || p.binding.from.empty()) return nullptr;
  const graph_source& first = p.binding.from.front();
  if (first.what != graph_source::kind::slot || !first.fields.empty() ||
      p.binding.from.size() > 1 || p.binding.is_list) {
    return nullptr;
  }
  const std::size_t stage = r.g->slots[first.slot].stage;
  if (stage == no_stage || r.stages[stage].ended()) return nullptr;
  return r.streams[first.slot];
}

inline std::optional<value_data> port_value(const request& r,
                                            const graph_port& p,
                                            const frame& f) {
  if (p.carried == no_stage) return value_of(r, p.binding, &f);
  return f.carried ? f.carried->all()[p.carried] : std::nullopt;
}

inline stage_call call_of(const graph_stage& s, const frame& f) {
  stage_call call{s.id, std::nullopt, f.round, f.attempt};
  if (s.each) call.item = f.index;
  return call;
}

// Who is told of the stages of a file that the stage calls.
inline std::shared_ptr<const request_trace> trace_within(const request& r,
                                                         const graph_stage& s,
                                                         const frame& f) {
  auto inner = std::make_shared<request_trace>(*r.options.trace);
  inner->callers.push_back(call_of(s, f));
  return inner;
}

inline trace_event event_of(const request& r, std::size_t i,
                            steady_time begun) {
  const request_trace& trace = *r.options.trace;
  const graph_stage& s = r.g->stages[i];
  trace_event e;
  e.request = trace.request;
  e.file = r.g->file;
  e.hash = r.g->hash;
  e.stage_hash = s.hash;
  e.callers = trace.callers;
  e.start =
      std::chrono::duration<double>(begun - trace.began.value_or(r.started))
          .count();
  e.label = s.label;
  return e;
}

// What the in-ports had; of a text that is still being written, what there is.
inline port_values inputs_of(const request& r, const graph_stage& s,
                             const frame& f) {
  port_values in;
  for (const graph_port& p : s.in) {
    if (const auto stream = stream_of(r, p)) {
      in.emplace_back(p.info.name, value_data(stream->text()));
    } else if (auto data = port_value(r, p, f)) {
      in.emplace_back(p.info.name, *std::move(data));
    }
  }
  return in;
}

inline void add_failure(const error& why, trace_event& e) {
  e.outcome = trace_event::kind::failed;
  e.failure = why;
}

// `out`: what the ports gave, none if the run failed.
inline void add_result(const request& r, const graph_stage& s, const frame& f,
                       std::span<const std::optional<value_data>> out,
                       trace_event& e) {
  e.call = call_of(s, f);
  if (!r.options.trace->contents) return;
  e.in = inputs_of(r, s, f);
  for (std::size_t port = 0; port < out.size(); ++port) {
    if (out[port]) e.out.emplace_back(s.out[port].name, *out[port]);
  }
}

// What is known of a run besides its result.
struct run_figures {
  steady_time begun;
  usage used;
};

// Before the streams are ended, which takes away the text of one that failed.
inline void tell_run(const request& r, std::size_t i, const frame& f,
                     const run_figures& figures, const result<kept_values>& out,
                     const std::vector<std::shared_ptr<stream_port>>& streams) {
  const graph_stage& s = r.g->stages[i];
  trace_event e = event_of(r, i, figures.begun);
  e.seconds = seconds_since(figures.begun);
  e.used = figures.used;
  if (out) {
    add_result(r, s, f, out->all(), e);
  } else {
    add_result(r, s, f, {}, e);
    add_failure(out.error(), e);
  }
  if (!out && r.options.trace->contents) {
    std::size_t next = 0;
    for (const port_info& p : s.out) {
      if (!p.stream) continue;
      const std::string& text = streams[next++]->text();
      if (!text.empty()) e.out.emplace_back(p.name, value_data(text));
    }
  }
  r.options.trace->on_event(e);
}

inline void tell_double(const request& r, std::size_t i, const frame& f,
                        const result<call_outputs>& out) {
  trace_event e = event_of(r, i, std::chrono::steady_clock::now());
  e.faked = true;
  if (out) {
    add_result(r, r.g->stages[i], f, *out, e);
  } else {
    add_result(r, r.g->stages[i], f, {}, e);
    add_failure(out.error(), e);
  }
  r.options.trace->on_event(e);
}

inline void tell_skip(const request& r, std::size_t i,
                      std::optional<std::size_t> item, std::string reason) {
  trace_event e = event_of(r, i, std::chrono::steady_clock::now());
  e.call = {r.g->stages[i].id, item, 0, 0};
  e.outcome = trace_event::kind::skipped;
  e.reason = std::move(reason);
  r.options.trace->on_event(e);
}

}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_STAGE_TRACE_IPP_
