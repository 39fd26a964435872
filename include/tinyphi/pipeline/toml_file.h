// SPDX-License-Identifier: MIT
// TOML to nodes that know where they stood, for every file that tinyphi reads:
// pipelines, keys, and the daemon's configuration.
#ifndef TINYPHI_PIPELINE_TOML_FILE_H_
#define TINYPHI_PIPELINE_TOML_FILE_H_

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "tinyphi/pipeline/config_node.h"
#include "tinyphi/pipeline/diagnostic.h"

TINYPHI_NAMESPACE_BEGIN

struct toml_limits {
  static constexpr std::size_t max_bytes = std::size_t{1} << 20;
  static constexpr std::size_t max_depth = 16;
};

// The table that a file's text is. `what` is its kind in messages, "a pipeline
// file". What is wrong is added to `faults`; nothing if it is not TOML. All
// places are of `library`, see position.
[[nodiscard]] std::optional<config_node> parse_toml(
    std::string_view text, std::string_view what,
    std::vector<diagnostic>& faults, std::size_t library = 0);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/toml_file.ipp"
#endif

#endif  // TINYPHI_PIPELINE_TOML_FILE_H_
