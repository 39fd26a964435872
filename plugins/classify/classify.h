// SPDX-License-Identifier: MIT
// The stage `classify`: a prompt -> which of a few labels is its answer.
#ifndef TINYPHI_PLUGINS_CLASSIFY_CLASSIFY_H_
#define TINYPHI_PLUGINS_CLASSIFY_CLASSIFY_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "plugins/prompt/model_prompt.h"
#include "tinyphi/generate/engine.h"
#include "tinyphi/pipeline/stage.h"
#include "tinyphi/text/chat_template.h"

TINYPHI_NAMESPACE_BEGIN

struct classify_stage {
  static constexpr stage_info info{
      .id = "classify", .summary = "Chooses one of a few answers to a prompt"};
  static constexpr std::size_t max_labels = 64;

  struct config {
    model_ref model;
    std::vector<std::string> labels;
  };
  struct inputs {
    const labelled_prompt* prompt = nullptr;
  };
  struct outputs {
    std::string label;
    double score = 0;
    std::vector<double> scores;
  };

  static constexpr auto params() {
    return std::tuple{param("model", &config::model).doc("a [model.x] table"),
                      param("labels", &config::labels)
                          .required()
                          .doc("2 to 64 texts, one of which is the answer")};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("prompt", &inputs::prompt)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("label", &outputs::label),
                      port("score", &outputs::score),
                      port("scores", &outputs::scores)};
  }

  static stage_facts check(const config& c, const call_facts&, host& h) {
    stage_facts facts;
    const auto report = [&](std::string message) {
      facts.faults.push_back(
          {fault::out_of_range, "labels", 0, std::move(message)});
    };
    const std::size_t n = c.labels.size();
    if (n < 2 || n > max_labels) {
      report("has " + std::to_string(n) + " labels, allowed are 2 to " +
             std::to_string(max_labels));
      return facts;
    }
    for (auto label = c.labels.begin(); label != c.labels.end(); ++label) {
      if (label->empty()) report("has an empty label");
      if (std::find(c.labels.begin(), label, *label) != label) {
        report(quote(*label) + " is named twice");
      }
    }
    facts.out_types.emplace("label", type::one_of(c.labels));
    const auto known = h.facts(c.model.name);
    facts.answer = {c.model.name, longest(c.labels, known && known->tokenizer
                                                        ? &*known->tokenizer
                                                        : nullptr)};
    return facts;
  }

  classify_stage(config c, host& h)
      : model_(std::move(c.model.name)),
        labels_(std::move(c.labels)),
        engine_(unwrap(h.engine(model_))),
        end_of_turn_(find_end_of_turn(engine_.model())) {}

  task<outputs> run(run_context& cx, inputs in) const {
    usage used;
    const auto work = [&] { return classify(cx, *in.prompt, used); };
    outputs out = co_await cx.blocking(work);
    cx.note_usage(used);
    co_return out;
  }

 private:
  // At most so many tokens are behind the prompt. The end of the turn is one,
  // and so is the space in front of a text that some tokenizers add.
  static std::size_t longest(const std::vector<std::string>& labels,
                             const tokenizer* t) {
    std::size_t most = 0;
    for (const std::string& label : labels) {
      most = std::max(most, t == nullptr
                                ? label.size() + 1
                                : std::max(t->encode(label).size(),
                                           t->encode_inside(label).size()));
    }
    return most + 1;
  }

  // The token by which the model ends an answer, if it has one: what follows
  // an answer in a chat.
  static std::optional<token_id> find_end_of_turn(const model& m) {
    const std::vector<token_id>& stop = m.stop_ids();
    const tokenizer* t = m.tokenizer();
    if (t == nullptr || stop.empty()) return std::nullopt;
    if (m.chat_format()) {
      const std::vector<message> turns = {{role::user, "a"},
                                          {role::assistant, "a"}};
      const auto ids = [&](std::size_t n, bool asks) {
        return t->encode(unwrap(render_chat(*m.chat_format(),
                                            std::span(turns).first(n), asks)),
                         true);
      };
      const auto asked = ids(1, true), answered = ids(2, false);
      const auto answer = std::mismatch(asked.begin(), asked.end(),
                                        answered.begin(), answered.end());
      const auto end = std::find_first_of(answer.second, answered.end(),
                                          stop.begin(), stop.end());
      if (end != answered.end()) return *end;
    }
    return t->vocab().eos ? t->vocab().eos : stop.front();
  }

  [[nodiscard]] outputs classify(const run_context& cx,
                                 const labelled_prompt& prompt,
                                 usage& used) const {
    generation_params params;
    params.stop_when = cx.stop();
    params.set_origin(cx.origin());
    tinyphi::engine engine = engine_;
    std::vector<scored_text> texts = texts_for(prompt);
    // The prompt is read once, and each label behind it.
    used.prompt_tokens = texts.front().ids.size() - texts.front().n_scored;
    for (const scored_text& t : texts) used.prompt_tokens += t.n_scored;
    const auto scores = unwrap(engine.score(std::move(texts), params));
    unwrap(cx.stop().check());
    return chosen(scores);
  }

  // The prompt with each label behind it. They are tokenized together, as the
  // model has learnt to read them.
  [[nodiscard]] std::vector<scored_text> texts_for(
      const labelled_prompt& prompt) const {
    std::vector<segment> whole = segments_for(model_, prompt);
    const tokenizer* t = engine_.model().tokenizer();
    if (t == nullptr) {
      throw stage_error(error_code::unsupported,
                        "model '" + model_ + "' has no tokenizer for labels");
    }
    const auto shared = t->encode(whole, true);
    whole.emplace_back();
    std::vector<scored_text> texts;
    for (const std::string& label : labels_) {
      whole.back().text = label;
      scored_text text{t->encode(whole, true), 0};
      const auto differs = std::mismatch(shared.begin(), shared.end(),
                                         text.ids.begin(), text.ids.end());
      std::vector<token_id> answer(differs.second, text.ids.end());
      if (!prompt.ids.empty()) {
        // Exact tokens end where they end.
        if (differs.first != shared.end()) answer = t->encode_inside(label);
        text.ids.assign(prompt.ids.begin(), prompt.ids.end());
        text.ids.insert(text.ids.end(), answer.begin(), answer.end());
      }
      text.n_scored = answer.size();
      if (end_of_turn_) {
        text.ids.push_back(*end_of_turn_);
        ++text.n_scored;
      }
      texts.push_back(std::move(text));
    }
    return texts;
  }

  [[nodiscard]] outputs chosen(const std::vector<text_score>& found) const {
    const auto best =
        std::ranges::max_element(found, {}, &text_score::log_probability);
    outputs out;
    double sum = 0;
    for (const text_score& s : found) {
      out.scores.push_back(std::exp(s.log_probability - best->log_probability));
      sum += out.scores.back();
    }
    for (double& p : out.scores) p /= sum;
    const auto i = static_cast<std::size_t>(best - found.begin());
    out.label = labels_[i];
    out.score = out.scores[i];
    return out;
  }

  std::string model_;
  std::vector<std::string> labels_;
  tinyphi::engine engine_;
  std::optional<token_id> end_of_turn_;
};
static_assert(stage<classify_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_CLASSIFY_CLASSIFY_H_
