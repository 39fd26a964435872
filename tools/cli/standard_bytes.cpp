// SPDX-License-Identifier: MIT
#include "cli/standard_bytes.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <memory>
#include <utility>

namespace cli {

namespace {

constexpr std::size_t read_bytes = std::size_t{64} << 10;
// As many as a pipe takes at once if it takes any, so that no write waits.
constexpr std::size_t write_bytes = 4096;

bool is_for_later(int error) { return error == EINTR || error == EAGAIN; }

}  // namespace

standard_bytes::standard_bytes(boost::asio::io_context& loop, handlers h)
    : loop_(loop), handlers_(std::move(h)) {}

void standard_bytes::start() {
  if (::pipe2(wake_ends_, O_CLOEXEC | O_NONBLOCK) != 0) {
    is_broken_ = true;
    boost::asio::post(loop_, [this] { handlers_.on_broken(); });
    return;
  }
  thread_ = std::thread([this] { run(); });
}

standard_bytes::~standard_bytes() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  wake();
  if (thread_.joinable()) thread_.join();
  for (const int end : wake_ends_) {
    if (end >= 0) ::close(end);
  }
}

void standard_bytes::send(std::string_view bytes) {
  {
    const std::lock_guard lock(mutex_);
    if (is_broken_) return;
    unsent_ += bytes;
  }
  wake();
}

std::size_t standard_bytes::n_unsent() const {
  const std::lock_guard lock(mutex_);
  return unsent_.size() - n_sent_;
}

void standard_bytes::wake() const {
  [[maybe_unused]] const auto written = ::write(wake_ends_[1], "", 1);
}

void standard_bytes::run() {
  for (;;) {
    std::array<pollfd, 3> files = {pollfd{wake_ends_[0], POLLIN, 0},
                                   pollfd{STDIN_FILENO, POLLIN, 0},
                                   pollfd{STDOUT_FILENO, POLLOUT, 0}};
    {
      const std::lock_guard lock(mutex_);
      if (ends_) return;
      const std::size_t n = unsent_.size() - n_sent_;
      if (at_end_ || !reads_ || n > max_unsent) files[1].fd = -1;
      if (n == 0) files[2].events = 0;  // whether it is broken is told
      if (is_broken_) files[2].fd = -1;
    }
    if (::poll(files.data(), files.size(), -1) < 0) {
      if (is_for_later(errno)) continue;
      return;
    }
    if (files[0].revents != 0) {
      std::array<char, 64> bytes;
      while (::read(wake_ends_[0], bytes.data(), bytes.size()) > 0) {
      }
    }
    if (files[1].revents != 0) read_some();
    if (files[2].revents != 0) write_some();
  }
}

void standard_bytes::read_some() {
  auto bytes = std::make_shared<std::string>(read_bytes, '\0');
  const ssize_t n = ::read(STDIN_FILENO, bytes->data(), bytes->size());
  if (n < 0 && is_for_later(errno)) return;
  bytes->resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  {
    const std::lock_guard lock(mutex_);
    reads_ = false;
    at_end_ = bytes->empty();
  }
  boost::asio::post(loop_, [this, bytes] {
    handlers_.on_bytes(*bytes);
    {
      const std::lock_guard lock(mutex_);
      reads_ = true;
    }
    wake();
  });
}

void standard_bytes::write_some() {
  std::string piece;
  {
    const std::lock_guard lock(mutex_);
    piece = unsent_.substr(n_sent_, write_bytes);
  }
  const ssize_t n = ::write(STDOUT_FILENO, piece.data(), piece.size());
  if (n < 0 && is_for_later(errno)) return;
  const bool is_broken = n < 0 || piece.empty();
  bool all_sent = false;
  {
    const std::lock_guard lock(mutex_);
    if (is_broken) {
      is_broken_ = true;
      unsent_.clear();
      n_sent_ = 0;
    } else {
      n_sent_ += static_cast<std::size_t>(n);
      all_sent = n_sent_ == unsent_.size();
      if (all_sent || n_sent_ > max_unsent) {
        unsent_.erase(0, n_sent_);
        n_sent_ = 0;
      }
    }
  }
  if (is_broken) boost::asio::post(loop_, [this] { handlers_.on_broken(); });
  if (all_sent) boost::asio::post(loop_, [this] { handlers_.on_sent(); });
}

}  // namespace cli
