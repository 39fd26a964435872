// SPDX-License-Identifier: MIT
// Inputs of a pipeline as they come from outside: from the command line, from
// files that it names, and from objects in lines of JSON.
#ifndef TOOLS_CLI_GIVEN_INPUTS_H_
#define TOOLS_CLI_GIVEN_INPUTS_H_

#include <string>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/base/json.h"
#include "tinyphi/pipeline.h"

namespace cli {

// How --help says what `given_inputs` takes.
inline constexpr const char* given_inputs_help =
    "value of an input: TEXT, or the text of @FILE, or - for standard input "
    "(@- as well). @@TEXT is a text that begins with one @. A file has at most "
    "as many bytes as the input's max_bytes, and is UTF-8. May be given "
    "several "
    "times";

// Each is NAME=TEXT, NAME=@FILE or NAME=-.
[[nodiscard]] tinyphi::result<tinyphi::input_values> given_inputs(
    const tinyphi::graph& g, const std::vector<std::string>& given);

// The inputs of one request, whose members are inputs by name; `shared` are
// those that all requests have. invalid_argument for one that is unknown, of
// another type, missing or given twice, limit for one that is too long.
[[nodiscard]] tinyphi::result<tinyphi::input_values> request_inputs(
    const tinyphi::graph& g, const tinyphi::json::object& request,
    const tinyphi::input_values& shared);

}  // namespace cli

#endif  // TOOLS_CLI_GIVEN_INPUTS_H_
