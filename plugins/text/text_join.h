// SPDX-License-Identifier: MIT
// The stage `text.join`: a list of texts -> one text.
#ifndef TINYPHI_PLUGINS_TEXT_TEXT_JOIN_H_
#define TINYPHI_PLUGINS_TEXT_TEXT_JOIN_H_

#include <cstddef>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

struct text_join_stage {
  static constexpr stage_info info{.id = "text.join",
                                   .summary = "Makes one text of a list"};
  static constexpr std::size_t max_bytes = std::size_t{1} << 20;

  struct config {
    std::string by = "\n";
  };
  struct inputs {
    std::vector<std::string> parts;
  };
  struct outputs {
    std::string text;
  };

  static constexpr auto params() {
    return std::tuple{
        param("by", &config::by).doc("stands between each two parts")};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("parts", &inputs::parts)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("text", &outputs::text)};
  }

  text_join_stage(config c, const host&) : by_(std::move(c.by)) {}

  task<outputs> run(run_context&, inputs in) const {
    outputs out;
    for (std::size_t i = 0; i < in.parts.size(); ++i) {
      const std::string& part = in.parts[i];
      if (i > 0) out.text += by_;
      out.text += part;
      if (out.text.size() > max_bytes) {
        throw stage_error(
            error_code::limit,
            "the first " + std::to_string(i + 1) + " of " +
                std::to_string(in.parts.size()) + " parts have " +
                std::to_string(out.text.size()) + " bytes, a text has " +
                std::to_string(max_bytes) + " at most; join fewer");
      }
    }
    co_return out;
  }

 private:
  std::string by_;
};
static_assert(stage<text_join_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_TEXT_TEXT_JOIN_H_
