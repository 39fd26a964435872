// SPDX-License-Identifier: MIT
// The options by which commands name a model, and its loading.
#ifndef TOOLS_CLI_MODEL_OPTIONS_H_
#define TOOLS_CLI_MODEL_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "tinyphi/base/cancel.h"
#include "tinyphi/base/error.h"
#include "tinyphi/files/model_file.h"
#include "tinyphi/generate/engine.h"
#include "tinyphi/model/model.h"

namespace cli {

struct model_options {
  std::string path;   // empty: the built-in demo model
  int n_threads = 0;  // 0: all available cores
  bool exact = false;
  bool fast_prefill = false;
  bool cache_repacked = false;
  std::string prompt_cache;  // a folder; empty: none
  std::string kv_type = "auto";
  std::string quantize;           // empty: as stored
  std::vector<std::string> lora;  // PATH or PATH=SCALE
};

// -m alone, for commands that do not run the model.
void add_model_path(CLI::App& command, model_options& options);
// -m, -t, --exact, --fast-prefill, --quantize, --cache-repacked, --prompt-cache,
// --kv-type and --lora.
void add_model_options(CLI::App& command, model_options& options);
// --fast-prefill alone.
void add_fast_prefill(CLI::App& command, bool& value);
// --kv-type alone; its value is a kv_type's name or "auto".
void add_kv_type(CLI::App& command, std::string& value);

// `asked` threads or as many as can run at once, which a note on stderr then
// says, once.
[[nodiscard]] int usable_threads(int asked);

// The file or folder, opened. For the built-in model: its bytes in the program;
// says once, on stderr, that it is used.
[[nodiscard]] tinyphi::result<tinyphi::model_file> open_model_file(
    const std::string& given);
// How messages call that model.
[[nodiscard]] std::string model_name(const std::string& given);

[[nodiscard]] tinyphi::result<tinyphi::model> load_model(
    const model_options& options, const tinyphi::cancel_token& token);
[[nodiscard]] tinyphi::result<tinyphi::engine> load_engine(
    const model_options& options, const tinyphi::cancel_token& token);

}  // namespace cli

#endif  // TOOLS_CLI_MODEL_OPTIONS_H_
