// SPDX-License-Identifier: MIT
// /completion: answers and settings as llama-server tells them; answers to
// several prompts are an array.
#ifndef TINYPHI_SERVE_NATIVE_COMPLETION_H_
#define TINYPHI_SERVE_NATIVE_COMPLETION_H_

#include <memory>
#include <span>

#include "tinyphi/serve/answer_request.h"
#include "tinyphi/serve/dialect.h"

TINYPHI_NAMESPACE_BEGIN

[[nodiscard]] std::unique_ptr<dialect> make_native_completion(
    const answer_request& r, answer_facts facts);

// How a request's tokens are chosen, in llama-server's names: /completion's
// generation_settings, and the defaults that /props tells of. `stop_ids` are the
// model's.
[[nodiscard]] json::object native_settings(
    const answer_request& r, std::span<const token_id> stop_ids = {});

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/native_completion.ipp"
#endif

#endif  // TINYPHI_SERVE_NATIVE_COMPLETION_H_
