// SPDX-License-Identifier: MIT
// tinyphi bench: speed of a model, and its share of what the machine can do.
#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/machine.h"
#include "cli/model_options.h"
#include "cli/shapes.h"
#include "cli/terminal.h"
#include "exit_code.h"
#include "tinyphi/base/json.h"
#include "tinyphi/base/memory.h"
#include "tinyphi/base/parallel.h"
#include "tinyphi/kernels/kernels.h"
#include "tinyphi/model/kv_cache.h"

namespace cli {

namespace {

namespace json = tinyphi::json;
using tinyphi::result;

struct bench_options {
  model_options model;
  std::string shape;
  std::string type = "q4_0";
  std::size_t n_prompt = 512;
  std::size_t n_decode = 128;
  std::size_t repeats = 3;
  bool as_json = false;
};

// Tokens per second of each repeat.
struct speeds {
  std::vector<double> prefill;
  std::vector<double> decode;
};

struct spread {
  double min = 0, median = 0, max = 0;
};

spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values.front(), values[values.size() / 2], values.back()};
}

result<tinyphi::model> open(const bench_options& o,
                            const tinyphi::cancel_token& token) {
  if (o.shape.empty()) return load_model(o.model, token);
  TINYPHI_TRY(const auto config, find_shape(o.shape));
  const auto type = tinyphi::parse_dtype(o.type);
  if (!type) {
    return tinyphi::error{
        tinyphi::error_code::invalid_argument,
        "--type " + o.type + ": known types are f32, f16, bf16, q8_0, q4_0"};
  }
  progress_bar bar("making random weights");
  tinyphi::load_options load;
  load.exact = o.model.exact;
  load.n_threads = o.model.n_threads;
  load.stop.token = token;
  load.progress = [&bar](double share) { bar.show(share); };
  return tinyphi::model::random(config, *type, 1, load);
}

// Any ids do: speed does not depend on them.
std::vector<tinyphi::token_id> some_ids(std::size_t n, std::size_t vocab_size) {
  std::vector<tinyphi::token_id> ids(n);
  for (std::size_t i = 0; i < n; ++i) {
    ids[i] = static_cast<tinyphi::token_id>((i * 7919 + 1) % vocab_size);
  }
  return ids;
}

class runner {
 public:
  runner(const tinyphi::model& model, int n_threads,
         const tinyphi::cancel_token& token)
      : model_(model), team_(n_threads) {
    stop_.token = token;
  }
  [[nodiscard]] int n_threads() const { return team_.n_threads(); }

  // One prompt of n_prompt tokens in chunks as the engine makes them, then
  // n_decode tokens one by one; adds both speeds.
  result<void> run(std::size_t n_prompt, std::size_t n_decode, speeds& out) {
    const auto& config = model_.config();
    tinyphi::kv_pool pool(config, model_.kv_type(),
                          tinyphi::available_memory());
    tinyphi::kv_sequence kv(pool, config);
    const auto ids = some_ids(n_prompt + n_decode, config.vocab_size);
    const std::span<const tinyphi::token_id> all(ids);
    const std::size_t chunk = tinyphi::engine_options{}.prefill_chunk;

    const auto start = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < n_prompt; i += chunk) {
      TINYPHI_CHECK_OK(step(kv, all.subspan(i, std::min(chunk, n_prompt - i))));
    }
    const auto middle = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < n_decode; ++i) {
      TINYPHI_CHECK_OK(step(kv, all.subspan(n_prompt + i, 1)));
    }
    const auto end = std::chrono::steady_clock::now();
    const auto speed = [](std::size_t n, auto from, auto to) {
      return static_cast<double>(n) /
             std::chrono::duration<double>(to - from).count();
    };
    if (n_prompt > 0) out.prefill.push_back(speed(n_prompt, start, middle));
    if (n_decode > 0) out.decode.push_back(speed(n_decode, middle, end));
    return {};
  }

 private:
  result<void> step(tinyphi::kv_sequence& kv,
                    std::span<const tinyphi::token_id> tokens) {
    TINYPHI_CHECK_OK(kv.reserve(kv.length() + tokens.size()));
    tinyphi::batch_run run;
    run.kv = &kv;
    run.tokens = tokens;
    TINYPHI_CHECK_OK(model_.forward({&run, 1}, team_, scratch_, stop_));
    return {};
  }

  const tinyphi::model& model_;
  tinyphi::team team_;
  tinyphi::forward_scratch scratch_;
  tinyphi::stop_condition stop_;
};

// Multiply-adds of the linear layers for one token, with and without the
// output matrix.
struct work {
  double layers = 0;
  double head = 0;
};
work work_of(const tinyphi::model_config& c) {
  const double hidden = c.hidden;
  const double heads = static_cast<double>(c.n_heads) * c.head_dim;
  const double kv_heads = static_cast<double>(c.n_kv_heads) * c.head_dim;
  const double per_layer = hidden * (heads + 2 * kv_heads) + heads * hidden +
                           3 * hidden * c.intermediate;
  return {c.n_layers * per_layer, hidden * c.vocab_size};
}

struct row {
  const char* name;
  std::size_t tokens;
  spread speed;
  double share;  // of the limit, median
  const char* limit;
};

void print_rows(const bench_options& o, const tinyphi::model& model,
                int n_threads, const machine_limits& limits,
                const std::vector<row>& rows) {
  const std::string name = o.shape.empty()
                               ? model_name(o.model.path)
                               : o.shape + " " + o.type + ", random weights";
  if (o.as_json) {
    json::object out{{"model", name},
                     {"mode", model.exact() ? "exact" : "default"},
                     {"weight_bytes", model.weight_bytes()},
                     {"cpu", cpu_name()},
                     {"simd", tinyphi::kernel_target()},
                     {"threads", n_threads},
                     {"read_bytes_per_second", limits.read_bytes_per_second},
                     {"int8_macs_per_second", limits.int8_macs_per_second},
                     {"f32_macs_per_second", limits.f32_macs_per_second}};
    for (const row& r : rows) {
      out[r.name] = {{"tokens", r.tokens},
                     {"min", r.speed.min},
                     {"median", r.speed.median},
                     {"max", r.speed.max},
                     {"share_of_limit", r.share}};
    }
    print_line(json::serialize(out));
    return;
  }
  print_line("model    " + name + (model.exact() ? ", exact" : "") + ", " +
             human_bytes(model.weight_bytes()));
  print_line("machine  " + cpu_name() + ", " + tinyphi::kernel_target() + ", " +
             std::to_string(n_threads) + " threads: reads " +
             fixed(limits.read_bytes_per_second / 1e9, 1) + " GB/s, int8 dot " +
             fixed(limits.int8_macs_per_second / 1e9, 1) + " GMAC/s, f32 fma " +
             fixed(limits.f32_macs_per_second / 1e9, 1) + " GMAC/s");
  for (const row& r : rows) {
    print_line(padded(r.name, 9) + std::to_string(r.tokens) +
               " tokens: " + fixed(r.speed.median, 2) + " tokens/s (" +
               fixed(r.speed.min, 2) + " to " + fixed(r.speed.max, 2) + "), " +
               fixed(100 * r.share, 1) + " % of what " + r.limit + " allows");
  }
}

int bench(const bench_options& o) {
  if (!o.shape.empty() && !o.model.path.empty()) {
    return fail_usage("-m and --shape exclude each other");
  }
  const interrupt_guard interrupt;
  auto model = open(o, interrupt.token());
  if (!model) return fail(model.error());
  const tinyphi::model_config& config = model->config();
  if (o.n_prompt + o.n_decode > config.max_context ||
      o.n_prompt + o.n_decode == 0) {
    return fail_usage("-p and -n are " +
                      std::to_string(o.n_prompt + o.n_decode) +
                      " tokens together; from 1 to " +
                      std::to_string(config.max_context) + " are possible");
  }

  runner r(*model, o.model.n_threads, interrupt.token());
  speeds measured;
  progress_bar bar("measuring");
  for (std::size_t i = 0; i < o.repeats; ++i) {
    bar.show(static_cast<double>(i) / static_cast<double>(o.repeats));
    const auto ran = r.run(o.n_prompt, o.n_decode, measured);
    if (!ran) return fail(ran.error());
  }

  const machine_limits limits = measure_limits(r.n_threads());
  const work macs = work_of(config);
  std::vector<row> rows;
  if (o.n_prompt > 0) {
    const spread s = spread_of(measured.prefill);
    const double peak = model->exact() ? limits.f32_macs_per_second
                                       : limits.int8_macs_per_second;
    rows.push_back({"prefill", o.n_prompt, s, s.median * macs.layers / peak,
                    "the peak of its dot products"});
  }
  if (o.n_decode > 0) {
    // An untied embedding is read one row at a time.
    const double share_read =
        config.tied_embeddings
            ? 1.0
            : (macs.layers + macs.head) / (macs.layers + 2 * macs.head);
    const double bytes =
        static_cast<double>(model->weight_bytes()) * share_read;
    const spread s = spread_of(measured.decode);
    rows.push_back({"decode", o.n_decode, s,
                    s.median * bytes / limits.read_bytes_per_second,
                    "reading the weights"});
  }
  print_rows(o, *model, r.n_threads(), limits, rows);
  return exit_done;
}

}  // namespace

void add_bench(CLI::App& app, action& run) {
  CLI::App* command = add_command(
      app, "bench",
      "measure speed, as share of what this machine's memory and cores allow",
      "tinyphi bench --shape phi-3-mini --type q4_0 -p 128 -n 32");
  auto o = std::make_shared<bench_options>();
  add_model_options(*command, o->model);
  std::string names;
  for (const std::string& name : shape_names()) names += " " + name;
  command->add_option(
      "--shape", o->shape,
      "random weights in a published shape instead of a model:" + names);
  command
      ->add_option("--type", o->type,
                   "f32, f16, bf16, q8_0 or q4_0, with --shape")
      ->capture_default_str();
  command->add_option("-p", o->n_prompt, "prompt tokens")
      ->capture_default_str();
  command->add_option("-n", o->n_decode, "tokens to decode after them")
      ->capture_default_str();
  command->add_option("-r", o->repeats, "repeats")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_flag("--json", o->as_json, "as one JSON object");
  command->final_callback([o, &run] { run = [o] { return bench(*o); }; });
}

}  // namespace cli
