// SPDX-License-Identifier: MIT
#include "cli/model_options.h"

#include <set>
#include <string>
#include <utility>

#include "cli/demo_model.h"
#include "cli/terminal.h"

namespace cli {

void add_model_path(CLI::App& command, model_options& options) {
  command
      .add_option("-m,--model", options.path,
                  "GGUF file or Hugging Face folder; without it the built-in "
                  "demo model")
      ->type_name("MODEL");
}

void add_model_options(CLI::App& command, model_options& options) {
  add_model_path(command, options);
  command
      .add_option(
          "-t,--threads", options.n_threads,
          "number of threads, at most the number of CPUs; 0: all available "
          "cores")
      ->check(CLI::Range(0, tinyphi::most_threads))
      ->capture_default_str();
  command.add_flag("--exact", options.exact,
                   "compute with f32 activations, the reference that equals "
                   "Hugging Face's");
  add_fast_prefill(command, options.fast_prefill);
  command
      .add_option("--quantize", options.quantize,
                  "turn matrices of F32, F16 or BF16 into TYPE while loading: "
                  "q8_0, q6_k, q5_k, q4_k, q5_1, q5_0, q4_1 or q4_0 (less "
                  "memory, faster, less exact); matrices that are quantized "
                  "already stay as they are. Where rows are no multiple of "
                  "256, q4_k becomes q5_0, q5_k q5_1, q6_k q8_0")
      ->type_name("TYPE");
  command.add_flag("--cache-repacked", options.cache_repacked,
                   "keep the weights as they are computed with in a file "
                   "beside the model (MODEL.r16, about its size), and load "
                   "that from then on");
  command
      .add_option("--prompt-cache", options.prompt_cache,
                  "keep what was computed of prompts and answers in this "
                  "folder, up to 1 GiB; what begins alike is then not "
                  "computed again")
      ->type_name("FOLDER");
  add_kv_type(command, options.kv_type);
  command
      .add_option("--lora", options.lora,
                  "adapter; not supported by this version")
      ->type_name("PATH[=SCALE]");
}

void add_fast_prefill(CLI::App& command, bool& value) {
  command.add_flag("--fast-prefill", value,
                   "read prompts faster and less exactly: where 64 tokens or "
                   "more meet quantized weights, both are rounded to int8 with "
                   "one scale for 128 columns. Results then depend on how many "
                   "tokens are computed together; no effect with --exact");
}

void add_kv_type(CLI::App& command, std::string& value) {
  std::vector<std::string> names = {"auto"};
  for (const tinyphi::kv_type type : tinyphi::kv_types) {
    names.emplace_back(to_string(type));
  }
  command
      .add_option("--kv-type", value,
                  "how the cache stores keys and values; int8-int4: keys in "
                  "int8, values in int4; auto: f32 with --exact, else " +
                      std::string(to_string(tinyphi::default_kv_type(false))))
      ->check(CLI::IsMember(names))
      ->capture_default_str();
}

int usable_threads(int asked) {
  const int most = tinyphi::read_cpu_limits().most_threads();
  if (asked <= most) return asked;
  static std::set<int> told;
  if (told.insert(asked).second) {
    note("-t " + std::to_string(asked) + ": this process may use " +
         std::to_string(most) + (most == 1 ? " CPU" : " CPUs") +
         ", and so many threads are used");
  }
  return most;
}

tinyphi::result<tinyphi::model_file> open_model_file(const std::string& given) {
  if (!given.empty()) return tinyphi::model_file::open(given);
  [[maybe_unused]] static const bool told = [] {
    note(
        "using the built-in demo model (7 million parameters, knows nothing "
        "of the world); give -m for a real one");
    return true;
  }();
  TINYPHI_TRY(auto file,
              tinyphi::gguf_file::parse(demo_model(), model_name(given)));
  return tinyphi::model_file(std::move(file));
}

std::string model_name(const std::string& given) {
  return given.empty() ? "built-in demo model" : given;
}

tinyphi::result<tinyphi::model> load_model(const model_options& options,
                                           const tinyphi::cancel_token& token) {
  if (!options.lora.empty()) {
    return tinyphi::error{tinyphi::error_code::unavailable,
                          "--lora " + options.lora.front() +
                              ": adapters are not supported yet; merge it into "
                              "the model's weights"};
  }
  tinyphi::load_options load;
  if (!options.quantize.empty()) {
    load.quantize = tinyphi::parse_dtype(options.quantize);
    if (!load.quantize) {
      return tinyphi::error{tinyphi::error_code::invalid_argument,
                            "--quantize " + options.quantize +
                                ": no such type; q8_0, q6_k, q5_k, q4_k, q5_1, "
                                "q5_0, q4_1 and q4_0 can be made"};
    }
  }
  TINYPHI_TRY(auto file, open_model_file(options.path));
  progress_bar bar("loading " + model_name(options.path));
  load.exact = options.exact;
  load.fast_prefill = options.fast_prefill;
  load.n_threads = usable_threads(options.n_threads);
  // The built-in model has no folder, and needs none.
  load.cache_repacked = options.cache_repacked && !options.path.empty();
  load.warn = [](const tinyphi::error& e) { note(e.message); };
  load.stop.token = token;
  load.progress = [&bar](double share) { bar.show(share); };
  return tinyphi::model::load(std::move(file), load);
}

tinyphi::result<tinyphi::engine> load_engine(
    const model_options& options, const tinyphi::cancel_token& token) {
  TINYPHI_TRY(auto loaded, load_model(options, token));
  tinyphi::engine_options engine;
  engine.n_threads = usable_threads(options.n_threads);
  engine.cache_type = tinyphi::parse_kv_type(options.kv_type);
  engine.cache_folder = options.prompt_cache;
  auto made = tinyphi::engine::create(std::move(loaded), engine);
  if (made && !made->cache_note().empty()) note(made->cache_note());
  return made;
}

}  // namespace cli
