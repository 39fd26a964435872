// SPDX-License-Identifier: MIT
// /v1/completions: answers to plain prompts as OpenAI tells them.
#ifndef TINYPHI_SERVE_OPENAI_COMPLETIONS_H_
#define TINYPHI_SERVE_OPENAI_COMPLETIONS_H_

#include <memory>

#include "tinyphi/serve/answer_request.h"
#include "tinyphi/serve/dialect.h"

TINYPHI_NAMESPACE_BEGIN

// Objects text_completion, with the older form of log-probabilities.
[[nodiscard]] std::unique_ptr<dialect> make_openai_completion(
    const answer_request& r, answer_facts facts);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/openai_completions.ipp"
#endif

#endif  // TINYPHI_SERVE_OPENAI_COMPLETIONS_H_
