// SPDX-License-Identifier: MIT
// Walks a folder of documents that somebody else may have filled: links are
// not followed, devices and pipes are not opened, sizes are bounded.
#ifndef TINYPHI_PLUGINS_FTS_FOLDER_H_
#define TINYPHI_PLUGINS_FTS_FOLDER_H_

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/base/mapped_file.h"
#include "tinyphi/base/unique_fd.h"
#include "tinyphi/base/utf8.h"

TINYPHI_NAMESPACE_BEGIN
namespace fts {

using tinyphi::unique_fd;

// An opened document: a regular file below the folder.
struct source_file {
  std::string path;  // relative to the folder, valid UTF-8, printable
  unique_fd fd;
  std::uint64_t size = 0;
  std::int64_t mtime = 0;  // nanoseconds, modulo 2^64
};

struct folder_limits {
  std::size_t max_depth = 16;
  std::size_t max_files = 100'000;
};

// Calls on_file(source_file) -> result<void> for each *.md, *.markdown and
// *.txt file below `folder`, in the order of their names; an error ends the
// walk. on_skip(path, why) is called for what cannot be taken. Hidden entries
// and other files are passed over.
template <class OnFile, class OnSkip>
[[nodiscard]] result<void> walk_folder(const std::filesystem::path& folder,
                                       const folder_limits& limits,
                                       OnFile on_file, OnSkip on_skip);

namespace detail {

inline std::string system_message(int code) {
  return std::generic_category().message(code);
}

// A file name for messages: no control characters, valid UTF-8.
inline std::string printable(std::string_view name) {
  std::string out = to_valid_utf8(name);
  hide_controls(out);
  return out;
}

inline bool is_document_name(std::string_view name) {
  return name.ends_with(".md") || name.ends_with(".markdown") ||
         name.ends_with(".txt");
}

// The names in an opened folder, sorted; the descriptor stays open.
inline result<std::vector<std::string>> names_in(int folder_fd) {
  DIR* dir = ::fdopendir(::dup(folder_fd));
  if (dir == nullptr) return error{error_code::io, system_message(errno)};
  const auto close = [](DIR* d) { ::closedir(d); };
  const std::unique_ptr<DIR, decltype(close)> owner(dir, close);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(dir)) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

template <class OnFile, class OnSkip>
class folder_walk {
 public:
  folder_walk(const folder_limits& limits, OnFile& on_file, OnSkip& on_skip)
      : limits_(limits), on_file_(on_file), on_skip_(on_skip) {}

  result<void> visit(int folder_fd, const std::string& prefix,
                     std::size_t depth) {
    TINYPHI_TRY(const std::vector<std::string> names, names_in(folder_fd));
    for (const std::string& name : names) {
      TINYPHI_CHECK_OK(visit_entry(folder_fd, name, prefix + name, depth));
    }
    return {};
  }

 private:
  result<void> visit_entry(int folder_fd, const std::string& name,
                           const std::string& path, std::size_t depth) {
    const std::string shown = printable(path);
    const auto skip = [&](std::string why) -> result<void> {
      on_skip_(shown, std::move(why));
      return {};
    };
    struct stat info {};
    if (::fstatat(folder_fd, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      return skip(system_message(errno));
    }
    const bool is_folder = S_ISDIR(info.st_mode);
    if (!is_folder && !is_document_name(name)) return {};
    if (S_ISLNK(info.st_mode)) return skip("skipped: symbolic link");
    if (!is_folder && !S_ISREG(info.st_mode)) return skip("not a regular file");
    if (is_folder && depth >= limits_.max_depth) {
      return skip("nested deeper than " + std::to_string(limits_.max_depth) +
                  " folders");
    }
    if (shown != path) {
      return skip("the name holds control characters or is not UTF-8");
    }
    // The entry may have become something else since fstatat.
    unique_fd fd(::openat(folder_fd, name.c_str(),
                          O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC |
                              (is_folder ? O_DIRECTORY : 0)));
    if (fd.get() < 0) return skip(system_message(errno));
    if (is_folder) {
      auto inside = visit(fd.get(), path + '/', depth + 1);
      if (!inside) return std::move(inside).error();
      return {};
    }
    if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
      return skip("not a regular file");
    }
    if (++n_files_ > limits_.max_files) {
      return error{
          error_code::limit,
          "more than " + std::to_string(limits_.max_files) + " documents"};
    }
    return on_file_(source_file{path, std::move(fd),
                                static_cast<std::uint64_t>(info.st_size),
                                unix_nanoseconds(info.st_mtim)});
  }

  const folder_limits& limits_;
  OnFile& on_file_;
  OnSkip& on_skip_;
  std::size_t n_files_ = 0;
};

}  // namespace detail

// The whole of an opened file of at most max_bytes.
[[nodiscard]] inline result<std::string> read_all(const source_file& file,
                                                  std::uint64_t max_bytes) {
  std::string text;
  for (;;) {
    if (text.size() > max_bytes) {
      return error{error_code::limit,
                   "larger than " + std::to_string(max_bytes) + " bytes"};
    }
    const std::size_t old = text.size();
    text.resize(old + 65536);
    const ssize_t n = ::read(file.fd.get(), text.data() + old, 65536);
    text.resize(old + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (n == 0) return text;
    if (n < 0 && errno != EINTR) {
      return error{error_code::io, detail::system_message(errno)};
    }
  }
}

template <class OnFile, class OnSkip>
result<void> walk_folder(const std::filesystem::path& folder,
                         const folder_limits& limits, OnFile on_file,
                         OnSkip on_skip) {
  const unique_fd fd(
      ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) {
    return error{errno == ENOENT ? error_code::not_found : error_code::io,
                 folder.string() + ": cannot open the folder of documents: " +
                     detail::system_message(errno)};
  }
  detail::folder_walk walk(limits, on_file, on_skip);
  auto done = walk.visit(fd.get(), "", 0);
  if (!done) return std::move(done).error().within(folder.string());
  return {};
}

}  // namespace fts
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_FTS_FOLDER_H_
