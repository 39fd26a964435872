// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_DIALECT_IPP_
#define TINYPHI_SERVE_DIALECT_IPP_

#include <algorithm>
#include <optional>

#include "tinyphi/serve/dialect.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC std::string sse_event(const json::value& data) {
  return "data: " + json::serialize(data) + "\n\n";
}

TINYPHI_FUNC std::string dialect::broken(const api_error& e) {
  return sse_event(to_json(e));
}

TINYPHI_FUNC usage add_up(std::span<const ended_answer> answers) {
  usage sum;
  std::optional<std::size_t> prompt;
  for (const ended_answer& a : answers) {
    const usage& u = a.usage;
    // The first answer to a prompt has read it, the others share it.
    if (prompt != a.prompt_index) {
      prompt = a.prompt_index;
      sum.prompt_tokens += u.prompt_tokens;
      sum.cached_tokens += u.cached_tokens;
    }
    sum.completion_tokens += u.completion_tokens;
    sum.drafts += u.drafts;
    sum.drafted_tokens += u.drafted_tokens;
    sum.accepted_tokens += u.accepted_tokens;
    sum.queue_seconds = std::max(sum.queue_seconds, u.queue_seconds);
    sum.prefill_seconds = std::max(sum.prefill_seconds, u.prefill_seconds);
    sum.decode_seconds = std::max(sum.decode_seconds, u.decode_seconds);
  }
  return sum;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_DIALECT_IPP_
