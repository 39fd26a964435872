// SPDX-License-Identifier: MIT
// What is asked of an engine, and how an answer ends.
#ifndef TINYPHI_GENERATE_REQUEST_H_
#define TINYPHI_GENERATE_REQUEST_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/cancel.h"
#include "tinyphi/base/memory_budget.h"
#include "tinyphi/constrain/constraint.h"
#include "tinyphi/generate/planned_step.h"
#include "tinyphi/generate/prefix_cache.h"
#include "tinyphi/generate/sampler.h"
#include "tinyphi/generate/sampling_params.h"
#include "tinyphi/model/kv_cache.h"

TINYPHI_NAMESPACE_BEGIN

struct engine_options {
  int n_threads = 0;         // [0, 1024]; 0: all that the machine allows,
                             // followed while it runs (team)
  std::size_t kv_bytes = 0;  // cache budget; 0: one full context, at most a
                             // quarter of available_memory() and half of what
                             // `budget` has left
  // Where pages, buffers and requests have their bytes from. Empty: one of the
  // engine's own without a limit, which options() then has. With the model's
  // own (load_options), weights count too.
  memory_budget budget = {};
  // How the cache stores keys and values; empty: the default of the model's
  // mode.
  std::optional<kv_type> cache_type = {};
  std::size_t max_sequences = 16;   // [1, 4096] running at once; more wait
  std::size_t prefill_chunk = 256;  // [1, 65536] prompt tokens per step at most
  // Requests that wait at once, [1, 2^20], and their prompts' tokens together,
  // [1, 2^32]; more are refused.
  std::size_t max_waiting = 256;
  std::size_t max_waiting_tokens = std::size_t{1} << 22;
  // The time that a step may take while answers are being decoded: the longest
  // gap between two of their tokens, in milliseconds, [1, 60000].
  double gap_ms = 250;
  // What steps cost, as another engine of the same model, machine and threads
  // has learnt it (engine::step_costs); empty: it is measured while idle.
  std::optional<step_cost::table> step_costs = {};
  // Called by the driver after each step, with its milliseconds and how many
  // tokens of prompts it read; it must neither block nor call the engine.
  std::function<void(double ms, std::size_t slice)> on_step = {};
  // Keeps the pages of computed texts until their memory is needed, so that
  // prompts that begin alike are computed once.
  bool prefix_cache = true;
  // Where they outlive the engine: a folder of this user's, made if it is not
  // there, whose files together hold at most so many bytes (prefix_file.h).
  // Empty: nowhere.
  std::filesystem::path cache_folder = {};
  std::size_t cache_folder_bytes = std::size_t{1} << 30;
  // Where the pages of requests that give way are put aside, if that is faster
  // than computing them again, in a file of at most so many bytes that is gone
  // with the process. Empty: nowhere, they are computed again.
  std::filesystem::path swap_folder = {};
  std::size_t swap_bytes = std::size_t{4} << 30;
};

// Whose request it is, for whatever works for it: see generation_params.
struct request_origin {
  std::uint64_t tenant = 0;
  domain_id domain = 0;
  priority_class priority = priority_class::normal;
};

struct generation_params {
  std::size_t max_tokens = 256;  // 0: as far as context and cache budget allow
  sampling_params sampling = {};
  std::vector<std::string> stop = {};  // stop strings, not part of the text
  bool ignore_stop_ids = false;        // go on past the model's end-of-turn
  // The shape that the answer must have, made with engine::vocabulary().
  // Whatever leaves has it, if it is not cut by `stop_when` or an error: near
  // max_tokens only what can still be completed is chosen. max_tokens below its
  // shortest() is an error (limit); neither `stop` nor `ignore_stop_ids` goes
  // with it. Penalties apply to free text in it only.
  std::optional<constraint> format = {};
  stop_condition stop_when = {};  // cancel token and deadline
  // When waiting for admission ends as an error: `deadline` that says so.
  std::optional<steady_time> queue_deadline = {};
  // longrope: takes the long factors from the first token on if prompt +
  // max_tokens exceed the original context. Otherwise, as in Hugging Face, it
  // takes the short ones, and computes everything again with the long ones once
  // the text exceeds it.
  bool long_from_start = false;
  // Who runs first when not all can: the higher class, in it the tenant that
  // was served least (fair_shares.h).
  priority_class priority = priority_class::normal;
  std::uint64_t tenant = 0;
  // A request finds in the prefix cache only what requests of its own domain
  // have computed.
  domain_id cache_domain = 0;
  // What is cached of the prompt stays, even where memory is short, until
  // engine::unpin_prompts(): for beginnings that many prompts have, in
  // shared_domain where all tenants may know them.
  bool pin_prompt = false;
  // Guesses tokens from repetitions in prompt, answer and `references`, and
  // verifies several at once; the answer is the same without.
  bool drafts = true;
  // Texts that the answer may quote, as tokens: retrieved passages, say.
  std::vector<std::vector<token_id>> references = {};
  // Called from the driving thread, after a step in which there is new text,
  // more of the prompt was read or the answer has ended; it must not block, and
  // not call the engine.
  std::function<void()> on_progress = {};

  void set_origin(const request_origin& o) {
    tenant = o.tenant;
    cache_domain = o.domain;
    priority = o.priority;
  }
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
  std::size_t cached_tokens = 0;      // of these, found in the prefix cache
  std::size_t completion_tokens = 0;  // stop token not counted
  std::size_t drafts = 0;             // times that tokens were guessed
  std::size_t drafted_tokens = 0;     // guessed, and ...
  std::size_t accepted_tokens = 0;    // ... of these, right
  double queue_seconds = 0;           // waiting for admission
  double prefill_seconds = 0;         // admission to first token
  double decode_seconds = 0;          // first token to the end
};

// How far a request is before its first token.
struct prompt_progress {
  bool admitted = false;   // it no longer waits
  std::size_t cached = 0;  // tokens of the prompt that were found in the cache
  std::size_t read = 0;    // tokens that are in the cache now, those included
  std::size_t total = 0;
  steady_time since = {};  // when its turn came, if it is admitted
};

// What an engine does at the moment, for whoever watches over it.
struct engine_load {
  std::size_t running = 0, waiting = 0, waiting_tokens = 0;
  double waiting_seconds = 0;    // until what runs and waits now will be read
  std::size_t pages = 0;         // of the cache, by budget
  std::size_t pages_in_use = 0;  // by requests or the prefix cache or both
  std::size_t pages_cached = 0;  // held by the prefix cache
  std::size_t pages_pinned = 0;  // of these, never let go (pin_prompt)
  std::size_t page_bytes = 0;
  std::uint64_t steps = 0, preemptions = 0, swaps = 0;
  // When the driver last began or ended a step or looked for work. While it
  // computes, layers count too; long ago and not idle: it is stuck.
  steady_time last_beat;
  bool idle = true;  // nothing runs and nothing waits
};

// A piece of an answer's text, and its tokens. A token whose text is held back
// (half a character, the beginning of a stop string) comes with the piece that
// shows it.
struct text_piece {
  std::string text;
  std::vector<sampled_token> tokens;
  [[nodiscard]] bool empty() const { return text.empty() && tokens.empty(); }
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_REQUEST_H_
