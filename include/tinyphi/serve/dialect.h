// SPDX-License-Identifier: MIT
// How answers are told: the bytes of one API. Each dialect turns the same
// events into its own form; serve_answer.h runs the answers and calls it.
#ifndef TINYPHI_SERVE_DIALECT_H_
#define TINYPHI_SERVE_DIALECT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/json.h"
#include "tinyphi/generate/request.h"
#include "tinyphi/serve/api_error.h"

TINYPHI_NAMESPACE_BEGIN

// What all answers to one request have in common.
struct answer_facts {
  std::string id;            // of the request; dialects put their prefix before
  std::string model;         // the id that the client is told
  std::string fingerprint;   // of program, weights, SIMD target and cache type
  std::int64_t created = 0;  // seconds since 1970
  std::size_t n_answers = 1;                   // those of all prompts
  std::vector<std::string> prompt_texts = {};  // of plain prompts, if asked for
  // The text of a token, for log-probabilities.
  std::function<std::string(token_id)> token_text;
  std::vector<token_id> stop_ids = {};  // the model's
  // The tool that the answers call, if they do, and the id of each call: their
  // texts are the arguments then, and whole where they have ended.
  std::string called = {};
  std::vector<std::string> call_ids = {};
};

// A place of an answer and what supports it.
struct answer_annotation {
  std::size_t start = 0, end = 0;  // characters of the answer
  std::string title = {};
  std::string url = {};
};

// An answer that has ended, or as far as it has come.
struct ended_answer {
  std::size_t index = 0;
  std::size_t prompt_index = 0;  // answers to one prompt stand together
  std::string prompt_text = {};  // if it is to be echoed
  std::string text = {};
  std::vector<sampled_token> tokens = {};
  finish_reason finish = finish_reason::none;
  std::string stop_text = {};  // the stop string that ended it, if one did
  // "deadline" or "shutdown" where the server ended it; else empty.
  std::string_view ended_by = {};
  std::size_t n_dropped_turns = 0;  // left out of a chat that was too long
  std::vector<answer_annotation> annotations = {};
  tinyphi::usage usage = {};
};

// The usage of all answers to one request: prompts count once.
[[nodiscard]] usage add_up(std::span<const ended_answer> answers);

// Events come in this order: begin; pieces, progress and finish of each index,
// those of several indices mixed; end. Instead of anything after begin, broken
// may come, and nothing after it. Each returns bytes to send, or none.
class dialect {
 public:
  virtual ~dialect() = default;

  // Of a stream: "text/event-stream".
  [[nodiscard]] virtual std::string_view stream_type() const {
    return "text/event-stream";
  }
  [[nodiscard]] virtual std::string begin() = 0;
  [[nodiscard]] virtual std::string piece(std::size_t index,
                                          const text_piece& piece) = 0;
  // Before a piece or progress, where the request asks for timings_per_token:
  // what the answer's usage is with that.
  virtual void so_far(const ended_answer& /*answer*/) {}
  // `read` of `total` prompt tokens are computed, `cached` of them were found.
  [[nodiscard]] virtual std::string progress(std::size_t /*cached*/,
                                             std::size_t /*read*/,
                                             std::size_t /*total*/) {
    return {};
  }
  [[nodiscard]] virtual std::string finish(const ended_answer& answer) = 0;
  [[nodiscard]] virtual std::string end(
      std::span<const ended_answer> answers) = 0;
  [[nodiscard]] virtual std::string broken(const api_error& e);
  // Sent every ten seconds in which nothing else is.
  [[nodiscard]] virtual std::string keep_alive() { return ": keep-alive\n\n"; }

  // The whole answer in one body, for requests that do not stream.
  [[nodiscard]] virtual std::string whole(
      std::span<const ended_answer> answers) = 0;
  // The body of an error, for requests that do not stream.
  [[nodiscard]] virtual std::string error_body(const api_error& e) {
    return to_body(e);
  }
};

// One server-sent event: "data: JSON\n\n".
[[nodiscard]] std::string sse_event(const json::value& data);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/dialect.ipp"
#endif

#endif  // TINYPHI_SERVE_DIALECT_H_
