// SPDX-License-Identifier: MIT
// Writes a file whole or not at all.
#ifndef TINYPHI_BASE_REPLACEMENT_FILE_H_
#define TINYPHI_BASE_REPLACEMENT_FILE_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "tinyphi/base/error.h"
#include "tinyphi/base/mapped_file.h"

TINYPHI_NAMESPACE_BEGIN

// A file beside `target` that takes its place when it is whole, and otherwise
// goes away; where the file system knows files without names, also if the
// process is killed. Errors name the target.
class replacement_file {
 public:
  explicit replacement_file(std::filesystem::path target);
  replacement_file(const replacement_file&) = delete;
  replacement_file& operator=(const replacement_file&) = delete;
  ~replacement_file();

  // First of all, with these permissions, less the process's umask; a target
  // that is there and is no regular file is an error.
  [[nodiscard]] result<void> create(std::uint32_t mode = 0666);
  // Claims `bytes` of the disk before they are written, or says that it has
  // not as many.
  [[nodiscard]] result<void> reserve(std::size_t bytes);
  [[nodiscard]] result<void> write(std::span<const std::byte> bytes);
  // Puts the file in the target's place.
  [[nodiscard]] result<void> commit();
  // The same, with the permissions and the modification time of another file.
  [[nodiscard]] result<void> commit_like(const file_stamp& other);

 private:
  result<void> choose_name();
  std::filesystem::path target_;
  std::string temporary_;  // empty while it has no name
  int fd_ = -1;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/base/replacement_file.ipp"
#endif

#endif  // TINYPHI_BASE_REPLACEMENT_FILE_H_
