// SPDX-License-Identifier: MIT
// An answer that is an error: OpenAI's form, and the headers that tell its
// clients whether to try again.
#ifndef TINYPHI_SERVE_API_ERROR_H_
#define TINYPHI_SERVE_API_ERROR_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/base/json.h"

TINYPHI_NAMESPACE_BEGIN

// What a client is told instead of an answer. The body is
// {"error": {"message", "type", "param", "code", ...details}}.
struct api_error {
  unsigned status = 400;
  std::string type = "invalid_request_error";
  std::string code = {};   // for programs: "invalid_value"; empty: null
  std::string param = {};  // the path of the field: "messages[2].role"
  std::string message = {};
  std::string cause = {};  // for the log only, where `message` tells nothing
  // x-should-retry, which OpenAI's client obeys; without it, it retries every
  // 408, 409, 429 and 5xx twice.
  std::optional<bool> should_retry = false;
  // retry-after-ms and retry-after.
  std::optional<std::int64_t> retry_after_ms = {};
  json::object details = {};  // further members of the body's "error"
};

// What a function gives that may have to refuse a client.
template <class T>
using api_result = result<T, api_error>;

// The value of the field `param` is not allowed: 400, "invalid_value".
[[nodiscard]] api_error invalid_value(std::string param, std::string message);

// The answer to an error of the engine or of a pipeline (serve.md 1.5). A full
// queue is 503 with the engine's own estimate, a deadline 504 without a retry,
// and `internal` tells nothing but the request's id.
[[nodiscard]] api_error to_api_error(const error& e,
                                     double retry_after_seconds = 0);

// How a route tells of errors: OpenAI's object, or Ollama's {"error": "text"}.
enum class error_form : std::uint8_t { openai, ollama };

// The body, and the same as one line of JSON.
[[nodiscard]] json::object to_json(const api_error& e,
                                   error_form form = error_form::openai);
[[nodiscard]] inline std::string to_body(const api_error& e,
                                         error_form form = error_form::openai) {
  return json::serialize(to_json(e, form));
}
// x-should-retry, retry-after-ms and retry-after, where there is one to send.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> retry_headers(
    const api_error& e);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/api_error.ipp"
#endif

#endif  // TINYPHI_SERVE_API_ERROR_H_
