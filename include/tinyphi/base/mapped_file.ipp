// SPDX-License-Identifier: MIT
#ifndef TINYPHI_BASE_MAPPED_FILE_IPP_
#define TINYPHI_BASE_MAPPED_FILE_IPP_

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "tinyphi/base/mapped_file.h"
#include "tinyphi/base/unique_fd.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline error file_error(const std::filesystem::path& path, int number) {
  const bool missing = number == ENOENT || number == ENOTDIR;
  return {missing ? error_code::not_found : error_code::io,
          path.string() + ": " + std::generic_category().message(number)};
}

inline ::timespec timespec_of(std::int64_t nanoseconds) {
  return {nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
}

struct open_file {
  int fd;
  std::uint64_t size;
  file_stamp stamp;
};

// O_NONBLOCK: opening a FIFO must not wait for a writer.
inline result<open_file> open_regular(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return file_error(path, errno);
  struct stat status;
  if (::fstat(fd, &status) != 0) {
    const int number = errno;
    ::close(fd);
    return file_error(path, number);
  }
  if (!S_ISREG(status.st_mode)) {
    ::close(fd);
    return error{error_code::invalid_argument,
                 path.string() + (S_ISDIR(status.st_mode)
                                      ? ": a folder where a file is needed"
                                      : ": not a regular file")};
  }
  return open_file{fd, static_cast<std::uint64_t>(status.st_size),
                   file_stamp{unix_nanoseconds(status.st_mtim),
                              unix_nanoseconds(status.st_ctim), status.st_uid,
                              status.st_mode & 07777}};
}

}  // namespace detail

TINYPHI_FUNC result<mapped_file> mapped_file::open(
    const std::filesystem::path& path) {
  TINYPHI_TRY(const detail::open_file file, detail::open_regular(path));
  const unique_fd fd(file.fd);
  mapped_file mapped;
  mapped.path_ = path;
  mapped.stamp_ = file.stamp;
  if (file.size == 0) return mapped;
  void* p = ::mmap(nullptr, file.size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (p == MAP_FAILED) return detail::file_error(path, errno);
  mapped.bytes_ = {static_cast<const std::byte*>(p),
                   static_cast<std::size_t>(file.size)};
  return mapped;
}

TINYPHI_FUNC mapped_file::~mapped_file() {
  if (!bytes_.empty()) {
    ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  }
}

TINYPHI_FUNC void mapped_file::want_huge_pages() const {
#if defined(MADV_HUGEPAGE)
  ::madvise(const_cast<std::byte*>(bytes_.data()), bytes_.size(),
            MADV_HUGEPAGE);
#endif
}

TINYPHI_FUNC void mapped_file::release(std::span<const std::byte> range) const {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(range.data());
  const std::uintptr_t first = (begin + page - 1) / page * page;
  const std::uintptr_t last = (begin + range.size()) / page * page;
  if (first < last) {
    ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
  }
}

TINYPHI_FUNC result<std::string> read_file(const std::filesystem::path& path,
                                           std::uint64_t max_bytes,
                                           file_stamp* stamp) {
  TINYPHI_TRY(const detail::open_file file, detail::open_regular(path));
  const unique_fd fd(file.fd);
  if (stamp != nullptr) *stamp = file.stamp;
  if (file.size > max_bytes) {
    return error{error_code::limit,
                 path.string() + ": " + std::to_string(file.size) +
                     " bytes, at most " + std::to_string(max_bytes) +
                     " are allowed"};
  }
  std::string text(static_cast<std::size_t>(file.size), '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    const ::ssize_t n =
        ::read(fd.get(), text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return detail::file_error(path, errno);
    if (n == 0) break;  // the file shrank meanwhile
    done += static_cast<std::size_t>(n);
  }
  text.resize(done);
  return text;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_BASE_MAPPED_FILE_IPP_
