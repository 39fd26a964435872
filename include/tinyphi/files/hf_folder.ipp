// SPDX-License-Identifier: MIT
#ifndef TINYPHI_FILES_HF_FOLDER_IPP_
#define TINYPHI_FILES_HF_FOLDER_IPP_

#include <set>
#include <system_error>

#include "tinyphi/base/json.h"
#include "tinyphi/files/hf_folder.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline constexpr std::uint64_t max_config_bytes = std::uint64_t{64} << 20;

// A file name and nothing more: a path could lead out of the folder.
inline bool is_file_name(std::string_view name) {
  return is_plain_name(name) && name.find('/') == std::string_view::npos &&
         name != "." && name != "..";
}

}  // namespace detail

TINYPHI_FUNC result<hf_folder> hf_folder::open(
    const std::filesystem::path& folder) {
  hf_folder f(folder);
  if (!f.file("config.json") && !f.file("tokenizer.json") &&
      !f.file_ending_in(".tiktoken")) {
    return error{error_code::not_found,
                 folder.string() +
                     ": no config.json in this folder, nor a tokenizer; give "
                     "the folder of a Hugging Face model or a GGUF file"};
  }
  if (const auto whole = f.file("model.safetensors")) {
    TINYPHI_CHECK_OK(f.add_shard(*whole));
  } else if (const auto index = f.file("model.safetensors.index.json")) {
    TINYPHI_CHECK_OK(f.add_shards_of(*index));
  }
  return f;
}

TINYPHI_FUNC std::optional<std::filesystem::path> hf_folder::file(
    std::string_view name) const {
  std::error_code ec;
  const std::filesystem::path path = path_ / name;
  if (!std::filesystem::is_regular_file(path, ec)) return std::nullopt;
  return path;
}

TINYPHI_FUNC std::optional<std::filesystem::path> hf_folder::file_ending_in(
    std::string_view suffix) const {
  std::optional<std::filesystem::path> first;
  std::error_code ec;
  std::filesystem::directory_iterator at(path_, ec);
  for (; !ec && at != std::filesystem::directory_iterator(); at.increment(ec)) {
    const std::filesystem::path path = at->path();
    if (path.filename().string().ends_with(suffix) &&
        (!first || path < *first)) {
      first = path;
    }
  }
  return first;
}

TINYPHI_FUNC result<std::optional<std::string>> hf_folder::text(
    std::string_view name) const {
  const auto path = file(name);
  if (!path) return std::optional<std::string>();
  TINYPHI_TRY(std::string all, read_file(*path, detail::max_config_bytes));
  return std::optional<std::string>(std::move(all));
}

TINYPHI_FUNC result<void> hf_folder::add_shard(
    const std::filesystem::path& shard) {
  TINYPHI_TRY(safetensors_file file, safetensors_file::open(shard));
  for (const safetensors_entry& e : file.entries()) {
    TINYPHI_TRY(tensor_view view, file.view(e));
    if (!tensors_.add(std::move(view))) {
      return error{error_code::bad_data,
                   file.origin() + ": tensor " + e.name +
                       ": another shard holds a tensor of this name"};
    }
  }
  shards_.push_back(std::move(file));
  return {};
}

TINYPHI_FUNC result<void> hf_folder::add_shards_of(
    const std::filesystem::path& index) {
  const std::string origin = index.string();
  TINYPHI_TRY(const std::string text,
              read_file(index, detail::max_config_bytes));
  TINYPHI_TRY(const json::value parsed, parse_json(text, origin));
  const json::object* top = parsed.if_object();
  const json::value* map = top ? top->if_contains("weight_map") : nullptr;
  const json::object* names = map ? map->if_object() : nullptr;
  if (names == nullptr) {
    return error{error_code::bad_data,
                 origin +
                     ": weight_map: an object from tensor names to file "
                     "names is needed"};
  }
  std::set<std::string, std::less<>> done;
  for (const json::key_value_pair& entry : *names) {
    const json::string* shard = entry.value().if_string();
    if (!is_plain_name(entry.key()) || shard == nullptr ||
        !detail::is_file_name(*shard)) {
      return error{error_code::bad_data,
                   origin +
                       ": weight_map: an entry that does not name a file "
                       "of this folder; file names without a path are "
                       "needed"};
    }
    if (!done.insert(std::string(*shard)).second) continue;
    if (!file(*shard)) {
      return error{error_code::not_found,
                   (path_ / std::string(*shard)).string() +
                       ": this shard is missing; " + origin +
                       " names it, download the model again"};
    }
    TINYPHI_CHECK_OK(add_shard(path_ / std::string(*shard)));
  }
  for (const json::key_value_pair& entry : *names) {
    if (find(entry.key()) == nullptr) {
      return error{error_code::bad_data,
                   origin + ": weight_map: tensor " + std::string(entry.key()) +
                       " is not in " + std::string(entry.value().get_string())};
    }
  }
  return {};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_FILES_HF_FOLDER_IPP_
