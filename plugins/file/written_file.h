// SPDX-License-Identifier: MIT
// Writes files that the author named: a piece at the end in one call of the
// system, so that pieces of several writers do not mix, or the whole in place
// of the old one.
#ifndef TINYPHI_PLUGINS_FILE_WRITTEN_FILE_H_
#define TINYPHI_PLUGINS_FILE_WRITTEN_FILE_H_

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "plugins/fts/folder.h"
#include "tinyphi/base/cancel.h"
#include "tinyphi/base/error.h"
#include "tinyphi/base/replacement_file.h"

TINYPHI_NAMESPACE_BEGIN
namespace files {

enum class write_mode { append, replace };

namespace detail {

inline error write_error(const std::filesystem::path& file, int code) {
  return {error_code::io,
          file.string() + ": " + fts::detail::system_message(code)};
}

}  // namespace detail

// Opens `file` for appending, and makes it if it is not there; a file that is
// there must be a regular one. Can be read as well.
[[nodiscard]] inline result<fts::unique_fd> open_to_append(
    const std::filesystem::path& file) {
  const auto fault = [&](error_code code, std::string_view why) {
    return error{code, file.string() + ": " + std::string(why)};
  };
  fts::unique_fd fd(::open(
      file.c_str(),
      O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666));
  if (fd.get() < 0) {
    const int code = errno;
    return fault(code == ENOENT ? error_code::not_found : error_code::io,
                 fts::detail::system_message(code));
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return fault(error_code::invalid_argument, "not a regular file");
  }
  return fd;
}

// `text` in one call; that less was written is an error.
[[nodiscard]] inline result<void> append(const fts::unique_fd& fd,
                                         const std::filesystem::path& file,
                                         std::string_view text) {
  ssize_t n = 0;
  do {
    n = ::write(fd.get(), text.data(), text.size());
  } while (n < 0 && errno == EINTR);
  if (n == static_cast<ssize_t>(text.size())) return {};
  return error{
      error_code::io,
      file.string() + ": " +
          (n < 0 ? fts::detail::system_message(errno)
                 : "only " + std::to_string(n) + " of " +
                       std::to_string(text.size()) + " bytes were written")};
}

// As append, or nothing: what was written in part is taken back. Only for
// whoever has the lock.
[[nodiscard]] inline result<void> append_whole(
    const fts::unique_fd& fd, const std::filesystem::path& file,
    std::string_view text) {
  struct stat before {};
  if (::fstat(fd.get(), &before) != 0) return detail::write_error(file, errno);
  auto done = append(fd, file, text);
  if (!done && ::ftruncate(fd.get(), before.st_size) != 0) {
    return detail::write_error(file, errno);
  }
  return done;
}

// Waits until no other holder of this lock has the file open.
[[nodiscard]] inline result<void> wait_for_lock(
    const fts::unique_fd& fd, const std::filesystem::path& file,
    const stop_condition& stop) {
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return detail::write_error(file, errno);
    }
    if (auto stopped = stop.check(); !stopped) {
      return std::move(stopped).error().within(file.string() +
                                               ": another writer has the file");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return {};
}

// At most `most` bytes from the beginning of the file.
[[nodiscard]] inline result<std::string> read_beginning(
    const fts::unique_fd& fd, const std::filesystem::path& file,
    std::size_t most) {
  std::string text(most, '\0');
  std::size_t size = 0;
  while (size < most) {
    const ssize_t n = ::pread(fd.get(), text.data() + size, most - size,
                              static_cast<::off_t>(size));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return detail::write_error(file, errno);
    if (n == 0) break;
    size += static_cast<std::size_t>(n);
  }
  text.resize(size);
  return text;
}

// Whether the last byte of a file that is not empty ends a line.
[[nodiscard]] inline result<bool> ends_line(const fts::unique_fd& fd,
                                            const std::filesystem::path& file) {
  struct stat info {};
  char last = 0;
  if (::fstat(fd.get(), &info) != 0 ||
      ::pread(fd.get(), &last, 1, info.st_size - 1) != 1) {
    return detail::write_error(file, errno);
  }
  return last == '\n';
}

// The whole file is `text` then, or as it was.
[[nodiscard]] inline result<void> replace(const std::filesystem::path& file,
                                          std::string_view text) {
  replacement_file out(file);
  TINYPHI_CHECK_OK(out.create());
  TINYPHI_CHECK_OK(out.write(std::as_bytes(std::span(text))));
  return out.commit();
}

}  // namespace files
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_FILE_WRITTEN_FILE_H_
