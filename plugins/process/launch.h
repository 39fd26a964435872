// SPDX-License-Identifier: MIT
// Starts a program that is not believed: in a sandbox that holds, or not at
// all.
#ifndef TINYPHI_PLUGINS_PROCESS_LAUNCH_H_
#define TINYPHI_PLUGINS_PROCESS_LAUNCH_H_

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "plugins/process/program_start.h"
#include "tinyphi/base/error.h"
#include "tinyphi/base/unique_fd.h"

TINYPHI_NAMESPACE_BEGIN
namespace process {

// A process, and the group of those that it starts, which none of them can
// leave. The destructor ends all of them.
class running_program {
 public:
  struct ending {
    int status = 0;                  // of exit()
    std::optional<int> signal = {};  // that ended it
    bool is_known = true;            // or someone else has asked before us
  };

  running_program(pid_t id, unique_fd pidfd, unique_fd to, unique_fd from,
                  unique_fd errors)
      : in(std::move(to)),
        out(std::move(from)),
        err(std::move(errors)),
        id_(id),
        pidfd_(std::move(pidfd)) {}
  running_program(running_program&& other) noexcept
      : in(std::move(other.in)),
        out(std::move(other.out)),
        err(std::move(other.err)),
        id_(std::exchange(other.id_, 0)),
        pidfd_(std::move(other.pidfd_)) {}
  running_program& operator=(running_program&&) = delete;
  ~running_program() { end({}); }

  [[nodiscard]] pid_t id() const { return id_; }
  // Readable once the process has ended.
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }
  // Asks the group to end (SIGTERM) and waits so long for the process, or not
  // at all if that is 0; then ends the group (SIGKILL) and closes the pipes.
  ending end(std::chrono::milliseconds grace);

  // The other ends of its standard streams; they do not block.
  unique_fd in, out, err;

 private:
  pid_t id_;  // 0: has ended, or moved from
  unique_fd pidfd_;
};

// Starts it. unavailable: this machine cannot confine it, and why; not_found,
// io: a path of its limits, or the program.
[[nodiscard]] result<running_program> launch(const program_start& start);

// `path` without links: a regular file that may be run, of root or of this
// user, that nobody else may write, in folders of which the same is true.
[[nodiscard]] result<std::filesystem::path> checked_program(
    const std::filesystem::path& path);

// What a program tried to do that no sandbox lets it, by a child that runs no
// program. Nothing: all attempts failed, as they must.
[[nodiscard]] result<void> probe_sandbox(const confinement& limits = {});

}  // namespace process
TINYPHI_NAMESPACE_END

#include "plugins/process/launch.ipp"

#endif  // TINYPHI_PLUGINS_PROCESS_LAUNCH_H_
