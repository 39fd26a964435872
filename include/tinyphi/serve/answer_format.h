// SPDX-License-Identifier: MIT
// The shape that a client wants an answer to have, and the constraints that a
// model has made of such wishes.
#ifndef TINYPHI_SERVE_ANSWER_FORMAT_H_
#define TINYPHI_SERVE_ANSWER_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "tinyphi/base/json.h"
#include "tinyphi/constrain/constraint.h"
#include "tinyphi/generate/engine.h"
#include "tinyphi/serve/answer_request.h"
#include "tinyphi/serve/api_error.h"

TINYPHI_NAMESPACE_BEGIN

// What the fields of a checked body ask for goes into r.format. Each is an
// error that names its field where it goes with no other one, with `stop` or
// with `ignore_eos`. All of read_sampling must be in `r` before.
//
// OpenAI's {"type": ...} of chat completions, where the schema stands in an
// object of its own, and of responses, where it stands beside the type, as
// llama-server has it of json_object, too. `path` is the object's own.
[[nodiscard]] api_result<void> read_response_format(const json::object& format,
                                                    std::string_view path,
                                                    answer_request& r);
// llama-server's `grammar` and `json_schema`.
[[nodiscard]] api_result<void> read_grammar_fields(const json::object& body,
                                                   answer_request& r);
// Ollama's `format`: "json" or a schema.
[[nodiscard]] api_result<void> read_ollama_format(const json::value& format,
                                                  answer_request& r);
// Nothing, if no format was asked for, or if nothing beside it would cut the
// answer. `stop` is what the route calls stop texts.
[[nodiscard]] api_result<void> check_format(const answer_request& r,
                                            std::string_view stop);

// The constraints that a model's requests asked for last. Any thread; they are
// made on the thread that asks.
class format_cache {
 public:
  static constexpr std::size_t max_entries = 64;
  static constexpr std::size_t max_bytes = std::size_t{32} << 20;

  // The error names the format's field, and of a schema the pointer.
  [[nodiscard]] api_result<constraint> get(const engine& e,
                                           const wanted_format& f);
  [[nodiscard]] std::size_t size() const;

 private:
  struct entry {
    std::string key;  // all of what was asked for
    constraint made;
  };
  void keep(entry e);

  mutable std::mutex mutex_;
  std::list<entry> entries_;  // the last one used first
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/answer_format.ipp"
#endif

#endif  // TINYPHI_SERVE_ANSWER_FORMAT_H_
