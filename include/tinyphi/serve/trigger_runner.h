// SPDX-License-Identifier: MIT
// Runs served pipelines when their [trigger]s say so.
#ifndef TINYPHI_SERVE_TRIGGER_RUNNER_H_
#define TINYPHI_SERVE_TRIGGER_RUNNER_H_

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/pipeline/trigger.h"
#include "tinyphi/serve/approvals.h"
#include "tinyphi/serve/running_requests.h"
#include "tinyphi/serve/served_pipeline.h"

TINYPHI_NAMESPACE_BEGIN

// What a triggered run needs of the daemon; all of it outlives the runner.
struct trigger_services {
  boost::asio::io_context* io = nullptr;
  boost::asio::thread_pool* workers = nullptr;  // folders are read there
  running_requests* running = nullptr;
  tinyphi::approvals* approvals = nullptr;
  // Where it is kept which files were done; empty: beside the pipeline's file.
  std::filesystem::path state_folder = {};
  std::function<void(std::string_view)> say;
  std::function<void()> ended = {};  // a run has
};

// On the io thread only, but for its constructor. A run that fails is said, and
// nothing else ends with it. Each trigger has one run at a time: what fires
// meanwhile is skipped, or waits as the 16th at most. Watched files wait in
// their folder; one of them counts as done when its run has ended, so that one
// whose run a crash or the end of the daemon cut short runs again.
class trigger_runner {
 public:
  static constexpr std::size_t max_waiting = 16;
  static constexpr std::chrono::milliseconds look_every{1000};

  explicit trigger_runner(trigger_services s);
  ~trigger_runner();

  // From now on the triggers of these and no others fire. Runs under way end
  // with the pipeline that they began with.
  void use(const std::vector<std::shared_ptr<const served_pipeline>>& all);
  // Nothing fires any more.
  void stop() { use({}); }

  struct http_target {
    std::shared_ptr<const served_pipeline> pipeline;
    const trigger_spec* trigger;  // of the pipeline
  };
  // The trigger of a path, "/readings".
  [[nodiscard]] std::optional<http_target> find(std::string_view path) const;

 private:
  class armed;
  trigger_services services_;
  std::vector<std::shared_ptr<armed>> armed_;
  std::vector<http_target> http_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/trigger_runner.ipp"
#endif

#endif  // TINYPHI_SERVE_TRIGGER_RUNNER_H_
