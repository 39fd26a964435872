// SPDX-License-Identifier: MIT
// A file's bytes: mapped read-only, or read whole when it is small.
#ifndef TINYPHI_BASE_MAPPED_FILE_H_
#define TINYPHI_BASE_MAPPED_FILE_H_

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

#include "tinyphi/base/error.h"

TINYPHI_NAMESPACE_BEGIN

// Nanoseconds since 1970, modulo 2^64: a file may claim to be from any time.
[[nodiscard]] inline std::int64_t unix_nanoseconds(const ::timespec& t) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(t.tv_sec) *
                                       1'000'000'000u +
                                   static_cast<std::uint64_t>(t.tv_nsec));
}

// What the system knows of a file besides its bytes.
struct file_stamp {
  std::int64_t modified = 0;  // nanoseconds since 1970; anybody may set it
  // The same of the last change to bytes, times, owner or name, which only the
  // system sets.
  std::int64_t changed = 0;
  std::uint32_t owner = 0;  // user id
  std::uint32_t mode = 0;   // permission bits
};

// Owns a read-only private mapping of a regular file; move-only, any thread
// may read. Devices, pipes and folders are refused (CVE-2024-39721 read
// /dev/random forever).
class mapped_file {
 public:
  [[nodiscard]] static result<mapped_file> open(
      const std::filesystem::path& path);

  mapped_file(mapped_file&& other) noexcept { *this = std::move(other); }
  mapped_file& operator=(mapped_file&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(path_, other.path_);
    std::swap(stamp_, other.stamp_);
    return *this;
  }
  ~mapped_file();

  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  // As it was when the file was opened.
  [[nodiscard]] const file_stamp& stamp() const { return stamp_; }

  // Asks the system to read and map it in huge pages: for a file of which all
  // is used again and again.
  void want_huge_pages() const;
  // Tells the system that the pages wholly inside `range`, a part of bytes(),
  // are not needed soon. They stay readable.
  void release(std::span<const std::byte> range) const;

 private:
  mapped_file() = default;
  std::span<const std::byte> bytes_;
  std::filesystem::path path_;
  file_stamp stamp_;
};

// The whole of a regular file of at most max_bytes, and its stamp if wanted.
[[nodiscard]] result<std::string> read_file(const std::filesystem::path& path,
                                            std::uint64_t max_bytes,
                                            file_stamp* stamp = nullptr);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/base/mapped_file.ipp"
#endif

#endif  // TINYPHI_BASE_MAPPED_FILE_H_
