// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_OPENAI_CHAT_IPP_
#define TINYPHI_SERVE_OPENAI_CHAT_IPP_

#include <algorithm>
#include <optional>
#include <utility>

#include "tinyphi/base/utf8.h"
#include "tinyphi/serve/openai_chat.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC std::string valid_text(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    const utf8_char c = decode_utf8(bytes);
    append_utf8(out, c.code_point);
    bytes.remove_prefix(c.length);
  }
  return out;
}

TINYPHI_FUNC std::string_view openai_finish(const ended_answer& answer) {
  return answer.finish == finish_reason::stop ? "stop" : "length";
}

TINYPHI_FUNC json::object openai_usage(std::span<const ended_answer> answers) {
  const usage u = add_up(answers);
  return {
      {"prompt_tokens", u.prompt_tokens},
      {"completion_tokens", u.completion_tokens},
      {"total_tokens", u.prompt_tokens + u.completion_tokens},
      {"prompt_tokens_details", {{"cached_tokens", u.cached_tokens}}},
      {"completion_tokens_details",
       {{"accepted_prediction_tokens", u.accepted_tokens},
        {"rejected_prediction_tokens", u.drafted_tokens - u.accepted_tokens}}},
      {"tinyphi",
       {{"queue_ms", 1e3 * u.queue_seconds},
        {"prefill_ms", 1e3 * u.prefill_seconds},
        {"decode_ms", 1e3 * u.decode_seconds},
        {"draft_accepted", u.accepted_tokens}}}};
}

TINYPHI_FUNC json::object openai_timings(
    std::span<const ended_answer> answers) {
  const usage u = add_up(answers);
  const auto begun = std::ranges::count_if(answers, [](const ended_answer& a) {
    return a.usage.completion_tokens > 0;
  });
  const auto per = [](double seconds, std::size_t n) {
    return n == 0 ? 0.0 : 1e3 * seconds / static_cast<double>(n);
  };
  const auto rate = [](double seconds, std::size_t n) {
    return seconds <= 0 ? 0.0 : static_cast<double>(n) / seconds;
  };
  const std::size_t read = u.prompt_tokens - u.cached_tokens;
  // An answer's time begins with its first token, which took none of it.
  const std::size_t steps =
      u.completion_tokens - static_cast<std::size_t>(begun);
  return {{"cache_n", u.cached_tokens},
          {"prompt_n", read},
          {"prompt_ms", 1e3 * u.prefill_seconds},
          {"prompt_per_token_ms", per(u.prefill_seconds, read)},
          {"prompt_per_second", rate(u.prefill_seconds, read)},
          {"predicted_n", u.completion_tokens},
          {"predicted_ms", 1e3 * u.decode_seconds},
          {"predicted_per_token_ms", per(u.decode_seconds, steps)},
          {"predicted_per_second", rate(u.decode_seconds, steps)}};
}

TINYPHI_FUNC json::object prompt_progress_of(std::size_t cached,
                                             std::size_t read,
                                             std::size_t total) {
  return {{"cache", cached}, {"processed", read}, {"total", total}};
}

TINYPHI_FUNC void add_openai_totals(json::object& o,
                                    std::span<const ended_answer> answers) {
  o["usage"] = openai_usage(answers);
  o["timings"] = openai_timings(answers);
}

TINYPHI_FUNC void add_server_end(json::object& choice,
                                 const ended_answer& answer) {
  json::object own;
  if (!answer.ended_by.empty()) {
    own["finish"] = json::string_view(answer.ended_by);
  }
  if (answer.n_dropped_turns > 0) own["truncated"] = answer.n_dropped_turns;
  if (!own.empty()) choice["tinyphi"] = std::move(own);
}

TINYPHI_FUNC std::string openai_stream_end(
    json::object head, bool include_usage,
    std::span<const ended_answer> answers) {
  const std::string done = "data: [DONE]\n\n";
  if (!include_usage) return done;
  head["choices"] = json::array();
  add_openai_totals(head, answers);
  return sse_event(head) + done;
}

namespace detail {

inline json::object told_logprob(token_id id, float logprob, bool without_blank,
                                 const answer_facts& facts) {
  std::string text = facts.token_text(id);
  if (without_blank && text.starts_with(' ')) text.erase(0, 1);
  json::array bytes;
  for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
  return {{"id", id},
          {"token", valid_text(text)},
          {"bytes", std::move(bytes)},
          {"logprob", json_logprob(logprob)}};
}

}  // namespace detail

TINYPHI_FUNC json::array openai_logprobs(std::span<const sampled_token> tokens,
                                         std::string_view shown,
                                         const answer_facts& facts) {
  json::array all;
  bool without_blank = !shown.empty() && !shown.starts_with(' ') &&
                       !tokens.empty() &&
                       facts.token_text(tokens.front().id).starts_with(' ');
  for (const sampled_token& t : tokens) {
    json::object o =
        detail::told_logprob(t.id, t.logprob, without_blank, facts);
    json::array top;
    for (const token_logprob& other : t.top) {
      top.push_back(
          detail::told_logprob(other.id, other.logprob, without_blank, facts));
    }
    without_blank = false;
    o["top_logprobs"] = std::move(top);
    all.push_back(std::move(o));
  }
  return all;
}

namespace detail {

class openai_chat_dialect : public dialect {
 public:
  openai_chat_dialect(const answer_request& r, answer_facts facts)
      : facts_(std::move(facts)),
        include_usage_(r.include_usage),
        logprobs_(r.logprobs) {}

  std::string begin() override {
    std::string all;
    for (std::size_t i = 0; i < facts_.n_answers; ++i) {
      json::object first{{"role", "assistant"}, {"content", nullptr}};
      if (calls()) {
        json::object call = call_of(i, "");
        call["index"] = 0;
        first["tool_calls"] = json::array{std::move(call)};
      }
      all += delta(i, std::move(first), nullptr);
    }
    return all;
  }

  std::string piece(std::size_t index, const text_piece& p) override {
    // Tokens whose text is held back come with the piece that shows it.
    json::object chunk = choice(index, delta_of(p.text), nullptr);
    if (logprobs_ && !calls())
      chunk["logprobs"] = logprobs_of(p.tokens, p.text);
    json::object o = head("chat.completion.chunk");
    o["choices"] = json::array{std::move(chunk)};
    timings_.add_to(o);
    return sse_event(o);
  }

  void so_far(const ended_answer& a) override { timings_.set(a); }

  std::string progress(std::size_t cached, std::size_t read,
                       std::size_t total) override {
    json::object o = head("chat.completion.chunk");
    o["choices"] = json::array{choice(0, json::object(), nullptr)};
    o["prompt_progress"] = prompt_progress_of(cached, read, total);
    timings_.add_to(o);
    return sse_event(o);
  }

  std::string finish(const ended_answer& a) override {
    std::string annotations;
    if (!a.annotations.empty()) {
      annotations =
          delta(a.index, {{"annotations", annotations_of(a)}}, nullptr);
    }
    json::object last = choice(a.index, json::object(),
                               json::value(json::string_view(finish_of(a))));
    add_server_end(last, a);
    return annotations + event({std::move(last)});
  }

  std::string end(std::span<const ended_answer> answers) override {
    return openai_stream_end(head("chat.completion.chunk"), include_usage_,
                             answers);
  }

  std::string whole(std::span<const ended_answer> answers) override {
    json::object o = head("chat.completion");
    json::array choices;
    for (const ended_answer& a : answers) {
      json::object c{
          {"index", a.index},
          {"message",
           {{"role", "assistant"}, {"content", a.text}, {"refusal", nullptr}}},
          {"logprobs", nullptr},
          {"finish_reason", json::string_view(finish_of(a))}};
      if (calls()) {
        json::object& message = c["message"].get_object();
        message["content"] = nullptr;
        message["tool_calls"] = json::array{call_of(a.index, a.text)};
      } else if (logprobs_)
        c["logprobs"] = logprobs_of(a.tokens, a.text);
      if (!a.annotations.empty()) {
        c["message"].as_object()["annotations"] = annotations_of(a);
      }
      add_server_end(c, a);
      choices.push_back(std::move(c));
    }
    o["choices"] = std::move(choices);
    add_openai_totals(o, answers);
    return json::serialize(o);
  }

 private:
  [[nodiscard]] bool calls() const { return !facts_.called.empty(); }
  [[nodiscard]] json::object call_of(std::size_t index,
                                     std::string_view arguments) const {
    return {{"id", facts_.call_ids[index]},
            {"type", "function"},
            {"function",
             {{"name", facts_.called},
              {"arguments", json::string_view(arguments)}}}};
  }
  // What a piece adds; of a call its name was told at the beginning.
  [[nodiscard]] json::object delta_of(const std::string& text) const {
    if (!calls()) return {{"content", text}};
    json::object more{{"index", 0}, {"function", {{"arguments", text}}}};
    return {{"tool_calls", json::array{std::move(more)}}};
  }
  [[nodiscard]] std::string_view finish_of(const ended_answer& a) const {
    const std::string_view finish = openai_finish(a);
    return calls() && finish == "stop" ? "tool_calls" : finish;
  }
  json::object head(const char* object) const {
    return {{"id", "chatcmpl-" + facts_.id},
            {"object", object},
            {"created", facts_.created},
            {"model", facts_.model},
            {"system_fingerprint", facts_.fingerprint}};
  }
  static json::object choice(std::size_t index, json::object delta,
                             json::value finish) {
    return {{"index", index},
            {"delta", std::move(delta)},
            {"finish_reason", std::move(finish)}};
  }
  std::string event(json::array choices) const {
    json::object o = head("chat.completion.chunk");
    o["choices"] = std::move(choices);
    return sse_event(o);
  }
  std::string delta(std::size_t index, json::object d,
                    json::value finish) const {
    return event({choice(index, std::move(d), std::move(finish))});
  }
  static json::array annotations_of(const ended_answer& a) {
    json::array all;
    for (const answer_annotation& one : a.annotations) {
      all.push_back({{"type", "url_citation"},
                     {"url_citation",
                      {{"start_index", one.start},
                       {"end_index", one.end},
                       {"title", one.title},
                       {"url", one.url}}}});
    }
    return all;
  }

  json::value logprobs_of(std::span<const sampled_token> tokens,
                          std::string_view shown) const {
    return json::object{{"content", openai_logprobs(tokens, shown, facts_)},
                        {"refusal", nullptr}};
  }

  answer_facts facts_;
  bool include_usage_;
  bool logprobs_;
  next_timings timings_;
};

}  // namespace detail

TINYPHI_FUNC std::unique_ptr<dialect> make_openai_chat(const answer_request& r,
                                                       answer_facts facts) {
  return std::make_unique<detail::openai_chat_dialect>(r, std::move(facts));
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_OPENAI_CHAT_IPP_
