// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PLUGINS_PROCESS_LAUNCH_IPP_
#define TINYPHI_PLUGINS_PROCESS_LAUNCH_IPP_

#include <dirent.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <system_error>

#include "plugins/process/call_rules.h"
#include "plugins/process/confined_child.h"
#include "plugins/process/file_access.h"
#include "plugins/process/launch.h"
#include "plugins/process/private_folder.h"

TINYPHI_NAMESPACE_BEGIN
namespace process {
namespace detail {

// Threads of all processes of this user, which RLIMIT_NPROC counts; nothing if
// that cannot be seen.
inline std::optional<std::uint64_t> count_tasks() {
  const std::unique_ptr<DIR, int (*)(DIR*)> all(::opendir("/proc"), &closedir);
  if (all == nullptr) return std::nullopt;
  const uid_t user = ::getuid();
  std::uint64_t n = 0;
  while (const dirent* entry = ::readdir(all.get())) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    struct stat s;
    const std::string tasks = std::string(entry->d_name) + "/task";
    if (::fstatat(::dirfd(all.get()), tasks.c_str(), &s, 0) == 0 &&
        s.st_uid == user && s.st_nlink > 2) {
      n += s.st_nlink - 2;
    }
  }
  return n;
}

inline std::vector<resource_limit> limits_for(const confinement& c) {
  constexpr std::uint64_t descriptors = 256, processes = 256,
                          file_bytes = std::uint64_t{256} << 20;
  const auto cpu = static_cast<std::uint64_t>(c.cpu.count());
  std::vector<resource_limit> limits = {
      {RLIMIT_AS, {c.memory, c.memory}},
      {RLIMIT_CPU, {cpu, cpu + 1}},
      {RLIMIT_NOFILE, {descriptors, descriptors}},
      {RLIMIT_FSIZE, {file_bytes, file_bytes}},
      {RLIMIT_MSGQUEUE, {0, 0}},
      {RLIMIT_CORE, {0, 0}}};
  // root is not held by it.
  const auto n = ::getuid() == 0 ? std::nullopt : count_tasks();
  if (n) {
    limits.push_back({RLIMIT_NPROC, {*n + processes, *n + processes}});
  }
  // Nobody raises what he has been given.
  for (resource_limit& l : limits) {
    rlimit64 now{};
    if (::prlimit64(0, static_cast<__rlimit_resource>(l.what), nullptr, &now) !=
        0) {
      continue;
    }
    l.most.rlim_max = std::min(l.most.rlim_max, now.rlim_max);
    l.most.rlim_cur = std::min(l.most.rlim_cur, l.most.rlim_max);
  }
  return limits;
}

struct pipe_ends {
  unique_fd read, write;
};
// Both are closed on exec, with numbers that the child leaves alone.
inline result<pipe_ends> make_pipe() {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) {
    return error{error_code::unavailable, "no pipe: " + message_of(errno)};
  }
  std::array<unique_fd, 2> ends{unique_fd(fds[0]), unique_fd(fds[1])};
  for (unique_fd& end : ends) {
    if (end.get() >= 10) continue;
    unique_fd high(::fcntl(end.get(), F_DUPFD_CLOEXEC, 10));
    if (high.get() < 0) {
      return error{error_code::unavailable, "no pipe: " + message_of(errno)};
    }
    end = std::move(high);
  }
  return pipe_ends{std::move(ends[0]), std::move(ends[1])};
}

inline void never_block(const unique_fd& fd) {
  ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
}

// Two stacks for children, with a page below each that nobody may touch.
class child_stacks {
 public:
  static constexpr std::size_t size = std::size_t{64} << 10;
  static constexpr std::size_t guard = std::size_t{64} << 10;

  child_stacks()
      : all_(::mmap(nullptr, 2 * (guard + size), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0)) {
    if (!is_there()) return;
    ::mprotect(at(0), guard, PROT_NONE);
    ::mprotect(at(guard + size), guard, PROT_NONE);
  }
  child_stacks(const child_stacks&) = delete;
  child_stacks& operator=(const child_stacks&) = delete;
  ~child_stacks() {
    if (is_there()) ::munmap(all_, 2 * (guard + size));
  }
  [[nodiscard]] bool is_there() const { return all_ != MAP_FAILED; }
  [[nodiscard]] char* end(std::size_t i) const {
    return at((i + 1) * (guard + size));
  }

 private:
  [[nodiscard]] char* at(std::size_t offset) const {
    return static_cast<char*>(all_) + offset;
  }
  void* all_;
};

inline std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

inline result<running_program> start_child(const program_start& start,
                                           attempts* tries) {
  if (!can_filter_calls) {
    return unavailable("calls are filtered on x86-64 and 64-bit ARM only");
  }
  TINYPHI_TRY(unique_fd rules, rules_for(start));
  if (rules.get() < 10) {
    rules = unique_fd(::fcntl(rules.get(), F_DUPFD_CLOEXEC, 10));
  }
  TINYPHI_TRY(pipe_ends in, make_pipe());
  TINYPHI_TRY(pipe_ends out, make_pipe());
  TINYPHI_TRY(pipe_ends err, make_pipe());
  TINYPHI_TRY(pipe_ends status, make_pipe());
  for (const unique_fd* fd : {&in.write, &out.read, &err.read, &status.read}) {
    never_block(*fd);
  }
  const child_stacks stacks;
  if (rules.get() < 0 || !stacks.is_there()) {
    return error{error_code::unavailable,
                 "no descriptor or no memory to start a program"};
  }
  auto arguments = start.arguments;
  auto environment = start.environment;
  const auto argv = pointers_to(arguments);
  const auto envp = pointers_to(environment);
  const auto limits = limits_for(start.limits);
  call_rules calls(start.limits.landlock_abi);
  const auto own_id = calls.own_id();
  child_plan plan{.program = start.program.c_str(),
                  .arguments = argv.data(),
                  .environment = envp.data(),
                  .folder = start.folder.c_str(),
                  .in = in.read.get(),
                  .out = out.write.get(),
                  .err = err.write.get(),
                  .status = status.write.get(),
                  .rules = rules.get(),
                  .limits = limits.data(),
                  .n_limits = limits.size(),
                  .calls = calls.program(),
                  .own_id = own_id.data(),
                  .n_own_id = own_id.size(),
                  .tries = tries};
  if (tries != nullptr) tries->stack_end = stacks.end(1);
  int pidfd = -1;
  std::uint64_t mask = 0;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all_signals, &mask, mask_bytes);
  const int child =
      ::clone(&run_child, stacks.end(0),
              CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &plan, &pidfd);
  const int failed = errno;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, mask_bytes);
  if (child < 0) {
    return error{error_code::unavailable,
                 "no process can be made: " + message_of(failed)};
  }
  running_program made(child, unique_fd(pidfd), std::move(in.write),
                       std::move(out.read), std::move(err.read));
  int told[2] = {};
  if (::read(status.read.get(), told, sizeof told) != sizeof told) return made;
  const auto at = static_cast<step>(told[0]);
  const std::string why =
      std::string(step_names[told[0]]) + ": " + message_of(told[1]);
  if (at == step::program || at == step::folder) {
    return error{error_code::io, shown(start.program) + ": " + why};
  }
  return unavailable(why);
}

// Whether a process of the group runs; a zombie does not. False, too, if that
// cannot be seen.
inline bool group_runs(pid_t id) {
  const std::unique_ptr<DIR, int (*)(DIR*)> all(::opendir("/proc"), &closedir);
  if (all == nullptr) return false;
  while (const dirent* entry = ::readdir(all.get())) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    const std::string name = std::string(entry->d_name) + "/stat";
    const unique_fd file(
        ::openat(::dirfd(all.get()), name.c_str(), O_RDONLY | O_CLOEXEC));
    std::array<char, 512> text{};
    if (::read(file.get(), text.data(), text.size() - 1) <= 0) continue;
    // Behind the name, which may hold anything: " S parent group".
    const char* const end = std::strrchr(text.data(), ')');
    char state = 0;
    int parent = 0, group = 0;
    if (end != nullptr &&
        std::sscanf(end + 1, " %c %d %d", &state, &parent, &group) == 3 &&
        group == id && state != 'Z' && state != 'X') {
      return true;
    }
  }
  return false;
}

// Until those who were killed are gone, who might still be writing into their
// folder. Those whose parent is gone come to the first process, which may be
// this one.
inline void wait_for_group(pid_t id) {
  const timespec pause{0, 1'000'000};
  for (int i = 0; i < 1000; ++i) {
    siginfo_t info{};
    while (::waitid(P_PGID, static_cast<id_t>(id), &info, WEXITED | WNOHANG) ==
               0 &&
           info.si_pid != 0) {
      info = {};
    }
    if (::kill(-id, 0) != 0 || !group_runs(id)) return;
    ::nanosleep(&pause, nullptr);
  }
}

}  // namespace detail

inline running_program::ending running_program::end(
    std::chrono::milliseconds grace) {
  ending how;
  if (id_ <= 0) return how;
  const pid_t id = std::exchange(id_, 0);
  pollfd process{pidfd_.get(), POLLIN, 0};
  if (grace.count() > 0 && ::poll(&process, 1, 0) == 0) {
    ::kill(-id, SIGTERM);
    const auto last = std::chrono::steady_clock::now() + grace;
    for (auto left = grace; left.count() >= 0;
         left = std::chrono::duration_cast<std::chrono::milliseconds>(
             last - std::chrono::steady_clock::now())) {
      if (::poll(&process, 1, static_cast<int>(left.count())) != -1) break;
    }
  }
  // Before it is waited for: until then nobody else has the group's number.
  ::kill(-id, SIGKILL);
  siginfo_t info{};
  int waited = 0;
  do {
    waited = ::waitid(static_cast<idtype_t>(3),  // P_PIDFD
                      static_cast<id_t>(pidfd_.get()), &info, WEXITED);
  } while (waited != 0 && errno == EINTR);
  how.is_known = waited == 0;
  if (info.si_code == CLD_EXITED) {
    how.status = info.si_status;
  } else {
    how.signal = info.si_status;
  }
  detail::wait_for_group(id);
  in.close();
  out.close();
  err.close();
  pidfd_.close();
  return how;
}

inline result<running_program> launch(const program_start& start) {
  return detail::start_child(start, nullptr);
}

inline result<std::filesystem::path> checked_program(
    const std::filesystem::path& path) {
  const auto wrong = [&](const std::string& why) {
    return error{error_code::invalid_argument, detail::shown(path) + why};
  };
  if (!path.is_absolute()) return wrong(" is no absolute path");
  std::error_code failed;
  const auto real = std::filesystem::canonical(path, failed);
  if (failed) {
    return error{failed == std::errc::no_such_file_or_directory
                     ? error_code::not_found
                     : error_code::io,
                 detail::shown(path) + ": " + failed.message()};
  }
  const uid_t user = ::geteuid();
  for (auto place = real;; place = place.parent_path()) {
    struct stat s;
    if (::lstat(place.c_str(), &s) != 0) {
      return error{error_code::io,
                   detail::shown(place) + ": " + detail::message_of(errno)};
    }
    const bool is_program = place == real;
    if (is_program && !S_ISREG(s.st_mode)) return wrong(" is no regular file");
    if (is_program && (s.st_mode & S_ISUID) != 0) {
      return wrong(" runs as another user (setuid)");
    }
    const std::string what =
        is_program ? std::string(" ") : ": " + detail::shown(place) + " ";
    if (s.st_uid != 0 && s.st_uid != user) {
      return wrong(what +
                   "belongs to neither root nor the user that runs this");
    }
    // In a sticky folder, as /tmp, nobody replaces what is another's.
    const bool is_sticky = !is_program && (s.st_mode & S_ISVTX) != 0;
    if (!is_sticky && (s.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
      return wrong(what +
                   "may be written by others; take that right away "
                   "(chmod go-w)");
    }
    if (place == place.root_path()) break;
  }
  if (::access(real.c_str(), X_OK) != 0) {
    return wrong(" may not be run (chmod +x)");
  }
  return real;
}

inline result<void> probe_sandbox(const confinement& limits) {
  TINYPHI_TRY(const auto folder, private_folder::make());
  const auto inner = folder.path() / "own";
  const std::string foreign = (folder.path() / "foreign").string();
  const std::string foreign_new = (folder.path() / "new").string();
  const std::string own = (inner / "file").string();
  const unique_fd made(
      ::open(foreign.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  if (made.get() < 0 || ::mkdir(inner.c_str(), 0700) != 0) {
    return error{error_code::io, detail::shown(folder.path()) + ": " +
                                     detail::message_of(errno)};
  }
  detail::attempts tries{.foreign = foreign.c_str(),
                         .foreign_new = foreign_new.c_str(),
                         .own = own.c_str(),
                         .parent = ::getpid()};
  {
    const program_start nothing{
        .program = {}, .folder = inner, .limits = limits};
    TINYPHI_TRY(auto child, detail::start_child(nothing, &tries));
    const auto how = child.end({});
    if (how.is_known && (how.signal || how.status != 0)) {
      return detail::unavailable("the child that tries to break out died");
    }
  }
  std::string escaped;
  const auto note = [&](bool did, std::string_view what) {
    if (did) escaped.append(escaped.empty() ? "" : ", ").append(what);
  };
  note(tries.reads, "read a foreign file");
  note(tries.writes, "write a foreign file");
  note(tries.creates, "create a foreign file");
  note(tries.connects, "open a socket");
  note(tries.signals, "signal this process");
  note(tries.leaves_group, "leave its process group");
  if (!escaped.empty()) {
    return detail::unavailable("in the sandbox a program could " + escaped);
  }
  if (!tries.can_write_own) {
    return detail::unavailable(
        "in the sandbox a program could not write its own folder");
  }
  return {};
}

}  // namespace process
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_PROCESS_LAUNCH_IPP_
