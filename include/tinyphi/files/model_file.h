// SPDX-License-Identifier: MIT
// A model on disk, opened and validated: a GGUF file or a Hugging Face folder.
// Offers metadata and tensors; knows nothing of what they mean.
#ifndef TINYPHI_FILES_MODEL_FILE_H_
#define TINYPHI_FILES_MODEL_FILE_H_

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/files/gguf.h"
#include "tinyphi/files/hf_folder.h"
#include "tinyphi/tensor/tensor.h"

TINYPHI_NAMESPACE_BEGIN

// Owns the mappings that its tensors point into; move-only. Any thread may
// read.
class model_file {
 public:
  // A path to a GGUF file or to a folder with config.json. Tensor extents are
  // checked here, not at use (CVE-2026-7482). A folder without weights and a
  // vocabulary-only GGUF open too; they have no tensors.
  [[nodiscard]] static result<model_file> open(
      const std::filesystem::path& path);
  // A GGUF that was opened before, or parsed from memory.
  explicit model_file(gguf_file file)
      : path_(file.origin()), source_(std::move(file)) {}

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  // Exactly one of the two is not null.
  [[nodiscard]] const gguf_file* gguf() const {
    return std::get_if<gguf_file>(&source_);
  }
  [[nodiscard]] const hf_folder* hf() const {
    return std::get_if<hf_folder>(&source_);
  }

  [[nodiscard]] const std::vector<tensor_view>& tensors() const;
  // The tensor of that name (as this kind of file names it), or null.
  [[nodiscard]] const tensor_view* find(std::string_view name) const;
  // The opened files that tensors lie in; none if they were in memory.
  [[nodiscard]] std::vector<const mapped_file*> mappings() const;
  // The tensor's pages are not needed any more (they were repacked).
  void release(const tensor_view& tensor) const;

 private:
  model_file(std::filesystem::path path,
             std::variant<gguf_file, hf_folder> source)
      : path_(std::move(path)), source_(std::move(source)) {}
  std::filesystem::path path_;
  std::variant<gguf_file, hf_folder> source_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/files/model_file.ipp"
#endif

#endif  // TINYPHI_FILES_MODEL_FILE_H_
