// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_SERVED_SET_IPP_
#define TINYPHI_SERVE_SERVED_SET_IPP_

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <thread>
#include <utility>

#include "tinyphi/generate/engine.h"
#include "tinyphi/generate/memory_plan.h"
#include "tinyphi/serve/http_exchange.h"
#include "tinyphi/serve/metrics.h"
#include "tinyphi/serve/served_set.h"

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
    auto file = program.open_model(m.path);
    if (!file) return std::move(file).error().within(detail::model_label(m));
    planned_use use;
    use.sequences = 1;
    auto planned = plan_memory(*std::move(file), load, engine, use);
    if (!planned) {
      return std::move(planned).error().within(detail::model_label(m));
    }
    const std::size_t rest = planned->total() - planned->cache +
                             (m.sequences - 1) * planned->per_request;
    const std::size_t least = m.kv_memory > 0 ? m.kv_memory : planned->cache;
    one_context.push_back(least);
    all_contexts.push_back(m.kv_memory > 0 ? m.kv_memory
                                           : planned->cache * m.sequences);
    out.spare.push_back(planned->cache);
    fixed += rest + least;
    out.least.push_back(rest + least);
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
    out.spare[i] = out.kv_bytes[i] - std::min(out.kv_bytes[i], out.spare[i]);
  }
  return out;
}

namespace detail {

// An answer of a pipeline waits on a thread of its own, most of the time.
inline constexpr std::size_t pipeline_threads = 16;
// What a model must have given before it takes another's place.
inline constexpr std::size_t trial_tokens = 16;
inline constexpr std::size_t max_files_looked_at = 1024;

inline std::string state_of_file(const std::filesystem::path& path) {
  struct stat s;
  if (::stat(path.c_str(), &s) != 0) return "-";
  std::string out;
  for (const long long n :
       {static_cast<long long>(s.st_dev), static_cast<long long>(s.st_ino),
        static_cast<long long>(s.st_size),
        static_cast<long long>(s.st_ctim.tv_sec),
        static_cast<long long>(s.st_ctim.tv_nsec)}) {
    out += std::to_string(n) + ' ';
  }
  return out;
}

inline result<std::shared_ptr<served_model>> load_one(const daemon_config& c,
                                                      const model_entry& entry,
                                                      std::size_t kv_bytes,
                                                      const loading& with) {
  load_options load = to_load_options(entry);
  load.stop = with.stop;
  load.budget = with.budget;
  load.warn = [say = &with.program->say](const error& e) { (*say)(e.message); };
  TINYPHI_TRY(auto file, with.program->open_model(entry.path));
  TINYPHI_TRY(auto weights, model::load(std::move(file), load));
  engine_options options = to_engine_options(c, entry);
  options.kv_bytes = kv_bytes;
  with.counts->serve_model(entry.id);
  options.on_step = [counts = with.counts,
                     s = with.counts->find(entry.id, priority_class::normal)](
                        double ms, std::size_t slice) {
    counts->step(s, ms, slice);
  };
  options.budget = with.budget;
  TINYPHI_TRY(auto made, engine::create(std::move(weights), options));
  auto m = std::make_unique<served_model>(
      entry.id, entry.aliases, std::move(made), unix_seconds(), entry.seed);
  return std::shared_ptr<served_model>(m.release(), with.destroy);
}

// Whether it answers at all: weights can be well-formed and yet give numbers
// that are not finite.
inline result<void> try_out(served_model& m, const stop_condition& stop) {
  generation_params p;
  p.max_tokens = trial_tokens;
  p.sampling.temperature = 0;
  p.stop_when = stop;
  generation trial = m.engine().complete(std::vector<token_id>{1}, p);
  while (trial.next_piece()) {
  }
  if (trial.error()) return *trial.error();
  return {};
}

// A new model needs its place beside the old ones, whose cached pages go first:
// after the step that each of them computes now.
inline result<void> make_room(const served_set& before, std::size_t needed,
                              const memory_budget& budget) {
  if (before.models.empty() || budget.limit() == 0) return {};
  for (const loaded_model& m : before.models) m.model->engine().drop_cache();
  std::size_t used = 0;
  for (int tries = 0; tries < 100; ++tries) {
    used = budget.usage().total();
    if (used <= budget.limit() && needed <= budget.limit() - used) return {};
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return error{error_code::limit,
               "it takes " + mebibytes(needed) + " beside the " +
                   mebibytes(used) + " in use now, and the budget is " +
                   mebibytes(budget.limit()) +
                   "; start the daemon again to exchange it"};
}

// A pipeline's model is one that is served: the same file, or the first where
// the pipeline names none.
inline result<std::shared_ptr<served_model>> model_of_pipeline(
    const served_set& s, const model_spec& spec) {
  std::error_code ignored;
  for (const loaded_model& m : s.models) {
    if (spec.path.empty() ||
        (!m.entry.path.empty() &&
         std::filesystem::equivalent(m.entry.path, spec.path, ignored))) {
      return m.model;
    }
  }
  return error{error_code::not_found,
               "model '" + spec.name + "' (" + spec.path.string() +
                   ") is not served: give it a [model] table of its own"};
}

inline result<void> open_pipelines(const daemon_config& c, const loading& with,
                                   served_set& to) {
  for (const pipeline_entry& entry : c.pipelines) {
    std::vector<std::shared_ptr<served_model>> models;
    host_options options;
    options.open_model = [&](const model_spec& spec) -> result<engine> {
      TINYPHI_TRY(auto m, model_of_pipeline(to, spec));
      engine e = m->engine();
      models.push_back(std::move(m));
      return e;
    };
    options.on_beginning = [&](const model_spec& spec,
                               std::vector<token_id> ids) {
      if (auto m = model_of_pipeline(to, spec)) {
        to.beginnings.push_back({*std::move(m), std::move(ids)});
      }
    };
    options.describe_model = with.program->describe_model;
    options.env = with.program->env;
    options.pool_threads = pipeline_threads;
    if (with.program->sandbox) {
      options.no_programs =
          "the daemon's sandbox lets no program be started; serve with "
          "--no-sandbox, or run the file by `tinyphi run`";
    }
    TINYPHI_TRY(auto opened, open_pipeline(entry, *with.program->plugins,
                                           options, unix_seconds()));
    opened.models = std::move(models);
    with.counts->serve_model("pipeline:" + entry.name);
    to.pipelines.push_back(
        std::make_shared<const served_pipeline>(std::move(opened)));
  }
  return {};
}

inline void pin_beginnings(const daemon_config& c, const memory_shares& shares,
                           const loading& with, const served_set& before,
                           served_set& to) {
  // What is still computed for those must not be pinned behind unpin_prompts().
  for (const auto& g : before.pinning) g->cancel();
  for (std::size_t i = 0; i < to.models.size(); ++i) {
    const loaded_model& m = to.models[i];
    tinyphi::engine& e = m.model->engine();
    e.unpin_prompts();
    if (!m.entry.prefix_cache) continue;
    // A model that was there already has the cache of its own load.
    const std::size_t has = e.options().kv_bytes;
    const std::size_t context = shares.kv_bytes[i] - shares.spare[i];
    std::size_t room = std::min<std::size_t>(c.pin > 0 ? c.pin : has / 4,
                                             has - std::min(has, context));
    const std::size_t page_bytes =
        page_tokens *
        kv_bytes_per_token(e.model().config(), *e.options().cache_type);
    for (const prompt_beginning& b : to.beginnings) {
      if (b.model != m.model) continue;
      const std::size_t bytes = n_pages(b.ids.size()) * page_bytes;
      if (bytes > room) {
        with.program->say(
            model_label(m.entry) + ": the beginning of a prompt, " +
            std::to_string(b.ids.size()) +
            " tokens, is not kept in the cache: it takes " + mebibytes(bytes) +
            ", and " + mebibytes(room) + " are left for that");
        continue;
      }
      room -= bytes;
      generation_params p;
      p.max_tokens = 1;
      p.drafts = false;
      p.priority = priority_class::batch;
      p.cache_domain = shared_domain;
      p.pin_prompt = true;
      to.pinning.push_back(std::make_shared<generation>(e.complete(b.ids, p)));
    }
  }
}

}  // namespace detail

TINYPHI_FUNC std::string state_of_files(const std::filesystem::path& path) {
  if (path.empty()) return {};
  std::error_code failed;
  if (!std::filesystem::is_directory(path, failed)) {
    return detail::state_of_file(path);
  }
  std::vector<std::string> files;
  for (std::filesystem::directory_iterator at(path, failed), end;
       !failed && at != end && files.size() < detail::max_files_looked_at;
       at.increment(failed)) {
    files.push_back(at->path().filename().string() + ' ' +
                    detail::state_of_file(at->path()));
  }
  std::ranges::sort(files);
  std::string out;
  for (const std::string& f : files) out += f + '\n';
  return out;
}

TINYPHI_FUNC result<served_set> load_served(const daemon_config& c,
                                            const memory_shares& shares,
                                            const loading& with,
                                            const served_set& before) {
  served_set out;
  for (std::size_t i = 0; i < c.models.size(); ++i) {
    const model_entry& entry = c.models[i];
    std::string state = state_of_files(entry.path);
    const auto same =
        std::ranges::find_if(before.models, [&](const loaded_model& m) {
          return m.entry == entry && m.state == state;
        });
    if (same != before.models.end()) {
      out.models.push_back(*same);
      ++out.n_kept;
      continue;
    }
    const auto load = [&]() -> result<std::shared_ptr<served_model>> {
      TINYPHI_CHECK_OK(detail::make_room(before, shares.least[i], with.budget));
      TINYPHI_TRY(auto m, detail::load_one(c, entry, shares.kv_bytes[i], with));
      if (!before.models.empty()) {
        TINYPHI_CHECK_OK(detail::try_out(*m, with.stop));
      }
      return m;
    };
    auto loaded = load();
    if (!loaded) {
      return std::move(loaded).error().within(detail::model_label(entry));
    }
    out.models.push_back({entry, std::move(state), *std::move(loaded)});
  }
  TINYPHI_CHECK_OK(detail::open_pipelines(c, with, out));
  detail::pin_beginnings(c, shares, with, before, out);
  return out;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_SERVED_SET_IPP_
