// SPDX-License-Identifier: MIT
// The options that say how an answer is drawn, for generate and chat.
#ifndef TOOLS_CLI_SAMPLING_OPTIONS_H_
#define TOOLS_CLI_SAMPLING_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/generate/engine.h"

namespace cli {

struct sampling_options {
  tinyphi::generation_params params;
  std::vector<std::string> logit_bias;  // ID=BIAS
};

void add_sampling_options(CLI::App& command, sampling_options& options);

// What the options ask for. Ranges are checked by the engine.
[[nodiscard]] tinyphi::result<tinyphi::generation_params> to_params(
    const sampling_options& options);

}  // namespace cli

#endif  // TOOLS_CLI_SAMPLING_OPTIONS_H_
