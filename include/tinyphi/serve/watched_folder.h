// SPDX-License-Identifier: MIT
// Which files of a watched folder are new and whole, also after a restart.
#ifndef TINYPHI_SERVE_WATCHED_FOLDER_H_
#define TINYPHI_SERVE_WATCHED_FOLDER_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/pipeline/trigger.h"

TINYPHI_NAMESPACE_BEGIN

// What tells a file from what it was before.
struct file_mark {
  std::uint64_t inode = 0, size = 0;
  std::int64_t modified_ns = 0;
  friend bool operator==(const file_mark&, const file_mark&) = default;
};

// One thread at a time.
class watched_folder {
 public:
  static constexpr std::size_t max_files = 10'000;  // that fit the pattern
  static constexpr std::size_t max_record = std::size_t{8} << 20;

  // `record` keeps which files were done, so that a restart does none of them
  // again; a line of it that cannot be read counts as none.
  watched_folder(watched_files what, std::filesystem::path record);

  // Looks at the folder. The names of files that are not done and have not
  // changed since the look before, the oldest first: a file that is still being
  // written is none of them. Only regular files count, not links to them. not_
  // found or io if the folder cannot be read, limit if too many files fit.
  [[nodiscard]] result<std::vector<std::string>> look();

  // What `look` has given is not given again unless the file changes. Written
  // to the disk before it returns; an error says why it could not be.
  [[nodiscard]] result<void> set_done(const std::string& name);

 private:
  void read_record();
  [[nodiscard]] result<void> write_record();

  watched_files what_;
  std::filesystem::path record_;
  std::map<std::string, file_mark> seen_, done_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/watched_folder.ipp"
#endif

#endif  // TINYPHI_SERVE_WATCHED_FOLDER_H_
