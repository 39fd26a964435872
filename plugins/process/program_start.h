// SPDX-License-Identifier: MIT
// Which program is started, and what it may do.
#ifndef TINYPHI_PLUGINS_PROCESS_PROGRAM_START_H_
#define TINYPHI_PLUGINS_PROCESS_PROGRAM_START_H_

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tinyphi/base/landlock.h"

TINYPHI_NAMESPACE_BEGIN
namespace process {

// What a program may do. It may read and run what the system has in /usr and
// the like, and itself.
struct confinement {
  // Files, or folders with all that they hold. Who may write may read, too.
  std::vector<std::filesystem::path> read = {};
  std::vector<std::filesystem::path> write = {};
  std::uint64_t memory = std::uint64_t{1} << 30;  // addresses of each process
  std::chrono::seconds cpu{10};                   // of each process
  // Of the kernel; tests say less, and what Landlock lacks is done otherwise.
  int landlock_abi = landlock::abi();
};

struct program_start {
  std::filesystem::path program;              // absolute; see checked_program()
  std::vector<std::string> arguments = {};    // argv, from [0] on
  std::vector<std::string> environment = {};  // "NAME=value"; nothing else
  std::filesystem::path folder = {};          // where it starts, and may write
  confinement limits = {};
};

}  // namespace process
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_PROCESS_PROGRAM_START_H_
