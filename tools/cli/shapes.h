// SPDX-License-Identifier: MIT
// The shapes of the published models, for benches with random weights.
#ifndef TOOLS_CLI_SHAPES_H_
#define TOOLS_CLI_SHAPES_H_

#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/model/model_config.h"

namespace cli {

[[nodiscard]] std::vector<std::string> shape_names();
// By name, or an error that lists the names.
[[nodiscard]] tinyphi::result<tinyphi::model_config> find_shape(
    std::string_view name);

}  // namespace cli

#endif  // TOOLS_CLI_SHAPES_H_
