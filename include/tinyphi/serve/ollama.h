// SPDX-License-Identifier: MIT
// Ollama's API as far as its clients chat, read and embed: Home Assistant
// speaks no other.
#ifndef TINYPHI_SERVE_OLLAMA_H_
#define TINYPHI_SERVE_OLLAMA_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/serve/answer_request.h"
#include "tinyphi/serve/dialect.h"
#include "tinyphi/serve/parse_request.h"

TINYPHI_NAMESPACE_BEGIN

// Ollama's defaults: streaming, temperature 0.8, top_k 40, top_p 0.9,
// repeat_penalty 1.1. A request without messages or prompt only asks whether
// the model is there: it has neither messages nor prompts.
[[nodiscard]] api_result<answer_request> parse_ollama_chat(
    const json::object& body);
[[nodiscard]] api_result<answer_request> parse_ollama_generate(
    const json::object& body);
[[nodiscard]] api_result<embedding_request> parse_ollama_embed(
    const json::object& body);

// One answer, as lines of JSON or as one; durations in nanoseconds.
[[nodiscard]] std::unique_ptr<dialect> make_ollama_chat(const answer_request& r,
                                                        answer_facts facts);
[[nodiscard]] std::unique_ptr<dialect> make_ollama_generate(
    const answer_request& r, answer_facts facts);

// The answer to a request that only asks whether the model is there.
[[nodiscard]] json::object ollama_loaded(bool chat, std::string_view model,
                                         std::int64_t now);

// What Ollama tells of a model.
struct ollama_model {
  std::string id = {};
  std::string family = {};  // "phi3"
  std::string fingerprint = {};
  std::int64_t created = 0;
  std::size_t bytes = 0;
  std::uint64_t parameters = 0;
  std::size_t context = 0, embedding = 0, blocks = 0, heads = 0, kv_heads = 0;
};
// "phi:latest" for "phi"; an id with a tag of its own stays as it is.
[[nodiscard]] std::string ollama_name(std::string_view id);
// The bodies of /api/tags and /api/ps (of models in memory: all of them), and
// of /api/show.
[[nodiscard]] json::object ollama_list(std::span<const ollama_model> models,
                                       bool running);
[[nodiscard]] json::object ollama_description(const ollama_model& m);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/ollama.ipp"
#endif

#endif  // TINYPHI_SERVE_OLLAMA_H_
