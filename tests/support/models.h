// SPDX-License-Identifier: MIT
// The models that tests run: tests/data/tiny and the demo model.
#ifndef TESTS_SUPPORT_MODELS_H_
#define TESTS_SUPPORT_MODELS_H_

#include <string>
#include <utility>
#include <vector>

#include "support/test.h"
#include "tinyphi/model/model.h"

namespace tinyphi_test {

inline tinyphi::model load_model(const std::filesystem::path& path,
                                 bool exact) {
  auto m = tinyphi::model::load(path, {.exact = exact});
  REQUIRE_OK(m);
  return *std::move(m);
}

// A random model of a variant of the family, without a tokenizer.
inline tinyphi::model tiny_model(const std::string& name, bool exact = true) {
  return load_model(data_dir() / "tiny" / name, exact);
}

inline tinyphi::model demo_model(bool exact) {
  return load_model(
      data_dir() / "../../pipelines/models" / "tinyphi-demo-7m-q8_0.gguf",
      exact);
}

// n ids that repeat no short pattern, below `bound`.
inline std::vector<tinyphi::token_id> made_up_prompt(std::size_t n,
                                                     std::uint32_t seed,
                                                     std::uint32_t bound) {
  std::vector<tinyphi::token_id> ids;
  for (std::size_t i = 0; i < n; ++i) {
    seed = seed * 1664525u + 1013904223u;
    ids.push_back(static_cast<tinyphi::token_id>((seed >> 8) % bound));
  }
  return ids;
}

}  // namespace tinyphi_test

#endif  // TESTS_SUPPORT_MODELS_H_
