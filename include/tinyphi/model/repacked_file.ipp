// SPDX-License-Identifier: MIT
#ifndef TINYPHI_MODEL_REPACKED_FILE_IPP_
#define TINYPHI_MODEL_REPACKED_FILE_IPP_

#include <unistd.h>

#include <algorithm>

#include "tinyphi/base/aligned.h"
#include "tinyphi/base/bytes.h"
#include "tinyphi/base/replacement_file.h"
#include "tinyphi/model/repacked_file.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// The text and the zeros behind it, of which there is at least one.
inline std::string repacked_header(const repacked_key& key) {
  std::string text = key.made_from;
  text.resize(round_up(text.size() + 1, 4096), '\0');
  return text;
}

}  // namespace detail

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
  const std::string header = detail::repacked_header(key);
  if (file.bytes().size() != header.size() + key.strip_bytes) {
    return refused("has another size than this model's packed weights");
  }
  if (stamp.modified != key.model.modified) {
    return refused("it or the model was written to since it was made");
  }
  if (as_text(file.bytes().first(header.size())) != header) {
    return refused("was not made from this model by this version");
  }
  file.want_huge_pages();
  return repacked_file(std::move(file), header.size());
}

TINYPHI_FUNC result<void> write_repacked(const repacked_key& key,
                                         std::span<const std::byte> strips,
                                         const stop_condition& stop) {
  TINYPHI_ASSERT(strips.size() == key.strip_bytes);
  const auto write = [&]() -> result<void> {
    const std::string header = detail::repacked_header(key);
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
    return file.commit_like(key.model);
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
