// SPDX-License-Identifier: MIT
// Reads tests/data/tiny/*/golden.safetensors: what Hugging Face computes.
// Independent of the engine's own safetensors reader on purpose.
#ifndef TESTS_SUPPORT_GOLDEN_H_
#define TESTS_SUPPORT_GOLDEN_H_

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "support/test.h"
#include "tinyphi/base/json.h"
#include "tinyphi/base/mapped_file.h"

namespace tinyphi_test {

// The models of tests/data/tiny.
inline const std::vector<std::string> tiny_models = {
    "mini-4k", "mini-128k",  "medium-4k", "medium-128k",
    "phi-4",   "phi-4-mini", "small-8k",  "small-128k"};

class golden_file {
 public:
  explicit golden_file(const std::filesystem::path& path) {
    auto text = tinyphi::read_file(path, std::size_t{1} << 30);
    REQUIRE_OK(text);
    bytes_ = *std::move(text);
    std::uint64_t n;
    std::memcpy(&n, bytes_.data(), sizeof n);
    data_ = 8 + n;
    auto header =
        tinyphi::parse_json(std::string_view(bytes_).substr(8, n), "golden");
    REQUIRE_OK(header);
    header_ = header->as_object();
  }

  [[nodiscard]] bool has(const std::string& name) const {
    return header_.contains(name);
  }
  [[nodiscard]] std::vector<float> floats(const std::string& name) const {
    return read<float>(name, "F32");
  }
  // Token ids are stored as I64.
  [[nodiscard]] std::vector<std::int32_t> ids(const std::string& name) const {
    const auto wide = read<std::int64_t>(name, "I64");
    return {wide.begin(), wide.end()};
  }

 private:
  template <class T>
  [[nodiscard]] std::vector<T> read(const std::string& name,
                                    const char* type) const {
    const auto& entry = header_.at(name).as_object();
    REQUIRE(entry.at("dtype").as_string() == type);
    const auto& offsets = entry.at("data_offsets").as_array();
    const auto begin = static_cast<std::size_t>(offsets[0].as_int64());
    const auto end = static_cast<std::size_t>(offsets[1].as_int64());
    std::vector<T> values((end - begin) / sizeof(T));
    std::memcpy(values.data(), bytes_.data() + data_ + begin, end - begin);
    return values;
  }
  std::string bytes_;
  std::size_t data_ = 0;
  tinyphi::json::object header_;
};

// Of one of tiny_models.
inline golden_file golden_of(const std::string& model) {
  return golden_file(data_dir() / "tiny" / model / "golden.safetensors");
}

inline float max_difference(std::span<const float> a,
                            std::span<const float> b) {
  REQUIRE(a.size() == b.size());
  float worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const float d = std::abs(a[i] - b[i]);
    if (!(d <= worst)) worst = d;  // NaN counts as the worst
  }
  return worst;
}

inline std::size_t arg_max(std::span<const float> row) {
  return static_cast<std::size_t>(std::max_element(row.begin(), row.end()) -
                                  row.begin());
}

}  // namespace tinyphi_test

#endif  // TESTS_SUPPORT_GOLDEN_H_
