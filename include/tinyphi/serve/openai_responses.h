// SPDX-License-Identifier: MIT
// /v1/responses: answers as OpenAI's newer API tells them. Nothing is stored.
#ifndef TINYPHI_SERVE_OPENAI_RESPONSES_H_
#define TINYPHI_SERVE_OPENAI_RESPONSES_H_

#include <memory>

#include "tinyphi/serve/answer_request.h"
#include "tinyphi/serve/dialect.h"

TINYPHI_NAMESPACE_BEGIN

// Checks the body against request_tables::responses. An assistant's message at
// the end is not gone on with: OpenAI answers it with another one.
[[nodiscard]] api_result<answer_request> parse_responses(
    const json::object& body);

// One answer, r.n is 1. Events are named and numbered; the last has the whole
// response and says whether it is complete. There is no [DONE].
[[nodiscard]] std::unique_ptr<dialect> make_openai_responses(
    const answer_request& r, answer_facts facts);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/openai_responses.ipp"
#endif

#endif  // TINYPHI_SERVE_OPENAI_RESPONSES_H_
