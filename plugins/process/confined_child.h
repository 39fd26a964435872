// SPDX-License-Identifier: MIT
// What a child does between its birth and the program that it becomes.
#ifndef TINYPHI_PLUGINS_PROCESS_CONFINED_CHILD_H_
#define TINYPHI_PLUGINS_PROCESS_CONFINED_CHILD_H_

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tinyphi/base/landlock.h"

// The child has the parent's memory: no function that keeps books about it may
// run there.
#define TINYPHI_IN_CHILD \
  __attribute__((noinline, no_sanitize("address", "thread", "undefined")))

TINYPHI_NAMESPACE_BEGIN
namespace process::detail {

// What the child does, in this order; what failed is told by its number.
enum class step : int {
  session,
  streams,
  descriptors,
  folder,
  limits,
  privileges,
  files,
  signals,
  calls,
  program
};
inline constexpr std::string_view step_names[] = {
    "a session of its own (setsid)",
    "its streams (dup3)",
    "closing descriptors (close_range)",
    "its folder (chdir)",
    "its limits (prlimit)",
    "giving up privileges (capset, no_new_privs)",
    "restricting files (Landlock)",
    "unblocking signals",
    "filtering calls (seccomp)",
    "running it (execve)"};

struct resource_limit {
  int what = 0;
  rlimit64 most = {};
};

// Attempts to break out, by a child that is confined as all are.
struct attempts {
  const char* foreign = nullptr;      // a file outside
  const char* foreign_new = nullptr;  // a name there that is free
  const char* own = nullptr;          // a name in its folder that is free
  int parent = 0;
  char* stack_end = nullptr;  // for a child of the child
  // What came of them.
  bool can_write_own = false;
  bool reads = false, writes = false, creates = false, connects = false,
       signals = false, leaves_group = false;
};

// All that the child needs, in the parent's memory.
struct child_plan {
  const char* program = nullptr;
  char* const* arguments = nullptr;
  char* const* environment = nullptr;
  const char* folder = nullptr;
  int in = -1, out = -1, err = -1, status = -1, rules = -1;
  const resource_limit* limits = nullptr;
  std::size_t n_limits = 0;
  sock_fprog calls = {};
  std::uint32_t* const* own_id = nullptr;
  std::size_t n_own_id = 0;
  attempts* tries = nullptr;  // null: runs the program
};

// As the kernel reads them.
struct capability_head {
  std::uint32_t version;
  int process;
};
inline constexpr capability_head capabilities_3{0x2008'0522, 0};
inline constexpr std::uint32_t no_capabilities[6] = {};
inline constexpr std::uint64_t default_action[4] = {};
inline constexpr std::uint64_t no_signals = 0, all_signals = ~std::uint64_t{0};
inline constexpr std::size_t mask_bytes = 8;

TINYPHI_IN_CHILD inline bool try_open(const char* name, int flags) {
  const long fd = ::syscall(SYS_openat, AT_FDCWD, name, flags | O_CLOEXEC,
                            S_IRUSR | S_IWUSR);
  if (fd >= 0) ::syscall(SYS_close, fd);
  return fd >= 0;
}

TINYPHI_IN_CHILD inline int try_leaving(void* argument) {
  auto* a = static_cast<attempts*>(argument);
  const bool in_group = ::syscall(SYS_setpgid, 0, 0) != 0;
  const bool in_session = ::syscall(SYS_setsid) < 0;
  a->leaves_group = !in_group || !in_session;
  ::syscall(SYS_exit_group, 0);
  return 0;
}

TINYPHI_IN_CHILD inline void try_all(attempts& a) {
  a.can_write_own = try_open(a.own, O_WRONLY | O_CREAT | O_EXCL);
  a.reads = try_open(a.foreign, O_RDONLY);
  a.writes = try_open(a.foreign, O_WRONLY);
  a.creates = try_open(a.foreign_new, O_WRONLY | O_CREAT);
  a.connects = ::syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0) >= 0 ||
               ::syscall(SYS_socket, AF_INET, SOCK_STREAM, 0) >= 0;
  a.signals = ::syscall(SYS_kill, a.parent, 0) == 0;
  // Who leads a session cannot leave it anyway; its child could.
  a.leaves_group = true;
  const int child =
      ::clone(&try_leaving, a.stack_end, CLONE_VM | CLONE_VFORK | SIGCHLD, &a);
  if (child > 0) ::syscall(SYS_wait4, child, nullptr, __WALL, nullptr);
}

// False if the step failed.
TINYPHI_IN_CHILD inline bool confine(const child_plan& p, step& at) {
  // No handler of the parent's may run here; signals are blocked until then.
  for (int i = 1; i <= 64; ++i) {
    ::syscall(SYS_rt_sigaction, i, default_action, nullptr, mask_bytes);
  }
  at = step::session;
  if (::syscall(SYS_setsid) < 0) return false;
  at = step::streams;
  if (::syscall(SYS_dup3, p.in, 0, 0) < 0 ||
      ::syscall(SYS_dup3, p.out, 1, 0) < 0 ||
      ::syscall(SYS_dup3, p.err, 2, 0) < 0) {
    return false;
  }
  at = step::descriptors;  // what this needs itself has numbers from 10 on
  constexpr unsigned on_exec = 4;
  if (::syscall(SYS_close_range, 3U, 9U, 0U) < 0 ||
      ::syscall(SYS_close_range, 10U, ~0U, on_exec) < 0) {
    return false;
  }
  at = step::folder;
  if (::syscall(SYS_chdir, p.folder) < 0) return false;
  at = step::limits;
  for (std::size_t i = 0; i < p.n_limits; ++i) {
    if (::syscall(SYS_prlimit64, 0, p.limits[i].what, &p.limits[i].most,
                  nullptr) < 0) {
      return false;
    }
  }
  at = step::privileges;
  if (::syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) < 0 ||
      ::syscall(SYS_capset, &capabilities_3, no_capabilities) < 0) {
    return false;
  }
  at = step::files;
  if (::syscall(landlock::restrict_self, p.rules, 0) < 0) return false;
  at = step::signals;
  if (::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &no_signals, nullptr,
                mask_bytes) < 0) {
    return false;
  }
  at = step::calls;  // the last one: it forbids some of the above
  const auto id = static_cast<std::uint32_t>(::syscall(SYS_getpid));
  for (std::size_t i = 0; i < p.n_own_id; ++i) *p.own_id[i] = id;
  return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p.calls) >= 0;
}

// Calls of the system only: memory, locks and errno are the parent's, of which
// one thread waits until this ends or has become another program.
TINYPHI_IN_CHILD inline int run_child(void* argument) {
  const auto& p = *static_cast<child_plan*>(argument);
  step at = step::session;
  if (confine(p, at)) {
    if (p.tries != nullptr) {
      try_all(*p.tries);
      ::syscall(SYS_exit_group, 0);
    }
    at = step::program;
    ::syscall(SYS_execve, p.program, p.arguments, p.environment);
  }
  const int told[2] = {static_cast<int>(at), errno};
  ::syscall(SYS_write, p.status, told, sizeof told);
  ::syscall(SYS_exit_group, 127);
  return 0;
}

}  // namespace process::detail
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_PROCESS_CONFINED_CHILD_H_
