// SPDX-License-Identifier: MIT
// A prompt as the engine takes it; for stages that run a model.
#ifndef TINYPHI_PLUGINS_PROMPT_MODEL_PROMPT_H_
#define TINYPHI_PLUGINS_PROMPT_MODEL_PROMPT_H_

#include <string>
#include <vector>

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

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_PROMPT_MODEL_PROMPT_H_
