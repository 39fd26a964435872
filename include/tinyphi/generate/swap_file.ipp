// SPDX-License-Identifier: MIT
#ifndef TINYPHI_GENERATE_SWAP_FILE_IPP_
#define TINYPHI_GENERATE_SWAP_FILE_IPP_

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <limits>
#include <span>
#include <string>

#include "tinyphi/base/bytes.h"
#include "tinyphi/base/content_hash.h"
#include "tinyphi/base/mapped_file.ipp"
#include "tinyphi/generate/swap_file.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline int open_unnamed(const std::filesystem::path& folder) {
#if defined(O_TMPFILE)
  const int fd =
      ::open(folder.c_str(), O_RDWR | O_TMPFILE | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0) return fd;
#endif
  // File systems that know no files without names.
  std::string name = (folder / "swap-XXXXXX").string();
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named >= 0) ::unlink(name.c_str());
  return named;
}

// Bytes per second: a third of it is the newest transfer's.
inline double new_speed(double old, std::size_t bytes,
                        std::chrono::steady_clock::time_point began) {
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began)
          .count();
  const double speed = static_cast<double>(bytes) / std::max(seconds, 1e-9);
  return old == 0 ? speed : old + (speed - old) / 3;
}

}  // namespace detail

TINYPHI_FUNC result<swap_file> swap_file::create(
    const std::filesystem::path& folder, std::size_t page_bytes,
    std::size_t max_bytes) {
  TINYPHI_ASSERT(page_bytes > 0);
  swap_file file;
  file.fd_ = detail::open_unnamed(folder);
  if (file.fd_ < 0) return detail::file_error(folder, errno);
  file.folder_ = folder;
  file.page_bytes_ = page_bytes;
  file.max_slots_ = std::min<std::size_t>(max_bytes / page_bytes,
                                          std::numeric_limits<slot>::max());
  return file;
}

TINYPHI_FUNC swap_file& swap_file::operator=(swap_file&& other) noexcept {
  std::swap(folder_, other.folder_);
  std::swap(fd_, other.fd_);
  std::swap(page_bytes_, other.page_bytes_);
  std::swap(max_slots_, other.max_slots_);
  std::swap(hashes_, other.hashes_);
  std::swap(free_, other.free_);
  std::swap(write_speed_, other.write_speed_);
  std::swap(read_speed_, other.read_speed_);
  return *this;
}

TINYPHI_FUNC swap_file::~swap_file() {
  if (fd_ >= 0) ::close(fd_);
}

TINYPHI_FUNC std::optional<swap_file::slot> swap_file::write(
    const kv_page& page) {
  if (free_.empty()) {
    if (hashes_.size() >= max_slots_) return std::nullopt;
    const auto end = static_cast<::off_t>(hashes_.size() * page_bytes_);
    if (::posix_fallocate(fd_, end, static_cast<::off_t>(page_bytes_)) != 0) {
      return std::nullopt;
    }
    // Room for all, so that release() never asks for memory.
    if (free_.capacity() <= hashes_.size()) {
      free_.reserve(2 * hashes_.size() + 1);
    }
    hashes_.push_back(0);
    free_.push_back(static_cast<slot>(hashes_.size() - 1));
  }
  const slot s = free_.back();
  const auto began = std::chrono::steady_clock::now();
  for (std::size_t done = 0; done < page_bytes_;) {
    const ::ssize_t n = ::pwrite(fd_, page.data() + done, page_bytes_ - done,
                                 static_cast<::off_t>(s * page_bytes_ + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return std::nullopt;
    done += static_cast<std::size_t>(n);
  }
  hashes_[s] = content_hash_of({page.data(), page_bytes_});
  write_speed_ = detail::new_speed(write_speed_, page_bytes_, began);
  free_.pop_back();
  return s;
}

TINYPHI_FUNC result<void> swap_file::read(slot s, kv_page& page) const {
  TINYPHI_ASSERT(s < hashes_.size() && page && !page.shared());
  const auto began = std::chrono::steady_clock::now();
  for (std::size_t done = 0; done < page_bytes_;) {
    const ::ssize_t n = ::pread(fd_, page.data() + done, page_bytes_ - done,
                                static_cast<::off_t>(s * page_bytes_ + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return detail::file_error(folder_, errno);
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  if (content_hash_of({page.data(), page_bytes_}) != hashes_[s]) {
    return error{error_code::bad_data,
                 folder_.string() +
                     ": a page that was put aside there has changed; its text "
                     "has to be computed again"};
  }
  read_speed_ = detail::new_speed(read_speed_, page_bytes_, began);
  return {};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_SWAP_FILE_IPP_
