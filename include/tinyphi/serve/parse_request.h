// SPDX-License-Identifier: MIT
// The bodies of requests as what they ask for.
#ifndef TINYPHI_SERVE_PARSE_REQUEST_H_
#define TINYPHI_SERVE_PARSE_REQUEST_H_

#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/serve/answer_request.h"
#include "tinyphi/serve/fields.h"

TINYPHI_NAMESPACE_BEGIN

// A body that must be one JSON object, at most 32 levels deep.
[[nodiscard]] api_result<json::object> parse_body(std::string_view body);

// Each checks the body against its table of request_tables.h first. Where
// nothing is said, OpenAI's routes have its defaults (temperature 1), and
// llama-server's has its own (0.8, top_k 40, top_p 0.95, min_p 0.05); a seed
// that is not given is random.
[[nodiscard]] api_result<answer_request> parse_chat(const json::object& body);
[[nodiscard]] api_result<answer_request> parse_completion(
    const json::object& body);
[[nodiscard]] api_result<answer_request> parse_native_completion(
    const json::object& body);
// What llama-server's route makes of a request that only has a prompt, without
// that prompt.
[[nodiscard]] answer_request native_defaults();

struct embedding_request {
  std::string model;
  std::vector<plain_prompt> inputs;
  bool base64 = false;
  std::size_t dimensions = 0;  // 0: not given
  std::vector<std::string> ignored;
};
[[nodiscard]] api_result<embedding_request> parse_embedding(
    const json::object& body);

// The messages of a body that was checked.
[[nodiscard]] api_result<std::vector<message>> read_messages(
    const json::array& messages);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/parse_request.ipp"
#endif

#endif  // TINYPHI_SERVE_PARSE_REQUEST_H_
