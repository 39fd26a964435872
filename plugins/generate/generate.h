// SPDX-License-Identifier: MIT
// The stage `generate`: a prompt -> the model's answer, streamed.
#ifndef TINYPHI_PLUGINS_GENERATE_GENERATE_H_
#define TINYPHI_PLUGINS_GENERATE_GENERATE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "plugins/prompt/model_prompt.h"
#include "tinyphi/constrain/constraint.h"
#include "tinyphi/constrain/grammar.h"
#include "tinyphi/generate/engine.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

// The form that an answer is held to while it is written; at most one of them.
struct answer_form {
  std::string regex;
  std::string grammar;
  std::vector<std::string> choice;

  static constexpr auto params() {
    return std::tuple{
        param("regex", &answer_form::regex).doc("an expression for the whole"),
        param("grammar", &answer_form::grammar).doc("in GBNF"),
        param("choice", &answer_form::choice).doc("texts, of which it is one")};
  }
  // Nothing if no form is given.
  [[nodiscard]] result<std::optional<tinyphi::grammar>> read() const {
    const int n = (regex.empty() ? 0 : 1) + (grammar.empty() ? 0 : 1) +
                  (choice.empty() ? 0 : 1);
    if (n > 1) {
      return error{error_code::invalid_argument,
                   "regex, grammar and choice exclude each other"};
    }
    std::optional<tinyphi::grammar> made;
    if (!regex.empty()) {
      TINYPHI_TRY(made, regex_grammar(regex));
    } else if (!grammar.empty()) {
      TINYPHI_TRY(made, gbnf_grammar(grammar));
    } else if (!choice.empty()) {
      TINYPHI_TRY(made, choice_grammar(choice));
    }
    return made;
  }
};

struct generate_stage {
  static constexpr stage_info info{.id = "generate",
                                   .summary = "Lets a model answer a prompt"};

  struct config {
    model_ref model;
    std::int64_t max_tokens = 256;
    double temperature = 0;
    std::int64_t top_k = 0;
    double top_p = 1;
    double min_p = 0;
    double repetition_penalty = 1;
    std::int64_t seed = 0;
    std::vector<std::string> stop;
    answer_form constrain;
  };
  struct inputs {
    const labelled_prompt* prompt = nullptr;
  };
  struct outputs {
    std::int64_t tokens = 0;
    std::string finish;
  };
  struct streams {
    text_stream text;
  };

  static constexpr auto params() {
    return std::tuple{
        param("model", &config::model).doc("a [model.x] table"),
        param("max_tokens", &config::max_tokens)
            .range(1, 131'072)
            .doc("the longest answer"),
        param("temperature", &config::temperature)
            .range(0, 100)
            .doc("0: always the likeliest token"),
        param("top_k", &config::top_k).range(0, 1'000'000).doc("0: all tokens"),
        param("top_p", &config::top_p).range(1e-6, 1),
        param("min_p", &config::min_p).range(0, 0.999),
        param("repetition_penalty", &config::repetition_penalty)
            .range(0.01, 10),
        param("seed", &config::seed).range(0, INT64_MAX),
        param("stop", &config::stop)
            .doc("texts that end the answer and are not part of it"),
        param("constrain", &config::constrain)
            .doc(
                "the form of the answer: { regex }, { grammar } or { choice }; "
                "near max_tokens it is brought to an end in time")};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("prompt", &inputs::prompt)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("tokens", &outputs::tokens),
                      port("finish", &outputs::finish)};
  }
  static constexpr auto stream_ports() {
    return std::tuple{port("text", &streams::text)};
  }

  static stage_facts check(const config& c, const call_facts&, host&) {
    stage_facts facts;
    facts.answer = {c.model.name, static_cast<std::size_t>(c.max_tokens)};
    if (const auto form = c.constrain.read(); !form) {
      facts.faults.push_back(
          {fault::out_of_range, "constrain", 0, form.error().message});
    }
    return facts;
  }

  generate_stage(config c, host& h)
      : model_(c.model.name), engine_(unwrap(h.engine(c.model.name))) {
    params_.max_tokens = static_cast<std::size_t>(c.max_tokens);
    params_.stop = std::move(c.stop);
    hold_to(c.constrain);
    sampling_params& s = params_.sampling;
    s.temperature = static_cast<float>(c.temperature);
    s.top_k = static_cast<std::int32_t>(c.top_k);
    s.top_p = static_cast<float>(c.top_p);
    s.min_p = static_cast<float>(c.min_p);
    s.repetition_penalty = static_cast<float>(c.repetition_penalty);
    s.seed = static_cast<std::uint64_t>(c.seed);
  }

  task<outputs> run(run_context& cx, inputs in, streams out) const {
    const std::vector<segment> prompt = segments_for(model_, *in.prompt);
    generation_params params = params_;
    params.stop_when = cx.stop();
    params.set_origin(cx.origin());
    tinyphi::engine engine = engine_;
    generation answer = in.prompt->ids.empty()
                            ? engine.complete(prompt, params)
                            : engine.complete(in.prompt->ids, params);
    task<void> sent = send_answer(cx, answer, out.text);
    co_await std::move(sent);
    co_return outputs{
        static_cast<std::int64_t>(answer.usage().completion_tokens),
        std::string(to_string(answer.finish()))};
  }

 private:
  void hold_to(const answer_form& form) {
    const auto grammar = unwrap(form.read());
    if (!grammar) return;
    params_.format =
        unwrap(constraint::create(unwrap(engine_.vocabulary()), *grammar));
    const std::size_t n = params_.format->shortest();
    if (n <= params_.max_tokens) return;
    throw stage_error(error_code::limit,
                      "with.max_tokens is " +
                          std::to_string(params_.max_tokens) +
                          ", the shortest answer of that form has " +
                          std::to_string(n) + " tokens; allow more");
  }

  std::string model_;
  tinyphi::engine engine_;
  generation_params params_;
};
static_assert(stage<generate_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_GENERATE_GENERATE_H_
