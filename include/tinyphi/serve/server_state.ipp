// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_SERVER_STATE_IPP_
#define TINYPHI_SERVE_SERVER_STATE_IPP_

#include <algorithm>
#include <chrono>
#include <optional>

#include "tinyphi/serve/openai_chat.h"
#include "tinyphi/serve/server_state.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC service_state probe(const server_state& s, steady_time now) {
  service_state p;
  p.loaded = !s.loading;
  p.draining = s.draining;
  p.memory_critical = s.memory_critical;
  p.queue_deadline = s.answers.deadlines.queue_ms / 1000;
  for (const auto& m : s.models) {
    const engine_load l = m->engine().load();
    p.queue_estimate = std::max(p.queue_estimate, l.waiting_seconds);
    if (l.idle) continue;
    p.engine_busy = true;
    p.engine_age = std::max(
        p.engine_age, std::chrono::duration<double>(now - l.last_beat).count());
  }
  return p;
}

TINYPHI_FUNC model_gauges gauges_of(const served_model& m, steady_time now) {
  const engine_load l = m.engine().load();
  model_gauges g;
  g.model = m.id();
  const auto normal = static_cast<std::size_t>(priority_class::normal);
  g.running[normal] = l.running;
  g.waiting[normal] = l.waiting;
  const std::size_t held = std::min(l.pages_cached, l.pages_in_use);
  g.pages_pinned = std::min(l.pages_pinned, held);
  g.pages_cached = held - g.pages_pinned;
  g.pages_used = l.pages_in_use - held;
  g.pages_free = l.pages - l.pages_in_use;
  g.page_tokens = page_tokens;
  g.heartbeat_age_seconds =
      l.idle ? 0 : std::chrono::duration<double>(now - l.last_beat).count();
  g.preempted_to_disk = l.swaps;
  g.preempted_to_recompute = l.preemptions - std::min(l.swaps, l.preemptions);
  return g;
}

TINYPHI_FUNC std::optional<api_error> not_serving(const server_state& s) {
  if (!s.draining && !s.loading) return std::nullopt;
  api_error e;
  e.status = 503;
  e.type = "server_error";
  e.code = s.draining ? "shutting_down" : "loading";
  e.message = s.draining ? "the server is shutting down"
                         : "the model is still being loaded";
  e.should_retry = true;
  e.retry_after_ms = 1000;
  return e;
}

namespace detail {

inline api_error not_there(std::string_view name) {
  api_error e;
  e.status = 404;
  e.code = "model_not_found";
  e.param = "model";
  e.message = "the model '" + valid_text(name.substr(0, 100)) +
              "' does not exist here; GET /v1/models lists all";
  return e;
}

inline std::optional<api_error> not_allowed(const caller& from,
                                            const std::string& id) {
  if (from.models.empty() ||
      std::ranges::find(from.models, id) != from.models.end()) {
    return std::nullopt;
  }
  api_error e;
  e.status = 403;
  e.type = "permission_error";
  e.code = "model_not_allowed";
  e.param = "model";
  e.message = "this key may not use the model '" + id + "'";
  return e;
}

}  // namespace detail

TINYPHI_FUNC api_result<std::shared_ptr<served_model>> model_for(
    const server_state& s, std::string_view name, const caller& from) {
  if (auto e = not_serving(s)) return *std::move(e);
  auto m = s.find(name);
  if (m == nullptr) return detail::not_there(name);
  if (auto e = detail::not_allowed(from, m->id())) return *std::move(e);
  return m;
}

TINYPHI_FUNC api_result<std::shared_ptr<const served_pipeline>> pipeline_for(
    const server_state& s, std::string_view name, const caller& from) {
  if (auto e = not_serving(s)) return *std::move(e);
  const auto p = std::ranges::find(s.pipelines, name, [](const auto& each) {
    return std::string_view(each->name);
  });
  const std::string id = std::string(pipeline_prefix) + std::string(name);
  if (p == s.pipelines.end()) return detail::not_there(id);
  if (auto e = detail::not_allowed(from, id)) return *std::move(e);
  return *p;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_SERVER_STATE_IPP_
