// SPDX-License-Identifier: MIT
// What the daemon counts, and how Prometheus reads it.
#ifndef TINYPHI_SERVE_METRICS_H_
#define TINYPHI_SERVE_METRICS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/generate/planned_step.h"

TINYPHI_NAMESPACE_BEGIN

struct request_report;  // http_exchange.h

// What others know about one model, taken once a second.
struct model_gauges {
  std::string model;
  std::array<std::size_t, n_priority_classes> running{}, waiting{};
  // Pages of keys and values. Used ones belong to requests that run; cached
  // ones can be taken at any time, pinned ones cannot.
  std::size_t pages_used = 0, pages_cached = 0, pages_pinned = 0,
              pages_free = 0;
  std::size_t page_tokens = 64;
  double heartbeat_age_seconds = 0;
  // Requests that had to give way, since the start: written to disk, or to be
  // computed again.
  std::uint64_t preempted_to_disk = 0, preempted_to_recompute = 0;
};

struct metrics_snapshot {
  std::vector<model_gauges> models = {};
  // Nothing: this machine does not say, and the family is left out.
  std::optional<double> energy_joules = {};
  std::optional<double> cpu_throttled_seconds = {};
  // Shares of the last 10 s in which some, or all, work waited for memory.
  std::optional<double> memory_some = {}, memory_full = {};
  std::optional<std::uint64_t> resident_bytes = {};
  std::uint64_t log_lines_dropped = 0;
  bool last_reload_successful = true;
};

// Whose families are to be given beside our own.
struct compat_families {
  bool vllm = false;
  bool llamacpp = false;
};

namespace detail {

// Counts by bucket. Observing is two relaxed additions; a reader may see one
// without the other, but its count is always the sum of its buckets.
struct metric_histogram {
  static constexpr std::size_t max_buckets = 14;
  std::array<std::atomic<std::uint64_t>, max_buckets> buckets{};
  std::atomic<std::uint64_t> sum{0};  // in billionths

  void observe(std::span<const double> bounds, double value);
};

inline constexpr std::array<unsigned, 23> counted_statuses = {
    200, 204, 304, 400, 401, 403, 404, 405, 408, 409, 411, 413,
    414, 415, 417, 422, 429, 431, 500, 501, 503, 504, 505};
// Behind those: the client left first, and any other status.
inline constexpr std::size_t n_status_counters = counted_statuses.size() + 2;

using metric_counter = std::atomic<std::uint64_t>;

struct class_metrics {
  metric_counter received{0};
  std::array<metric_counter, n_status_counters> ended{};
  std::array<metric_counter, 4> cancelled{};  // queue, prefill, decode, other
  metric_counter prompt_computed{0}, prompt_cached{0}, generated{0};
  metric_counter drafts{0}, drafts_accepted{0}, drafts_rejected{0};
  metric_counter prefill_us{0}, decode_us{0};  // microseconds
  metric_histogram first_token, between_tokens, queue, request;
};

struct model_metrics {
  std::string name;
  std::array<class_metrics, n_priority_classes> classes;
  metric_histogram step, slice;
  metric_counter longest{0};  // tokens of a prompt and its answer together
};

}  // namespace detail

// Every function may be called from any thread. None but find(), serve_model()
// and render() takes a lock; the others are a few relaxed additions.
class metrics {
 public:
  // Models beyond these share the series of model "other", as do names that
  // nobody has announced: clients cannot make series.
  static constexpr std::size_t max_models = 32;

  // Where events of one model and class are counted. Valid as long as the
  // metrics are; once per request is often enough to look it up.
  class series {
   private:
    friend class metrics;
    series(detail::model_metrics* m, std::size_t c)
        : model_(m), class_(&m->classes[c]) {}
    detail::model_metrics* model_;
    detail::class_metrics* class_;
  };

  // version: for tinyphi_build_info. started: seconds since 1970.
  metrics(std::string version, double started);

  // Announces a model or "pipeline:NAME"; again is harmless. Series of models
  // that are served no longer stay, as counters must.
  void serve_model(std::string_view name);
  [[nodiscard]] series find(std::string_view model, priority_class c);

  void request_started(series s);
  // Its counts, times and where it was cancelled; all of a request's tokens are
  // counted here. The first token and the gaps are counted when they happen.
  void request_ended(series s, const request_report& report);
  void first_token(series s, double ms);
  void between_tokens(series s, double ms);
  // A step of the engine; slice_tokens are those of prompts, and 0 is a step
  // that only decoded.
  void step(series s, double ms, std::size_t slice_tokens);

  [[nodiscard]] std::string render(const metrics_snapshot& now,
                                   compat_families compat = {}) const;
  // The value of llama-server's header Process-Start-Time-Unix.
  [[nodiscard]] std::string process_start_time_unix() const;

 private:
  std::string version_;
  double started_;
  mutable std::mutex mutex_;               // of the list, not of its elements
  std::deque<detail::model_metrics> all_;  // addresses stay; the first: "other"
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/metrics.ipp"
#endif

#endif  // TINYPHI_SERVE_METRICS_H_
