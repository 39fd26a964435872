// SPDX-License-Identifier: MIT
// metrics::render: every family by name. Part of metrics.ipp.
#ifndef TINYPHI_SERVE_METRICS_TEXT_IPP_
#define TINYPHI_SERVE_METRICS_TEXT_IPP_

#include <algorithm>

#include "tinyphi/serve/exposition.h"
#include "tinyphi/serve/metrics.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// The gauges of models that are announced, each model once: two series of one
// name would make the scrape fail as a whole.
inline std::vector<const model_gauges*> distinct_gauges(
    const metrics_snapshot& now, const model_list& all) {
  std::vector<const model_gauges*> out;
  for (const model_metrics* m : all) {
    for (const model_gauges& g : now.models) {
      if (g.model != m->name) continue;
      out.push_back(&g);
      break;
    }
  }
  return out;
}

inline std::size_t pages_of(const model_gauges& g) {
  return g.pages_used + g.pages_cached + g.pages_pinned + g.pages_free;
}
// Pages that a new request cannot have, as a share of all.
inline double used_share_of(const model_gauges& g) {
  const std::size_t all = pages_of(g);
  return all == 0 ? 0
                  : static_cast<double>(g.pages_used + g.pages_pinned) /
                        static_cast<double>(all);
}
inline double sum_of(const std::array<std::size_t, n_priority_classes>& n) {
  return static_cast<double>(n[0] + n[1] + n[2]);
}

inline void write_gauges(exposition& out, const metrics_snapshot& now,
                         const std::vector<const model_gauges*>& gauges) {
  const auto by_class = [&](auto member) {
    for (const model_gauges* g : gauges) {
      for (std::size_t c = 0; c < n_priority_classes; ++c) {
        out.sample({{"model", g->model},
                    {"class", std::string(metric_class_names[c])}},
                   static_cast<double>((g->*member)[c]));
      }
    }
  };
  out.family("tinyphi_requests_running", "gauge",
             "Requests whose prompt or answer is being computed.");
  by_class(&model_gauges::running);
  out.family("tinyphi_requests_waiting", "gauge", "Requests in the queue.");
  by_class(&model_gauges::waiting);
  out.family("tinyphi_kv_pages", "gauge",
             "Pages of keys and values by what they are held for.");
  for (const model_gauges* g : gauges) {
    const std::pair<std::string_view, std::size_t> states[] = {
        {"used", g->pages_used},
        {"cached", g->pages_cached},
        {"pinned", g->pages_pinned},
        {"free", g->pages_free}};
    for (const auto& [state, n] : states) {
      out.sample({{"model", g->model}, {"state", std::string(state)}},
                 static_cast<double>(n));
    }
  }
  out.family("tinyphi_kv_usage_ratio", "gauge",
             "Share of the pages that a new request cannot have.");
  for (const model_gauges* g : gauges) {
    out.sample({{"model", g->model}}, used_share_of(*g));
  }
  out.family("tinyphi_heartbeat_age_seconds", "gauge",
             "Time since the engine last showed that it moves.");
  for (const model_gauges* g : gauges) {
    out.sample({{"model", g->model}}, g->heartbeat_age_seconds);
  }
  out.family("tinyphi_preemptions_total", "counter",
             "Requests that gave way, to disk or to be computed again.");
  for (const model_gauges* g : gauges) {
    out.sample({{"model", g->model}, {"way", "disk"}},
               static_cast<double>(g->preempted_to_disk));
    out.sample({{"model", g->model}, {"way", "recompute"}},
               static_cast<double>(g->preempted_to_recompute));
  }
  const auto optional = [&](std::string_view name, std::string_view type,
                            std::string_view help, const auto& value) {
    if (!value) return;
    out.family(name, type, help);
    out.sample({}, static_cast<double>(*value));
  };
  optional("tinyphi_energy_joules_total", "counter",
           "Energy of the processor packages since the start.",
           now.energy_joules);
  optional("tinyphi_cpu_throttled_seconds_total", "counter",
           "Time in which the cgroup had used up its processor quota.",
           now.cpu_throttled_seconds);
  optional("tinyphi_memory_resident_bytes", "gauge",
           "Memory of the process that is in RAM.", now.resident_bytes);
  out.family("tinyphi_memory_pressure_ratio", "gauge",
             "Share of the last 10 s in which work waited for memory.");
  if (now.memory_some) out.sample({{"kind", "some"}}, *now.memory_some);
  if (now.memory_full) out.sample({{"kind", "full"}}, *now.memory_full);
  out.family("tinyphi_log_lines_dropped_total", "counter",
             "Lines of the access log that nobody took in time.");
  out.sample({}, static_cast<double>(now.log_lines_dropped));
  out.family("tinyphi_config_last_reload_successful", "gauge",
             "Whether the last reload took effect; 1 before any.");
  out.sample({}, now.last_reload_successful ? 1 : 0);
}

inline void write_counters(exposition& out, const model_list& all) {
  const auto counter = [&](std::string_view key, std::string_view content,
                           metric_counter class_metrics::*member) {
    write_counter(out, all, {key, std::string(content)},
                  [&](const class_metrics& c) { return value_of(c.*member); });
  };
  out.family("tinyphi_requests_received_total", "counter",
             "Requests that began.");
  counter({}, {}, &class_metrics::received);
  out.family("tinyphi_requests_total", "counter",
             "Requests that ended, by status; gone: the client left first.");
  for (std::size_t i = 0; i < n_status_counters; ++i) {
    write_counter(out, all, {"code", status_name(i)},
                  [&](const class_metrics& c) { return value_of(c.ended[i]); });
  }
  out.family("tinyphi_cancelled_total", "counter",
             "Requests that were cancelled, by where they were.");
  for (std::size_t i = 0; i < std::size(cancel_places); ++i) {
    write_counter(
        out, all, {"where", std::string(cancel_places[i])},
        [&](const class_metrics& c) { return value_of(c.cancelled[i]); });
  }
  out.family("tinyphi_prompt_tokens_total", "counter",
             "Tokens of prompts, computed or found in the cache.");
  counter("source", "computed", &class_metrics::prompt_computed);
  counter("source", "cached", &class_metrics::prompt_cached);
  out.family("tinyphi_generated_tokens_total", "counter",
             "Tokens of answers that ended.");
  counter({}, {}, &class_metrics::generated);
  out.family("tinyphi_draft_tokens_total", "counter",
             "Tokens that were guessed ahead, by whether they were right.");
  counter("result", "accepted", &class_metrics::drafts_accepted);
  counter("result", "rejected", &class_metrics::drafts_rejected);
}

inline void write_histograms(exposition& out, const model_list& all) {
  out.family("tinyphi_time_to_first_token_seconds", "histogram",
             "From a request's arrival to the first token of its answer.");
  write_histogram(out, all, first_token_bounds, &class_metrics::first_token);
  out.family("tinyphi_inter_token_seconds", "histogram",
             "Between two tokens of an answer.");
  write_histogram(out, all, gap_bounds, &class_metrics::between_tokens);
  out.family("tinyphi_queue_seconds", "histogram",
             "Time in the queue, of requests that an engine took.");
  write_histogram(out, all, first_token_bounds, &class_metrics::queue);
  out.family("tinyphi_request_seconds", "histogram",
             "From a request's arrival to the end of its answer.");
  write_histogram(out, all, request_bounds, &class_metrics::request);
  out.family("tinyphi_step_seconds", "histogram", "Steps of the engine.");
  write_model_histogram(out, all, gap_bounds, &model_metrics::step);
  out.family("tinyphi_slice_tokens", "histogram",
             "Tokens of prompts in a step that had any.");
  write_model_histogram(out, all, slice_bounds, &model_metrics::slice);
}

inline void write_vllm(exposition& out, const model_list& all,
                       const std::vector<const model_gauges*>& gauges) {
  const auto gauge = [&](std::string_view name, std::string_view type,
                         std::string_view help, auto value) {
    out.family(name, type, help);
    for (const model_gauges* g : gauges) {
      out.sample({{"model_name", g->model}}, static_cast<double>(value(*g)));
    }
  };
  gauge("vllm:num_requests_running", "gauge", "Running requests.",
        [](const model_gauges& g) { return sum_of(g.running); });
  gauge("vllm:num_requests_waiting", "gauge", "Waiting requests.",
        [](const model_gauges& g) { return sum_of(g.waiting); });
  gauge("vllm:kv_cache_usage_perc", "gauge", "Used share of the cache, 0 to 1.",
        used_share_of);
  gauge("vllm:num_preemptions_total", "counter", "Preempted requests.",
        [](const model_gauges& g) {
          return g.preempted_to_disk + g.preempted_to_recompute;
        });
  out.family("vllm:cache_config_info", "gauge", "Size of the cache.");
  for (const model_gauges* g : gauges) {
    out.sample({{"model_name", g->model},
                {"block_size", std::to_string(g->page_tokens)},
                {"num_gpu_blocks", std::to_string(pages_of(*g))}},
               1);
  }
  const auto counter = [&](std::string_view name, std::string_view help,
                           auto... members) {
    out.family(name, "counter", help);
    for (const model_metrics* m : all) {
      out.sample({{"model_name", m->name}},
                 static_cast<double>((sum_of(*m, members) + ...)));
    }
  };
  counter("vllm:prompt_tokens_total", "Tokens of prompts.",
          &class_metrics::prompt_computed, &class_metrics::prompt_cached);
  counter("vllm:generation_tokens_total", "Tokens of answers.",
          &class_metrics::generated);
  counter("vllm:prefix_cache_queries_total", "Tokens looked up in the cache.",
          &class_metrics::prompt_computed, &class_metrics::prompt_cached);
  counter("vllm:prefix_cache_hits_total", "Tokens found in the cache.",
          &class_metrics::prompt_cached);
  counter("vllm:spec_decode_num_draft_tokens_total", "Guessed tokens.",
          &class_metrics::drafts_accepted, &class_metrics::drafts_rejected);
  counter("vllm:spec_decode_num_accepted_tokens_total", "Right guesses.",
          &class_metrics::drafts_accepted);
  const auto histogram = [&](std::string_view name, std::string_view help,
                             std::span<const double> bounds,
                             metric_histogram class_metrics::*member) {
    out.family(name, "histogram", help);
    for (const model_metrics* m : all) {
      histogram_counts counts;
      for (const class_metrics& c : m->classes) counts.add(c.*member);
      counts.write(out, {{"model_name", m->name}}, bounds);
    }
  };
  histogram("vllm:time_to_first_token_seconds", "Time to the first token.",
            first_token_bounds, &class_metrics::first_token);
  histogram("vllm:inter_token_latency_seconds", "Time between tokens.",
            gap_bounds, &class_metrics::between_tokens);
  histogram("vllm:request_queue_time_seconds", "Time in the queue.",
            first_token_bounds, &class_metrics::queue);
  histogram("vllm:e2e_request_latency_seconds", "Time of whole requests.",
            request_bounds, &class_metrics::request);
}

// llama-server serves one model and has no labels: these are sums.
inline void write_llamacpp(exposition& out, const model_list& all,
                           const std::vector<const model_gauges*>& gauges) {
  double running = 0, waiting = 0;
  for (const model_gauges* g : gauges) {
    running += sum_of(g->running);
    waiting += sum_of(g->waiting);
  }
  const auto one = [&](std::string_view name, std::string_view type,
                       std::string_view help, double value) {
    out.family(name, type, help);
    out.sample({}, value);
  };
  const auto total = [&](auto... members) {
    std::uint64_t n = 0;
    for (const model_metrics* m : all) n += (sum_of(*m, members) + ...);
    return static_cast<double>(n);
  };
  histogram_counts steps;
  for (const model_metrics* m : all) steps.add(m->step);
  one("llamacpp:requests_processing", "gauge", "Running requests.", running);
  one("llamacpp:requests_deferred", "gauge", "Waiting requests.", waiting);
  one("llamacpp:prompt_tokens_total", "counter", "Computed tokens of prompts.",
      total(&class_metrics::prompt_computed));
  one("llamacpp:prompt_tokens_cached_total", "counter",
      "Tokens of prompts that were in the cache.",
      total(&class_metrics::prompt_cached));
  one("llamacpp:tokens_predicted_total", "counter", "Tokens of answers.",
      total(&class_metrics::generated));
  const auto seconds = [&](metric_counter class_metrics::*member) {
    return total(member) / 1e6;
  };
  const auto rate = [](double tokens, double time) {
    return time > 0 ? tokens / time : 0;
  };
  const double reading = seconds(&class_metrics::prefill_us);
  const double answering = seconds(&class_metrics::decode_us);
  one("llamacpp:prompt_seconds_total", "counter",
      "Time in which prompts were computed.", reading);
  one("llamacpp:tokens_predicted_seconds_total", "counter",
      "Time in which answers were computed.", answering);
  one("llamacpp:prompt_tokens_seconds", "gauge",
      "Tokens of prompts in a second, since the start.",
      rate(total(&class_metrics::prompt_computed), reading));
  one("llamacpp:predicted_tokens_seconds", "gauge",
      "Tokens of an answer in a second, since the start.",
      rate(total(&class_metrics::generated), answering));
  std::uint64_t longest = 0;
  for (const model_metrics* m : all) {
    longest = std::max(longest, value_of(m->longest));
  }
  one("llamacpp:n_tokens_max", "counter",
      "Tokens of the longest prompt with its answer.",
      static_cast<double>(longest));
  one("llamacpp:n_busy_slots_per_decode", "gauge",
      "Tokens of answers for each step of the engine.",
      rate(total(&class_metrics::generated), static_cast<double>(steps.n)));
  one("llamacpp:spec_decode_num_drafts_total", "counter",
      "Times that tokens were guessed.", total(&class_metrics::drafts));
  one("llamacpp:n_decode_total", "counter", "Steps of the engine.",
      static_cast<double>(steps.n));
  one("llamacpp:spec_decode_num_draft_tokens_total", "counter",
      "Guessed tokens.",
      total(&class_metrics::drafts_accepted, &class_metrics::drafts_rejected));
  one("llamacpp:spec_decode_num_accepted_tokens_total", "counter",
      "Right guesses.", total(&class_metrics::drafts_accepted));
}

}  // namespace detail

TINYPHI_FUNC std::string metrics::render(const metrics_snapshot& now,
                                         compat_families compat) const {
  detail::model_list all;
  {
    const std::lock_guard lock(mutex_);
    for (const detail::model_metrics& m : all_) all.push_back(&m);
  }
  const auto gauges = detail::distinct_gauges(now, all);
  exposition out;
  out.family("tinyphi_build_info", "gauge", "1, with the version as a label.");
  out.sample({{"version", version_}}, 1);
  out.family("process_start_time_seconds", "gauge",
             "When the process began, in seconds since 1970.");
  out.sample({}, started_);
  detail::write_gauges(out, now, gauges);
  detail::write_counters(out, all);
  detail::write_histograms(out, all);
  if (compat.vllm) detail::write_vllm(out, all, gauges);
  if (compat.llamacpp) detail::write_llamacpp(out, all, gauges);
  return out.take();
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_METRICS_TEXT_IPP_
