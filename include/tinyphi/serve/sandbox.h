// SPDX-License-Identifier: MIT
// What a process gives up before it talks to strangers: files that it does not
// need (Landlock), and calls of the system that it does not make (seccomp).
#ifndef TINYPHI_SERVE_SANDBOX_H_
#define TINYPHI_SERVE_SANDBOX_H_

#include <filesystem>
#include <string>
#include <vector>

#include "tinyphi/base/error.h"

TINYPHI_NAMESPACE_BEGIN

// Files, or folders with all that they hold, now and later. What does not exist
// is left out: whoever opens it finds that it is not there.
struct sandbox_paths {
  std::vector<std::filesystem::path> read = {};
  std::vector<std::filesystem::path> write = {};  // and read
  // Folders to bind sockets in.
  std::vector<std::filesystem::path> sockets = {};
};

// Which of that the kernel has; what it lacks is no error.
struct file_restriction {
  int abi = 0;  // of Landlock; 0: files are not restricted, `note` says why
  std::string note;
};

// From now on this process and its threads reach no other file by its name, and
// what is open stays open. What the system tells about itself may be read
// (/proc, control groups, processors, the time zone), and so may libraries. No
// program can be started, no new
// privilege be had, no core be dumped and no debugger be attached; where
// Landlock can (ABI 4), no TCP connection be made, and (6) no foreign process
// be signalled. Cannot be undone; a second time only takes more away.
// invalid_argument while there are other threads, which the kernel would leave
// as they are; io if it refuses.
[[nodiscard]] result<file_restriction> restrict_files(const sandbox_paths& p);

struct call_restriction {
  bool on = false;
  std::string note;  // why not
};

// From now on all threads make only those calls that answering needs: reading
// and writing of files and sockets, memory, threads, clocks.
// - Allowed calls and those of the other two kinds are listed in sandbox.ipp.
// - New sockets, connections, programs, processes and executable memory are
//   refused with EPERM: a library that tries goes on without.
// - What only an intruder calls (ptrace, mount, bpf, modules, ...) ends the
//   process, so that nobody can try further. So does another architecture's
//   way into the kernel.
// - All else, calls that newer kernels will have too, is ENOSYS: C libraries
//   then take the older way.
// Sanitizers need more calls than that; a build with one is not restricted.
[[nodiscard]] result<call_restriction> restrict_calls();

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/sandbox.ipp"
#endif

#endif  // TINYPHI_SERVE_SANDBOX_H_
