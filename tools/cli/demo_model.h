// SPDX-License-Identifier: MIT
// The demo model as bytes inside the program (written by tools/embed.py).
#ifndef TOOLS_CLI_DEMO_MODEL_H_
#define TOOLS_CLI_DEMO_MODEL_H_

#include <cstddef>
#include <span>

namespace cli {

// A GGUF file. Static storage.
[[nodiscard]] std::span<const std::byte> demo_model();

}  // namespace cli

#endif  // TOOLS_CLI_DEMO_MODEL_H_
