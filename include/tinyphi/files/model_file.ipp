// SPDX-License-Identifier: MIT
#ifndef TINYPHI_FILES_MODEL_FILE_IPP_
#define TINYPHI_FILES_MODEL_FILE_IPP_

#include <system_error>

#include "tinyphi/files/model_file.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC result<model_file> model_file::open(
    const std::filesystem::path& path) {
  std::error_code ec;
  if (std::filesystem::is_directory(path, ec)) {
    TINYPHI_TRY(hf_folder folder, hf_folder::open(path));
    return model_file(path, std::move(folder));
  }
  const std::string extension = path.extension().string();
  if (extension == ".safetensors" || extension == ".json") {
    return error{error_code::invalid_argument,
                 path.string() +
                     ": one file of a Hugging Face model; give the folder that "
                     "it is in, or a GGUF file"};
  }
  TINYPHI_TRY(gguf_file file, gguf_file::open(path));
  return model_file(path, std::move(file));
}

TINYPHI_FUNC const std::vector<tensor_view>& model_file::tensors() const {
  return gguf() != nullptr ? gguf()->tensors() : hf()->tensors();
}

TINYPHI_FUNC const tensor_view* model_file::find(std::string_view name) const {
  return gguf() != nullptr ? gguf()->find(name) : hf()->find(name);
}

TINYPHI_FUNC std::vector<const mapped_file*> model_file::mappings() const {
  std::vector<const mapped_file*> all;
  if (gguf() != nullptr) {
    all.push_back(gguf()->mapping());
  } else {
    for (const safetensors_file& shard : hf()->shards()) {
      all.push_back(shard.mapping());
    }
  }
  std::erase(all, nullptr);
  return all;
}

TINYPHI_FUNC void model_file::release(const tensor_view& tensor) const {
  if (gguf() != nullptr) {
    gguf()->release(tensor);
  } else {
    hf()->release(tensor);
  }
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_FILES_MODEL_FILE_IPP_
