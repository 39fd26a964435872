// SPDX-License-Identifier: MIT
// The daemon from its start to its end: what `tinyphi serve` runs.
#ifndef TINYPHI_SERVE_DAEMON_H_
#define TINYPHI_SERVE_DAEMON_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/files/model_file.h"
#include "tinyphi/pipeline/host.h"
#include "tinyphi/pipeline/registry.h"
#include "tinyphi/serve/daemon_config.h"
#include "tinyphi/serve/key_file.h"

TINYPHI_NAMESPACE_BEGIN

// What the program around the daemon gives it. Functions are called on any
// thread, one at a time.
struct daemon_program {
  // Opens a model's file; an empty path is the program's own model.
  std::function<result<model_file>(const std::filesystem::path&)> open_model;
  std::string version;
  int access_log = -1;  // a descriptor for a line about each request; -1: none
  // A line for whoever started it.
  std::function<void(std::string_view)> say;
  // Reads the configuration once more, for a reload; empty: there is no file.
  std::function<result<daemon_config>()> read_config = {};
  // What pipelines are made of, and looking at a model without its weights.
  const registry* plugins = nullptr;
  std::function<result<model_facts>(const model_spec&)> describe_model;
  // Gives up all files but the configuration's before models are read, and all
  // calls but those of answering before "ready" (sandbox.h): for good, and for
  // the whole process. Nothing else may have threads then.
  bool sandbox = false;
  std::filesystem::path config_file = {};  // of read_config; empty: none
  // The value of a name of the environment.
  std::function<std::optional<std::string>(const std::string&)> env;
};

// What the models will take, and how much each may have for its cache.
struct memory_shares {
  std::size_t budget = 0;             // of everything, in bytes
  std::vector<std::size_t> kv_bytes;  // by model, as in the configuration
};

// Plans all models into `available` bytes, or what the configuration allows if
// that is less, but a tenth: limit, with the numbers of each model, if they do
// not fit with one context each. Opens the models' files and reads no weights.
[[nodiscard]] result<memory_shares> share_memory(const daemon_config& c,
                                                 const daemon_program& program,
                                                 std::size_t available);

class daemon {
 public:
  // Opens the sockets and reads the keys; nothing is loaded yet. Errors are
  // those of the configuration (bad_data), of memory (limit) and of the system.
  [[nodiscard]] static result<std::unique_ptr<daemon>> create(
      daemon_config c, daemon_program program);
  ~daemon();

  // "http://127.0.0.1:8484", "unix:/run/tinyphi.sock": where it can be reached.
  [[nodiscard]] const std::vector<std::string>& addresses() const;

  // Serves on this thread until SIGTERM or SIGINT has come and the requests
  // under way have ended, or their time to do so; a second signal ends them at
  // once. SIGHUP reloads. An error if a model cannot be loaded.
  [[nodiscard]] result<void> run();

 private:
  class impl;
  explicit daemon(std::unique_ptr<impl> i);
  std::unique_ptr<impl> impl_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/daemon.ipp"
#endif

#endif  // TINYPHI_SERVE_DAEMON_H_
