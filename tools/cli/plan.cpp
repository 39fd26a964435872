// SPDX-License-Identifier: MIT
// tinyphi plan: what a model will need, before anything is loaded.
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/terminal.h"
#include "exit_code.h"
#include "tinyphi/base/json.h"
#include "tinyphi/base/memory.h"
#include "tinyphi/base/parallel.h"
#include "tinyphi/files/model_file.h"
#include "tinyphi/generate/memory_plan.h"
#include "tinyphi/model/kv_cache.h"
#include "tinyphi/model/model_config.h"

namespace cli {

namespace {

namespace json = tinyphi::json;

struct plan_options {
  std::string what;         // empty: the built-in model
  std::size_t context = 0;  // 0: the model's
  int n_threads = 0;        // 0: all available cores
  bool exact = false;
  std::string kv_type = "auto";
  bool as_json = false;
};

int plan_model(const plan_options& o) {
  auto file = open_model_file(o.what);
  if (!file) return fail(file.error());
  const auto config = tinyphi::read_model_config(*file);
  if (!config) return fail(config.error());
  const std::size_t context = o.context == 0 ? config->max_context : o.context;
  if (context > config->max_context) {
    return fail_usage("--context " + std::to_string(context) +
                      ": the model has at most " +
                      std::to_string(config->max_context) + " tokens");
  }

  tinyphi::load_options load;
  load.exact = o.exact;
  tinyphi::engine_options engine;
  engine.n_threads = o.n_threads;
  engine.cache_type = tinyphi::parse_kv_type(o.kv_type).value_or(
      tinyphi::default_kv_type(o.exact));
  tinyphi::planned_use use;
  use.length = context;
  const auto plan = tinyphi::plan_memory(*std::move(file), load, engine, use);
  if (!plan) return fail(plan.error());
  const std::size_t weights = plan->weights + plan->embedding;
  const std::size_t available = tinyphi::available_memory();
  const bool fits = plan->total() <= available;
  const std::string_view type = to_string(*engine.cache_type);
  if (o.as_json) {
    print_line(json::serialize(
        json::object{{"context", context},
                     {"weights_bytes", weights},
                     {"embedding_bytes", plan->embedding},
                     {"kv_type", type},
                     {"kv_bytes_per_token", plan->cache_per_token},
                     {"kv_bytes", plan->cache},
                     {"scratch_bytes", plan->scratch},
                     {"request_bytes", plan->requests},
                     {"overhead_bytes", plan->overhead},
                     {"total_bytes", plan->total()},
                     {"available_bytes", available},
                     {"fits", fits}}));
    return exit_done;
  }
  print_line("model       " + model_name(o.what));
  print_line("weights     " + human_bytes(weights));
  print_line("cache       " + human_bytes(plan->cache) +
             " for one sequence of " + std::to_string(context) + " tokens (" +
             human_bytes(plan->cache_per_token) + " per token in " +
             std::string(type) + ", room for " +
             std::to_string(plan->cache_tokens) + ")");
  print_line("buffers     " + human_bytes(plan->scratch + plan->requests));
  print_line("program     " + human_bytes(plan->overhead) +
             " with the tokenizer, about");
  print_line("together    " + human_bytes(plan->total()));
  print_line("available   " + human_bytes(available) +
             (fits ? "" : ": not enough; see --context"));
  return exit_done;
}

int plan(const plan_options& o) {
  return o.what.ends_with(".toml") ? plan_pipeline(o.what, o.as_json)
                                   : plan_model(o);
}

}  // namespace

void add_plan(CLI::App& app, action& run) {
  CLI::App* command =
      add_command(app, "plan",
                  "estimate the memory that a model or a pipeline needs, "
                  "without loading it",
                  "tinyphi plan phi-3-mini.gguf --context 2048");
  auto o = std::make_shared<plan_options>();
  command->add_option(
      "x", o->what,
      "GGUF file, Hugging Face folder or pipeline file (.toml); "
      "without it the built-in demo model");
  command->add_option("--context", o->context,
                      "tokens of one sequence; 0: the model's context");
  command
      ->add_option("-t,--threads", o->n_threads,
                   "of the engine; 0: all available cores")
      ->check(CLI::Range(0, tinyphi::most_threads));
  command->add_flag("--exact", o->exact, "as --exact runs it, cache in f32");
  add_kv_type(*command, o->kv_type);
  command->add_flag("--json", o->as_json, "as one JSON object");
  command->final_callback([o, &run] { run = [o] { return plan(*o); }; });
}

}  // namespace cli
