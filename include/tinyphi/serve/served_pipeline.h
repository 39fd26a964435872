// SPDX-License-Identifier: MIT
// A pipeline that clients may run, by its own route or as a model of a chat.
#ifndef TINYPHI_SERVE_SERVED_PIPELINE_H_
#define TINYPHI_SERVE_SERVED_PIPELINE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tinyphi/base/json.h"
#include "tinyphi/pipeline/pipeline.h"
#include "tinyphi/serve/api_error.h"
#include "tinyphi/serve/daemon_config.h"
#include "tinyphi/serve/served_model.h"

TINYPHI_NAMESPACE_BEGIN

// One generation of it: a reload makes another, requests hold theirs.
struct served_pipeline {
  std::string name;
  pipeline compiled;
  // What a chat's last question goes into, and what its answer comes from;
  // empty: it cannot be asked by chat.
  std::string chat_input, chat_output;
  std::int64_t created = 0;  // seconds since 1970
  // Those that answer for it: their threads run as long as it is held.
  std::vector<std::shared_ptr<served_model>> models = {};
  // By trigger: what its callers must show, where it has a token.
  std::map<std::string, secret_text, std::less<>> tokens = {};
  // What /mcp tells of it, if it is a tool there: by its name in the
  // configuration.
  std::optional<json::object> tool = {};
};

// Compiles the file. Where the entry does not name the chat's input and output,
// they are the only input of type text without a default, and the first output
// of type text. bad_data with all diagnostics, one a line; not_found for an
// input or output that the file does not have.
[[nodiscard]] result<served_pipeline> open_pipeline(const pipeline_entry& entry,
                                                    const registry& plugins,
                                                    const host_options& options,
                                                    std::int64_t created);

// {"name", "summary", "inputs": [{"name", "type", "required"}], "outputs", ...}
[[nodiscard]] json::object describe_pipeline(const served_pipeline& p);

// The values of a request's "inputs"; those that it leaves out have their
// defaults, or are absent where they may be. The error names the input:
// "inputs.question".
[[nodiscard]] api_result<input_values> pipeline_inputs(
    const served_pipeline& p, const json::object& given);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/served_pipeline.ipp"
#endif

#endif  // TINYPHI_SERVE_SERVED_PIPELINE_H_
