// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_METRICS_IPP_
#define TINYPHI_SERVE_METRICS_IPP_

#include <algorithm>
#include <cmath>
#include <utility>

#include "tinyphi/serve/exposition.h"
#include "tinyphi/serve/http_exchange.h"
#include "tinyphi/serve/metrics.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// Buckets begin and end where a processor's answers do; those made for
// accelerators put every one of ours into the last bucket.
inline constexpr double first_token_bounds[] = {.05, .1, .25, .5, 1,  2.5,
                                                5,   10, 20,  40, 80, 160};
inline constexpr double gap_bounds[] = {.01, .02, .05, .1,  .15, .2,
                                        .3,  .5,  1,   2.5, 5};
inline constexpr double request_bounds[] = {.1, .25, .5, 1,   2.5, 5,  10,
                                            20, 40,  80, 160, 320, 640};
inline constexpr double slice_bounds[] = {1, 8, 16, 32, 64, 128, 256, 512};
inline constexpr std::string_view metric_class_names[n_priority_classes] = {
    "interactive", "normal", "batch"};
inline constexpr std::string_view cancel_places[] = {"queue", "prefill",
                                                     "decode", "other"};

inline void add(metric_counter& c, std::uint64_t n = 1) {
  c.fetch_add(n, std::memory_order_relaxed);
}
inline std::uint64_t value_of(const metric_counter& c) {
  return c.load(std::memory_order_relaxed);
}

// What no clock can say counts as 0.
inline std::uint64_t microseconds(double ms) {
  return ms > 0 ? static_cast<std::uint64_t>(std::min(ms, 1e12) * 1e3) : 0;
}

inline std::size_t status_index(unsigned status) {
  const auto at =
      std::find(counted_statuses.begin(), counted_statuses.end(), status);
  if (at != counted_statuses.end()) {
    return static_cast<std::size_t>(at - counted_statuses.begin());
  }
  return counted_statuses.size() + (status == 0 ? 0 : 1);
}
inline std::string status_name(std::size_t index) {
  if (index < counted_statuses.size()) {
    return std::to_string(counted_statuses[index]);
  }
  return index == counted_statuses.size() ? "gone" : "other";
}

// A histogram at one moment; several can be added up.
struct histogram_counts {
  std::array<std::uint64_t, metric_histogram::max_buckets> buckets{};
  std::uint64_t n = 0, sum = 0;

  void add(const metric_histogram& h) {
    for (std::size_t i = 0; i < buckets.size(); ++i) {
      const std::uint64_t here = value_of(h.buckets[i]);
      buckets[i] += here;
      n += here;
    }
    sum += value_of(h.sum);
  }
  void write(exposition& out, metric_labels labels,
             std::span<const double> bounds) const {
    if (n == 0) return;
    out.histogram(std::move(labels), bounds,
                  std::span(buckets).first(bounds.size() + 1),
                  static_cast<double>(sum) * 1e-9);
  }
};

// All models as they are while the list is locked.
using model_list = std::vector<const model_metrics*>;

// One sample per model and class for which `count` is not 0.
template <class F>
void write_counter(exposition& out, const model_list& all,
                   const std::pair<std::string_view, std::string>& label,
                   F count) {
  for (const model_metrics* m : all) {
    for (std::size_t c = 0; c < n_priority_classes; ++c) {
      const std::uint64_t n = count(m->classes[c]);
      if (n == 0) continue;
      metric_labels labels{{"model", m->name},
                           {"class", std::string(metric_class_names[c])}};
      if (!label.first.empty()) labels.push_back(label);
      out.sample(labels, static_cast<double>(n));
    }
  }
}

inline void write_histogram(exposition& out, const model_list& all,
                            std::span<const double> bounds,
                            metric_histogram class_metrics::*member) {
  for (const model_metrics* m : all) {
    for (std::size_t c = 0; c < n_priority_classes; ++c) {
      histogram_counts counts;
      counts.add(m->classes[c].*member);
      counts.write(
          out,
          {{"model", m->name}, {"class", std::string(metric_class_names[c])}},
          bounds);
    }
  }
}

inline void write_model_histogram(exposition& out, const model_list& all,
                                  std::span<const double> bounds,
                                  metric_histogram model_metrics::*member) {
  for (const model_metrics* m : all) {
    histogram_counts counts;
    counts.add(m->*member);
    counts.write(out, {{"model", m->name}}, bounds);
  }
}

// The sum over a model's classes.
inline std::uint64_t sum_of(const model_metrics& m,
                            metric_counter class_metrics::*member) {
  std::uint64_t n = 0;
  for (const class_metrics& c : m.classes) n += value_of(c.*member);
  return n;
}

}  // namespace detail

TINYPHI_FUNC void detail::metric_histogram::observe(
    std::span<const double> bounds, double value) {
  // What no clock can say (negative, not a number) counts as 0, and what a
  // counter of billionths cannot hold as the most that it can.
  const double sane = value > 0 ? std::min(value, 1e9) : 0;
  std::size_t i = 0;
  while (i < bounds.size() && sane > bounds[i]) ++i;
  add(buckets[i]);
  add(sum, static_cast<std::uint64_t>(sane * 1e9));
}

TINYPHI_FUNC metrics::metrics(std::string version, double started)
    : version_(std::move(version)), started_(started) {
  all_.emplace_back().name = "other";
}

TINYPHI_FUNC void metrics::serve_model(std::string_view name) {
  const std::lock_guard lock(mutex_);
  if (all_.size() > max_models) return;
  for (const detail::model_metrics& m : all_) {
    if (m.name == name) return;
  }
  all_.emplace_back().name = name;
}

TINYPHI_FUNC metrics::series metrics::find(std::string_view model,
                                           priority_class c) {
  const std::lock_guard lock(mutex_);
  detail::model_metrics* found = &all_.front();
  for (detail::model_metrics& m : all_) {
    if (m.name == model) found = &m;
  }
  return {found, static_cast<std::size_t>(c)};
}

TINYPHI_FUNC void metrics::request_started(series s) {
  detail::add(s.class_->received);
}

TINYPHI_FUNC void metrics::request_ended(series s,
                                         const request_report& report) {
  using namespace detail;
  class_metrics& to = *s.class_;
  add(to.ended[status_index(report.status)]);
  if (!report.cancelled_in.empty()) {
    std::size_t place = 0;
    while (place < 3 && report.cancelled_in != cancel_places[place]) ++place;
    add(to.cancelled[place]);
  }
  const std::size_t cached =
      std::min(report.cached_tokens, report.prompt_tokens);
  add(to.prompt_computed, report.prompt_tokens - cached);
  add(to.prompt_cached, cached);
  add(to.generated, report.generated_tokens);
  const std::size_t accepted =
      std::min(report.accepted_tokens, report.drafted_tokens);
  add(to.drafts, report.drafts);
  add(to.drafts_accepted, accepted);
  add(to.drafts_rejected, report.drafted_tokens - accepted);
  add(to.prefill_us, microseconds(report.prefill_ms));
  add(to.decode_us, microseconds(report.decode_ms));
  // Another thread's longer one stays.
  const std::uint64_t length = report.prompt_tokens + report.generated_tokens;
  std::uint64_t longest = value_of(s.model_->longest);
  while (longest < length && !s.model_->longest.compare_exchange_weak(
                                 longest, length, std::memory_order_relaxed)) {
  }
  // A request that no engine saw (refused, or of another route) never queued.
  if (report.prompt_tokens > 0) {
    to.queue.observe(first_token_bounds, report.queue_ms / 1e3);
  }
  to.request.observe(request_bounds, report.total_ms / 1e3);
}

TINYPHI_FUNC void metrics::first_token(series s, double ms) {
  s.class_->first_token.observe(detail::first_token_bounds, ms / 1e3);
}
TINYPHI_FUNC void metrics::between_tokens(series s, double ms) {
  s.class_->between_tokens.observe(detail::gap_bounds, ms / 1e3);
}
TINYPHI_FUNC void metrics::step(series s, double ms, std::size_t slice_tokens) {
  s.model_->step.observe(detail::gap_bounds, ms / 1e3);
  if (slice_tokens == 0) return;
  s.model_->slice.observe(detail::slice_bounds,
                          static_cast<double>(slice_tokens));
}

TINYPHI_FUNC std::string metrics::process_start_time_unix() const {
  return plain_number(std::max(0.0, std::floor(started_)), 15);
}

TINYPHI_NAMESPACE_END

#include "tinyphi/serve/metrics_text.ipp"

#endif  // TINYPHI_SERVE_METRICS_IPP_
