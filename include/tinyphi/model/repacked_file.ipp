// SPDX-License-Identifier: MIT
#ifndef TINYPHI_MODEL_REPACKED_FILE_IPP_
#define TINYPHI_MODEL_REPACKED_FILE_IPP_

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "tinyphi/base/aligned.h"
#include "tinyphi/base/bytes.h"
#include "tinyphi/base/replacement_file.h"
#include "tinyphi/model/repacked_file.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

constexpr std::size_t hash_digits = 16;

// The text and the zeros behind it, of which there is at least one.
inline std::string repacked_header(const repacked_key& key,
                                   std::uint64_t content) {
  char digits[hash_digits];
  const auto end = std::to_chars(digits, digits + hash_digits, content, 16).ptr;
  const auto n = static_cast<std::size_t>(end - digits);
  std::string text = std::string(hash_digits - n, '0') +
                     std::string(digits, n) + "\n" + key.made_from;
  text.resize(round_up(text.size() + 1, 4096), '\0');
  return text;
}

}  // namespace detail

TINYPHI_FUNC std::optional<std::int64_t> last_change(
    std::span<const mapped_file* const> files,
    std::chrono::system_clock::time_point now) {
  constexpr std::int64_t second = 1'000'000'000;
  std::int64_t newest = 0;
  std::int64_t nanoseconds = 0;
  for (const mapped_file* file : files) {
    const std::int64_t changed = file->stamp().changed;
    newest = std::max(newest, changed);
    nanoseconds = (nanoseconds + changed % second) % second;
  }
  const auto nanoseconds_now =
      std::chrono::duration_cast<std::chrono::nanoseconds>(
          now.time_since_epoch());
  if (newest > nanoseconds_now.count() - 2 * second) return std::nullopt;
  return newest / second * second + nanoseconds;
}

TINYPHI_FUNC result<repacked_file> repacked_file::open(
    const repacked_key& key) {
  TINYPHI_TRY(mapped_file file, mapped_file::open(key.path));
  const auto refused = [&](std::string_view why) {
    return error{error_code::bad_data, key.path.string() + ": " +
                                           std::string(why) +
                                           "; it has to be written again"};
  };
  const file_stamp& stamp = file.stamp();
  if (stamp.owner != key.model.owner && stamp.owner != ::geteuid()) {
    return refused("belongs neither to the model's owner nor to this user");
  }
  const std::size_t begin = detail::repacked_header(key, 0).size();
  if (file.bytes().size() != begin + key.strip_bytes) {
    return refused("has another size than this model's packed weights");
  }
  // Other digits than those that are written for a number are refused as well.
  const std::string_view head = as_text(file.bytes().first(begin));
  std::uint64_t content = 0;
  std::from_chars(head.data(), head.data() + detail::hash_digits, content, 16);
  if (head != detail::repacked_header(key, content)) {
    return refused("was not made from this model by this version");
  }
  file.want_huge_pages();
  const bool unchanged = key.changed && stamp.modified == *key.changed;
  return repacked_file(std::move(file), begin, content, unchanged);
}

// Another file that took this one's place meanwhile would get a time that its
// model never has again.
TINYPHI_FUNC void repacked_file::remember(const repacked_key& key) const {
  if (!key.changed) return;
  const ::timespec times[2] = {{0, UTIME_OMIT},
                               detail::timespec_of(*key.changed)};
  ::utimensat(AT_FDCWD, key.path.c_str(), times, 0);
}

TINYPHI_FUNC result<void> write_repacked(const repacked_key& key,
                                         std::span<const std::byte> strips,
                                         std::uint64_t content,
                                         const stop_condition& stop) {
  TINYPHI_ASSERT(strips.size() == key.strip_bytes);
  const auto write = [&]() -> result<void> {
    const std::string header = detail::repacked_header(key, content);
    replacement_file file(key.path);
    TINYPHI_CHECK_OK(file.create(key.model.mode & 0666));
    TINYPHI_CHECK_OK(file.reserve(header.size() + strips.size()));
    TINYPHI_CHECK_OK(file.write(as_bytes(header)));
    constexpr std::size_t piece = std::size_t{64} << 20;
    for (std::size_t i = 0; i < strips.size(); i += piece) {
      TINYPHI_CHECK_OK(stop.check());
      TINYPHI_CHECK_OK(
          file.write(strips.subspan(i, std::min(piece, strips.size() - i))));
    }
    file_stamp stamp = key.model;
    stamp.modified = key.changed.value_or(0);
    return file.commit_like(stamp);
  };
  auto written = write();
  if (!written && written.error().code == error_code::io) {
    return error{error_code::io,
                 written.error().message +
                     "; the packed weights are not kept: make room for " +
                     std::to_string(strips.size()) +
                     " bytes that may be written there, or load without "
                     "asking for it"};
  }
  return written;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_MODEL_REPACKED_FILE_IPP_
