// SPDX-License-Identifier: MIT
// tinyphi bench: speed of a model, and its share of what the machine can do.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/bench_runner.h"
#include "cli/bench_table.h"
#include "cli/command.h"
#include "cli/machine.h"
#include "cli/model_options.h"
#include "cli/shapes.h"
#include "cli/terminal.h"
#include "exit_code.h"
#include "tinyphi/base/json.h"
#include "tinyphi/kernels/kernels.h"

namespace cli {

namespace {

namespace json = tinyphi::json;
using tinyphi::result;

struct bench_options {
  model_options model;
  std::string shape;
  std::vector<std::string> types = {"q4_0"};
  std::vector<int> threads = {0};
  std::vector<std::size_t> depths = {0};
  std::size_t n_prompt = 512;
  std::size_t n_decode = 128;
  std::size_t n_sequences = 1;
  std::size_t repeats = 3;
  std::string target;
  bool as_json = false;
};

// Of the model file, or of the shape with random weights of one type.
result<tinyphi::model> open(const bench_options& o, const std::string& type,
                            const tinyphi::cancel_token& token) {
  if (o.shape.empty()) return load_model(o.model, token);
  TINYPHI_TRY(const auto config, find_shape(o.shape));
  const auto parsed = tinyphi::parse_dtype(type);
  if (!parsed) {
    std::string known;
    for (const tinyphi::dtype_info& d : tinyphi::dtypes) {
      known += (known.empty() ? "" : ", ") + std::string(d.name);
    }
    return tinyphi::error{tinyphi::error_code::invalid_argument,
                          "--type " + type + ": known types are " + known};
  }
  progress_bar bar("making random weights");
  tinyphi::load_options load;
  load.exact = o.model.exact;
  load.fast_prefill = o.model.fast_prefill;
  load.stop.token = token;
  load.progress = [&bar](double share) { bar.show(share); };
  return tinyphi::model::random(config, *parsed, 1, load);
}

// Makes the kernels run on the SIMD target of that name.
result<void> choose_target(const std::string& name) {
  std::string known;
  for (const std::int64_t target : tinyphi::kernel_targets()) {
    tinyphi::force_kernel_target(target);
    const std::string found = tinyphi::kernel_target();
    if (found == name) return {};
    known += (known.empty() ? "" : ", ") + found;
  }
  return tinyphi::error{tinyphi::error_code::invalid_argument,
                        "--target " + name + ": this CPU runs " + known};
}

result<void> check_length(const bench_options& o, const tinyphi::model& m) {
  const std::size_t n = o.depths.back() + o.n_prompt + o.n_decode;
  if (n <= m.config().max_context) return {};
  return tinyphi::error{
      tinyphi::error_code::invalid_argument,
      "-d, -p and -n are " + std::to_string(n) +
          " tokens together, the context of this model holds " +
          std::to_string(m.config().max_context)};
}

// Repeats go round the cases, so that no disturbance hits one of them alone.
result<bench_table> measure(const bench_options& o, const tinyphi::model& m,
                            int n_threads, const tinyphi::cancel_token& token) {
  const auto kv_type =
      tinyphi::parse_kv_type(o.model.kv_type).value_or(m.default_kv_type());
  bench_runner runner(m, usable_threads(n_threads), kv_type, token);
  bench_table t;
  t.weight_bytes = m.weight_bytes();
  t.n_threads = runner.n_threads();
  machine_probe probe(t.n_threads);
  std::vector<bench_case> cases;
  for (const std::size_t depth : o.depths) {
    cases.push_back({depth, o.n_prompt, o.n_decode, o.n_sequences, kv_type});
  }
  std::vector<speeds> measured(cases.size());
  {
    progress_bar bar("measuring");
    const std::size_t n = o.repeats * cases.size();
    for (std::size_t i = 0; i < n; ++i) {
      bar.show(static_cast<double>(i) / static_cast<double>(n));
      const std::size_t k = i % cases.size();
      if (k == 0) probe.sample();
      TINYPHI_CHECK_OK(runner.run(cases[k], measured[k]));
    }
  }
  probe.sample();
  t.limits = probe.limits();
  t.rows = bench_rows(m, t.limits, cases, measured);
  return t;
}

int bench(const bench_options& o) {
  if (!o.shape.empty() && !o.model.path.empty()) {
    return fail_usage("-m and --shape exclude each other");
  }
  if (o.n_prompt + o.n_decode == 0) {
    return fail_usage("-p and -n are both 0: there is nothing to measure");
  }
  if (!o.target.empty()) {
    if (const auto chosen = choose_target(o.target); !chosen) {
      return fail(chosen.error());
    }
  }
  const interrupt_guard interrupt;
  json::array rows, machine;
  std::size_t resident = 0;
  for (const std::string& type : o.types) {
    const auto model = open(o, type, interrupt.token());
    if (!model) return fail(model.error());
    if (const auto fits = check_length(o, *model); !fits) {
      return fail(fits.error());
    }
    for (const int n_threads : o.threads) {
      auto t = measure(o, *model, n_threads, interrupt.token());
      if (!t) return fail(t.error());
      resident = std::max(resident, resident_memory());
      t->model = o.shape.empty() ? model_name(o.model.path)
                                 : o.shape + " " + type + ", random weights";
      if (!o.as_json && rows.empty()) {
        print_line(cpu_name() + ", " + tinyphi::kernel_target());
      }
      if (!o.as_json) print_table(*t);
      for (json::value& row : to_json(*t)) rows.push_back(std::move(row));
      machine.push_back(to_json(t->n_threads, t->limits));
    }
    if (o.shape.empty()) break;  // a file has the types it has
  }
  if (o.as_json) {
    print_line(json::serialize(
        json::object{{"cpu", cpu_name()},
                     {"simd", tinyphi::kernel_target()},
                     {"mode", o.model.exact ? "exact" : "default"},
                     {"resident_bytes", resident},
                     {"machine", std::move(machine)},
                     {"results", std::move(rows)}}));
  }
  return exit_done;
}

}  // namespace

void add_bench(CLI::App& app, action& run) {
  CLI::App* command = add_command(
      app, "bench",
      "measure speed, as share of what this machine's memory and cores allow",
      "tinyphi bench --shape phi-3-mini-128k --type q4_0,q8_0 -t 1,2 -d "
      "0,4096");
  auto o = std::make_shared<bench_options>();
  add_model_path(*command, o->model);
  command->add_flag("--exact", o->model.exact, "compute with f32 activations");
  add_fast_prefill(*command, o->model.fast_prefill);
  add_kv_type(*command, o->model.kv_type);
  std::string names;
  for (const std::string& name : shape_names()) names += " " + name;
  CLI::Option* shape = command->add_option(
      "--shape", o->shape,
      "random weights in a published shape instead of a model:" + names);
  const auto add_list = [&](const char* name, auto& values, const char* what) {
    return command->add_option(name, values, what)
        ->delimiter(',')
        ->capture_default_str();
  };
  constexpr std::size_t most = std::size_t{1} << 24;
  add_list("--type", o->types, "types of the random weights")->needs(shape);
  add_list("-t,--threads", o->threads,
           "numbers of threads; 0: all available cores")
      ->check(CLI::Range(0, tinyphi::most_threads));
  add_list("-d,--depth", o->depths,
           "tokens that a sequence holds before; with 0 among them, "
           "attention's own share is told")
      ->check(CLI::Range(std::size_t{0}, most));
  const auto add_number = [&](const char* name, std::size_t& value,
                              const char* what, std::size_t min) {
    command->add_option(name, value, what)
        ->check(CLI::Range(min, most))
        ->capture_default_str();
  };
  add_number("-p", o->n_prompt, "prompt tokens", 0);
  add_number("-n", o->n_decode, "tokens to decode after them", 0);
  add_number("--sequences", o->n_sequences, "sequences decoded together", 1);
  add_number("-r", o->repeats, "repeats", 1);
  command->add_option("--target", o->target,
                      "SIMD target, of those that this CPU can run; without "
                      "it the best");
  command->add_flag("--json", o->as_json, "as one JSON object");
  command->final_callback([o, &run] {
    run = [o] {
      std::sort(o->depths.begin(), o->depths.end());
      return bench(*o);
    };
  });
}

}  // namespace cli
