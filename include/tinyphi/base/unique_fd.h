// SPDX-License-Identifier: MIT
// A file descriptor that closes itself.
#ifndef TINYPHI_BASE_UNIQUE_FD_H_
#define TINYPHI_BASE_UNIQUE_FD_H_

#include <unistd.h>

#include <utility>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

class unique_fd {
 public:
  unique_fd() = default;  // none
  // Of what a call of the system gave; below 0: none.
  explicit unique_fd(long fd) : fd_(static_cast<int>(fd)) {}
  unique_fd(unique_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~unique_fd() { close(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_BASE_UNIQUE_FD_H_
