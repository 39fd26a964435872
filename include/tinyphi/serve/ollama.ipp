// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_OLLAMA_IPP_
#define TINYPHI_SERVE_OLLAMA_IPP_

#include <cmath>
#include <utility>

#include "tinyphi/serve/answer_format.h"
#include "tinyphi/serve/answer_tools.ipp"
#include "tinyphi/serve/blake2b.h"
#include "tinyphi/serve/hex_text.h"
#include "tinyphi/serve/ollama.h"
#include "tinyphi/serve/ollama_table.h"
#include "tinyphi/serve/openai_chat.h"
#include "tinyphi/serve/parse_request.ipp"
#include "tinyphi/serve/utc_time.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline sampling_params ollama_sampling() {
  sampling_params p;
  p.temperature = 0.8F;
  p.top_k = 40;
  p.top_p = 0.9F;
  p.repetition_penalty = 1.1F;
  p.penalty_window = 64;
  return p;
}

// What chat and generate share, of a body that was checked.
inline api_result<void> read_ollama(const json::object& body,
                                    answer_request& r) {
  const json::object none;
  const json::value* options = find_field(body, "options");
  const json::object& o = options == nullptr ? none : options->get_object();
  read_sampler(o, ollama_sampling(), r);
  const std::int64_t n = integer_field(o, "num_predict", -1);
  r.params.max_tokens = n < 0 ? 0 : static_cast<std::size_t>(n);
  r.context_limit = static_cast<std::size_t>(integer_field(o, "num_ctx", 0));
  r.model = string_field(body, "model");
  r.stream = bool_field(body, "stream", true);
  read_logprobs(body, r);
  if (const json::value* f = find_field(body, "format")) {
    TINYPHI_CHECK_OK(read_ollama_format(*f, r));
  }
  return check_format(r, "options.stop");
}

// Calls have no ids here: a result is that of the first call of its tool.
inline api_result<std::vector<message>> read_ollama_messages(
    const json::array& all) {
  tool_turns turns;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const json::object& m = all[i].get_object();
    const std::string at = "messages[" + std::to_string(i) + "]";
    const std::string name = string_field(m, "role");
    const std::string text = string_field(m, "content");
    if (name == "tool") {
      const std::string tool = string_field(m, "tool_name");
      TINYPHI_CHECK_OK(
          turns.result(turns.first_open(tool), text,
                       at + (tool.empty() ? ".role" : ".tool_name")));
      continue;
    }
    TINYPHI_TRY(const json::array* calls, calls_of(m, at));
    if (calls == nullptr) {
      TINYPHI_CHECK_OK(turns.say(role_of(name), text));
      continue;
    }
    for (std::size_t c = 0; c < calls->size(); ++c) {
      const json::object& o = (*calls)[c].get_object();
      const std::string here = at + ".tool_calls[" + std::to_string(c) + "]";
      TINYPHI_TRY(tool_call call,
                  read_function_call(o.at("function").get_object(),
                                     here + ".function"));
      // In this order, of at most 128.
      TINYPHI_CHECK_OK(
          turns.call(std::move(call), std::to_string(1000 + c), here, text));
    }
  }
  return turns.take();
}

}  // namespace detail

TINYPHI_FUNC api_result<answer_request> parse_ollama_chat(
    const json::object& body) {
  answer_request r;
  TINYPHI_CHECK_OK(check_fields(body, request_tables::ollama_chat, r.ignored));
  TINYPHI_CHECK_OK(detail::read_ollama(body, r));
  if (const json::value* all = find_field(body, "messages")) {
    TINYPHI_TRY(r.messages, detail::read_ollama_messages(all->get_array()));
  }
  TINYPHI_CHECK_OK(read_tools(body, ".function", r));
  if (const json::value* options = find_field(body, "options"); r.tools) {
    r.tools->likeliest =
        options == nullptr ||
        find_field(options->get_object(), "temperature") == nullptr;
  }
  r.continue_last =
      !r.messages.empty() && r.messages.back().role == role::assistant;
  return r;
}

TINYPHI_FUNC api_result<answer_request> parse_ollama_generate(
    const json::object& body) {
  answer_request r;
  TINYPHI_CHECK_OK(
      check_fields(body, request_tables::ollama_generate, r.ignored));
  TINYPHI_CHECK_OK(detail::read_ollama(body, r));
  std::string prompt = string_field(body, "prompt");
  if (prompt.empty()) return r;
  if (bool_field(body, "raw", false)) {
    r.prompts.emplace_back(std::move(prompt));
    return r;
  }
  std::string system = string_field(body, "system");
  if (!system.empty()) r.messages.push_back({role::system, std::move(system)});
  r.messages.push_back({role::user, std::move(prompt)});
  return r;
}

TINYPHI_FUNC api_result<embedding_request> parse_ollama_embed(
    const json::object& body) {
  embedding_request r;
  TINYPHI_CHECK_OK(check_fields(body, request_tables::ollama_embed, r.ignored));
  r.model = string_field(body, "model");
  r.inputs = detail::read_prompts(body.at("input"));
  r.dimensions = static_cast<std::size_t>(integer_field(body, "dimensions", 0));
  return r;
}

namespace detail {

class ollama_dialect : public dialect {
 public:
  ollama_dialect(bool chat, const answer_request& r, answer_facts facts)
      : facts_(std::move(facts)),
        chat_(chat),
        logprobs_(r.logprobs),
        // Clients are told the name that they use.
        model_(r.model.empty() ? ollama_name(facts_.model) : r.model) {}

  std::string_view stream_type() const override {
    return "application/x-ndjson";
  }
  std::string begin() override { return {}; }

  std::string piece(std::size_t, const text_piece& p) override {
    // A call is told whole, at its end.
    if (calls() || (p.text.empty() && !logprobs_)) return {};
    json::object o = part(p.text, p.tokens);
    o["done"] = false;
    return line(o);
  }

  std::string finish(const ended_answer& a) override {
    json::object o = calls() ? call_of(a) : part("", {});
    tell_end(a, o);
    return line(o);
  }
  std::string end(std::span<const ended_answer>) override { return {}; }

  std::string broken(const api_error& e) override {
    return line(to_json(e, error_form::ollama));
  }
  // A line that is no part of the answer would be an error.
  std::string keep_alive() override { return {}; }

  std::string whole(std::span<const ended_answer> answers) override {
    const ended_answer& a = answers.front();
    json::object o = calls() ? call_of(a) : part(a.text, a.tokens);
    tell_end(a, o);
    return json::serialize(o);
  }
  std::string error_body(const api_error& e) override {
    return to_body(e, error_form::ollama);
  }

 private:
  static std::string line(const json::object& o) {
    return json::serialize(o) + "\n";
  }

  json::object part(const std::string& text,
                    std::span<const sampled_token> tokens) const {
    json::object o{{"model", model_}, {"created_at", utc_time(facts_.created)}};
    if (chat_) {
      o["message"] = {{"role", "assistant"}, {"content", text}};
    } else {
      o["response"] = text;
    }
    if (logprobs_ && !tokens.empty()) {
      o["logprobs"] = openai_logprobs(tokens, text, facts_);
    }
    return o;
  }

  [[nodiscard]] bool calls() const { return !facts_.called.empty(); }
  [[nodiscard]] json::object call_of(const ended_answer& a) const {
    json::object o = part("", {});
    auto arguments =
        parse_json(a.text, "arguments", {.max_bytes = a.text.size()});
    json::object function{{"name", facts_.called}};
    if (arguments) function["arguments"] = *std::move(arguments);
    json::object call{{"function", std::move(function)}};
    o["message"].get_object()["tool_calls"] = json::array{std::move(call)};
    return o;
  }

  static void tell_end(const ended_answer& a, json::object& o) {
    const auto ns = [](double seconds) { return std::llround(1e9 * seconds); };
    const usage& u = a.usage;
    o["done"] = true;
    o["done_reason"] = json::string_view(openai_finish(a));
    add_server_end(o, a);
    o["total_duration"] =
        ns(u.queue_seconds + u.prefill_seconds + u.decode_seconds);
    o["load_duration"] = 0;
    o["prompt_eval_count"] = u.prompt_tokens;
    o["prompt_eval_duration"] = ns(u.prefill_seconds);
    o["eval_count"] = u.completion_tokens;
    o["eval_duration"] = ns(u.decode_seconds);
  }

  answer_facts facts_;
  bool chat_;
  bool logprobs_;
  std::string model_;
};

// "3.8B", "124.4M"
inline std::string parameter_size(std::uint64_t n) {
  const bool billions = n >= 1'000'000'000;
  const std::uint64_t tenths = n / (billions ? 100'000'000 : 100'000);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) +
         (billions ? "B" : "M");
}

inline json::object ollama_details(const ollama_model& m) {
  return {{"parent_model", ""},
          {"format", "gguf"},
          {"family", m.family},
          {"families", json::array{json::value(m.family)}},
          {"parameter_size", parameter_size(m.parameters)},
          {"quantization_level", "unknown"}};
}

}  // namespace detail

TINYPHI_FUNC std::unique_ptr<dialect> make_ollama_chat(const answer_request& r,
                                                       answer_facts facts) {
  return std::make_unique<detail::ollama_dialect>(true, r, std::move(facts));
}
TINYPHI_FUNC std::unique_ptr<dialect> make_ollama_generate(
    const answer_request& r, answer_facts facts) {
  return std::make_unique<detail::ollama_dialect>(false, r, std::move(facts));
}

TINYPHI_FUNC json::object ollama_loaded(bool chat, std::string_view model,
                                        std::int64_t now) {
  json::object o{{"model", json::string_view(model)},
                 {"created_at", utc_time(now)}};
  if (chat) {
    o["message"] = {{"role", "assistant"}, {"content", ""}};
  } else {
    o["response"] = "";
  }
  o["done"] = true;
  o["done_reason"] = "load";
  return o;
}

TINYPHI_FUNC std::string ollama_name(std::string_view id) {
  std::string name(id);
  return id.find(':') == std::string_view::npos ? name + ":latest" : name;
}

TINYPHI_FUNC json::object ollama_list(std::span<const ollama_model> models,
                                      bool running) {
  json::array all;
  for (const ollama_model& m : models) {
    json::object o{{"name", ollama_name(m.id)},
                   {"model", ollama_name(m.id)},
                   {"size", m.bytes},
                   {"digest", hex_text(blake2b_256(m.fingerprint))},
                   {"details", detail::ollama_details(m)}};
    if (running) {
      // There is no word for "never" here.
      o["expires_at"] = "9999-12-31T23:59:59Z";
      o["size_vram"] = 0;
      o["context_length"] = m.context;
    } else {
      o["modified_at"] = utc_time(m.created);
    }
    all.push_back(std::move(o));
  }
  return {{"models", std::move(all)}};
}

TINYPHI_FUNC json::object ollama_description(const ollama_model& m) {
  json::object info{{"general.architecture", m.family},
                    {"general.parameter_count", m.parameters}};
  const auto add = [&](const char* name, std::size_t n) {
    info[m.family + "." + name] = n;
  };
  add("context_length", m.context);
  add("embedding_length", m.embedding);
  add("block_count", m.blocks);
  add("attention.head_count", m.heads);
  add("attention.head_count_kv", m.kv_heads);
  return {{"details", detail::ollama_details(m)},
          {"model_info", std::move(info)},
          {"capabilities", json::array{"completion", "tools", "embedding"}},
          {"modified_at", utc_time(m.created)}};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_OLLAMA_IPP_
