// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_API_ERROR_IPP_
#define TINYPHI_SERVE_API_ERROR_IPP_

#include <algorithm>
#include <cmath>

#include "tinyphi/serve/api_error.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// Longer waits are not worth a client's while: OpenAI's does not retry then.
inline constexpr double max_retry_seconds = 120;

inline json::value null_or(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(text);
}

}  // namespace detail

TINYPHI_FUNC api_error invalid_value(std::string param, std::string message) {
  return {.code = "invalid_value",
          .param = std::move(param),
          .message = std::move(message)};
}

TINYPHI_FUNC api_error to_api_error(const error& e,
                                    double retry_after_seconds) {
  api_error a{.message = e.message};
  switch (e.code) {
    case error_code::invalid_argument:
    case error_code::bad_data:
      a.code = "invalid_value";
      break;
    case error_code::unsupported:
      a.code = "unsupported_value";
      break;
    case error_code::not_found:
      a.status = 404;
      a.code = "not_found";
      break;
    case error_code::limit:
      a.code = "over_memory_budget";
      break;
    case error_code::unavailable:
      a.status = 503;
      a.type = "server_error";
      a.code = "overloaded";
      a.should_retry.reset();
      if (retry_after_seconds > detail::max_retry_seconds) {
        a.should_retry = false;
      } else if (retry_after_seconds > 0) {
        a.retry_after_ms =
            static_cast<std::int64_t>(std::ceil(retry_after_seconds * 10)) *
            100;  // rounded: exact waits would tell of other callers
      }
      break;
    case error_code::deadline:
      a.status = 504;
      a.type = "timeout_error";
      a.code = "deadline";
      break;
    case error_code::cancelled:
      a.status = 503;
      a.type = "server_error";
      a.code = "shutting_down";
      a.should_retry = true;
      break;
    case error_code::exhausted:
      a.status = 500;
      a.type = "server_error";
      a.code = "exhausted";
      break;
    case error_code::io:
    case error_code::internal:
      a.status = 500;
      a.type = "server_error";
      a.code = "internal";
      a.message = "the server has failed; its log says more under this id";
      a.cause = e.message;
      break;
  }
  return a;
}

TINYPHI_FUNC json::object to_json(const api_error& e, error_form form) {
  if (form == error_form::ollama) return {{"error", e.message}};
  json::object error{{"message", e.message},
                     {"type", e.type},
                     {"param", detail::null_or(e.param)},
                     {"code", detail::null_or(e.code)}};
  for (const auto& [key, value] : e.details) error[key] = value;
  return {{"error", std::move(error)}};
}

TINYPHI_FUNC std::vector<std::pair<std::string, std::string>> retry_headers(
    const api_error& e) {
  std::vector<std::pair<std::string, std::string>> headers;
  if (e.should_retry) {
    headers.emplace_back("x-should-retry", *e.should_retry ? "true" : "false");
  }
  if (e.retry_after_ms) {
    headers.emplace_back("retry-after-ms", std::to_string(*e.retry_after_ms));
    headers.emplace_back("retry-after",
                         std::to_string((*e.retry_after_ms + 999) / 1000));
  }
  return headers;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_API_ERROR_IPP_
