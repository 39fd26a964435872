// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_OPENAI_COMPLETIONS_IPP_
#define TINYPHI_SERVE_OPENAI_COMPLETIONS_IPP_

#include <utility>

#include "tinyphi/serve/openai_chat.h"
#include "tinyphi/serve/openai_completions.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

class openai_completion_dialect : public dialect {
 public:
  openai_completion_dialect(const answer_request& r, answer_facts facts)
      : facts_(std::move(facts)),
        include_usage_(r.include_usage),
        logprobs_(r.logprobs),
        offsets_(facts_.n_answers) {
    if (!r.echo) return;
    for (std::size_t i = 0; i < facts_.n_answers; ++i) {
      const std::size_t prompt = i / r.n;
      echoes_.push_back(prompt < facts_.prompt_texts.size()
                            ? facts_.prompt_texts[prompt]
                            : std::string());
    }
  }

  std::string begin() override {
    std::string all;
    for (std::size_t i = 0; i < echoes_.size(); ++i) {
      offsets_[i] = echoes_[i].size();
      all += event(choice(i, echoes_[i], nullptr, nullptr));
    }
    return all;
  }

  std::string piece(std::size_t index, const text_piece& p) override {
    json::value logprobs;
    if (logprobs_) logprobs = logprobs_of(p.tokens, offsets_[index]);
    return event(choice(index, p.text, std::move(logprobs), nullptr));
  }

  std::string finish(const ended_answer& a) override {
    json::object last = choice(
        a.index, "", nullptr, json::value(json::string_view(openai_finish(a))));
    add_server_end(last, a);
    return event(std::move(last));
  }

  std::string end(std::span<const ended_answer> answers) override {
    return openai_stream_end(head(), include_usage_, answers);
  }

  std::string whole(std::span<const ended_answer> answers) override {
    json::object o = head();
    json::array choices;
    for (const ended_answer& a : answers) {
      std::size_t offset = a.prompt_text.size();
      json::value logprobs;
      if (logprobs_) logprobs = logprobs_of(a.tokens, offset);
      json::object c =
          choice(a.index, a.prompt_text + a.text, std::move(logprobs),
                 json::value(json::string_view(openai_finish(a))));
      add_server_end(c, a);
      choices.push_back(std::move(c));
    }
    o["choices"] = std::move(choices);
    add_openai_totals(o, answers);
    return json::serialize(o);
  }

 private:
  json::object head() const {
    return {{"id", "cmpl-" + facts_.id},
            {"object", "text_completion"},
            {"created", facts_.created},
            {"model", facts_.model},
            {"system_fingerprint", facts_.fingerprint}};
  }
  static json::object choice(std::size_t index, std::string_view text,
                             json::value logprobs, json::value finish) {
    return {{"index", index},
            {"text", text},
            {"logprobs", std::move(logprobs)},
            {"finish_reason", std::move(finish)}};
  }
  std::string event(json::object choice) const {
    json::object o = head();
    o["choices"] = json::array{std::move(choice)};
    return sse_event(o);
  }
  // `offset` is where the first token's text stands, and then where the next
  // one's will.
  json::value logprobs_of(std::span<const sampled_token> tokens,
                          std::size_t& offset) const {
    json::array texts, values, tops, offsets;
    for (const sampled_token& t : tokens) {
      const std::string text = facts_.token_text(t.id);
      texts.push_back(json::value(valid_text(text)));
      values.push_back(json_logprob(t.logprob));
      json::object top;
      for (const token_logprob& other : t.top) {
        top[valid_text(facts_.token_text(other.id))] =
            json_logprob(other.logprob);
      }
      tops.push_back(std::move(top));
      offsets.push_back(offset);
      offset += text.size();
    }
    return json::object{{"tokens", std::move(texts)},
                        {"token_logprobs", std::move(values)},
                        {"top_logprobs", std::move(tops)},
                        {"text_offset", std::move(offsets)}};
  }

  answer_facts facts_;
  bool include_usage_;
  bool logprobs_;
  std::vector<std::size_t> offsets_;  // of each answer, where it goes on
  std::vector<std::string> echoes_;   // empty: nothing is echoed
};

}  // namespace detail

TINYPHI_FUNC std::unique_ptr<dialect> make_openai_completion(
    const answer_request& r, answer_facts facts) {
  return std::make_unique<detail::openai_completion_dialect>(r,
                                                             std::move(facts));
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_OPENAI_COMPLETIONS_IPP_
