// SPDX-License-Identifier: MIT
// /completion: answers as llama-server tells them; to several prompts as an
// array.
#ifndef TINYPHI_SERVE_NATIVE_COMPLETION_H_
#define TINYPHI_SERVE_NATIVE_COMPLETION_H_

#include <memory>

#include "tinyphi/serve/answer_request.h"
#include "tinyphi/serve/dialect.h"

TINYPHI_NAMESPACE_BEGIN

[[nodiscard]] std::unique_ptr<dialect> make_native_completion(
    const answer_request& r, answer_facts facts);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/native_completion.ipp"
#endif

#endif  // TINYPHI_SERVE_NATIVE_COMPLETION_H_
