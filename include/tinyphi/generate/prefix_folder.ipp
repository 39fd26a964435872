// SPDX-License-Identifier: MIT
// The folder of prefix files: what is in it, what goes, what comes back.
#ifndef TINYPHI_GENERATE_PREFIX_FOLDER_IPP_
#define TINYPHI_GENERATE_PREFIX_FOLDER_IPP_

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "tinyphi/base/aligned.h"
#include "tinyphi/base/bytes.h"
#include "tinyphi/base/content_hash.h"
#include "tinyphi/base/mapped_file.ipp"
#include "tinyphi/base/replacement_file.h"
#include "tinyphi/generate/prefix_file.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline constexpr std::size_t max_prefix_files = 4096;
// Of all files together, remembered to restore their order of use.
inline constexpr std::size_t max_prefix_ids = std::size_t{1} << 24;
inline constexpr std::size_t prefix_name_digits = 32;
inline constexpr std::string_view prefix_suffix = ".kv";

struct prefix_entry {
  std::string name;
  std::uint64_t size = 0;
  std::int64_t modified = 0;
};

// True for names that prefix_name() may give. Nothing else in the folder
// is touched.
inline bool is_prefix_name(std::string_view name) {
  return name.size() == prefix_name_digits + prefix_suffix.size() &&
         name.ends_with(prefix_suffix) &&
         name.find_first_not_of("0123456789abcdef") == prefix_name_digits;
}

// True for what replacement_file leaves beside such a file if the process is
// killed at the wrong moment.
inline bool is_prefix_leftover(std::string_view name) {
  constexpr std::size_t n = prefix_name_digits + prefix_suffix.size();
  return name.size() > n + 1 && is_prefix_name(name.substr(0, n)) &&
         name[n] == '.' &&
         name.find_first_not_of("0123456789", n + 1) == std::string_view::npos;
}

inline std::int64_t nanoseconds_now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Decides nothing, only finds: the header says what is in a file.
inline std::string prefix_name(const prefix_header& h, const prefix_key& key) {
  prefix_header text = h;
  text.page_hashes.clear();
  std::string bytes = encode_prefix_header(text, key);
  const std::uint64_t first = content_hash_of(as_bytes(bytes));
  bytes += "again";
  const std::uint64_t second = content_hash_of(as_bytes(bytes));
  std::string name;
  for (const std::uint64_t half : {first, second}) {
    for (int shift = 60; shift >= 0; shift -= 4) {
      name += "0123456789abcdef"[half >> shift & 15];
    }
  }
  return name + std::string(prefix_suffix);
}

// The folder, opened: its owner is this user, and nobody else writes there.
inline result<int> open_prefix_folder(const std::filesystem::path& path) {
  const int fd =
      ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 && (errno == ENOTDIR || errno == ELOOP)) {
    return error{error_code::invalid_argument,
                 path.string() +
                     ": cached texts are kept in a folder; this is none, or a "
                     "link to one"};
  }
  if (fd < 0) return file_error(path, errno);
  struct stat s;
  if (::fstat(fd, &s) == 0 && s.st_uid == ::geteuid() &&
      (s.st_mode & (S_IWGRP | S_IWOTH)) == 0) {
    return fd;
  }
  ::close(fd);
  return error{error_code::invalid_argument,
               path.string() +
                   ": cached texts are kept only in a folder of this user's, "
                   "to which nobody else may write (chmod 700)"};
}

// Its files, those that were used last first; sweeps out leftovers that nobody
// can still be writing.
inline std::vector<prefix_entry> list_prefixes(int folder) {
  std::vector<prefix_entry> entries;
  const int copy = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return entries;
  const std::unique_ptr<::DIR, int (*)(::DIR*)> dir(::fdopendir(copy),
                                                    &::closedir);
  if (!dir) {
    ::close(copy);
    return entries;
  }
  while (const ::dirent* e = ::readdir(dir.get())) {
    const bool leftover = is_prefix_leftover(e->d_name);
    if (!leftover && !is_prefix_name(e->d_name)) continue;
    struct stat s;
    if (::fstatat(folder, e->d_name, &s, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (leftover) {
      constexpr std::int64_t hour = 3'600'000'000'000;
      if (nanoseconds_now() - unix_nanoseconds(s.st_mtim) > hour) {
        ::unlinkat(folder, e->d_name, 0);
      }
      continue;
    }
    entries.push_back({e->d_name, static_cast<std::uint64_t>(s.st_size),
                       unix_nanoseconds(s.st_mtim)});
    if (entries.size() == max_prefix_files) break;
  }
  std::sort(entries.begin(), entries.end(),
            [](const prefix_entry& a, const prefix_entry& b) {
              return a.modified != b.modified ? a.modified > b.modified
                                              : a.name < b.name;
            });
  return entries;
}

// A file of the folder, opened to be read, if it may be believed.
inline result<int> open_prefix(int folder, const std::string& name,
                               std::uint64_t& size) {
  const int fd = ::openat(folder, name.c_str(),
                          O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) {
    return error{error_code::io, errno == ELOOP
                                     ? "it is a symbolic link"
                                     : std::generic_category().message(errno)};
  }
  struct stat s;
  if (::fstat(fd, &s) != 0 || !S_ISREG(s.st_mode)) {
    ::close(fd);
    return error{error_code::unsupported, "it is not a regular file"};
  }
  if (s.st_uid != ::geteuid() || (s.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    ::close(fd);
    return error{error_code::unsupported,
                 "it belongs to another user, or others may write to it"};
  }
  size = static_cast<std::uint64_t>(s.st_size);
  return fd;
}

// A branch of the cache as a file.
struct prefix_plan {
  prefix_header header;
  std::vector<kv_page> pages;  // from first_page on
  std::string name;
  std::uint64_t bytes = 0;
};

// What of a branch is to be kept, without pages that files before it have.
inline std::optional<prefix_plan> plan_prefix(
    prefix_cache::branch b, const prefix_folder& folder, const prefix_key& key,
    const std::unordered_set<const std::byte*>& written) {
  if (b.domain != shared_domain && folder.keeps && !folder.keeps(b.domain)) {
    b.domain = shared_domain;
    b.text.resize(b.n_shared);
    b.pages.resize(n_pages(b.n_shared));
  }
  // From the end to where one is gone.
  std::size_t first = b.pages.size();
  while (first > 0 && b.pages[first - 1]) --first;
  if (b.text.empty() || b.text.size() > key.max_tokens ||
      first > first_page_seen(b.text.size(), key.window)) {
    return std::nullopt;
  }
  while (first < b.pages.size() && written.count(b.pages[first].data()) != 0) {
    ++first;
  }
  if (first == b.pages.size()) return std::nullopt;
  prefix_plan p;
  p.header.domain = b.domain;
  p.header.n_shared = b.domain == shared_domain ? b.text.size() : b.n_shared;
  p.header.long_factors = b.root.long_factors;
  p.header.first_page = first;
  p.header.ids = std::move(b.text);
  p.pages.assign(b.pages.begin() + static_cast<std::ptrdiff_t>(first),
                 b.pages.end());
  p.name = prefix_name(p.header, key);
  p.bytes =
      round_up(prefix_header_bytes(key, p.header.ids.size(), p.pages.size()),
               prefix_page_align) +
      p.pages.size() * prefix_page_bytes(key);
  return p;
}

// How many bytes all files together may have.
inline std::uint64_t prefix_budget(int fd, const prefix_folder& folder,
                                   const std::vector<prefix_entry>& there) {
  struct statvfs disk;
  if (::fstatvfs(fd, &disk) != 0) return folder.max_bytes;
  const double block = static_cast<double>(disk.f_frsize);
  double room = block * (static_cast<double>(disk.f_bavail) -
                         folder.keep_free * static_cast<double>(disk.f_blocks));
  for (const prefix_entry& e : there) room += static_cast<double>(e.size);
  if (room >= static_cast<double>(folder.max_bytes)) return folder.max_bytes;
  return room <= 0 ? 0 : static_cast<std::uint64_t>(room);
}

// Writes a file, unless the same is there.
inline result<void> write_prefix(int fd, const prefix_folder& folder,
                                 const prefix_key& key, prefix_plan& p) {
  const std::size_t page_bytes = prefix_page_bytes(key);
  // Behind the last token the page may hold what somebody else's text left.
  const std::size_t used = p.header.ids.size() % page_tokens;
  TINYPHI_TRY(auto last, aligned_array<std::byte>::create(page_bytes));
  std::memcpy(last.data(), p.pages.back().data(), page_bytes);
  if (used != 0) clear_positions(key, used, last.data());
  const auto page = [&](std::size_t i) {
    return std::span<const std::byte>(
        i + 1 == p.pages.size() ? last.data() : p.pages[i].data(), page_bytes);
  };
  for (std::size_t i = 0; i < p.pages.size(); ++i) {
    p.header.page_hashes.push_back(content_hash_of(page(i)));
  }
  const std::string header = encode_prefix_header(p.header, key);
  std::uint64_t size = 0;
  if (const auto there = open_prefix(fd, p.name, size)) {
    const unique_fd file(*there);
    std::string bytes(header.size(), '\0');
    if (size == p.bytes &&
        read_at(file.get(), 0, reinterpret_cast<std::byte*>(bytes.data()),
                bytes.size()) &&
        bytes == header) {
      return {};
    }
  }
  replacement_file file(folder.path / p.name);
  TINYPHI_CHECK_OK(file.create(0600));
  TINYPHI_CHECK_OK(file.reserve(p.bytes));
  TINYPHI_CHECK_OK(file.write(as_bytes(header)));
  for (std::size_t i = 0; i < p.pages.size(); ++i) {
    TINYPHI_CHECK_OK(file.write(page(i)));
  }
  return file.commit();
}

// Removes what is not to stay, oldest first, until the rest fits.
inline void make_room(int fd, const std::vector<prefix_entry>& there,
                      const std::vector<prefix_plan>& plans,
                      std::uint64_t budget) {
  std::unordered_set<std::string> stay;
  std::uint64_t total = 0;
  for (const prefix_plan& p : plans) {
    total += p.bytes;
    stay.insert(p.name);
  }
  for (const prefix_entry& e : there) {
    if (stay.count(e.name) != 0) continue;
    total += e.size;
    if (total > budget) ::unlinkat(fd, e.name.c_str(), 0);
  }
}

inline result<void> make_prefix_folder(const std::filesystem::path& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return file_error(path, errno);
}

}  // namespace detail

TINYPHI_FUNC result<prefix_report> save_prefixes(const prefix_folder& folder,
                                                 const prefix_key& key,
                                                 const prefix_cache& cache) {
  TINYPHI_CHECK_OK(detail::make_prefix_folder(folder.path));
  TINYPHI_TRY(const int opened, detail::open_prefix_folder(folder.path));
  const unique_fd fd(opened);
  const auto there = detail::list_prefixes(fd.get());
  const std::uint64_t budget = detail::prefix_budget(fd.get(), folder, there);
  prefix_report report;
  std::vector<detail::prefix_plan> plans;
  std::unordered_set<const std::byte*> written;
  std::uint64_t total = 0;
  for (auto& branch : cache.branches()) {
    if (plans.size() == detail::max_prefix_files) break;
    auto plan = detail::plan_prefix(std::move(branch), folder, key, written);
    if (!plan) continue;
    if (total + plan->bytes > budget) {
      ++report.n_ignored;
      continue;
    }
    total += plan->bytes;
    for (const kv_page& p : plan->pages) written.insert(p.data());
    plans.push_back(*std::move(plan));
  }
  detail::make_room(fd.get(), there, plans, budget);
  const std::int64_t now = detail::nanoseconds_now();
  for (detail::prefix_plan& p : plans) {
    TINYPHI_CHECK_OK(detail::write_prefix(fd.get(), folder, key, p));
    // In order of use, as branches() gives them.
    const ::timespec used = detail::timespec_of(
        now - static_cast<std::int64_t>(report.n_files) * 1'000'000);
    const ::timespec times[2] = {used, used};
    ::utimensat(fd.get(), p.name.c_str(), times, AT_SYMLINK_NOFOLLOW);
    ++report.n_files;
    report.n_tokens += p.header.ids.size() - p.header.first_page * page_tokens;
  }
  if (::fsync(fd.get()) != 0) return detail::file_error(folder.path, errno);
  if (report.n_ignored > 0) {
    report.note = folder.path.string() + ": " +
                  std::to_string(report.n_ignored) +
                  " cached texts are not kept, " + std::to_string(budget) +
                  " bytes are allowed or left on the disk";
  }
  return report;
}

TINYPHI_FUNC result<prefix_report> load_prefixes(const prefix_folder& folder,
                                                 const prefix_key& key,
                                                 prefix_cache& cache,
                                                 kv_pool& pool,
                                                 std::size_t max_pages) {
  TINYPHI_ASSERT(pool.page_bytes() == detail::prefix_page_bytes(key));
  prefix_report report;
  // A folder that cannot be made is told now, not when it is too late.
  TINYPHI_CHECK_OK(detail::make_prefix_folder(folder.path));
  TINYPHI_TRY(const int folder_fd, detail::open_prefix_folder(folder.path));
  const unique_fd fd(folder_fd);
  std::string first_fault;
  std::vector<detail::prefix_header> loaded;
  std::size_t n_ids = 0;
  for (const auto& entry : detail::list_prefixes(fd.get())) {
    const auto load = [&]() -> result<std::size_t> {
      std::uint64_t size = 0;
      TINYPHI_TRY(const int file_fd,
                  detail::open_prefix(fd.get(), entry.name, size));
      const unique_fd file(file_fd);
      TINYPHI_TRY(auto h, detail::read_prefix_header(file.get(), size, key));
      TINYPHI_TRY(const std::size_t n,
                  detail::load_prefix_pages(file.get(), h, key, cache, pool,
                                            max_pages));
      if (n > 0) {
        ++report.n_files;
        // The last page, which may not be full, is always among them.
        report.n_tokens +=
            (n - n_pages(h.ids.size())) * page_tokens + h.ids.size();
      }
      n_ids += h.ids.size();
      if (n_ids <= detail::max_prefix_ids) loaded.push_back(std::move(h));
      return n;
    };
    const auto n = load();
    if (n) {
      max_pages -= *n;
      continue;
    }
    // Damaged, it would otherwise be taken for what is to be saved.
    if (n.error().code == error_code::bad_data) {
      ::unlinkat(fd.get(), entry.name.c_str(), 0);
    }
    if (report.n_ignored++ == 0) {
      first_fault = entry.name + ": " + n.error().message;
    }
  }
  // The first was used last.
  for (auto h = loaded.rbegin(); h != loaded.rend(); ++h) {
    (void)cache.find({h->long_factors}, h->domain, h->ids);
  }
  if (report.n_ignored > 0) {
    report.note = folder.path.string() + ": " +
                  std::to_string(report.n_ignored) +
                  " files of cached texts are ignored; " + first_fault;
  }
  return report;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_PREFIX_FOLDER_IPP_
