// SPDX-License-Identifier: MIT
// The stage `agent`: a prompt -> the answer of a model that may call tools
// before it answers.
#ifndef TINYPHI_PLUGINS_AGENT_AGENT_H_
#define TINYPHI_PLUGINS_AGENT_AGENT_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "plugins/agent/tool_model.h"

TINYPHI_NAMESPACE_BEGIN

struct agent_stage {
  static constexpr stage_info info{
      .id = "agent",
      .summary = "Lets a model answer with the help of tools",
      .reads_tools = true};

  enum class decisions : std::uint8_t { label, in_line };
  struct config {
    model_ref model;
    std::vector<tool_ref> tools;
    decisions decide = decisions::label;
    std::int64_t rounds = 4;
    std::int64_t max_tokens = 300;
    std::int64_t call_tokens = 80;
    std::int64_t result_tokens = 350;
    double temperature = 0;
    std::int64_t seed = 0;
  };
  struct inputs {
    const labelled_prompt* prompt = nullptr;
  };
  struct outputs {
    std::vector<made_call> calls;
    std::int64_t rounds = 0;
    std::int64_t tokens = 0;
  };
  struct streams {
    text_stream text;
  };

  static constexpr auto params() {
    return std::tuple{
        param("model", &config::model).doc("a [model.x] table"),
        param("tools", &config::tools)
            .required()
            .doc("names of [tool.x] tables"),
        param("decide", &config::decide)
            .names("label", "inline")
            .doc(
                "label: the model says a letter for a tool or an answer first; "
                "inline: it writes a call or a reply as JSON"),
        param("rounds", &config::rounds)
            .range(1, 8)
            .doc("the most calls; after them it must answer"),
        param("max_tokens", &config::max_tokens)
            .range(1, 131'072)
            .doc("the longest answer"),
        param("call_tokens", &config::call_tokens)
            .range(8, 4096)
            .doc("the longest arguments of a call; inline, also the longest "
                 "reply"),
        param("result_tokens", &config::result_tokens)
            .range(8, 16'384)
            .doc("what the model is told of a result; more is cut"),
        param("temperature", &config::temperature)
            .range(0, 100)
            .doc("0: always the likeliest token"),
        param("seed", &config::seed).range(0, INT64_MAX)};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("prompt", &inputs::prompt)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("calls", &outputs::calls),
                      port("rounds", &outputs::rounds),
                      port("tokens", &outputs::tokens)};
  }
  static constexpr auto stream_ports() {
    return std::tuple{port("text", &streams::text)};
  }

  static stage_facts check(const config& c, const call_facts&, host& h) {
    stage_facts facts;
    if (c.tools.empty()) {
      facts.faults.push_back({fault::out_of_range, "tools", 0,
                              "names no tool; without one take generate"});
      return facts;
    }
    // Each round adds a call, its result, and the markers of two turns.
    constexpr std::int64_t markers = 24;
    const std::int64_t rounds =
        c.rounds * (c.call_tokens + c.result_tokens + markers);
    facts.answer = {
        c.model.name,
        agents::tokens_told(agents::tools_of(c.tools, h), c.model.name, h) +
            static_cast<std::size_t>(rounds + c.max_tokens)};
    return facts;
  }

  agent_stage(const config& c, const call_facts& call, host& h)
      : tools_(agents::tools_of(c.tools, h)),
        rounds_(c.rounds),
        max_tokens_(static_cast<std::size_t>(c.max_tokens)),
        result_tokens_(static_cast<std::size_t>(c.result_tokens)) {
    if (call.is_scripted) return;
    agents::tool_model::options o;
    o.model = c.model.name;
    if (c.decide == decisions::in_line) {
      o.asking.by = tool_asking::form::in_line;
    }
    o.call_tokens = static_cast<std::size_t>(c.call_tokens);
    o.sampling.temperature = static_cast<float>(c.temperature);
    o.sampling.seed = static_cast<std::uint64_t>(c.seed);
    model_.emplace(tools_, std::move(o), h);
  }

  task<outputs> run(run_context& cx, inputs in, streams out) const {
    outputs o;
    std::vector<segment> prompt;
    if (model_) prompt = model_->told(*in.prompt);
    std::set<std::string> made;             // calls with their arguments
    std::map<std::string, error> failures;  // by tool
    agents::turn t;
    for (std::size_t n = 0; o.rounds < rounds_; ++n) {
      task<agents::turn> coming = next_turn(cx, prompt, n);
      t = co_await std::move(coming);
      if (!t.tool) break;
      const file_tool& tool = *tools_[*t.tool];
      const value_data arguments = from_json(
          unwrap(parse_json(t.arguments, "the arguments of " + tool.name)));
      if (!made.insert(tool.name + " " + json::serialize(to_json(arguments)))
               .second) {
        throw stage_error(
            error_code::exhausted,
            "the model calls " + tool.name + " again with the same arguments");
      }
      task<tool_result> running = tool.call(cx, arguments);
      const tool_result result = co_await std::move(running);
      unwrap(cx.stop().check());
      ++o.rounds;
      std::string text = agents::told_result(result);
      if (model_) {
        // A result may be a megabyte, whose tokens others must not wait for.
        const auto tell = [&] {
          text = model_->cut(std::move(text), result_tokens_);
          prompt =
              model_->continued(std::move(prompt), *t.tool, t.arguments, text);
        };
        co_await cx.blocking(tell);
      }
      o.calls.push_back(
          {tool.name, arguments, agents::outcome_of(result), std::move(text)});
      // What went wrong is told to the model once.
      if (result.outcome != tool_outcome::failed) continue;
      if (!failures.emplace(tool.name, result.error).second) {
        throw stage_error(error{result.error}.within("tool " + tool.name));
      }
    }
    task<void> answered = answer(cx, prompt, t, out, o);
    co_await std::move(answered);
    co_return o;
  }

 private:
  // What the model wants, or what a test's script wants in its place.
  task<agents::turn> next_turn(run_context& cx,
                               const std::vector<segment>& prompt,
                               std::size_t n) const {
    if (const auto given = scripted_turn(cx, n)) {
      co_return agents::scripted(*given, tools_);
    }
    usage used;
    const auto work = [&] { return model_->next(prompt, cx, used); };
    agents::turn t = co_await cx.blocking(work);
    cx.note_usage(used);
    co_return t;
  }

  task<void> answer(run_context& cx, const std::vector<segment>& prompt,
                    const agents::turn& t, streams& out, outputs& o) const {
    if (t.reply) {
      co_await out.text.send(*t.reply);
      co_return;
    }
    if (!model_) {
      throw stage_error(error_code::exhausted,
                        "the script ends with a call; its last turn must be a "
                        "text");
    }
    generation_params params = model_->params(cx);
    params.max_tokens = max_tokens_;
    tinyphi::engine engine = model_->engine();
    generation generated = engine.complete(prompt, params);
    task<void> sent = send_answer(cx, generated, out.text);
    co_await std::move(sent);
    o.tokens = static_cast<std::int64_t>(generated.usage().completion_tokens);
  }

  agents::file_tools tools_;
  std::int64_t rounds_;
  std::size_t max_tokens_;
  std::size_t result_tokens_;
  std::optional<agents::tool_model> model_;  // none in a scripted test
};
static_assert(stage<agent_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_AGENT_AGENT_H_
