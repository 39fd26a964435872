// SPDX-License-Identifier: MIT
// The daemon from its start to its end: what `tinyphi serve` runs.
#ifndef TINYPHI_SERVE_DAEMON_H_
#define TINYPHI_SERVE_DAEMON_H_

#include <memory>
#include <string>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/serve/daemon_config.h"
#include "tinyphi/serve/daemon_program.h"

TINYPHI_NAMESPACE_BEGIN

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
  // once. An error if a model cannot be loaded.
  //
  // SIGHUP reloads: keys, deadlines, pipelines and models are read again while
  // requests go on, and take the old ones' place all together or not at all.
  // Requests under way end with what they began with.
  [[nodiscard]] result<void> run();

 private:
  class impl;
  explicit daemon(std::unique_ptr<impl> i);
  std::unique_ptr<impl> impl_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/daemon_load.ipp"
#endif

#endif  // TINYPHI_SERVE_DAEMON_H_
