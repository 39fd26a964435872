// SPDX-License-Identifier: MIT
// Reads tests/data/tiny/*/golden.safetensors: what Hugging Face computes
// (tools/golden/make_golden.py writes them). Independent of the engine's own
// safetensors reader on purpose. A file that holds less than golden_contents
// says fails the test that opens it, so that no loop over its prompts, layers
// or positions passes by doing nothing.
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

// What the golden file of a folder in tests/data/tiny holds: ids.K, logits.K
// and greedy.K of prompts K = 0, 1, ...; hidden.0.L of layers L = 0, 1, ...
struct golden_contents {
  std::string model;
  std::size_t prompts;
  std::size_t positions;  // of all prompts together
  std::size_t layers;     // traced over prompt 0, the embedding is one
};

inline const std::vector<golden_contents> golden_models = {
    {"mini-4k", 6, 71, 3},   {"mini-128k", 5, 170, 3},
    {"medium-4k", 3, 43, 2}, {"medium-128k", 3, 70, 2},
    {"phi-4", 2, 45, 2},     {"phi-4-mini", 3, 70, 2},
    {"small-8k", 7, 168, 5}, {"small-128k", 7, 168, 5}};

// The models of tests/data/tiny.
inline const std::vector<std::string> tiny_models = [] {
  std::vector<std::string> names;
  for (const auto& contents : golden_models) names.push_back(contents.model);
  return names;
}();

class golden_file {
 public:
  // `path` is golden.safetensors in the folder of one of golden_models.
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
    const std::string model = path.parent_path().filename().string();
    const auto contents =
        std::ranges::find(golden_models, model, &golden_contents::model);
    INFO(path.string());
    REQUIRE(contents != golden_models.end());
    contents_ = *contents;
    check_contents();
  }

  // Prompts are 0 to prompts() - 1, traced layers 0 to layers() - 1.
  [[nodiscard]] std::size_t prompts() const { return contents_.prompts; }
  [[nodiscard]] std::size_t layers() const { return contents_.layers; }

  // A key that is missing fails the test.
  [[nodiscard]] std::vector<float> floats(const std::string& name) const {
    return read<float>(name, "F32");
  }
  // Token ids are stored as I64.
  [[nodiscard]] std::vector<std::int32_t> ids(const std::string& name) const {
    const auto wide = read<std::int64_t>(name, "I64");
    return {wide.begin(), wide.end()};
  }
  [[nodiscard]] std::vector<std::int32_t> prompt(std::size_t k) const {
    return ids("ids." + std::to_string(k));
  }
  [[nodiscard]] std::vector<float> logits(std::size_t k) const {
    return floats("logits." + std::to_string(k));
  }

 private:
  // Exactly the prompts, positions and layers of contents_.
  void check_contents() const {
    std::size_t positions = 0;
    for (std::size_t k = 0; k < contents_.prompts; ++k) {
      const std::size_t n = prompt(k).size();
      const std::size_t n_logits = logits(k).size();
      INFO("prompt " << k << ": " << n << " ids, " << n_logits << " logits");
      REQUIRE(n > 0);
      REQUIRE(n_logits > 0);
      REQUIRE(n_logits % n == 0);
      REQUIRE(!ids("greedy." + std::to_string(k)).empty());
      positions += n;
    }
    REQUIRE(positions == contents_.positions);
    for (std::size_t layer = 0; layer < contents_.layers; ++layer) {
      REQUIRE(!floats("hidden.0." + std::to_string(layer)).empty());
    }
    REQUIRE(header_.size() == 3 * contents_.prompts + contents_.layers);
  }

  template <class T>
  [[nodiscard]] std::vector<T> read(const std::string& name,
                                    const char* type) const {
    INFO("golden key " << name);
    REQUIRE(header_.contains(name));
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
  golden_contents contents_;
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
