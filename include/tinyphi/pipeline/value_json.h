// SPDX-License-Identifier: MIT
// Values of pipelines as JSON, for the command line and for HTTP.
#ifndef TINYPHI_PIPELINE_VALUE_JSON_H_
#define TINYPHI_PIPELINE_VALUE_JSON_H_

#include <cstddef>
#include <optional>
#include <string>

#include "tinyphi/base/json.h"
#include "tinyphi/pipeline/value.h"

TINYPHI_NAMESPACE_BEGIN

// Records and prompts are objects with their members' names.
[[nodiscard]] json::value to_json(const value_data& v);
// JSON on one line, with numbers as people write them; nothing if it would be
// longer than `most` bytes. What is not finite is null.
[[nodiscard]] std::optional<std::string> json_text(const value_data& v,
                                                   std::size_t most);
// Integers beyond 64 bits with a sign are floats.
[[nodiscard]] value_data from_json(const json::value& v);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/value_json.ipp"
#endif

#endif  // TINYPHI_PIPELINE_VALUE_JSON_H_
