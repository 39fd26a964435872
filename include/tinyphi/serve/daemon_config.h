// SPDX-License-Identifier: MIT
// The file of `tinyphi serve daemon.toml`: where to listen, what to serve, and
// what that may take. All that can be left out has its default here.
#ifndef TINYPHI_SERVE_DAEMON_CONFIG_H_
#define TINYPHI_SERVE_DAEMON_CONFIG_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/generate/request.h"
#include "tinyphi/model/load_options.h"
#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/serve/listen_address.h"

TINYPHI_NAMESPACE_BEGIN

// [model.ID]. The ranges are those of load_options and engine_options.
struct model_entry {
  std::string id;
  std::filesystem::path path = {};        // empty: the program's built-in model
  std::vector<std::string> aliases = {};  // "*": whatever a client asks for
  int threads = 0;                        // 0: all that the machine allows
  std::size_t sequences = 16;             // that run at once
  std::size_t context = 0;         // tokens; 0: as many as the model allows
  std::size_t queue = 256;         // requests that wait, of all keys together
  std::optional<kv_type> kv = {};  // "int8", ...; empty: the model's own
  std::size_t kv_memory = 0;       // bytes; 0: chosen when it is loaded
  std::optional<dtype> quantize = {};
  bool exact = false;
  bool fast_prefill = false;
  bool cache_repacked = false;
  bool prefix_cache = true;
  // Of requests that name none; empty: another one each time.
  std::optional<std::uint64_t> seed = {};

  friend bool operator==(const model_entry&, const model_entry&) = default;
};

// [pipeline.NAME]; clients find it as model "pipeline:NAME".
struct pipeline_entry {
  std::string name;
  std::filesystem::path path = {};
  std::string chat_input = {};   // takes the last user's text; empty: the only
  std::string chat_output = {};  // is the answer; empty: the only one
  bool mcp = false;              // is a tool of /mcp
};

struct daemon_config {
  // [serve]
  std::vector<listen_address> listen;
  std::string keys;          // "credential:NAME", an absolute path, or empty
  std::uint64_t memory = 0;  // bytes, of everything; 0: what the system allows
  std::chrono::milliseconds itl_target{250};  // between two tokens
  std::chrono::milliseconds drain{60'000};
  std::vector<std::string> hosts = {"localhost", "127.0.0.1", "[::1]"};
  std::vector<std::string> origins;  // of web pages that may ask
  bool plain_http_known = false;     // plain_http = "I know"
  std::size_t max_body = std::size_t{1} << 20;
  std::filesystem::path approvals;  // where they are files; empty: none are
  // [serve.deadline]
  std::chrono::milliseconds queue_deadline{30'000};
  std::chrono::milliseconds first_token_deadline{120'000};
  std::chrono::milliseconds total_deadline{600'000};
  // [serve.cache]; without a folder nothing outlives the process.
  std::filesystem::path cache_folder;
  // Bytes for what all prompts of pipelines begin with; 0: a quarter of each
  // model's cache.
  std::uint64_t pin = 0;
  std::uint64_t persist = std::uint64_t{1} << 30;
  std::uint64_t swap = std::uint64_t{4} << 30;
  // [serve.metrics]
  bool vllm_metrics = false, llamacpp_metrics = false;  // compat
  bool open_metrics = false;  // open: /metrics needs no key
  // [serve.sandbox]: what may be reached besides the files named here.
  bool sandbox = true;
  std::vector<std::filesystem::path> sandbox_read, sandbox_write;
  // [serve.ollama]: there is such a table.
  bool ollama = false;

  std::vector<model_entry> models;        // by id
  std::vector<pipeline_entry> pipelines;  // by name
};

// Reads such a file's text. `file` is its path: relative paths in it start at
// its folder. All that is wrong is added to `faults`; nothing if anything is.
// No other file is looked at.
[[nodiscard]] std::optional<daemon_config> read_daemon_config(
    std::string_view text, const std::filesystem::path& file,
    std::vector<diagnostic>& faults);

// Of a run without a file: one model, "default", which answers to every name.
// An empty path is the built-in model, an empty `listen` 127.0.0.1:8484.
[[nodiscard]] result<daemon_config> default_config(
    const std::filesystem::path& model_path, std::string_view listen);

// `now` with what a running daemon can take over from `next`: keys, drain,
// deadlines, models and pipelines. The names of all else that differs
// ("listen", "memory", ...) are added to `left`.
[[nodiscard]] daemon_config reloaded_config(const daemon_config& now,
                                            const daemon_config& next,
                                            std::vector<std::string>& left);

// What a model is loaded and run with. The memory budget is left to the caller,
// since all models share it, and so is stop, progress and warn.
[[nodiscard]] load_options to_load_options(const model_entry& m);
[[nodiscard]] engine_options to_engine_options(const daemon_config& c,
                                               const model_entry& m);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/daemon_config.ipp"
#endif

#endif  // TINYPHI_SERVE_DAEMON_CONFIG_H_
