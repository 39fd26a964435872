// SPDX-License-Identifier: MIT
// The tokenizers and encoding cases in tests/data.
#ifndef TESTS_SUPPORT_TOKENIZERS_H_
#define TESTS_SUPPORT_TOKENIZERS_H_

#include <filesystem>
#include <string>
#include <vector>

#include "support/test.h"
#include "tinyphi/base/json.h"
#include "tinyphi/base/mapped_file.h"
#include "tinyphi/text/tokenizer.h"
#include "tinyphi/text/tokenizer_json.h"

namespace tinyphi_test {

inline std::string read_data(const std::filesystem::path& name) {
  auto text = tinyphi::read_file(data_dir() / name, 1 << 28);
  REQUIRE_OK(text);
  return *text;
}

// The vocabulary of a folder in tests/data.
inline tinyphi::vocabulary hf_vocabulary(const std::filesystem::path& folder) {
  auto v = tinyphi::parse_tokenizer_json(
      read_data(folder / "tokenizer.json"),
      read_data(folder / "tokenizer_config.json"), folder.string());
  REQUIRE_OK(v);
  return *std::move(v);
}

inline tinyphi::tokenizer make_tokenizer(tinyphi::vocabulary v) {
  auto t = tinyphi::tokenizer::create(std::move(v));
  REQUIRE_OK(t);
  return *std::move(t);
}

// The lines of a JSON Lines file.
inline std::vector<tinyphi::json::object> read_jsonl(
    const std::filesystem::path& name) {
  std::vector<tinyphi::json::object> lines;
  const std::string text = read_data(name);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    auto line = tinyphi::parse_json(std::string_view(text).substr(at, end - at),
                                    name.string());
    REQUIRE_OK(line);
    lines.push_back(std::move(line->as_object()));
    at = end + 1;
  }
  return lines;
}

inline std::string text_of(const tinyphi::json::value& v) {
  return std::string(v.as_string());
}
inline std::vector<tinyphi::token_id> ids_of(const tinyphi::json::value& v) {
  return tinyphi::json::value_to<std::vector<tinyphi::token_id>>(v);
}

}  // namespace tinyphi_test

#endif  // TESTS_SUPPORT_TOKENIZERS_H_
