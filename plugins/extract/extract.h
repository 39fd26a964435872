// SPDX-License-Identifier: MIT
// The stage `extract`: a prompt -> a value of a type, which the model's answer
// is held to while it is written.
#ifndef TINYPHI_PLUGINS_EXTRACT_EXTRACT_H_
#define TINYPHI_PLUGINS_EXTRACT_EXTRACT_H_

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>
#include <tuple>
#include <utility>

#include "plugins/extract/type_outline.h"
#include "plugins/prompt/model_prompt.h"
#include "tinyphi/base/json.h"
#include "tinyphi/constrain/constraint.h"
#include "tinyphi/generate/engine.h"
#include "tinyphi/pipeline/stage.h"
#include "tinyphi/pipeline/value_json.h"

TINYPHI_NAMESPACE_BEGIN

struct extract_stage {
  static constexpr stage_info info{
      .id = "extract", .summary = "Lets a model answer with a value of a type"};

  struct config {
    model_ref model;
    type_ref type;
    std::int64_t max_tokens = 512;
    double temperature = 0;
    std::int64_t seed = 0;
  };
  struct inputs {
    const labelled_prompt* prompt = nullptr;
  };
  struct outputs {
    value_data value;
    std::int64_t tokens = 0;
    std::string finish;
  };

  static constexpr auto params() {
    return std::tuple{
        param("model", &config::model).doc("a [model.x] table"),
        param("type", &config::type)
            .required()
            .doc("the [type.x] that the answer is of"),
        param("max_tokens", &config::max_tokens)
            .range(1, 131'072)
            .doc("the longest answer; a value that comes near it is brought to "
                 "an end in time"),
        param("temperature", &config::temperature)
            .range(0, 100)
            .doc("0: always the likeliest token"),
        param("seed", &config::seed).range(0, INT64_MAX)};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("prompt", &inputs::prompt)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("value", &outputs::value),
                      port("tokens", &outputs::tokens),
                      port("finish", &outputs::finish)};
  }

  static stage_facts check(const config& c, const call_facts&, host& h) {
    stage_facts facts;
    facts.out_types["value"] = c.type.type;
    const schema* rules = c.type.type.rules();
    if (rules == nullptr) return facts;  // the type has a fault of its own
    if (const auto g = schema_grammar(*rules); !g) {
      // Both count alike; see schema.h.
      const auto code = static_cast<fault>(g.error().front().code);
      facts.faults.push_back({code, "type", 0,
                              "no answer can be held to " + c.type.name + ": " +
                                  g.error().front().pointer + ": " +
                                  g.error().front().message});
      return facts;
    }
    const auto known = h.facts(c.model.name);
    const std::string outline = instruction(c.type.type);
    const std::size_t told =
        known && known->tokenizer
            ? known->tokenizer->encode_inside(outline).size()
            : outline.size();
    // Where the prompt and what is added meet, tokens may fall otherwise.
    constexpr std::size_t at_borders = 8;
    facts.answer = {c.model.name,
                    static_cast<std::size_t>(c.max_tokens) + told + at_borders};
    return facts;
  }

  extract_stage(config c, host& h)
      : model_(c.model.name),
        type_(c.type.type),
        instruction_(instruction(type_)),
        engine_(unwrap(h.engine(c.model.name))) {
    if (type_.rules() == nullptr) {
      throw stage_error(
          error_code::invalid_argument,
          "with.type: " + c.type.name +
              " is no [type.x], whose rules an answer is held to");
    }
    const token_trie vocabulary = unwrap(engine_.vocabulary());
    params_.format =
        unwrap(constraint::json_schema(vocabulary, *type_.rules()));
    params_.max_tokens = static_cast<std::size_t>(c.max_tokens);
    params_.sampling.temperature = static_cast<float>(c.temperature);
    params_.sampling.seed = static_cast<std::uint64_t>(c.seed);
    if (const std::size_t n = params_.format->shortest();
        n > params_.max_tokens) {
      throw stage_error(error_code::limit,
                        "with.max_tokens is " + std::to_string(c.max_tokens) +
                            ", the shortest " + c.type.name + " has " +
                            std::to_string(n) + " tokens; allow more");
    }
  }

  task<outputs> run(run_context& cx, inputs in) const {
    usage used;
    const auto work = [&] { return extract(cx, *in.prompt, used); };
    outputs out = co_await cx.blocking(work);
    cx.note_usage(used);
    co_return out;
  }

 private:
  // A model that does not know the form writes what fits it and says nothing.
  static std::string instruction(const tinyphi::type& t) {
    return "\n\nAnswer as JSON of this form: " + type_outline(t);
  }

  // The prompt, with the form behind the last of its texts.
  [[nodiscard]] std::vector<segment> asked(const labelled_prompt& p) const {
    std::vector<segment> segments = segments_for(model_, p);
    const auto last = std::find_if(segments.rbegin(), segments.rend(),
                                   [](const segment& s) { return !s.control; });
    if (last == segments.rend()) {
      segments.insert(segments.begin(), {instruction_, false});
    } else {
      last->text += instruction_;
    }
    return segments;
  }

  [[nodiscard]] outputs extract(const run_context& cx,
                                const labelled_prompt& prompt,
                                usage& used) const {
    generation_params params = params_;
    params.stop_when = cx.stop();
    params.set_origin(cx.origin());
    tinyphi::engine engine = engine_;
    generation answer = engine.complete(asked(prompt), params);
    outputs out;
    out.value = read(whole_answer(cx, answer, used));
    out.tokens = static_cast<std::int64_t>(used.completion_tokens);
    out.finish = std::string(to_string(answer.finish()));
    return out;
  }

  // What a constraint lets through is of the type; that it is, is looked at
  // again, since stages behind this one rely on it.
  [[nodiscard]] value_data read(const std::string& text) const {
    const value_data value =
        from_json(unwrap(parse_json(text, "the model's answer")));
    if (const auto wrong = find_misfit(value, type_)) {
      throw stage_error(error_code::bad_data, "the model's answer: " + *wrong);
    }
    return conform(value, type_);
  }

  std::string model_;
  tinyphi::type type_;
  std::string instruction_;
  tinyphi::engine engine_;
  generation_params params_;
};
static_assert(stage<extract_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_EXTRACT_EXTRACT_H_
