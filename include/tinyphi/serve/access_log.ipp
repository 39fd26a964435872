// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_ACCESS_LOG_IPP_
#define TINYPHI_SERVE_ACCESS_LOG_IPP_

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "tinyphi/base/json.h"
#include "tinyphi/base/utf8.h"
#include "tinyphi/serve/access_log.h"
#include "tinyphi/serve/http_exchange.h"
#include "tinyphi/serve/utc_time.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline std::string log_text(std::string_view text) {
  constexpr std::size_t most = 128;
  std::string valid = to_valid_utf8(text.substr(0, most));
  valid.resize(complete_utf8_length(
      std::string_view(valid).substr(0, std::min(valid.size(), most))));
  return valid;
}

// Tenths of a millisecond are enough, and a number that JSON does not have
// (NaN, infinity) is null.
inline json::value log_number(double value, double per_unit = 10) {
  if (!std::isfinite(value)) return nullptr;
  return std::round(value * per_unit) / per_unit;
}

// "2026-11-26T10:00:00.123Z"
inline std::string utc_text(std::chrono::system_clock::time_point at) {
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(at);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(ms);
  const std::string fraction = std::to_string((ms - seconds).count());
  return utc_seconds(seconds.time_since_epoch().count()) + "." +
         std::string(3 - fraction.size(), '0') + fraction + "Z";
}

// A line, and how many it says are missing before it.
struct log_line {
  std::string text;
  std::uint64_t dropped_before = 0;
};
enum class line_end { written, no_room, reader_gone };

struct access_log_state {
  access_log_state(int f, access_log_limits l) : file(f), limits(l) {}

  const int file;
  const access_log_limits limits;
  int bell = -1;  // readable once the log is to end
  std::mutex mutex;
  std::condition_variable wake;
  // Guarded by the mutex.
  std::deque<log_line> lines;
  std::size_t bytes = 0;  // of `lines`
  std::uint64_t dropped = 0, untold = 0;
  bool ending = false, broken = false;
  // Of the writer alone: when it gives up what is left.
  std::optional<std::chrono::steady_clock::time_point> end_by;
  bool torn = false;  // the file ends within a line
  std::thread writer;

  void run();
  line_end write_line(std::string_view line);
  bool wait_for_room();
};

// False once the grace is over or the descriptor is of no use.
inline bool access_log_state::wait_for_room() {
  using std::chrono::steady_clock;
  for (;;) {
    pollfd watched[2] = {{file, POLLOUT, 0}, {bell, POLLIN, 0}};
    int wait_ms = -1;
    if (end_by) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(
          *end_by - steady_clock::now());
      if (left.count() <= 0) return false;
      wait_ms = static_cast<int>(left.count());
    }
    // The bell goes on ringing: it is not to be watched any more.
    const int n = ::poll(watched, end_by ? 1 : 2, wait_ms);
    if (n < 0 && errno != EINTR) return false;
    if (n <= 0) continue;
    if ((watched[0].revents & POLLNVAL) != 0) return false;
    if (watched[1].revents != 0) end_by = steady_clock::now() + limits.grace;
    // An error or a hang-up is for the write to find, with its reason.
    if (watched[0].revents != 0) return true;
  }
}

inline line_end access_log_state::write_line(std::string_view line) {
  bool begun = false;
  while (!line.empty()) {
    if (!wait_for_room()) return line_end::reader_gone;
    // A pipe that has room takes this much without waiting (man 7 pipe), so
    // the descriptor need not be made non-blocking for everybody.
    const std::string_view piece =
        torn ? std::string_view("\n") : line.substr(0, PIPE_BUF);
    ssize_t n =
        ::send(file, piece.data(), piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == ENOTSOCK) {
      n = ::write(file, piece.data(), piece.size());
    }
    if (n > 0 && torn) {
      torn = false;
    } else if (n >= 0) {
      line.remove_prefix(static_cast<std::size_t>(n));
      begun = begun || n > 0;
    } else if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG) {
      torn = torn || begun;
      return line_end::no_room;  // the next one may find some again
    } else if (errno != EINTR && errno != EAGAIN) {
      return line_end::reader_gone;
    }
  }
  return line_end::written;
}

inline void access_log_state::run() {
  std::unique_lock lock(mutex);
  for (;;) {
    wake.wait(lock, [&] { return ending || !lines.empty(); });
    if (lines.empty()) return;
    const log_line line = std::move(lines.front());
    lines.pop_front();
    bytes -= line.text.size();
    lock.unlock();
    const line_end end = write_line(line.text);
    lock.lock();
    if (end == line_end::written) continue;
    if (end == line_end::no_room) {
      ++dropped;
      untold += line.dropped_before + 1;
      continue;
    }
    broken = true;
    dropped += 1 + lines.size();
    lines.clear();
    bytes = 0;
    return;
  }
}

}  // namespace detail

TINYPHI_FUNC std::string access_line(const access_record& r,
                                     std::uint64_t dropped) {
  using detail::log_number, detail::log_text;
  const request_report& p = *r.report;
  json::object line{
      {"ts", detail::utc_text(r.at)},
      {"id", log_text(r.id)},
      {"trace", log_text(r.trace)},
      {"key", log_text(r.key)},
      {"route", log_text(r.route)},
      {"model", log_text(p.model)},
      {"generation", log_text(r.generation)},
      {"status", p.status},
      {"code", log_text(p.code)},
      {"bytes_in", p.bytes_in},
      {"bytes_out", p.bytes_out},
      {"prompt_tokens", p.prompt_tokens},
      {"cached", p.cached_tokens},
      {"generated", p.generated_tokens},
      {"drafts", p.drafted_tokens},
      {"drafts_accepted", p.accepted_tokens},
      {"queue_ms", log_number(p.queue_ms)},
      {"ttft_ms", log_number(p.first_token_ms)},
      {"total_ms", log_number(p.total_ms)},
      {"itl_p99_ms", log_number(p.gap_p99_ms)},
      {"energy_j", r.energy_j ? log_number(*r.energy_j, 1000) : nullptr},
      {"cancelled_in", log_text(p.cancelled_in)}};
  if (!p.approvals.empty()) {
    constexpr std::size_t most = 16;
    json::array all;
    for (std::size_t i = 0; i < std::min(most, p.approvals.size()); ++i) {
      all.emplace_back(log_text(p.approvals[i]));
    }
    line["approvals"] = std::move(all);
  }
  if (dropped > 0) line["dropped_before"] = dropped;
  return json::serialize(line);
}

TINYPHI_FUNC access_log::access_log(
    std::unique_ptr<detail::access_log_state> state)
    : state_(std::move(state)) {}
TINYPHI_FUNC access_log::access_log(access_log&&) noexcept = default;

TINYPHI_FUNC result<access_log> access_log::open(int file,
                                                 access_log_limits limits) {
  auto state = std::make_unique<detail::access_log_state>(file, limits);
  state->bell = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (state->bell < 0) {
    return error{error_code::io, std::string("the access log's eventfd: ") +
                                     std::strerror(errno)};
  }
  // Signals are for the daemon's own threads. SIGPIPE goes to the thread that
  // writes, which is this one: a reader that has left is an errno only.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::string failed;
  try {
    state->writer = std::thread([s = state.get()] { s->run(); });
  } catch (const std::system_error& e) {
    failed = e.what();
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!failed.empty()) {
    ::close(state->bell);
    return error{error_code::io, "the access log's thread: " + failed};
  }
  return access_log(std::move(state));
}

TINYPHI_FUNC access_log& access_log::operator=(access_log&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

TINYPHI_FUNC access_log::~access_log() {
  if (state_ == nullptr) return;
  {
    const std::lock_guard lock(state_->mutex);
    state_->ending = true;
  }
  state_->wake.notify_one();
  const std::uint64_t one = 1;
  // Cannot fail: the counter is far from its end.
  [[maybe_unused]] const ssize_t n = ::write(state_->bell, &one, sizeof one);
  state_->writer.join();
  ::close(state_->bell);
}

TINYPHI_FUNC void access_log::add(const access_record& r) {
  std::uint64_t untold = 0;
  {
    const std::lock_guard lock(state_->mutex);
    untold = std::exchange(state_->untold, 0);
  }
  std::string line = access_line(r, untold) + '\n';
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->broken || state_->lines.size() >= state_->limits.lines ||
        line.size() > state_->limits.bytes - state_->bytes) {
      ++state_->dropped;
      state_->untold += untold + 1;
      return;
    }
    state_->bytes += line.size();
    state_->lines.push_back({std::move(line), untold});
  }
  state_->wake.notify_one();
}

TINYPHI_FUNC std::uint64_t access_log::dropped() const {
  const std::lock_guard lock(state_->mutex);
  return state_->dropped;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_ACCESS_LOG_IPP_
