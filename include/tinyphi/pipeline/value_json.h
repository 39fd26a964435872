// SPDX-License-Identifier: MIT
// Values of pipelines as JSON, for the command line and for HTTP.
#ifndef TINYPHI_PIPELINE_VALUE_JSON_H_
#define TINYPHI_PIPELINE_VALUE_JSON_H_

#include "tinyphi/base/error.h"
#include "tinyphi/base/json.h"
#include "tinyphi/pipeline/spec.h"
#include "tinyphi/pipeline/value.h"

TINYPHI_NAMESPACE_BEGIN

// Texts, numbers and booleans are themselves; passages, citations and prompts
// are objects with their members' names.
[[nodiscard]] json::value to_json(const value_data& v);

// A value for an input: text, bool, int or float. invalid_argument that names
// the input, says what was found and what is allowed.
[[nodiscard]] result<value_data> input_from_json(const input_spec& input,
                                                 const json::value& v);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/value_json.ipp"
#endif

#endif  // TINYPHI_PIPELINE_VALUE_JSON_H_
