// SPDX-License-Identifier: MIT
// A prompt as the engine takes it, and its answer as a stage gives it; for
// stages that run a model.
#ifndef TINYPHI_PLUGINS_PROMPT_MODEL_PROMPT_H_
#define TINYPHI_PLUGINS_PROMPT_MODEL_PROMPT_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tinyphi/generate/engine.h"
#include "tinyphi/pipeline/stage.h"
#include "tinyphi/text/tokenizer.h"

TINYPHI_NAMESPACE_BEGIN

// Throws a stage_error for a prompt that was laid out for another model.
inline std::vector<segment> segments_for(const std::string& model,
                                         const labelled_prompt& prompt) {
  if (prompt.model != model) {
    throw stage_error(error_code::invalid_argument,
                      "the prompt was laid out for model '" + prompt.model +
                          "', this stage runs '" + model +
                          "'; give both stages the same with.model");
  }
  std::vector<segment> segments;
  for (const prompt_segment& s : prompt.segments) {
    segments.push_back({s.text, s.control});
  }
  return segments;
}

// Throws what ended the answer early, if something did.
inline void expect_whole(const generation& answer, const run_context& cx) {
  if (answer.error()) throw stage_error(*answer.error());
  unwrap(cx.stop().check());
}

// The pool steps the model; pieces are sent on from where the stage runs, so
// a slow reader holds back this answer and nothing else.
inline task<void> send_answer(run_context& cx, generation& answer,
                              text_stream& out) {
  const auto next = [&] { return answer.next(); };
  for (;;) {
    std::optional<std::string> piece = co_await cx.blocking(next);
    if (!piece) break;
    co_await out.send(*std::move(piece));
  }
  cx.note_usage(answer.usage());
  expect_whole(answer, cx);
}

// Blocks. The whole answer; what it took is added to `used`.
inline std::string whole_answer(const run_context& cx, generation& answer,
                                usage& used) {
  std::string text;
  while (const auto piece = answer.next()) text += *piece;
  add_usage(used, answer.usage());
  expect_whole(answer, cx);
  return text;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_PROMPT_MODEL_PROMPT_H_
