// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_NATIVE_COMPLETION_IPP_
#define TINYPHI_SERVE_NATIVE_COMPLETION_IPP_

#include <optional>
#include <utility>

#include "tinyphi/serve/native_completion.h"
#include "tinyphi/serve/openai_chat.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC json::object native_settings(const answer_request& r,
                                          std::span<const token_id> stop_ids) {
  const sampling_params& p = r.params.sampling;
  json::array biases;
  for (const auto& [id, bias] : p.logit_bias) {
    biases.push_back({{"token", id}, {"bias", bias}});
  }
  // Null is llama-server's word for what cannot come.
  if (r.params.ignore_stop_ids) {
    for (const token_id id : stop_ids) {
      biases.push_back({{"token", id}, {"bias", nullptr}});
    }
  }
  json::array stop;
  for (const std::string& s : r.params.stop) stop.push_back(json::value(s));
  const std::int64_t longest =
      r.params.max_tokens == 0 ? std::int64_t{-1}
                               : static_cast<std::int64_t>(r.params.max_tokens);
  return {{"temperature", p.temperature},
          {"top_k", p.top_k},
          {"top_p", p.top_p},
          {"min_p", p.min_p},
          {"typical_p", p.typical_p},
          {"repeat_penalty", p.repetition_penalty},
          {"repeat_last_n", p.penalty_window},
          {"presence_penalty", p.presence_penalty},
          {"frequency_penalty", p.frequency_penalty},
          {"dry_multiplier", p.dry_multiplier},
          {"dry_base", p.dry_base},
          {"dry_allowed_length", p.dry_allowed_length},
          {"dry_penalty_last_n", p.dry_window},
          {"mirostat", p.mirostat},
          {"mirostat_tau", p.mirostat_tau},
          {"mirostat_eta", p.mirostat_eta},
          {"seed", p.seed},
          {"n_predict", longest},
          {"max_tokens", longest},
          {"n_probs", r.logprobs ? p.n_logprobs : 0},
          {"ignore_eos", r.params.ignore_stop_ids},
          {"logit_bias", std::move(biases)},
          {"stop", std::move(stop)},
          {"stream", r.stream}};
}

namespace detail {

class native_completion_dialect : public dialect {
 public:
  native_completion_dialect(const answer_request& r, answer_facts facts)
      : facts_(std::move(facts)),
        settings_(native_settings(r, facts_.stop_ids)),
        fields_(r.response_fields),
        logprobs_(r.logprobs),
        return_tokens_(r.return_tokens) {}

  std::string begin() override { return {}; }

  // Who asks for probabilities gets an event for each token, as from
  // llama-server, unless no text can be told apart as one token's.
  std::string piece(std::size_t index, const text_piece& p) override {
    if (!logprobs_ || p.tokens.size() < 2) return one_piece(index, p);
    std::string joined;
    for (const sampled_token& t : p.tokens) {
      const std::string text = facts_.token_text(t.id);
      if (valid_text(text) != text) return one_piece(index, p);
      joined += text;
    }
    if (joined != p.text) return one_piece(index, p);
    std::string all;
    for (const sampled_token& t : p.tokens) {
      all += one_piece(index, {facts_.token_text(t.id), {t}});
    }
    return all;
  }

  std::string one_piece(std::size_t index, const text_piece& p) {
    json::object o{{"index", index},
                   {"content", p.text},
                   {"tokens", ids_of(p.tokens)},
                   {"stop", false},
                   {"id_slot", -1}};
    // llama-server gives log-probabilities here as chat does.
    if (logprobs_) {
      o["completion_probabilities"] = openai_logprobs(p.tokens, p.text, facts_);
    }
    timings_.add_to(o);
    return sse_event(o);
  }

  void so_far(const ended_answer& a) override { timings_.set(a); }

  std::string progress(std::size_t cached, std::size_t read,
                       std::size_t total) override {
    json::object o{
        {"index", 0},
        {"content", ""},
        {"tokens", json::array()},
        {"stop", false},
        {"prompt_progress", prompt_progress_of(cached, read, total)}};
    timings_.add_to(o);
    return sse_event(o);
  }

  std::string finish(const ended_answer& a) override {
    json::object o = last(a);
    o["content"] = "";
    o["tokens"] = json::array();
    return sse_event(chosen(std::move(o)));
  }
  std::string end(std::span<const ended_answer>) override { return {}; }

  std::string whole(std::span<const ended_answer> answers) override {
    json::array all;
    for (const ended_answer& a : answers) {
      json::object o = last(a);
      o["content"] = a.text;
      o["tokens"] = return_tokens_ ? ids_of(a.tokens) : json::array();
      if (logprobs_) {
        o["completion_probabilities"] =
            openai_logprobs(a.tokens, a.text, facts_);
      }
      all.push_back(chosen(std::move(o)));
    }
    return json::serialize(all.size() == 1 ? all.front() : json::value(all));
  }

 private:
  json::array ids_of(std::span<const sampled_token> tokens) const {
    json::array ids;
    for (const sampled_token& t : tokens) ids.push_back(t.id);
    return ids;
  }

  json::object last(const ended_answer& a) const {
    const char* type = "limit";
    if (a.finish == finish_reason::stop) {
      type = a.stop_text.empty() ? "eos" : "word";
    }
    json::object o{
        {"index", a.index},
        {"id_slot", -1},
        {"stop", true},
        {"model", facts_.model},
        {"tokens_predicted", a.usage.completion_tokens},
        {"tokens_evaluated", a.usage.prompt_tokens},
        {"tokens_cached", a.usage.prompt_tokens + a.usage.completion_tokens},
        {"truncated", false},
        {"has_new_line", a.text.find('\n') != std::string::npos},
        {"stop_type", type},
        {"stopping_word", a.stop_text},
        {"generation_settings", settings_},
        {"timings", openai_timings({&a, 1})}};
    if (a.prompt_index < facts_.prompt_texts.size()) {
      o["prompt"] = facts_.prompt_texts[a.prompt_index];
    }
    return o;
  }

  // Only the fields that are asked for, if any are; each has its path as its
  // name: "generation_settings/seed".
  json::object chosen(json::object o) const {
    if (fields_.empty()) return o;
    json::object some;
    for (const std::string& path : fields_) {
      const json::object* in = &o;
      std::string_view rest = path;
      std::size_t slash = 0;
      while (in != nullptr &&
             (slash = rest.find('/')) != std::string_view::npos) {
        const json::value* v = in->if_contains(rest.substr(0, slash));
        in = v == nullptr ? nullptr : v->if_object();
        rest.remove_prefix(slash + 1);
      }
      const json::value* v = in == nullptr ? nullptr : in->if_contains(rest);
      if (v != nullptr) some[path] = *v;
    }
    return some;
  }

  answer_facts facts_;
  json::object settings_;
  std::vector<std::string> fields_;
  bool logprobs_;
  bool return_tokens_;
  next_timings timings_;
};

}  // namespace detail

TINYPHI_FUNC std::unique_ptr<dialect> make_native_completion(
    const answer_request& r, answer_facts facts) {
  return std::make_unique<detail::native_completion_dialect>(r,
                                                             std::move(facts));
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_NATIVE_COMPLETION_IPP_
