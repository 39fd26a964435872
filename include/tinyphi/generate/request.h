// SPDX-License-Identifier: MIT
// What is asked of an engine, and how an answer ends.
#ifndef TINYPHI_GENERATE_REQUEST_H_
#define TINYPHI_GENERATE_REQUEST_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/cancel.h"
#include "tinyphi/generate/sampling_params.h"
#include "tinyphi/model/kv_cache.h"

TINYPHI_NAMESPACE_BEGIN

struct engine_options {
  int n_threads = 0;         // [0, 1024]; 0: as many as the machine gives,
                             // looked up again while it runs (team)
  std::size_t kv_bytes = 0;  // cache budget; 0: one full context, at most a
                             // quarter of available_memory()
  // How the cache stores keys and values; nothing: as the model's mode asks.
  std::optional<kv_type> cache_type = {};
  std::size_t max_sequences = 16;   // [1, 4096] running at once; more wait
  std::size_t prefill_chunk = 256;  // [1, 65536] prompt tokens per step, so
                                    // that others' decoding goes on meanwhile
};

struct generation_params {
  std::size_t max_tokens = 256;  // 0: as far as context and cache budget allow
  sampling_params sampling = {};
  std::vector<std::string> stop = {};  // stop strings, not part of the text
  bool ignore_stop_ids = false;        // go on past the model's end-of-turn
  stop_condition stop_when = {};       // cancel token and deadline
  // longrope: the long factors from the first token on, if prompt + max_tokens
  // pass the original context. Otherwise as Hugging Face does it: short, and
  // everything again with the long ones once the text has passed it.
  bool long_from_start = false;
};

enum class finish_reason : std::uint8_t {
  none,       // not yet
  stop,       // a stop id of the model, or a stop string
  length,     // max_tokens, or the context is full
  cancelled,  // the text so far stands
  deadline,   // the text so far stands
  error
};
[[nodiscard]] constexpr std::string_view to_string(finish_reason r) {
  constexpr std::string_view names[] = {"none",      "stop",     "length",
                                        "cancelled", "deadline", "error"};
  return names[static_cast<std::size_t>(r)];
}

struct usage {
  std::size_t prompt_tokens = 0;
  std::size_t completion_tokens = 0;  // stop token not counted
  double queue_seconds = 0;           // waiting for admission
  double prefill_seconds = 0;         // admission to first token
  double decode_seconds = 0;          // first token to the end
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_REQUEST_H_
