// SPDX-License-Identifier: MIT
// /v1/chat/completions: answers as OpenAI tells them.
#ifndef TINYPHI_SERVE_OPENAI_CHAT_H_
#define TINYPHI_SERVE_OPENAI_CHAT_H_

#include <memory>
#include <optional>
#include <utility>

#include "tinyphi/serve/answer_request.h"
#include "tinyphi/serve/dialect.h"

TINYPHI_NAMESPACE_BEGIN

// Objects chat.completion and chat.completion.chunk, with llama-server's
// `timings` beside them and what only this server knows under `usage.tinyphi`.
[[nodiscard]] std::unique_ptr<dialect> make_openai_chat(const answer_request& r,
                                                        answer_facts facts);

// What the dialects of OpenAI share.
[[nodiscard]] json::object openai_usage(std::span<const ended_answer> answers);
[[nodiscard]] json::object openai_timings(
    std::span<const ended_answer> answers);
// One of OpenAI's words; a deadline or a cancelled answer with text is a
// length, and ended_answer::ended_by says more.
[[nodiscard]] std::string_view openai_finish(const ended_answer& answer);
// Each token's log-probability and those of the likeliest others, with the
// exact bytes of all of them. `shown` is the text that clients get for the
// tokens: where it lacks the blank that its first token begins with, so do that
// token and those that might have stood there.
[[nodiscard]] json::array openai_logprobs(std::span<const sampled_token> tokens,
                                          std::string_view shown,
                                          const answer_facts& facts);
// Usage and timings of all answers, beside what `o` has.
void add_openai_totals(json::object& o, std::span<const ended_answer> answers);
// What the server did to an answer, under `tinyphi` of its choice: `finish`, if
// it ended it, and `truncated`, so many turns of the chat were left out.
void add_server_end(json::object& choice, const ended_answer& answer);
// A stream's last events: one with the totals, if they are asked for, that
// begins as `head`, and [DONE].
[[nodiscard]] std::string openai_stream_end(
    json::object head, bool include_usage,
    std::span<const ended_answer> answers);
// OpenAI's -9999 for what cannot come, since JSON has no -infinity.
[[nodiscard]] inline float json_logprob(float x) {
  return x > -9999.0F ? x : -9999.0F;
}
// llama-server's `prompt_progress`.
[[nodiscard]] json::object prompt_progress_of(std::size_t cached,
                                              std::size_t read,
                                              std::size_t total);
// llama-server's timings_per_token: `timings` of the next event of a stream.
class next_timings {
 public:
  void set(const ended_answer& a) { timings_ = openai_timings({&a, 1}); }
  void add_to(json::object& event) {
    if (timings_) event["timings"] = *std::exchange(timings_, std::nullopt);
  }

 private:
  std::optional<json::object> timings_;
};
// A token's text with U+FFFD for bytes that are no character by themselves.
[[nodiscard]] std::string valid_text(std::string_view bytes);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/openai_chat.ipp"
#endif

#endif  // TINYPHI_SERVE_OPENAI_CHAT_H_
