// SPDX-License-Identifier: MIT
// Writes files that the author named: a piece at the end in one call of the
// system, so that pieces of several writers do not mix, or the whole in place
// of the old one.
#ifndef TINYPHI_PLUGINS_FILE_WRITTEN_FILE_H_
#define TINYPHI_PLUGINS_FILE_WRITTEN_FILE_H_

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "plugins/fts/folder.h"
#include "tinyphi/base/error.h"
#include "tinyphi/base/replacement_file.h"

TINYPHI_NAMESPACE_BEGIN
namespace files {

enum class write_mode { append, replace };

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
