// SPDX-License-Identifier: MIT
// A file beside a model that holds its packed weights, so that the next load
// maps them instead of packing.
#ifndef TINYPHI_MODEL_REPACKED_FILE_H_
#define TINYPHI_MODEL_REPACKED_FILE_H_

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

#include "tinyphi/base/cancel.h"
#include "tinyphi/base/error.h"
#include "tinyphi/base/mapped_file.h"

TINYPHI_NAMESPACE_BEGIN

// What the file must be. It begins with the text `made_from`, filled up with
// zeros to a multiple of 4096 bytes; the strips are the rest. Nothing in it is
// read as a size or a place: a file that is not byte for byte what the loader
// expects, or not of exactly the expected size, is refused.
struct repacked_key {
  std::filesystem::path path;
  std::string made_from;
  std::size_t strip_bytes = 0;
  // Of the model. The file is given the model's modification time, which any
  // later writing to either of them changes, and is believed only if it belongs
  // to the model's owner or to this process's user.
  file_stamp model = {};
};

// Owns the mapping of such a file; move-only, any thread may read.
class repacked_file {
 public:
  // Errors: it is not there; it is not what the key says.
  [[nodiscard]] static result<repacked_file> open(const repacked_key& key);

  // From a multiple of 4096 on.
  [[nodiscard]] std::span<const std::byte> strips() const {
    return file_.bytes().subspan(begin_);
  }

 private:
  repacked_file(mapped_file file, std::size_t begin)
      : file_(std::move(file)), begin_(begin) {}
  mapped_file file_;
  std::size_t begin_;
};

// Writes the file, whole or not at all, in the place of what may be there.
// `strips` are key.strip_bytes long. Errors say how to do without the file.
[[nodiscard]] result<void> write_repacked(const repacked_key& key,
                                          std::span<const std::byte> strips,
                                          const stop_condition& stop = {});

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/model/repacked_file.ipp"
#endif

#endif  // TINYPHI_MODEL_REPACKED_FILE_H_
