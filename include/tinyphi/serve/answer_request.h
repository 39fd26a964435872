// SPDX-License-Identifier: MIT
// What a client asks a model for, whatever dialect it speaks.
#ifndef TINYPHI_SERVE_ANSWER_REQUEST_H_
#define TINYPHI_SERVE_ANSWER_REQUEST_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tinyphi/base/json.h"
#include "tinyphi/generate/request.h"
#include "tinyphi/generate/tool_calls.h"
#include "tinyphi/text/chat_template.h"

TINYPHI_NAMESPACE_BEGIN

// What to do with a chat that does not fit the context.
enum class overflow_rule : std::uint8_t { error, drop_oldest_turns };

// One prompt that is no chat: a text, tokens, or both, one after the other.
using mixed_prompt = std::vector<std::variant<std::string, token_id>>;
using plain_prompt =
    std::variant<std::string, std::vector<token_id>, mixed_prompt>;

// The shape that an answer must have, before a model's vocabulary is known.
struct wanted_format {
  enum class what : std::uint8_t { json_object, json_schema, gbnf };
  what kind = what::json_object;
  std::string text = {};   // the schema's JSON, or the grammar
  bool strict = false;     // words of a schema that no draft knows are errors
  std::string field = {};  // where the request has it, for errors
  json::object told = {};  // OpenAI's object, to be told back
};

// Tools that an answer may call, before a model's vocabulary is known.
struct wanted_tools {
  enum class choice : std::uint8_t { automatic, none, required, named };
  std::vector<tool_description> tools = {};  // at least one
  choice which = choice::automatic;
  std::size_t named = 0;  // of the tools
  // Arguments are the likeliest ones, since no temperature was asked for.
  bool likeliest = true;
  std::string own = {};  // what leads from tools[i] to its fields, for errors
  // As the request has them, to be told back.
  json::array told = {};
  json::value told_choice = "auto";
};
// Whether an answer without a call is none.
[[nodiscard]] inline bool must_call(const wanted_tools& w) {
  return w.which == wanted_tools::choice::required ||
         w.which == wanted_tools::choice::named;
}

struct answer_request {
  std::string model;  // as the client names it; empty: the first one
  // A chat, or else plain prompts, of which each has n answers.
  std::vector<message> messages = {};
  std::vector<plain_prompt> prompts = {};
  // The last message is an assistant's and the answer goes on with its text.
  bool continue_last = false;
  // max_tokens 0: what the context allows. Tenant, domain, class, stop_when and
  // on_progress are set by whoever runs it.
  generation_params params = {};
  bool any_seed = false;  // params has a random one: the model's goes before
  std::size_t n = 1;
  std::optional<priority_class> wanted_class = {};
  // Beside those of params.sampling: what is added to the logit of each token
  // of a text.
  std::vector<std::pair<std::string, float>> text_biases = {};
  std::optional<wanted_format> format = {};
  // With a format, an answer that calls nothing has it.
  std::optional<wanted_tools> tools = {};
  std::string prediction = {};  // a text that the answer may repeat
  std::string cache_salt = {};  // narrows the caller's isolation domain
  overflow_rule overflow = overflow_rule::error;
  // Ollama's num_ctx: prompt and answer together have no more tokens; 0: than
  // the model's context.
  std::size_t context_limit = 0;
  // Responses: what stands in front of the input, to be told back. `messages`
  // has it, too.
  std::optional<std::string> instructions = {};
  // Deadlines that shorten the server's own, in milliseconds; 0: they stand.
  double queue_ms = 0;
  double first_token_ms = 0;
  double total_ms = 0;
  // How the answer is to be told.
  bool stream = false;
  bool include_usage = false;  // of streams: a last event with the usage
  bool echo = false;           // completions: the prompt before the answer
  bool logprobs = false;       // params.sampling.n_logprobs says how many
  bool return_tokens = false;  // llama-server's: ids beside the text
  // llama-server's: only these fields of the answer; empty: all but `prompt`.
  std::vector<std::string> response_fields = {};
  bool return_progress =
      false;  // llama-server's: events while a prompt is read
  bool timings_per_token = false;  // llama-server's: of streams
  // Known fields without an effect here, for the log.
  std::vector<std::string> ignored = {};
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_ANSWER_REQUEST_H_
