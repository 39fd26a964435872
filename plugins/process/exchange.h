// SPDX-License-Identifier: MIT
// Gives a program its input, takes what it writes, and ends it: within a time,
// and within sizes.
#ifndef TINYPHI_PLUGINS_PROCESS_EXCHANGE_H_
#define TINYPHI_PLUGINS_PROCESS_EXCHANGE_H_

#include <poll.h>
#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "plugins/process/launch.h"
#include "tinyphi/base/cancel.h"
#include "tinyphi/base/error.h"

TINYPHI_NAMESPACE_BEGIN
namespace process {

struct exchange_limits {
  std::size_t out_bytes = std::size_t{1} << 20;
  std::size_t err_bytes = std::size_t{64} << 10;
  // How long a program may go on once it has written a line, and how long one
  // has that is asked to end.
  std::chrono::milliseconds lingering{1000};
  std::chrono::milliseconds grace{1000};
};

struct program_output {
  std::string out;
  std::string err;
  running_program::ending ending;
  bool was_ended = false;                     // because it lingered
  std::optional<tinyphi::error> failed = {};  // limit, deadline, cancelled
};

namespace detail {

// Writes to a pipe that nobody may read any more, in a program that may not
// ignore SIGPIPE. Below 0: errno.
inline ssize_t write_quietly(int fd, std::string_view text) {
  sigset_t pipe, before, pending;
  ::sigemptyset(&pipe);
  ::sigaddset(&pipe, SIGPIPE);
  ::sigpending(&pending);
  const bool was_pending = ::sigismember(&pending, SIGPIPE) == 1;
  ::pthread_sigmask(SIG_BLOCK, &pipe, &before);
  const ssize_t n = ::write(fd, text.data(), text.size());
  const int failed = errno;
  if (n < 0 && failed == EPIPE && !was_pending) {
    const timespec now{};
    while (::sigtimedwait(&pipe, nullptr, &now) < 0 && errno == EINTR) {
    }
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return n < 0 ? -failed : n;
}

// Takes what there is, of at most `most` bytes and one more; false at the end.
inline bool take(int fd, std::size_t most, std::string& text) {
  std::array<char, 16384> buffer;
  while (text.size() <= most) {
    const std::size_t room = std::min(buffer.size(), most + 1 - text.size());
    const ssize_t n = ::read(fd, buffer.data(), room);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    if (n == 0) return false;
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace detail

// Runs on the calling thread, until the program and all that it started are
// gone.
inline program_output exchange(running_program program, std::string_view input,
                               const stop_condition& stop,
                               const exchange_limits& limits = {}) {
  using clock = std::chrono::steady_clock;
  using std::chrono::milliseconds;
  constexpr milliseconds look_up{20};  // for a request that is cancelled
  program_output all;
  std::optional<clock::time_point> last;  // of one that has written a line
  const auto take_all = [&] {
    const auto from = [&](unique_fd& fd, std::size_t most, std::string& text,
                          std::string_view name) {
      if (fd.get() < 0) return;
      if (!detail::take(fd.get(), most, text)) fd.close();
      if (text.size() <= most || all.failed) return;
      all.failed = {error_code::limit, "wrote more than " +
                                           std::to_string(most) + " bytes to " +
                                           std::string(name)};
    };
    from(program.out, limits.out_bytes, all.out, "its standard output");
    from(program.err, limits.err_bytes, all.err, "its standard error");
    if (!last && all.out.find('\n') != std::string::npos) {
      last = clock::now() + limits.lingering;
    }
  };
  while (!all.failed) {
    if (auto ok = stop.check(); !ok) {
      all.failed = std::move(ok).error();
      break;
    }
    const auto now = clock::now();
    if (last && now >= *last) {
      all.was_ended = true;
      break;
    }
    auto next = now + look_up;
    if (last) next = std::min(next, *last);
    if (stop.deadline) next = std::min(next, *stop.deadline);
    // Below 0 is passed over.
    std::array<pollfd, 4> of{{{program.pidfd(), POLLIN, 0},
                              {program.in.get(), POLLOUT, 0},
                              {program.out.get(), POLLIN, 0},
                              {program.err.get(), POLLIN, 0}}};
    const auto wait = std::chrono::ceil<milliseconds>(next - now);
    if (::poll(of.data(), of.size(), static_cast<int>(wait.count())) <= 0) {
      continue;
    }
    if (of[1].revents != 0) {
      const ssize_t n = detail::write_quietly(program.in.get(), input);
      if (n >= 0) input.remove_prefix(static_cast<std::size_t>(n));
      const bool is_over = n < 0 && n != -EAGAIN && n != -EINTR;
      if (is_over || input.empty()) program.in.close();
    }
    take_all();
    // What it left in the pipes was taken after its end.
    if (of[0].revents != 0) break;
  }
  const bool is_patient =
      all.was_ended || (all.failed && all.failed->code != error_code::limit);
  all.ending = program.end(is_patient ? limits.grace : milliseconds{});
  return all;
}

}  // namespace process
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_PROCESS_EXCHANGE_H_
