// SPDX-License-Identifier: MIT
// A Hugging Face model folder: configuration texts, tokenizer files, and
// weights in one or many safetensors files. Knows nothing of their meaning.
#ifndef TINYPHI_FILES_HF_FOLDER_H_
#define TINYPHI_FILES_HF_FOLDER_H_

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/files/safetensors.h"
#include "tinyphi/files/tensor_table.h"

TINYPHI_NAMESPACE_BEGIN

// An opened folder; move-only, any thread may read. Its tensors live as long as
// it.
class hf_folder {
 public:
  // A folder with config.json or the files of a tokenizer; weights may be
  // absent, but if there is an index (model.safetensors.index.json), then every
  // shard and tensor that it names must be there. Shards lie in the folder
  // itself: a name with a path in it is refused.
  [[nodiscard]] static result<hf_folder> open(
      const std::filesystem::path& folder);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  // The folder's file of that name ("tokenizer.json"), if there is one.
  [[nodiscard]] std::optional<std::filesystem::path> file(
      std::string_view name) const;
  // The first file, by name, whose name ends so (".tiktoken"), if there is one.
  [[nodiscard]] std::optional<std::filesystem::path> file_ending_in(
      std::string_view suffix) const;
  // The text of the folder's JSON file of that name; nothing if it is absent.
  [[nodiscard]] result<std::optional<std::string>> text(
      std::string_view name) const;

  [[nodiscard]] const std::vector<tensor_view>& tensors() const {
    return tensors_.all();
  }
  [[nodiscard]] const tensor_view* find(std::string_view name) const {
    return tensors_.find(name);
  }
  // The files with weights.
  [[nodiscard]] const std::vector<safetensors_file>& shards() const {
    return shards_;
  }
  // The tensor's pages are not needed any more.
  void release(const tensor_view& tensor) const {
    for (const safetensors_file& shard : shards_) shard.release(tensor.bytes);
  }

 private:
  explicit hf_folder(std::filesystem::path path) : path_(std::move(path)) {}
  [[nodiscard]] result<void> add_shard(const std::filesystem::path& shard);
  [[nodiscard]] result<void> add_shards_of(const std::filesystem::path& index);

  std::filesystem::path path_;
  std::vector<safetensors_file> shards_;
  tensor_table tensors_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/files/hf_folder.ipp"
#endif

#endif  // TINYPHI_FILES_HF_FOLDER_H_
