// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_DIALECT_IPP_
#define TINYPHI_SERVE_DIALECT_IPP_

#include <algorithm>
#include <map>

#include "tinyphi/serve/dialect.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC std::string sse_event(const json::value& data) {
  return "data: " + json::serialize(data) + "\n\n";
}

TINYPHI_FUNC std::string dialect::broken(const api_error& e) {
  return "data: " + to_body(e) + "\n\n";
}

TINYPHI_FUNC usage add_up(std::span<const ended_answer> answers) {
  usage sum;
  // Answers to one prompt stand together: the first computed what it shares.
  for (const ended_answer& a : answers) {
    sum.completion_tokens += a.usage.completion_tokens;
    sum.drafted_tokens += a.usage.drafted_tokens;
    sum.accepted_tokens += a.usage.accepted_tokens;
    sum.queue_seconds = std::max(sum.queue_seconds, a.usage.queue_seconds);
    sum.prefill_seconds =
        std::max(sum.prefill_seconds, a.usage.prefill_seconds);
    sum.decode_seconds = std::max(sum.decode_seconds, a.usage.decode_seconds);
  }
  return sum;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_DIALECT_IPP_
