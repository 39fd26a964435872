// SPDX-License-Identifier: MIT
#ifndef TINYPHI_BASE_REPLACEMENT_FILE_IPP_
#define TINYPHI_BASE_REPLACEMENT_FILE_IPP_

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "tinyphi/base/mapped_file.ipp"
#include "tinyphi/base/replacement_file.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC replacement_file::replacement_file(std::filesystem::path target)
    : target_(std::move(target)) {}

TINYPHI_FUNC replacement_file::~replacement_file() {
  if (fd_ < 0) return;
  ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

TINYPHI_FUNC result<void> replacement_file::create(std::uint32_t mode) {
  std::error_code ignored;
  const auto status = std::filesystem::status(target_, ignored);
  if (exists(status) && !is_regular_file(status)) {
    // The rename would put a file in the place of a device such as /dev/null.
    return error{error_code::invalid_argument,
                 target_.string() + ": not a regular file"};
  }
  // Not mkostemp, whose files are private: to make them as public as others,
  // the umask would have to be changed for a moment, for all threads.
#if defined(O_TMPFILE)
  if (::access("/proc/self/fd", X_OK) == 0) {  // commit() needs it
    const auto folder = target_.parent_path();
    fd_ = ::open(folder.empty() ? "." : folder.c_str(),
                 O_WRONLY | O_TMPFILE | O_CLOEXEC, mode);
    if (fd_ >= 0) return {};
  }
#endif
  TINYPHI_CHECK_OK(choose_name());
  fd_ =
      ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd_ < 0) return detail::file_error(target_, errno);
  return {};
}

TINYPHI_FUNC result<void> replacement_file::choose_name() {
  std::uint64_t random = 0;
  if (::getentropy(&random, sizeof random) != 0) {
    return detail::file_error(target_, errno);
  }
  temporary_ = target_.string() + "." + std::to_string(random);
  return {};
}

TINYPHI_FUNC result<void> replacement_file::reserve(std::size_t bytes) {
  const int number = ::posix_fallocate(fd_, 0, static_cast<::off_t>(bytes));
  if (number != 0) return detail::file_error(target_, number);
  return {};
}

TINYPHI_FUNC result<void> replacement_file::write(
    std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ::ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return detail::file_error(target_, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

TINYPHI_FUNC result<void> replacement_file::commit_like(
    const file_stamp& other) {
  const ::timespec times[2] = {{0, UTIME_NOW},
                               detail::timespec_of(other.modified)};
  if (::fchmod(fd_, other.mode & 0666) != 0 || ::futimens(fd_, times) != 0) {
    return detail::file_error(target_, errno);
  }
  return commit();
}

TINYPHI_FUNC result<void> replacement_file::commit() {
  if (::fsync(fd_) != 0) return detail::file_error(target_, errno);
  if (temporary_.empty()) {  // a link takes nothing's place, so rename follows
    TINYPHI_CHECK_OK(choose_name());
    const std::string unnamed = "/proc/self/fd/" + std::to_string(fd_);
    if (::linkat(AT_FDCWD, unnamed.c_str(), AT_FDCWD, temporary_.c_str(),
                 AT_SYMLINK_FOLLOW) != 0) {
      return detail::file_error(target_, errno);
    }
  }
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) {
    return detail::file_error(target_, errno);
  }
  ::close(std::exchange(fd_, -1));
  return {};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_BASE_REPLACEMENT_FILE_IPP_
