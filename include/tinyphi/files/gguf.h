// SPDX-License-Identifier: MIT
// Reads GGUF version 2 and 3: typed metadata and tensors, all checked against
// the file's size when it is opened. The format is described in ggml's
// docs/gguf.md. Knows nothing of models.
#ifndef TINYPHI_FILES_GGUF_H_
#define TINYPHI_FILES_GGUF_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/base/mapped_file.h"
#include "tinyphi/files/tensor_table.h"

TINYPHI_NAMESPACE_BEGIN

// The numbers are the file's.
enum class gguf_type : std::uint32_t {
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  f32,
  boolean,
  string,
  array,
  u64,
  i64,
  f64
};
[[nodiscard]] std::string_view to_string(gguf_type type);

// One metadata value as the file holds it.
struct gguf_value {
  gguf_type type = gguf_type::u8;  // of the elements, if it is an array
  bool is_array = false;
  std::size_t count = 1;             // elements
  std::span<const std::byte> bytes;  // strings with their lengths before them
};

// An opened GGUF file; move-only, any thread may read. Views that it gives out
// (strings, tensors) live as long as it, or as the bytes given to parse().
//
// Each getter returns the value, nothing if the key is absent, or an error that
// names file and key, what was found and what is allowed.
class gguf_file {
 public:
  [[nodiscard]] static result<gguf_file> open(
      const std::filesystem::path& path);
  // The same for bytes in memory; `origin` names them in messages.
  [[nodiscard]] static result<gguf_file> parse(std::span<const std::byte> bytes,
                                               std::string origin);

  [[nodiscard]] const std::string& origin() const { return origin_; }
  [[nodiscard]] std::uint32_t version() const { return version_; }
  // All metadata, by key.
  [[nodiscard]] const std::map<std::string_view, gguf_value>& metadata() const {
    return metadata_;
  }

  // Any integer type. Out of [min, max] is an error.
  [[nodiscard]] result<std::optional<std::int64_t>> integer(
      std::string_view key, std::int64_t min, std::int64_t max) const;
  // Any integer or float type.
  [[nodiscard]] result<std::optional<double>> number(
      std::string_view key) const;
  [[nodiscard]] result<std::optional<bool>> boolean(std::string_view key) const;
  [[nodiscard]] result<std::optional<std::string_view>> string(
      std::string_view key) const;

  // Arrays of min_count to max_count elements: strings; any integer type that
  // fits 64 bits with a sign; floats of either width.
  [[nodiscard]] result<std::optional<std::vector<std::string_view>>> strings(
      std::string_view key, std::size_t min_count, std::size_t max_count) const;
  [[nodiscard]] result<std::optional<std::vector<std::int64_t>>> integers(
      std::string_view key, std::size_t min_count, std::size_t max_count) const;
  [[nodiscard]] result<std::optional<std::vector<float>>> floats(
      std::string_view key, std::size_t min_count, std::size_t max_count) const;

  // The error for `key`: "<origin>: <key>: <what>".
  [[nodiscard]] error fault(std::string_view key, std::string_view what) const;

  // Shapes are in row-major order, the file's dimensions turned round. The
  // bytes need not be aligned.
  [[nodiscard]] const std::vector<tensor_view>& tensors() const {
    return tensors_.all();
  }
  [[nodiscard]] const tensor_view* find(std::string_view name) const {
    return tensors_.find(name);
  }
  // The opened file; null if the bytes were in memory.
  [[nodiscard]] const mapped_file* mapping() const {
    return mapping_ ? &*mapping_ : nullptr;
  }
  // The tensor's pages are not needed any more.
  void release(const tensor_view& tensor) const {
    if (mapping_) mapping_->release(tensor.bytes);
  }

 private:
  gguf_file() = default;
  [[nodiscard]] const gguf_value* find_value(std::string_view key) const;
  [[nodiscard]] result<const gguf_value*> find_array(
      std::string_view key, std::string_view allowed, bool (*fits)(gguf_type),
      std::size_t min_count, std::size_t max_count) const;

  std::string origin_;
  std::uint32_t version_ = 0;
  std::optional<mapped_file> mapping_;
  std::map<std::string_view, gguf_value> metadata_;
  tensor_table tensors_;
};

// "[32064 strings]", "4096", "\"phi3\"": for people, at most about max_chars
// long; bytes that are not printable ASCII are shown as '.'.
[[nodiscard]] std::string describe(const gguf_value& value,
                                   std::size_t max_chars = 60);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/files/gguf.ipp"
#include "tinyphi/files/gguf_parse.ipp"
#endif

#endif  // TINYPHI_FILES_GGUF_H_
