// SPDX-License-Identifier: MIT
// A model that has tools: what it is told of them, which one it chooses, and
// the arguments that it writes. For the stages that let a model call tools.
#ifndef TINYPHI_PLUGINS_AGENT_TOOL_MODEL_H_
#define TINYPHI_PLUGINS_AGENT_TOOL_MODEL_H_

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plugins/prompt/model_prompt.h"
#include "tinyphi/generate/engine.h"
#include "tinyphi/generate/tool_calls.h"
#include "tinyphi/pipeline/stage.h"
#include "tinyphi/pipeline/tool.h"
#include "tinyphi/pipeline/value_json.h"

TINYPHI_NAMESPACE_BEGIN

namespace agents {

using file_tools = std::vector<std::shared_ptr<const file_tool>>;

// The tools that a stage names.
inline file_tools tools_of(const std::vector<tool_ref>& names, const host& h) {
  file_tools tools;
  for (const tool_ref& name : names) {
    const auto it = h.tools().find(name.name);
    if (it == h.tools().end() || it->second == nullptr) {
      throw stage_error(error_code::not_found,
                        "with.tools: no [tool." + name.name + "]");
    }
    tools.push_back(it->second);
  }
  return tools;
}

inline std::vector<tool_description> described(const file_tools& tools) {
  std::vector<tool_description> all;
  for (const auto& t : tools) {
    all.push_back({t->name, t->describe, t->parameters});
  }
  return all;
}

// What a stage's prompt must leave room for besides the answer: the tools, told
// as system_text does it, and the question which of them is needed.
inline std::size_t tokens_told(const file_tools& tools,
                               const std::string& model, host& h) {
  std::string text;
  for (const auto& t : tools) {
    text += t->name + t->describe + t->parameters + "A) : . Arguments: \n";
  }
  // The frame of system_text around the list, the question, and what tokens
  // may differ by where texts meet.
  constexpr std::size_t frame = 160;
  const auto known = h.facts(model);
  const bool counts = known && known->tokenizer;
  return frame +
         (counts ? known->tokenizer->encode_inside(text).size() : text.size());
}

// What a model wants to do next: call a tool, or answer.
struct turn {
  std::optional<std::size_t> tool;  // none: an answer
  std::string arguments = {};       // JSON text, as the model wrote it
  // The answer, where deciding was answering; else it is still to be written.
  std::optional<std::string> reply = {};
};

class tool_model {
 public:
  struct options {
    std::string model;
    tool_asking asking;
    std::size_t call_tokens = 80;
    sampling_params sampling = {};
  };

  tool_model(const file_tools& tools, options o, host& h)
      : options_(std::move(o)),
        engine_(unwrap(h.engine(options_.model))),
        format_(unwrap(engine_.model().chat_format())),
        set_(made(tools)),
        tools_text_("\n\n" + set_.system_text(options_.asking)) {
    if (options_.asking.by == tool_asking::form::in_line) {
      in_line_.emplace(unwrap(set_.in_line(options_.asking)));
    }
    for (std::size_t i = 0; i < tools.size(); ++i) {
      const std::size_t n = set_.arguments(i).shortest();
      if (n <= options_.call_tokens) continue;
      throw stage_error(
          error_code::limit,
          "with.call_tokens is " + std::to_string(options_.call_tokens) +
              ", the shortest arguments of " + tools[i]->name + " have " +
              std::to_string(n) + " tokens; allow more");
    }
  }

  [[nodiscard]] const tinyphi::engine& engine() const { return engine_; }

  // The prompt, with the tools behind the first of its texts.
  [[nodiscard]] std::vector<segment> told(const labelled_prompt& p) const {
    std::vector<segment> segments = segments_for(options_.model, p);
    auto at = std::ranges::find(segments, false, &segment::control);
    if (at != segments.end()) ++at;
    segments.insert(at, {tools_text_, false});
    return segments;
  }

  // Blocks. The model's next turn behind the prompt.
  [[nodiscard]] turn next(const std::vector<segment>& prompt,
                          const run_context& cx, usage& used) const {
    if (in_line_) return next_in_line(prompt, cx, used);
    turn t{.tool = choose(prompt, cx, used)};
    if (!t.tool) return t;
    std::vector<segment> begun = prompt;
    begun.push_back({set_.call_beginning(*t.tool), false});
    t.arguments = written(begun, set_.arguments(*t.tool), cx, used);
    return t;
  }

  // The prompt behind a call and its result, where the next turn begins.
  [[nodiscard]] std::vector<segment> continued(
      std::vector<segment> prompt, std::size_t tool,
      const std::string& arguments, const std::string& result) const {
    const std::string& name = set_[tool].name;
    const tool_call call{name, arguments};
    const message turns[] = {
        {role::user, "a"}, call_turn({&call, 1}), result_turn(name, result)};
    const auto asked = unwrap(render_chat(format_, std::span(turns).first(1)));
    const auto whole = unwrap(render_chat(format_, turns));
    // Where the conversation began is in the prompt.
    const auto rest = std::ranges::mismatch(
        asked, whole, [](const segment& a, const segment& b) {
          return a.text == b.text && a.control == b.control;
        });
    if (rest.in1 != asked.end()) {
      throw stage_error(error_code::internal,
                        "the chat format does not go on where it asked");
    }
    prompt.insert(prompt.end(), rest.in2, whole.end());
    return prompt;
  }

  // At most so many tokens of a result, at a character.
  [[nodiscard]] std::string cut(std::string text, std::size_t tokens) const {
    const tokenizer* t = engine_.model().tokenizer();
    const auto fits = [&](std::size_t bytes) {
      return t->encode_inside(std::string_view(text).substr(0, bytes)).size() <=
             tokens;
    };
    if (t == nullptr || fits(text.size())) return text;
    std::size_t low = 0, high = text.size();
    while (high - low > 1) {
      const std::size_t middle = low + (high - low) / 2;
      (fits(middle) ? low : high) = middle;
    }
    text.resize(complete_utf8_length(std::string_view(text).substr(0, low)));
    return text + "...";
  }

  [[nodiscard]] generation_params params(const run_context& cx) const {
    generation_params p;
    p.stop_when = cx.stop();
    p.set_origin(cx.origin());
    p.sampling = options_.sampling;
    return p;
  }

 private:
  [[nodiscard]] tool_set made(const file_tools& tools) const {
    auto set = tool_set::create(unwrap(engine_.vocabulary()), described(tools));
    if (!set) throw stage_error(std::move(set).error().error);
    return *std::move(set);
  }

  // The whole answer under a form.
  [[nodiscard]] std::string written(const std::vector<segment>& prompt,
                                    const constraint& form,
                                    const run_context& cx, usage& used) const {
    generation_params p = params(cx);
    p.max_tokens = options_.call_tokens;
    p.format = form;
    tinyphi::engine engine = engine_;
    generation answer = engine.complete(prompt, p);
    return whole_answer(cx, answer, used);
  }

  [[nodiscard]] turn next_in_line(const std::vector<segment>& prompt,
                                  const run_context& cx, usage& used) const {
    const auto said = unwrap(set_.read(written(prompt, *in_line_, cx, used)));
    if (said.calls.empty()) return {.tool = {}, .reply = said.reply};
    const tool_call& call = said.calls.front();
    return {.tool = set_.find(call.name), .arguments = call.arguments};
  }

  [[nodiscard]] std::optional<std::size_t> choose(
      const std::vector<segment>& prompt, const run_context& cx,
      usage& used) const {
    const bool may_answer = options_.asking.may_answer;
    const std::string question = std::string(tool_set::question(may_answer));
    // Without what is asked, the question says how the model likes each label
    // anyway.
    std::vector<segment> asked = prompt, empty = prompt;
    const auto last = std::find_if(prompt.rbegin(), prompt.rend(),
                                   [](const segment& s) { return !s.control; });
    const auto behind = prompt.rend() - last;
    for (std::vector<segment>* segments : {&asked, &empty}) {
      segments->insert(segments->begin() + behind, {"\n\n" + question, false});
    }
    const auto words = std::find_if(last, prompt.rend(), [&](const segment& s) {
      return !s.control && s.text != tools_text_;
    });
    if (words != prompt.rend()) {
      empty[static_cast<std::size_t>(prompt.rend() - words) - 1].text.clear();
    }
    const auto labels = set_.labels(may_answer);
    tinyphi::engine engine = engine_;
    const tokenizer* t = engine_.model().tokenizer();
    if (t == nullptr) {
      throw stage_error(
          error_code::unsupported,
          "model '" + options_.model +
              "' has no tokenizer, so that it cannot say a label");
    }
    const auto scores = [&](const std::vector<segment>& text) {
      auto ids = t->encode(text, true);
      used.prompt_tokens += ids.size();
      return unwrap(score_labels(engine, std::move(ids), labels, params(cx)));
    };
    const auto found = scores(asked);
    const auto liked = scores(empty);
    unwrap(cx.stop().check());
    return choose_tool(found, liked, may_answer).tool;
  }

  options options_;
  tinyphi::engine engine_;
  chat_format format_;
  tool_set set_;
  std::string tools_text_;
  std::optional<constraint> in_line_;
};

// A turn that a test's script gives.
inline turn scripted(const value_data& given, const file_tools& tools) {
  if (const value_data* text = given.find("text")) {
    return {.tool = {}, .reply = *text->get<std::string>()};
  }
  const std::string& name = *given.find("call")->get<std::string>();
  const auto it = std::ranges::find_if(
      tools, [&](const auto& t) { return t->name == name; });
  const value_data* args = given.find("args");
  return {
      .tool = static_cast<std::size_t>(it - tools.begin()),
      .arguments = args == nullptr ? "{}" : json::serialize(to_json(*args))};
}

// A result as a model is told it.
inline std::string told_result(const tool_result& r) {
  switch (r.outcome) {
    case tool_outcome::done: {
      constexpr std::size_t most = std::size_t{1} << 20;
      auto text = json_text(r.value, most);
      return text ? *std::move(text)
                  : "error: limit: the result is longer than 1 MiB";
    }
    case tool_outcome::denied:
      return "error: denied";
    case tool_outcome::failed:
      break;
  }
  return "error: " + std::string(to_string(r.error.code)) + ": " +
         r.error.message;
}
inline std::string outcome_of(const tool_result& r) {
  if (r.outcome == tool_outcome::done) return "done";
  if (r.outcome == tool_outcome::denied) return "denied";
  return std::string(to_string(r.error.code));
}

}  // namespace agents

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_AGENT_TOOL_MODEL_H_
