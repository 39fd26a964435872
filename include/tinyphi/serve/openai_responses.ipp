// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_OPENAI_RESPONSES_IPP_
#define TINYPHI_SERVE_OPENAI_RESPONSES_IPP_

#include <array>
#include <charconv>
#include <iterator>
#include <optional>
#include <utility>

#include "tinyphi/serve/answer_format.h"
#include "tinyphi/serve/answer_tools.ipp"
#include "tinyphi/serve/openai_chat.h"
#include "tinyphi/serve/openai_responses.h"
#include "tinyphi/serve/parse_request.h"
#include "tinyphi/serve/parse_request.ipp"
#include "tinyphi/serve/responses_table.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline api_result<void> add_item(tool_turns& turns, const json::object& o,
                                 const std::string& at) {
  const std::string type = string_field(o, "type", "message");
  if (type == "message") {
    return turns.say(role_of(string_field(o, "role")),
                     joined_text(o.at("content")));
  }
  const std::string id = string_field(o, "call_id");
  const std::string field = at + ".call_id";
  if (id.empty()) return missing_field(field);
  if (type == "function_call_output") {
    const json::value* output = find_field(o, "output");
    if (output == nullptr) return missing_field(at + ".output");
    return turns.result(id, joined_text(*output), field);
  }
  if (find_field(o, "name") == nullptr) return missing_field(at + ".name");
  TINYPHI_TRY(tool_call c, read_function_call(o, at));
  return turns.call(std::move(c), id, field);
}

inline api_result<std::vector<message>> read_items(const json::array& items) {
  tool_turns turns;
  for (std::size_t i = 0; i < items.size(); ++i) {
    TINYPHI_CHECK_OK(add_item(turns, items[i].get_object(),
                              "input[" + std::to_string(i) + "]"));
  }
  return turns.take();
}

}  // namespace detail

TINYPHI_FUNC api_result<answer_request> parse_responses(
    const json::object& body) {
  answer_request r;
  TINYPHI_CHECK_OK(check_fields(body, request_tables::responses, r.ignored));
  detail::read_sampler(body, detail::openai_sampling(), r);
  detail::read_tier(body, r);
  r.model = string_field(body, "model");
  r.stream = bool_field(body, "stream", false);
  detail::read_progress(body, r);
  r.params.max_tokens =
      static_cast<std::size_t>(integer_field(body, "max_output_tokens", 0));
  if (find_field(body, "instructions") != nullptr) {
    r.instructions = string_field(body, "instructions");
    if (!r.instructions->empty()) {
      r.messages.push_back({role::system, *r.instructions});
    }
  }
  const json::value& input = body.at("input");
  if (const auto* text = input.if_string()) {
    r.messages.push_back({role::user, std::string(*text)});
  } else {
    TINYPHI_TRY(auto messages, detail::read_items(input.get_array()));
    r.messages.insert(r.messages.end(),
                      std::make_move_iterator(messages.begin()),
                      std::make_move_iterator(messages.end()));
  }
  TINYPHI_CHECK_OK(read_tools(body, "", r));
  const auto top = integer_field(body, "top_logprobs", 0);
  r.logprobs = top > 0;
  if (const json::value* include = find_field(body, "include")) {
    for (const json::value& what : include->get_array()) {
      if (what == "message.output_text.logprobs") r.logprobs = true;
    }
  }
  if (r.logprobs) {
    r.params.sampling.n_logprobs = static_cast<std::int32_t>(top);
  }
  if (string_field(body, "truncation") == "auto") {
    r.overflow = overflow_rule::drop_oldest_turns;
  }
  const json::value* text = find_field(body, "text");
  const json::value* format =
      text == nullptr ? nullptr : find_field(text->get_object(), "format");
  if (format != nullptr) {
    TINYPHI_CHECK_OK(
        read_response_format(format->get_object(), "text.format", r));
  }
  TINYPHI_CHECK_OK(check_format(r, "stop"));
  return r;
}

namespace detail {

// As its shortest text: 0.7, not 0.699999988079071.
inline double plain_double(float x) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), x);
  double out = static_cast<double>(x);
  std::from_chars(text.data(), end.ptr, out);
  return out;
}

class openai_responses_dialect : public dialect {
 public:
  openai_responses_dialect(const answer_request& r, answer_facts facts)
      : facts_(std::move(facts)),
        settings_(settings_of(r)),
        logprobs_(r.logprobs),
        times_(r.timings_per_token) {}

  std::string begin() override {
    const json::object now = response("in_progress");
    json::object item = message("in_progress");
    item["content"] = json::array();
    // One after the other: each event has its number.
    std::string all = event("response.created", {{"response", now}});
    all += event("response.in_progress", {{"response", now}});
    if (calls()) item = call_of("", "in_progress");
    all += event("response.output_item.added",
                 {{"output_index", 0}, {"item", std::move(item)}});
    if (calls()) return all;
    all += event("response.content_part.added",
                 in_part({{"part", part("", {}, {})}}));
    return all;
  }

  std::string piece(std::size_t, const text_piece& p) override {
    if (calls()) {
      json::object o = in_call({{"delta", p.text}});
      timings_.add_to(o);
      return event("response.function_call_arguments.delta", std::move(o));
    }
    json::object o =
        in_part({{"delta", p.text}, {"logprobs", told(p.tokens, p.text)}});
    timings_.add_to(o);
    return event("response.output_text.delta", std::move(o));
  }

  void so_far(const ended_answer& a) override { timings_.set(a); }

  // llama-server's return_progress.
  std::string progress(std::size_t cached, std::size_t read,
                       std::size_t total) override {
    json::object o{
        {"response", response("in_progress")},
        {"prompt_progress", prompt_progress_of(cached, read, total)}};
    timings_.add_to(o);
    return event("response.in_progress", std::move(o));
  }

  std::string finish(const ended_answer& a) override {
    if (calls()) {
      std::string done =
          event("response.function_call_arguments.done",
                in_call({{"name", facts_.called}, {"arguments", a.text}}));
      return done + event("response.output_item.done",
                          {{"output_index", 0}, {"item", item_of(a)}});
    }
    std::string all;
    const json::array notes = annotations_of(a);
    for (std::size_t i = 0; i < notes.size(); ++i) {
      all +=
          event("response.output_text.annotation.added",
                in_part({{"annotation_index", i}, {"annotation", notes[i]}}));
    }
    all += event(
        "response.output_text.done",
        in_part({{"text", a.text}, {"logprobs", told(a.tokens, a.text)}}));
    all += event("response.content_part.done",
                 in_part({{"part", part(a.text, a.tokens, notes)}}));
    all += event("response.output_item.done",
                 {{"output_index", 0}, {"item", item_of(a)}});
    return all;
  }

  std::string end(std::span<const ended_answer> answers) override {
    const bool complete = is_complete(answers.front());
    json::object o{{"response", ended(answers)}};
    if (times_) o["timings"] = openai_timings(answers);
    return event(complete ? "response.completed" : "response.incomplete",
                 std::move(o));
  }

  std::string broken(const api_error& e) override {
    json::object o = response("failed");
    // Of OpenAI's codes this is the only one that fits; ours stands beside it.
    o["error"] = {{"code", "server_error"}, {"message", e.message}};
    o["tinyphi"] = {{"code", e.code}};
    return event("response.failed", {{"response", std::move(o)}});
  }

  std::string whole(std::span<const ended_answer> answers) override {
    return json::serialize(ended(answers));
  }

 private:
  static json::object settings_of(const answer_request& r) {
    json::value most, tier = "default";
    if (r.params.max_tokens != 0) most = r.params.max_tokens;
    if (r.wanted_class == priority_class::interactive) tier = "priority";
    if (r.wanted_class == priority_class::batch) tier = "flex";
    const bool drops = r.overflow == overflow_rule::drop_oldest_turns;
    return {{"background", false},
            {"instructions",
             r.instructions ? json::value(*r.instructions) : json::value()},
            {"max_output_tokens", std::move(most)},
            {"metadata", json::object()},
            {"parallel_tool_calls", false},
            {"previous_response_id", nullptr},
            {"reasoning", {{"effort", nullptr}, {"summary", nullptr}}},
            {"service_tier", std::move(tier)},
            {"store", false},
            {"temperature", plain_double(r.params.sampling.temperature)},
            {"text",
             {{"format",
               r.format ? r.format->told : json::object{{"type", "text"}}}}},
            {"tool_choice", r.tools ? r.tools->told_choice : "none"},
            {"tools", r.tools ? r.tools->told : json::array()},
            {"top_logprobs", r.params.sampling.n_logprobs},
            {"top_p", plain_double(r.params.sampling.top_p)},
            {"truncation", drops ? "auto" : "disabled"},
            {"user", nullptr}};
  }

  json::object response(const char* status) const {
    json::object o{{"id", "resp_" + facts_.id},
                   {"object", "response"},
                   {"created_at", facts_.created},
                   {"status", status},
                   {"error", nullptr},
                   {"incomplete_details", nullptr},
                   {"model", facts_.model},
                   {"system_fingerprint", facts_.fingerprint},
                   {"output", json::array()}};
    for (const auto& [key, value] : settings_) o[key] = value;
    o["usage"] = nullptr;
    return o;
  }

  static bool is_complete(const ended_answer& a) {
    return openai_finish(a) == "stop";
  }

  json::object ended(std::span<const ended_answer> answers) const {
    const ended_answer& a = answers.front();
    json::object o = response(is_complete(a) ? "completed" : "incomplete");
    if (!is_complete(a)) {
      o["incomplete_details"] = {{"reason", "max_output_tokens"}};
    }
    add_server_end(o, a);
    o["output"].as_array().push_back(item_of(a));
    const usage u = add_up(answers);
    json::object old = openai_usage(answers);
    o["usage"] = {
        {"input_tokens", u.prompt_tokens},
        {"input_tokens_details",
         {{"cached_tokens", u.cached_tokens}, {"cache_write_tokens", 0}}},
        {"output_tokens", u.completion_tokens},
        {"output_tokens_details", {{"reasoning_tokens", 0}}},
        {"total_tokens", u.prompt_tokens + u.completion_tokens},
        {"tinyphi", std::move(old["tinyphi"])}};
    return o;
  }

  json::object message(const char* status) const {
    return {{"id", "msg_" + facts_.id},
            {"type", "message"},
            {"status", status},
            {"role", "assistant"}};
  }
  [[nodiscard]] bool calls() const { return !facts_.called.empty(); }
  json::object call_of(const std::string& arguments, const char* status) const {
    return {{"id", "fc_" + facts_.id}, {"type", "function_call"},
            {"status", status},        {"call_id", facts_.call_ids[0]},
            {"name", facts_.called},   {"arguments", arguments}};
  }
  json::object item_of(const ended_answer& a) const {
    // Its arguments are whole however the answer ended.
    if (calls()) return call_of(a.text, "completed");
    json::object item = message(is_complete(a) ? "completed" : "incomplete");
    item["content"] = json::array{part(a.text, a.tokens, annotations_of(a))};
    return item;
  }
  json::object part(const std::string& text,
                    std::span<const sampled_token> tokens,
                    json::array annotations) const {
    return {{"type", "output_text"},
            {"text", text},
            {"annotations", std::move(annotations)},
            {"logprobs", told(tokens, text)}};
  }
  json::array told(std::span<const sampled_token> tokens,
                   std::string_view shown) const {
    return logprobs_ ? openai_logprobs(tokens, shown, facts_) : json::array();
  }
  static json::array annotations_of(const ended_answer& a) {
    json::array all;
    for (const answer_annotation& one : a.annotations) {
      all.push_back({{"type", "url_citation"},
                     {"start_index", one.start},
                     {"end_index", one.end},
                     {"title", one.title},
                     {"url", one.url}});
    }
    return all;
  }

  json::object in_call(json::object more) const {
    json::object o{{"item_id", "fc_" + facts_.id}, {"output_index", 0}};
    for (auto& [key, value] : more) o[key] = std::move(value);
    return o;
  }
  // What belongs to the one part of the one message.
  json::object in_part(json::object more) const {
    json::object o{{"item_id", "msg_" + facts_.id},
                   {"output_index", 0},
                   {"content_index", 0}};
    for (auto& [key, value] : more) o[key] = std::move(value);
    return o;
  }
  std::string event(const std::string& type, json::object more) {
    json::object o{{"type", type}, {"sequence_number", n_events_++}};
    for (auto& [key, value] : more) o[key] = std::move(value);
    return "event: " + type + "\n" + sse_event(o);
  }

  answer_facts facts_;
  json::object settings_;
  bool logprobs_;
  bool times_;
  next_timings timings_;
  std::size_t n_events_ = 0;
};

}  // namespace detail

TINYPHI_FUNC std::unique_ptr<dialect> make_openai_responses(
    const answer_request& r, answer_facts facts) {
  return std::make_unique<detail::openai_responses_dialect>(r,
                                                            std::move(facts));
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_OPENAI_RESPONSES_IPP_
