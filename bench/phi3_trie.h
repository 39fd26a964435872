// SPDX-License-Identifier: MIT
// Phi-3's vocabulary and a clock, for the programs about constraints.
#ifndef BENCH_PHI3_TRIE_H_
#define BENCH_PHI3_TRIE_H_

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>

#include "tinyphi/base/mapped_file.h"
#include "tinyphi/constrain/constraint.h"
#include "tinyphi/text/tokenizer_json.h"

namespace bench {

inline tinyphi::result<tinyphi::tokenizer> phi3_tokenizer() {
  const std::string folder = TINYPHI_ROOT "/tests/data/tokenizer/phi-3/";
  constexpr std::size_t most = std::size_t{1} << 28;
  TINYPHI_TRY(const auto file,
              tinyphi::read_file(folder + "tokenizer.json", most));
  TINYPHI_TRY(const auto config,
              tinyphi::read_file(folder + "tokenizer_config.json", most));
  TINYPHI_TRY(auto v, tinyphi::parse_tokenizer_json(file, config, folder));
  return tinyphi::tokenizer::create(std::move(v));
}

using clock_type = std::chrono::steady_clock;

inline double us_since(clock_type::time_point start) {
  return std::chrono::duration<double, std::micro>(clock_type::now() - start)
      .count();
}

}  // namespace bench

#endif  // BENCH_PHI3_TRIE_H_
