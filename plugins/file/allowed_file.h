// SPDX-License-Identifier: MIT
// Opens files whose names came as data: below the folders of [allow].read only,
// whatever others put into them. Links are not followed, and pipes and devices
// are not read.
#ifndef TINYPHI_PLUGINS_FILE_ALLOWED_FILE_H_
#define TINYPHI_PLUGINS_FILE_ALLOWED_FILE_H_

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/fts/folder.h"
#include "tinyphi/base/error.h"
#include "tinyphi/base/utf8.h"
#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN
namespace files {

// What the in-port `file` of a stage may name. Any thread may ask.
class readable_places {
 public:
  // A name of type path, which the author or the operator wrote, is granted by
  // being written; all other names are data.
  readable_places(const call_facts& call, const host& h)
      : base_(h.base_dir()), folders_(h.allowed_reads()) {
    const auto bound = call.types.find("file");
    is_granted_ =
        bound != call.types.end() && bound->second.is(type_kind::path);
  }

  // The whole of a regular file of at most max_bytes, which must be UTF-8.
  // Relative names start at the folder of the pipeline file. Blocks.
  [[nodiscard]] result<std::string> read_text(std::string_view name,
                                              std::uint64_t max_bytes) const;

 private:
  // The file, opened for reading.
  [[nodiscard]] result<fts::unique_fd> open(std::string_view name) const;

  std::filesystem::path base_;
  std::vector<std::filesystem::path> folders_;
  bool is_granted_ = false;
};

namespace detail {

// Waits for nobody: a pipe would.
inline constexpr int read_flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;

// `below` names a file in `folder`, without "..".
inline int open_beneath(const std::filesystem::path& folder,
                        const std::filesystem::path& below) {
  const fts::unique_fd top(
      ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (top.get() < 0) return -1;
  ::open_how how{};
  how.flags = read_flags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
  return static_cast<int>(
      ::syscall(SYS_openat2, top.get(), below.c_str(), &how, sizeof how));
}

// "file 'a.txt'", as messages have it.
inline std::string shown(std::string_view name) {
  return "file " + quote(fts::detail::printable(name));
}

inline error open_fault(std::string_view name, int code) {
  if (code == ELOOP || code == EXDEV) {
    return {error_code::invalid_argument,
            shown(name) +
                " leads through a link; below [allow].read links are not "
                "followed"};
  }
  return {code == ENOENT || code == ENOTDIR ? error_code::not_found
          : code == ENOSYS                  ? error_code::unsupported
                                            : error_code::io,
          shown(name) + ": " + fts::detail::system_message(code)};
}

}  // namespace detail

inline result<fts::unique_fd> readable_places::open(
    std::string_view name) const {
  const std::filesystem::path path(name);
  if (name.empty() || name.find('\0') != std::string_view::npos ||
      std::find(path.begin(), path.end(), "..") != path.end()) {
    return error{error_code::invalid_argument,
                 detail::shown(name) +
                     " must be a name without \"..\" and NUL, below a folder "
                     "of [allow].read"};
  }
  const auto place = std::filesystem::absolute(base_ / path).lexically_normal();
  if (is_granted_) {
    fts::unique_fd fd(::open(place.c_str(), detail::read_flags));
    if (fd.get() < 0) return detail::open_fault(name, errno);
    return fd;
  }
  for (const std::filesystem::path& folder : folders_) {
    if (!is_within(place, folder)) continue;
    fts::unique_fd fd(
        detail::open_beneath(folder, place.lexically_relative(folder)));
    if (fd.get() < 0) return detail::open_fault(name, errno);
    return fd;
  }
  return error{error_code::invalid_argument,
               detail::shown(name) + " lies in no folder of [allow].read" +
                   (folders_.empty() ? ", which names none" : "")};
}

inline result<std::string> readable_places::read_text(
    std::string_view name, std::uint64_t max_bytes) const {
  TINYPHI_TRY(fts::unique_fd fd, open(name));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return error{error_code::invalid_argument,
                 detail::shown(name) + " is not a regular file"};
  }
  auto text = fts::read_all({std::string(name), std::move(fd)}, max_bytes);
  if (!text) return std::move(text).error().within(detail::shown(name));
  const std::size_t bad = find_invalid_utf8(*text);
  if (bad == std::string_view::npos) return text;
  return error{error_code::bad_data, detail::shown(name) + ": byte " +
                                         std::to_string(bad) + " is not UTF-8"};
}

}  // namespace files
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_FILE_ALLOWED_FILE_H_
