// SPDX-License-Identifier: MIT
// The stage `demo.words`: a text -> how many words it has. Copy it to begin one
// of your own; plugins/README.md says which line is what.
#ifndef TINYPHI_PLUGINS_SKELETON_COUNT_WORDS_H_
#define TINYPHI_PLUGINS_SKELETON_COUNT_WORDS_H_

#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>

#include "tinyphi/pipeline/stage.h"

namespace demo {

struct count_words {
  static constexpr tinyphi::stage_info info{
      .id = "demo.words", .summary = "Counts the words of a text"};

  struct config {
    std::int64_t min_length = 1;
  };
  struct inputs {
    std::string_view text;
  };
  struct outputs {
    std::int64_t words = 0;
  };

  static constexpr auto params() {
    return std::tuple{tinyphi::param("min_length", &config::min_length)
                          .range(1, 64)
                          .doc("bytes of the shortest word that counts")};
  }
  static constexpr auto in_ports() {
    return std::tuple{tinyphi::port("text", &inputs::text)};
  }
  static constexpr auto out_ports() {
    return std::tuple{tinyphi::port("words", &outputs::words)};
  }

  count_words(config c, tinyphi::host&) : config_(c) {}

  tinyphi::task<outputs> run(tinyphi::run_context&, inputs in) const {
    outputs out;
    std::istringstream words{std::string(in.text)};
    for (std::string word; words >> word;) {
      if (static_cast<std::int64_t>(word.size()) >= config_.min_length) {
        ++out.words;
      }
    }
    co_return out;
  }

 private:
  config config_;
};

}  // namespace demo

#endif  // TINYPHI_PLUGINS_SKELETON_COUNT_WORDS_H_
