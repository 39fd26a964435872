// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_APPROVAL_FILE_IPP_
#define TINYPHI_SERVE_APPROVAL_FILE_IPP_

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <utility>

#include "tinyphi/base/replacement_file.h"
#include "tinyphi/serve/approval_file.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline constexpr std::array<std::string_view, 3> approval_ends = {
    ".json", ".yes", ".no"};

// Who may write to it decides, so that must not be everybody.
inline result<unique_fd> open_approval_folder(
    const std::filesystem::path& folder) {
  const auto fails = [&](error_code code, const std::string& why) {
    return error{code, "approvals: " + folder.string() + ": " + why};
  };
  constexpr mode_t own = 0700;
  if (::mkdir(folder.c_str(), own) != 0 && errno != EEXIST) {
    return fails(error_code::io, std::strerror(errno));
  }
  unique_fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat s;
  if (fd.get() < 0 || ::fstat(fd.get(), &s) != 0) {
    return fails(error_code::io, std::strerror(errno));
  }
  if (s.st_uid != ::geteuid() && s.st_uid != 0) {
    return fails(error_code::invalid_argument,
                 "it belongs to another user, who could say yes to everything");
  }
  if ((s.st_mode & S_IWOTH) != 0) {
    return fails(error_code::invalid_argument,
                 "everybody may write there, and so say yes; chmod o-w");
  }
  return fd;
}

}  // namespace detail

TINYPHI_FUNC approval_file::approval_file(unique_fd folder, std::string id,
                                          std::string text)
    : folder_(std::move(folder)), id_(std::move(id)), text_(std::move(text)) {}

TINYPHI_FUNC std::string approval_file::name(std::string_view end) const {
  return id_ + std::string(end);
}

TINYPHI_FUNC result<approval_file> approval_file::ask(
    const std::filesystem::path& folder, std::string_view id,
    std::string text) {
  TINYPHI_TRY(unique_fd fd, detail::open_approval_folder(folder));
  approval_file out(std::move(fd), std::string(id), std::move(text));
  replacement_file file(folder / out.name(".json"));
  constexpr std::uint32_t for_group = 0640;
  TINYPHI_CHECK_OK(file.create(for_group));
  TINYPHI_CHECK_OK(file.write(std::as_bytes(std::span(out.text_))));
  TINYPHI_CHECK_OK(file.commit());
  return out;
}

TINYPHI_FUNC approval_file::~approval_file() {
  if (folder_.get() < 0) return;
  for (const std::string_view end : detail::approval_ends) {
    ::unlinkat(folder_.get(), name(end).c_str(), 0);
  }
}

TINYPHI_FUNC std::optional<approval> approval_file::look() const {
  const auto no = [](std::string why) {
    return approval{.given = false, .reason = std::move(why)};
  };
  struct stat s;
  if (::fstatat(folder_.get(), name(".no").c_str(), &s, AT_SYMLINK_NOFOLLOW) ==
      0) {
    return no("a person said no");
  }
  const unique_fd file(
      ::openat(folder_.get(), name(".yes").c_str(),
               O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (file.get() < 0 && errno == ENOENT) return std::nullopt;
  if (file.get() < 0 || ::fstat(file.get(), &s) != 0) {
    return no("the answer cannot be read: " +
              std::string(std::strerror(errno)));
  }
  if (!S_ISREG(s.st_mode)) return no("the answer is no regular file");
  std::string bytes(text_.size() + 1, '\0');
  std::size_t n = 0;
  while (n < bytes.size()) {
    const ssize_t got = ::read(file.get(), bytes.data() + n, bytes.size() - n);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    n += static_cast<std::size_t>(got);
  }
  bytes.resize(n);
  if (bytes == text_) return approval{.given = true};
  // Whoever copies may not be done yet.
  if (n < text_.size() && text_.starts_with(bytes)) return std::nullopt;
  return no("the answer is no copy of the question");
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_APPROVAL_FILE_IPP_
