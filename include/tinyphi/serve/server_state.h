// SPDX-License-Identifier: MIT
// What the routes of a daemon share, on its io thread.
#ifndef TINYPHI_SERVE_SERVER_STATE_H_
#define TINYPHI_SERVE_SERVER_STATE_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/serve/heartbeat.h"
#include "tinyphi/serve/metrics.h"
#include "tinyphi/serve/rate_limit.h"
#include "tinyphi/serve/running_requests.h"
#include "tinyphi/serve/serve_answer.h"
#include "tinyphi/serve/served_model.h"
#include "tinyphi/serve/served_pipeline.h"

TINYPHI_NAMESPACE_BEGIN

class trigger_runner;

struct server_state {
  answer_environment answers;
  running_requests running;
  rate_limiter limiter;
  std::vector<std::shared_ptr<served_model>> models;  // empty while loading
  std::vector<std::shared_ptr<const served_pipeline>> pipelines;
  std::size_t max_body = std::size_t{1} << 20;
  bool loading = true;
  bool draining = false;
  bool memory_critical = false;  // /ready says so
  bool stop_batch = false;       // requests of class batch are sent away

  // Set by the daemon before the first request.
  metrics* counts = nullptr;
  compat_families compat = {};
  bool open_metrics = false;  // /metrics needs no key
  bool keys_needed = false;   // to call over TCP
  std::function<metrics_snapshot()> snapshot = {};
  std::function<bool()> reload = {};  // false: there is nothing to read again
  std::function<void()> drain = {};
  const trigger_runner* triggers = nullptr;

  // The model that `name` means, by itself before by "*"; an empty name means
  // the first. Null: none.
  [[nodiscard]] std::shared_ptr<served_model> find(
      std::string_view name) const {
    for (const auto& m : models) {
      if (m->is_named(name)) return m;
    }
    for (const auto& m : models) {
      if (name.empty() || m->answers_to(name)) return m;
    }
    return nullptr;
  }
};

// What /health and /ready are told of: the worst of all models.
[[nodiscard]] service_state probe(const server_state& s, steady_time now);

// What /metrics tells of a model.
[[nodiscard]] model_gauges gauges_of(const served_model& m, steady_time now);

// Why nothing is answered now; nothing if it is.
[[nodiscard]] std::optional<api_error> not_serving(const server_state& s);
// The model for a request, or why there is none: 503 while the server loads or
// drains, 404 for an unknown name, 403 for one that the caller may not use.
[[nodiscard]] api_result<std::shared_ptr<served_model>> model_for(
    const server_state& s, std::string_view name, const caller& from);
// The same for a pipeline, whose name in a caller's models is "pipeline:NAME".
[[nodiscard]] api_result<std::shared_ptr<const served_pipeline>> pipeline_for(
    const server_state& s, std::string_view name, const caller& from);
inline constexpr std::string_view pipeline_prefix = "pipeline:";

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/server_state.ipp"
#endif

#endif  // TINYPHI_SERVE_SERVER_STATE_H_
