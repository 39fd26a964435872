// SPDX-License-Identifier: MIT
// A file beside a model that holds its packed weights, so that the next load
// maps them instead of packing.
#ifndef TINYPHI_MODEL_REPACKED_FILE_H_
#define TINYPHI_MODEL_REPACKED_FILE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "tinyphi/base/cancel.h"
#include "tinyphi/base/error.h"
#include "tinyphi/base/mapped_file.h"

TINYPHI_NAMESPACE_BEGIN

// What the file must be. It begins with the hash of its content in 16 digits
// and the text `made_from`, filled up with zeros to a multiple of 4096 bytes;
// the strips are the rest. Nothing in it is read as a size or a place: a file
// whose text is not byte for byte what the loader expects, or that is not of
// exactly the expected size, is refused.
struct repacked_key {
  std::filesystem::path path;
  std::string made_from;
  std::size_t strip_bytes = 0;
  // Of the model. The file is believed only if it belongs to the model's owner
  // or to this process's user.
  file_stamp model = {};
  // last_change() of the model; the kept file's modification time is set to it.
  // Writing to either, copying or moving one makes them differ, and the content
  // has to be hashed again.
  std::optional<std::int64_t> changed = {};
};

// When the files changed last, in whole seconds, and nanoseconds in which the
// times of all have a part: another file in the place of one is noticed, even
// if it is older. Nothing if the last change is less than two seconds before
// now, in which file systems count time: it may not be over.
[[nodiscard]] std::optional<std::int64_t> last_change(
    std::span<const mapped_file* const> files,
    std::chrono::system_clock::time_point now =
        std::chrono::system_clock::now());

// Owns the mapping of such a file; move-only, any thread may read.
class repacked_file {
 public:
  // Errors: it is not there; it is not what the key says.
  [[nodiscard]] static result<repacked_file> open(const repacked_key& key);

  // The hash that it was written with.
  [[nodiscard]] std::uint64_t content() const { return content_; }
  // True if neither it nor the model was written to since the one was made from
  // the other, or its hash was last compared.
  [[nodiscard]] bool unchanged() const { return unchanged_; }
  // Makes unchanged() true of the next that opens it, if the system allows.
  void remember(const repacked_key& key) const;

  // From a multiple of 4096 on.
  [[nodiscard]] std::span<const std::byte> strips() const {
    return file_.bytes().subspan(begin_);
  }

 private:
  repacked_file(mapped_file file, std::size_t begin, std::uint64_t content,
                bool unchanged)
      : file_(std::move(file)),
        begin_(begin),
        content_(content),
        unchanged_(unchanged) {}
  mapped_file file_;
  std::size_t begin_;
  std::uint64_t content_;
  bool unchanged_;
};

// Writes the file, whole or not at all, in the place of what may be there.
// `strips` are key.strip_bytes long, `content` is a hash of them and of what
// they were made from. Errors say how to do without the file.
[[nodiscard]] result<void> write_repacked(const repacked_key& key,
                                          std::span<const std::byte> strips,
                                          std::uint64_t content,
                                          const stop_condition& stop = {});

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/model/repacked_file.ipp"
#endif

#endif  // TINYPHI_MODEL_REPACKED_FILE_H_
