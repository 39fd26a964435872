// SPDX-License-Identifier: MIT
// How a daemon's models share its memory: part of daemon.ipp.
#ifndef TINYPHI_SERVE_DAEMON_MEMORY_IPP_
#define TINYPHI_SERVE_DAEMON_MEMORY_IPP_

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tinyphi/generate/memory_plan.h"
#include "tinyphi/serve/daemon.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// What is left for the program itself, its stacks and its connections.
inline constexpr double usable_share = 0.9;

inline std::string mebibytes(std::size_t bytes) {
  return std::to_string((bytes + (std::size_t{1} << 20) - 1) >> 20) + " MiB";
}

inline std::string model_label(const model_entry& m) {
  return "model '" + m.id + "'";
}

}  // namespace detail

TINYPHI_FUNC result<memory_shares> share_memory(const daemon_config& c,
                                                const daemon_program& program,
                                                std::size_t available) {
  memory_shares out;
  std::size_t limit = static_cast<std::size_t>(static_cast<double>(available) *
                                               detail::usable_share);
  if (c.memory > 0) {
    limit = available == 0
                ? static_cast<std::size_t>(c.memory)
                : std::min(limit, static_cast<std::size_t>(c.memory));
  }
  out.budget = limit;
  std::size_t fixed = 0, wanted_most = 0;
  std::string numbers;
  std::vector<std::size_t> one_context, all_contexts;
  for (const model_entry& m : c.models) {
    const load_options load = to_load_options(m);
    engine_options engine = to_engine_options(c, m);
    engine.kv_bytes = 0;
    TINYPHI_TRY(auto file, program.open_model(m.path));
    planned_use use;
    use.sequences = 1;
    auto planned = plan_memory(std::move(file), load, engine, use);
    if (!planned) {
      return std::move(planned).error().within(detail::model_label(m));
    }
    const std::size_t rest = planned->total() - planned->cache +
                             (m.sequences - 1) * planned->per_request;
    const std::size_t least = m.kv_memory > 0 ? m.kv_memory : planned->cache;
    one_context.push_back(least);
    all_contexts.push_back(m.kv_memory > 0 ? m.kv_memory
                                           : planned->cache * m.sequences);
    fixed += rest + least;
    wanted_most += all_contexts.back() - least;
    numbers +=
        (numbers.empty() ? "" : "; ") + detail::model_label(m) + " takes " +
        detail::mebibytes(planned->weights + planned->embedding) +
        " for weights, " + detail::mebibytes(least) + " for its cache, " +
        detail::mebibytes(rest - planned->weights - planned->embedding) +
        " for all else";
  }
  if (limit > 0 && fixed > limit) {
    return error{error_code::limit,
                 numbers + ": together " + detail::mebibytes(fixed) +
                     ", and there are " + detail::mebibytes(limit) +
                     "; give a smaller model, a smaller kv_memory, or more "
                     "memory"};
  }
  // What is left goes to the caches, in proportion to what they can use.
  const double share =
      limit == 0 || wanted_most == 0
          ? 1.0
          : std::min(1.0, static_cast<double>(limit - fixed) /
                              static_cast<double>(wanted_most));
  for (std::size_t i = 0; i < one_context.size(); ++i) {
    const auto more = static_cast<double>(all_contexts[i] - one_context[i]);
    out.kv_bytes.push_back(one_context[i] +
                           static_cast<std::size_t>(share * more));
  }
  return out;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_DAEMON_MEMORY_IPP_
