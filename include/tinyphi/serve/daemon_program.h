// SPDX-License-Identifier: MIT
// What the program around a daemon gives it: files, plugins, a place for its
// messages. The daemon itself touches no global.
#ifndef TINYPHI_SERVE_DAEMON_PROGRAM_H_
#define TINYPHI_SERVE_DAEMON_PROGRAM_H_

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "tinyphi/base/error.h"
#include "tinyphi/files/model_file.h"
#include "tinyphi/pipeline/host.h"
#include "tinyphi/pipeline/registry.h"
#include "tinyphi/serve/daemon_config.h"

TINYPHI_NAMESPACE_BEGIN

// Functions are called on any thread, one at a time.
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

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_DAEMON_PROGRAM_H_
