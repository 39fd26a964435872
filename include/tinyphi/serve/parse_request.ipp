// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_PARSE_REQUEST_IPP_
#define TINYPHI_SERVE_PARSE_REQUEST_IPP_

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "tinyphi/base/utf8.h"
#include "tinyphi/serve/answer_format.h"
#include "tinyphi/serve/answer_tools.h"
#include "tinyphi/serve/parse_request.h"
#include "tinyphi/serve/random_bits.h"
#include "tinyphi/serve/request_tables.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline float float_field(const json::object& body, std::string_view name,
                         float otherwise) {
  const double x = number_field(body, name, static_cast<double>(otherwise));
  // What is above 0 stays above 0.
  return x > 0 && x < std::numeric_limits<float>::min()
             ? std::numeric_limits<float>::min()
             : static_cast<float>(x);
}

inline token_id id_of(const json::value& v) {
  return static_cast<token_id>(v.to_number<double>());
}

inline float bias_of(const json::value& v) {
  // llama-server's word for a ban is false.
  return v.is_bool() ? -100.0F : static_cast<float>(v.to_number<double>());
}

inline void read_logit_bias(const json::object& body, answer_request& r) {
  const json::value* v = find_field(body, "logit_bias");
  if (v == nullptr) return;
  auto& by_id = r.params.sampling.logit_bias;
  if (const auto* o = v->if_object()) {
    for (const auto& [key, bias] : *o) {
      const std::string_view name = key;
      if (name.find_first_not_of("0123456789") != std::string_view::npos) {
        r.text_biases.emplace_back(std::string(name), bias_of(bias));
        continue;
      }
      token_id id = 0;
      std::from_chars(name.data(), name.data() + name.size(), id);
      by_id.emplace_back(id, bias_of(bias));
    }
    return;
  }
  for (const json::value& pair : v->get_array()) {
    if (const auto* text = pair.at(0).if_string()) {
      r.text_biases.emplace_back(std::string(*text), bias_of(pair.at(1)));
    } else {
      by_id.emplace_back(id_of(pair.at(0)), bias_of(pair.at(1)));
    }
  }
}

// What TINYPHI_SAMPLING_FIELDS has.
inline void read_sampler(const json::object& body,
                         const sampling_params& otherwise, answer_request& r) {
  sampling_params& p = r.params.sampling;
  p = otherwise;
  p.temperature = float_field(body, "temperature", p.temperature);
  p.top_p = float_field(body, "top_p", p.top_p);
  p.min_p = float_field(body, "min_p", p.min_p);
  p.typical_p = float_field(body, "typical_p", p.typical_p);
  p.repetition_penalty =
      float_field(body, "repeat_penalty", p.repetition_penalty);
  p.presence_penalty =
      float_field(body, "presence_penalty", p.presence_penalty);
  p.frequency_penalty =
      float_field(body, "frequency_penalty", p.frequency_penalty);
  p.dry_multiplier = float_field(body, "dry_multiplier", p.dry_multiplier);
  p.dry_base = float_field(body, "dry_base", p.dry_base);
  p.mirostat_tau = float_field(body, "mirostat_tau", p.mirostat_tau);
  p.mirostat_eta = float_field(body, "mirostat_eta", p.mirostat_eta);
  const auto int32 = [&](const char* name, std::int32_t now) {
    return static_cast<std::int32_t>(integer_field(body, name, now));
  };
  p.top_k = int32("top_k", p.top_k);
  p.penalty_window = int32("repeat_last_n", p.penalty_window);
  p.dry_allowed_length = int32("dry_allowed_length", p.dry_allowed_length);
  p.dry_window = int32("dry_penalty_last_n", p.dry_window);
  p.mirostat = int32("mirostat", p.mirostat);
  // llama-server takes -1 for a random one.
  const std::int64_t seed = integer_field(body, "seed", -1);
  r.any_seed = seed == -1;
  p.seed = seed == -1 ? random_bits<std::uint64_t>()
                      : static_cast<std::uint64_t>(seed);
  read_logit_bias(body, r);

  if (const json::value* stop = find_field(body, "stop")) {
    if (const auto* s = stop->if_string()) {
      if (!s->empty()) r.params.stop.emplace_back(*s);
    } else {
      for (const json::value& text : stop->get_array()) {
        r.params.stop.emplace_back(text.get_string());
      }
    }
  }
  r.cache_salt = string_field(body, "cache_salt");
  if (const json::value* own = find_field(body, "tinyphi")) {
    const json::object& o = own->get_object();
    r.queue_ms = number_field(o, "queue_ms", 0);
    r.first_token_ms = number_field(o, "ttft_ms", 0);
    r.total_ms = number_field(o, "total_ms", 0);
    if (string_field(o, "overflow") == "drop_oldest_turns") {
      r.overflow = overflow_rule::drop_oldest_turns;
    }
  }
}

inline void read_sampling(const json::object& body,
                          const sampling_params& otherwise, answer_request& r) {
  read_sampler(body, otherwise, r);
  r.params.ignore_stop_ids = bool_field(body, "ignore_eos", false);
  r.model = string_field(body, "model");
  r.stream = bool_field(body, "stream", false);
}

inline void read_tier(const json::object& body, answer_request& r) {
  const std::string tier = string_field(body, "service_tier");
  if (tier == "priority") r.wanted_class = priority_class::interactive;
  if (tier == "flex") r.wanted_class = priority_class::batch;
}

// What OpenAI's two routes share. Only fields of a route's table are read:
// others were not checked.
inline void read_openai(const json::object& body, answer_request& r) {
  r.n = static_cast<std::size_t>(integer_field(body, "n", 1));
  if (const json::value* o = find_field(body, "stream_options")) {
    r.include_usage = bool_field(o->get_object(), "include_usage", false);
  }
}

inline void read_progress(const json::object& body, answer_request& r) {
  r.return_progress = bool_field(body, "return_progress", false);
  r.timings_per_token = bool_field(body, "timings_per_token", false);
}

// top_logprobs_rule: how many needs whether.
inline void read_logprobs(const json::object& body, answer_request& r) {
  r.logprobs = bool_field(body, "logprobs", false);
  if (!r.logprobs) return;
  r.params.sampling.n_logprobs =
      static_cast<std::int32_t>(integer_field(body, "top_logprobs", 0));
}

inline sampling_params openai_sampling() {
  sampling_params p;
  p.temperature = 1;
  return p;
}

inline sampling_params llama_server_sampling() {
  sampling_params p;
  p.temperature = 0.8F;
  p.top_k = 40;
  p.top_p = 0.95F;
  p.min_p = 0.05F;
  return p;
}

inline plain_prompt read_prompt(const json::value& v) {
  if (const auto* text = v.if_string()) return std::string(*text);
  if (const auto* o = v.if_object()) {
    const json::value* whole = find_field(*o, "prompt_string");
    return joined_text(whole != nullptr ? *whole : o->at("content"));
  }
  std::vector<token_id> ids;
  mixed_prompt parts;
  for (const json::value& one : v.get_array()) {
    if (const auto* text = one.if_string()) {
      parts.emplace_back(std::string(*text));
    } else {
      ids.push_back(id_of(one));
      parts.emplace_back(ids.back());
    }
  }
  if (ids.size() == parts.size()) return ids;
  return parts;
}

// One prompt, or an array of several; a number in it says that it is one.
inline std::vector<plain_prompt> read_prompts(const json::value& v) {
  std::vector<plain_prompt> out;
  if (!v.is_array() ||
      std::ranges::any_of(v.get_array(), &json::value::is_number)) {
    out.push_back(read_prompt(v));
    return out;
  }
  for (const json::value& one : v.get_array()) out.push_back(read_prompt(one));
  return out;
}

}  // namespace detail

TINYPHI_FUNC api_result<json::object> parse_body(std::string_view body) {
  auto v = parse_json(body, "the body", {.max_bytes = body.size()});
  if (!v) {
    api_error e = to_api_error(v.error());
    e.code = "invalid_json";
    return e;
  }
  if (!v->is_object()) {
    return invalid_value("", "the body is not a JSON object");
  }
  return std::move(v->get_object());
}

TINYPHI_FUNC api_result<std::vector<message>> read_messages(
    const json::array& messages) {
  std::vector<message> out;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const json::object& m = messages[i].get_object();
    const std::string name = string_field(m, "role");
    role r = role::user;
    if (name == "system" || name == "developer") r = role::system;
    if (name == "assistant") r = role::assistant;
    if (name == "tool") r = role::tool;
    const json::value* content = find_field(m, "content");
    if (content == nullptr && r != role::assistant) {
      const std::string at = "messages[" + std::to_string(i) + "].content";
      return invalid_value(at, at + " is missing");
    }
    out.push_back({r, content == nullptr ? "" : joined_text(*content)});
  }
  return out;
}

TINYPHI_FUNC api_result<answer_request> parse_chat(const json::object& body) {
  answer_request r;
  TINYPHI_CHECK_OK(check_fields(body, request_tables::chat, r.ignored));
  detail::read_sampling(body, detail::openai_sampling(), r);
  detail::read_openai(body, r);
  detail::read_progress(body, r);
  TINYPHI_TRY(r.messages, read_tool_messages(body.at("messages").get_array()));
  TINYPHI_CHECK_OK(read_tools(body, ".function", r));
  const bool newer = find_field(body, "max_completion_tokens") != nullptr;
  r.params.max_tokens = static_cast<std::size_t>(
      integer_field(body, newer ? "max_completion_tokens" : "max_tokens", 0));
  // An assistant's text at the end goes on, unless a new answer is asked for.
  const bool ends_with_assistant = r.messages.back().role == role::assistant;
  const bool goes_on = bool_field(body, "continue_final_message", false) ||
                       !bool_field(body, "add_generation_prompt", false);
  r.continue_last = ends_with_assistant && goes_on;
  for (const char* name : {"continue_final_message", "add_generation_prompt"}) {
    // Nothing can go on: whoever reads the log may have meant it otherwise.
    const json::value* v = find_field(body, name);
    if (v != nullptr && !ends_with_assistant &&
        r.ignored.size() < max_ignored_fields) {
      r.ignored.emplace_back(name);
    }
  }
  if (r.continue_last && r.tools && must_call(*r.tools)) {
    return invalid_value("tool_choice",
                         "tool_choice asks for a call, but the answer goes on "
                         "with the assistant's last text; end with another "
                         "message, or set add_generation_prompt");
  }
  detail::read_logprobs(body, r);
  if (const json::value* p = find_field(body, "prediction")) {
    r.prediction = joined_text(p->at("content"));
  }
  detail::read_tier(body, r);
  if (const json::value* f = find_field(body, "response_format")) {
    TINYPHI_CHECK_OK(
        read_response_format(f->get_object(), "response_format", r));
  }
  TINYPHI_CHECK_OK(read_grammar_fields(body, r));
  TINYPHI_CHECK_OK(check_format(r, "stop"));
  return r;
}

TINYPHI_FUNC api_result<answer_request> parse_completion(
    const json::object& body) {
  answer_request r;
  TINYPHI_CHECK_OK(check_fields(body, request_tables::completion, r.ignored));
  detail::read_sampling(body, detail::openai_sampling(), r);
  r.prompts = detail::read_prompts(body.at("prompt"));
  r.params.max_tokens =
      static_cast<std::size_t>(integer_field(body, "max_tokens", 16));
  detail::read_openai(body, r);
  r.echo = bool_field(body, "echo", false);
  if (const auto* n = find_field(body, "logprobs"); n != nullptr) {
    r.logprobs = true;
    r.params.sampling.n_logprobs =
        static_cast<std::int32_t>(integer_field(body, "logprobs", 0));
  }
  TINYPHI_CHECK_OK(read_grammar_fields(body, r));
  TINYPHI_CHECK_OK(check_format(r, "stop"));
  return r;
}

TINYPHI_FUNC api_result<answer_request> parse_native_completion(
    const json::object& body) {
  answer_request r;
  TINYPHI_CHECK_OK(
      check_fields(body, request_tables::native_completion, r.ignored));
  detail::read_sampling(body, detail::llama_server_sampling(), r);
  r.prompts = detail::read_prompts(body.at("prompt"));
  const std::int64_t n =
      integer_field(body, "n_predict", integer_field(body, "max_tokens", -1));
  r.params.max_tokens = n < 0 ? 0 : static_cast<std::size_t>(n);
  detail::read_progress(body, r);
  r.return_tokens = bool_field(body, "return_tokens", false);
  if (const json::value* fields = find_field(body, "response_fields")) {
    for (const json::value& path : fields->get_array()) {
      r.response_fields.emplace_back(path.get_string());
    }
  }
  if (const auto probs = integer_field(body, "n_probs", 0); probs > 0) {
    r.logprobs = true;
    r.params.sampling.n_logprobs = static_cast<std::int32_t>(probs);
  }
  TINYPHI_CHECK_OK(read_grammar_fields(body, r));
  TINYPHI_CHECK_OK(check_format(r, "stop"));
  return r;
}

TINYPHI_FUNC answer_request native_defaults() {
  answer_request r;
  detail::read_sampling({}, detail::llama_server_sampling(), r);
  r.params.max_tokens = 0;
  return r;
}

TINYPHI_FUNC api_result<embedding_request> parse_embedding(
    const json::object& body) {
  embedding_request r;
  TINYPHI_CHECK_OK(check_fields(body, request_tables::embedding, r.ignored));
  r.model = string_field(body, "model");
  r.inputs = detail::read_prompts(body.at("input"));
  r.base64 = string_field(body, "encoding_format") == "base64";
  r.dimensions = static_cast<std::size_t>(integer_field(body, "dimensions", 0));
  return r;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_PARSE_REQUEST_IPP_
