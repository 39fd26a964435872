// SPDX-License-Identifier: MIT
// From a client's request to answers that run: tokens, references for drafts,
// the place in the queue. Blocks for as long as tokenizing takes.
#ifndef TINYPHI_SERVE_ANSWER_START_H_
#define TINYPHI_SERVE_ANSWER_START_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/generate/engine.h"
#include "tinyphi/serve/answer_request.h"
#include "tinyphi/serve/api_error.h"
#include "tinyphi/serve/caller.h"
#include "tinyphi/serve/served_model.h"

TINYPHI_NAMESPACE_BEGIN

struct started_answers {
  std::vector<generation> answers;        // n of each prompt, in order
  std::vector<std::string> prompt_texts;  // of plain prompts to be told back
  std::size_t n_prompt_tokens = 0;        // of all prompts
  std::size_t n_dropped_turns = 0;        // left out so that the rest fits
  // The tool that all of them call, if they do: their texts are its arguments.
  std::string called;
  std::optional<api_error> refused;  // then nothing runs
};

// Which cached texts a caller finds: its own, and of those only what was
// computed under the same salt, if it gives one.
[[nodiscard]] domain_id answer_domain(const caller& from,
                                      std::string_view salt);

// The class that it asks for, or `normal`, but no better one than its own best.
[[nodiscard]] priority_class answer_class(const caller& from,
                                          std::optional<priority_class> wanted);

// Tenant, isolation domain and class of a caller's request.
[[nodiscard]] request_origin origin_of(const caller& from,
                                       std::optional<priority_class> wanted);

// `from` decides about tenant, class and domain; `r.params` has the rest.
// A prompt that does not fit is refused with OpenAI's context_length_exceeded,
// or loses its oldest turns if the request says so. With tools the model is
// asked first whether it calls one, which takes no longer than until
// `decided_by`.
[[nodiscard]] started_answers start_answers(
    served_model& m, const answer_request& r, const caller& from,
    steady_time decided_by = steady_time::max());

// The messages as the model reads them: with what it is told of tools.
[[nodiscard]] api_result<std::vector<message>> told_messages(
    served_model& m, const answer_request& r);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/answer_start.ipp"
#endif

#endif  // TINYPHI_SERVE_ANSWER_START_H_
