// SPDX-License-Identifier: MIT
// Reads and writes safetensors files: a JSON header with names, types, shapes
// and places, then the bytes (https://github.com/huggingface/safetensors).
#ifndef TINYPHI_FILES_SAFETENSORS_H_
#define TINYPHI_FILES_SAFETENSORS_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/base/mapped_file.h"
#include "tinyphi/base/replacement_file.h"
#include "tinyphi/tensor/tensor.h"

TINYPHI_NAMESPACE_BEGIN

// One entry of the header. Its bytes lie in the file and are as many as type
// and shape need; they need not be aligned.
struct safetensors_entry {
  std::string name;
  std::string type;  // as the file says it: "F32", "I64", ...
  std::vector<std::size_t> shape;
  std::span<const std::byte> bytes;
};

// An opened safetensors file; move-only, any thread may read. Entries live as
// long as it, or as the bytes given to parse().
class safetensors_file {
 public:
  [[nodiscard]] static result<safetensors_file> open(
      const std::filesystem::path& path);
  // The same for bytes in memory; `origin` names them in messages.
  [[nodiscard]] static result<safetensors_file> parse(
      std::span<const std::byte> bytes, std::string origin);

  [[nodiscard]] const std::string& origin() const { return origin_; }
  // In the header's order; no two have the same name.
  [[nodiscard]] const std::vector<safetensors_entry>& entries() const {
    return entries_;
  }
  // Null if there is none. Looks at every entry.
  [[nodiscard]] const safetensors_entry* find(std::string_view name) const;
  // The entry as a tensor that tinyphi can compute with: F32, F16 or BF16 and
  // not empty; an error that names tensor and type otherwise.
  [[nodiscard]] result<tensor_view> view(const safetensors_entry& entry) const;

  // The opened file; null if the bytes were in memory.
  [[nodiscard]] const mapped_file* mapping() const {
    return mapping_ ? &*mapping_ : nullptr;
  }
  // The pages of `bytes`, if they are this file's, are not needed any more.
  void release(std::span<const std::byte> bytes) const;

 private:
  safetensors_file() = default;
  std::string origin_;
  std::optional<mapped_file> mapping_;
  std::vector<safetensors_entry> entries_;
};

// Writes a file whose values come bit by bit, all or nothing: what stood at
// `path` stays until commit() (a temporary file beside it is renamed), and
// nothing is left of a writer that did not get so far.
class safetensors_writer {
 public:
  // In the order of the file.
  struct entry {
    std::string name;
    std::string_view type;  // as the format calls it, of `element_bytes`
    std::size_t element_bytes = 0;
    std::vector<std::size_t> shape;
  };
  // Claims the room on the disk. invalid_argument for a name that is there
  // twice or more values than can be.
  [[nodiscard]] static result<safetensors_writer> create(
      const std::filesystem::path& path, std::span<const entry> entries);

  // The next values, of one entry or several.
  [[nodiscard]] result<void> append(std::span<const std::byte> values);
  // invalid_argument if not as many values came as the shapes say.
  [[nodiscard]] result<void> commit();

 private:
  safetensors_writer() = default;
  std::filesystem::path path_;
  std::unique_ptr<replacement_file> out_;
  std::uint64_t left_ = 0;  // bytes to come
};

struct safetensors_output {
  std::string name;
  std::vector<std::size_t> shape;
  // As many as the shape says; written as F32 or I64.
  std::variant<std::span<const float>, std::span<const std::int64_t>> values;
};

// The same at once.
[[nodiscard]] result<void> write_safetensors(
    const std::filesystem::path& path,
    std::span<const safetensors_output> tensors);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/files/safetensors.ipp"
#endif

#endif  // TINYPHI_FILES_SAFETENSORS_H_
