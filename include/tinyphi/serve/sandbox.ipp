// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_SANDBOX_IPP_
#define TINYPHI_SERVE_SANDBOX_IPP_

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <type_traits>

#include "tinyphi/base/landlock.h"
#include "tinyphi/base/unique_fd.h"
#include "tinyphi/serve/sandbox.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool has_sanitizer = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool has_sanitizer = true;
#else
inline constexpr bool has_sanitizer = false;
#endif
#else
inline constexpr bool has_sanitizer = false;
#endif

inline error sandbox_error(std::string what, int code) {
  return error{error_code::io,
               "the sandbox cannot be entered: " + std::move(what) + ": " +
                   std::strerror(code)};
}

inline result<void> allow_beneath(int ruleset,
                                  const std::filesystem::path& path,
                                  std::uint64_t rights) {
  const unique_fd at(::open(path.c_str(), O_PATH | O_CLOEXEC));
  struct stat s;
  if (at.get() < 0 || ::fstat(at.get(), &s) != 0) return {};
  if (!S_ISDIR(s.st_mode)) rights &= landlock::of_files;
  const landlock::beneath rule{rights, at.get()};
  if (rights != 0 && ::syscall(landlock::add_rule, ruleset,
                               landlock::path_beneath, &rule, 0) != 0) {
    return sandbox_error(path.string(), errno);
  }
  return {};
}

// The threads of this process; 0 if that cannot be seen.
inline int count_threads() {
  std::error_code failed;
  int n = 0;
  for (std::filesystem::directory_iterator at("/proc/self/task", failed), end;
       !failed && at != end; at.increment(failed)) {
    ++n;
  }
  return failed ? 0 : n;
}

// What the system tells about itself, and libraries that are loaded late:
// oneTBB looks for its allocator when it is first used, SQLite for random
// bytes.
inline constexpr std::array system_paths = {"/proc",
                                            "/sys/fs/cgroup",
                                            "/sys/devices",
                                            "/lib",
                                            "/lib64",
                                            "/usr/lib",
                                            "/usr/local/lib",
                                            "/etc/ld.so.cache",
                                            "/etc/localtime",
                                            "/dev/urandom",
                                            "/usr/share/zoneinfo",
                                            "/sys/class/powercap"};

// All that answering takes, on x86-64 and on 64-bit ARM, where the older of two
// names do not exist. From straces of the daemon under its tests; the second
// name of a pair is what another C library calls.
inline constexpr std::array allowed_calls = {
    // Files, those of control groups, pipelines, SQLite and caches among them.
    "read", "readv", "pread64", "preadv", "write", "writev", "pwrite64",
    "pwritev", "close", "lseek", "open", "openat", "openat2", "stat", "lstat",
    "fstat", "newfstatat", "statx", "access", "faccessat", "faccessat2",
    "readlink", "readlinkat", "getdents64", "getcwd", "fcntl", "flock", "dup",
    "fsync", "fdatasync", "ftruncate", "fallocate", "fadvise64", "statfs",
    "fstatfs", "unlink", "unlinkat", "rename", "renameat", "renameat2", "mkdir",
    "mkdirat", "rmdir", "linkat", "fchmod", "fchown", "utimensat", "umask",
    // Connections of sockets that are there.
    "accept", "accept4", "recvfrom", "recvmsg", "sendto", "sendmsg", "shutdown",
    "setsockopt", "getsockopt", "getsockname", "getpeername",
    // Waiting.
    "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2",
    "eventfd2", "timerfd_create", "timerfd_settime", "timerfd_gettime", "poll",
    "ppoll", "select", "pselect6", "pipe", "pipe2", "nanosleep",
    "clock_nanosleep",
    // Memory.
    "munmap", "mremap", "madvise", "brk", "msync", "mincore", "membarrier",
    // Threads and signals.
    "futex", "futex_waitv", "set_robust_list", "set_tid_address", "rseq",
    "sched_yield", "sched_getaffinity", "sched_setaffinity", "setpriority",
    "getpriority", "exit", "exit_group", "rt_sigaction", "rt_sigprocmask",
    "rt_sigreturn", "rt_sigtimedwait", "rt_sigpending", "sigaltstack",
    "restart_syscall",
    // What time it is, who we are.
    "clock_gettime", "clock_getres", "gettimeofday", "time", "getrandom",
    "getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid",
    "getcpu", "uname", "sysinfo", "getrusage", "times", "getrlimit"};

inline constexpr std::array refused_calls = {
    "socket",   "socketpair",   "connect",   "bind",      "listen",
    "execve",   "execveat",     "fork",      "vfork",     "kill",
    "tkill",    "setrlimit",    "chmod",     "fchmodat",  "chown",
    "fchownat", "link",         "symlink",   "symlinkat", "mknod",
    "mknodat",  "chdir",        "fchdir",    "setuid",    "setgid",
    "setreuid", "setregid",     "setresuid", "setresgid", "setgroups",
    "capset",   "memfd_create", "shmget",    "shmat"};

inline constexpr std::array deadly_calls = {"ptrace",
                                            "process_vm_readv",
                                            "process_vm_writev",
                                            "pidfd_getfd",
                                            "bpf",
                                            "io_uring_setup",
                                            "perf_event_open",
                                            "userfaultfd",
                                            "init_module",
                                            "finit_module",
                                            "delete_module",
                                            "kexec_load",
                                            "kexec_file_load",
                                            "mount",
                                            "umount2",
                                            "move_mount",
                                            "fsopen",
                                            "fsmount",
                                            "open_tree",
                                            "pivot_root",
                                            "chroot",
                                            "setns",
                                            "unshare",
                                            "keyctl",
                                            "add_key",
                                            "request_key",
                                            "reboot",
                                            "swapon",
                                            "swapoff",
                                            "acct",
                                            "settimeofday",
                                            "clock_settime",
                                            "iopl",
                                            "ioperm",
                                            "modify_ldt",
                                            "open_by_handle_at",
                                            "personality"};

// A filter in the making; the first failure is kept.
class call_filter {
 public:
  call_filter() : filter_(::seccomp_init(SCMP_ACT_ERRNO(ENOSYS))) {
    if (!filter_) failed_ = -ENOMEM;
  }
  void set(scmp_filter_attr what, std::uint32_t value) {
    if (failed_ == 0) {
      failed_ = ::seccomp_attr_set(filter_.get(), what, value);
    }
  }
  // Calls that this architecture does not have need no rule.
  template <class... Conditions>
  void add(std::uint32_t action, const char* name, Conditions... conditions) {
    const int number = ::seccomp_syscall_resolve_name(name);
    if (failed_ != 0 || number < 0) return;
    const std::array<scmp_arg_cmp, sizeof...(Conditions)> all{conditions...};
    failed_ =
        ::seccomp_rule_add_array(filter_.get(), action, number,
                                 static_cast<unsigned>(all.size()), all.data());
  }
  // 0, or an errno as a negative number.
  [[nodiscard]] int load() {
    if (failed_ == 0) failed_ = ::seccomp_load(filter_.get());
    return failed_;
  }

 private:
  struct release {
    void operator()(void* f) const { ::seccomp_release(f); }
  };
  std::unique_ptr<std::remove_pointer_t<scmp_filter_ctx>, release> filter_;
  int failed_ = 0;
};

// Whether `bits` of an argument are `value`.
inline scmp_arg_cmp bits_are(unsigned argument, std::uint64_t bits,
                             std::uint64_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, bits, value};
}
inline scmp_arg_cmp is(unsigned argument, std::uint64_t value) {
  return {argument, SCMP_CMP_EQ, value, 0};
}

// Calls whose arguments make the difference. Of clone3 they lie in memory,
// where a filter cannot look: without it (ENOSYS) C libraries call clone.
inline void add_conditional_calls(call_filter& f) {
  constexpr std::uint32_t allow = SCMP_ACT_ALLOW,
                          refuse = SCMP_ACT_ERRNO(EPERM);
  for (const char* name : {"mmap", "mprotect"}) {
    f.add(allow, name, bits_are(2, PROT_EXEC, 0));
    f.add(refuse, name, bits_are(2, PROT_EXEC, PROT_EXEC));
  }
  f.add(allow, "clone", bits_are(0, CLONE_THREAD, CLONE_THREAD));
  f.add(refuse, "clone", bits_are(0, CLONE_THREAD, 0));
  // abort() signals itself.
  f.add(allow, "tgkill", is(0, static_cast<std::uint64_t>(::getpid())));
  for (const int what : {FIONBIO, FIONREAD, TCGETS}) {
    f.add(allow, "ioctl",
          bits_are(1, 0xffffffff, static_cast<std::uint32_t>(what)));
  }
  f.add(allow, "prctl", bits_are(0, 0xffffffff, PR_SET_NAME));
  f.add(allow, "prlimit64", is(2, 0));  // to read, not to set
}

}  // namespace detail

TINYPHI_FUNC result<file_restriction> restrict_files(const sandbox_paths& p) {
  file_restriction report;
  if (const int n = detail::count_threads(); n > 1) {
    return error{error_code::invalid_argument,
                 "the sandbox is entered before threads are started; there "
                 "are " +
                     std::to_string(n)};
  }
  // LeakSanitizer looks at its own process as a debugger does.
  if (!detail::has_sanitizer && ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return detail::sandbox_error("PR_SET_DUMPABLE", errno);
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return detail::sandbox_error("PR_SET_NO_NEW_PRIVS", errno);
  }
  report.abi = landlock::abi();
  if (report.abi < 1) {
    report.note = std::string("this kernel has no Landlock (") +
                  std::strerror(errno) + "): files are not restricted";
    report.abi = 0;
    return report;
  }
  const std::uint64_t all = landlock::file_rights(report.abi);
  const landlock::ruleset rules{all,
                                report.abi >= 4 ? landlock::connect_tcp : 0,
                                report.abi >= 6 ? landlock::scope_signals : 0};
  const unique_fd ruleset(
      ::syscall(landlock::create_ruleset, &rules, sizeof rules, 0));
  if (ruleset.get() < 0) return detail::sandbox_error("its rules", errno);
  const std::uint64_t read = landlock::read_file | landlock::read_dir;
  const std::uint64_t write =
      all & (read | landlock::write_file | landlock::truncate |
             landlock::remove_dir | landlock::remove_file | landlock::make_dir |
             landlock::make_file | landlock::refer);
  const auto allow = [&](const std::filesystem::path& path,
                         std::uint64_t rights) {
    return detail::allow_beneath(ruleset.get(), path, rights);
  };
  for (const char* path : detail::system_paths) {
    TINYPHI_CHECK_OK(allow(path, read));
  }
  // A sanitizer reads the program to name functions, by which it knows what to
  // suppress.
  if (detail::has_sanitizer) TINYPHI_CHECK_OK(allow("/proc/self/exe", read));
  for (const auto& path : p.read) TINYPHI_CHECK_OK(allow(path, read));
  for (const auto& path : p.write) TINYPHI_CHECK_OK(allow(path, write));
  for (const auto& path : p.sockets) {
    TINYPHI_CHECK_OK(
        allow(path, landlock::make_socket | landlock::remove_file));
  }
  if (::syscall(landlock::restrict_self, ruleset.get(), 0) != 0) {
    return detail::sandbox_error("Landlock", errno);
  }
  return report;
}

TINYPHI_FUNC result<call_restriction> restrict_calls() {
  call_restriction report;
  if (detail::has_sanitizer) {
    report.note = "this build has a sanitizer: calls are not restricted";
    return report;
  }
  detail::call_filter filter;
  filter.set(SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  filter.set(SCMP_FLTATR_CTL_TSYNC, 1);     // for threads that exist, too
  filter.set(SCMP_FLTATR_CTL_OPTIMIZE, 2);  // looks a call up in a tree
  for (const char* name : detail::allowed_calls) {
    filter.add(SCMP_ACT_ALLOW, name);
  }
  for (const char* name : detail::refused_calls) {
    filter.add(SCMP_ACT_ERRNO(EPERM), name);
  }
  for (const char* name : detail::deadly_calls) {
    filter.add(SCMP_ACT_KILL_PROCESS, name);
  }
  detail::add_conditional_calls(filter);
  const int failed = filter.load();
  if (failed == -ENOSYS || failed == -EINVAL || failed == -EOPNOTSUPP) {
    report.note =
        "this kernel cannot filter calls of all threads (seccomp): "
        "calls are not restricted";
    return report;
  }
  if (failed != 0) return detail::sandbox_error("seccomp", -failed);
  report.on = true;
  return report;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_SANDBOX_IPP_
