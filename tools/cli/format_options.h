// SPDX-License-Identifier: MIT
// The options that say which shape an answer must have.
#ifndef TOOLS_CLI_FORMAT_OPTIONS_H_
#define TOOLS_CLI_FORMAT_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/constrain/constraint.h"
#include "tinyphi/generate/engine.h"

namespace cli {

struct format_options {
  std::optional<std::string> schema;   // a file
  std::optional<std::string> grammar;  // a file
  std::optional<std::string> regex;
  std::vector<std::string> choices;
  const CLI::Option* choice = nullptr;  // may be given without a text

  [[nodiscard]] bool any() const {
    return schema || grammar || regex || choice->count() > 0;
  }
};

// --schema, --grammar, --regex and --choice, of which one may be given.
void add_format_options(CLI::App& command, format_options& options);

// What the answer must be: the option's text, or its file's. To be read before
// a model is loaded.
struct asked_format {
  const format_options* options = nullptr;
  std::string text;
};
[[nodiscard]] tinyphi::result<asked_format> read_format(
    const format_options& options);
// Nothing if none of the options was given.
[[nodiscard]] tinyphi::result<std::optional<tinyphi::constraint>> to_constraint(
    const asked_format& asked, const tinyphi::engine& engine);

}  // namespace cli

#endif  // TOOLS_CLI_FORMAT_OPTIONS_H_
