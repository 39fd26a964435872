// SPDX-License-Identifier: MIT
// The stage `tool.pick`: a prompt -> one call of a tool, whose result goes to
// the file and never back to the model.
#ifndef TINYPHI_PLUGINS_TOOL_PICK_TOOL_PICK_H_
#define TINYPHI_PLUGINS_TOOL_PICK_TOOL_PICK_H_

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "plugins/agent/tool_model.h"

TINYPHI_NAMESPACE_BEGIN

struct tool_pick_stage {
  static constexpr stage_info info{
      .id = "tool.pick",
      .summary = "Lets a model choose a tool and its arguments, and runs it"};

  struct config {
    model_ref model;
    std::vector<tool_ref> tools;
    std::int64_t call_tokens = 80;
  };
  struct inputs {
    const labelled_prompt* prompt = nullptr;
  };
  struct outputs {
    std::string tool;
    value_data args;
    std::optional<value_data> result;
  };

  static constexpr auto params() {
    return std::tuple{param("model", &config::model).doc("a [model.x] table"),
                      param("tools", &config::tools)
                          .required()
                          .doc("names of [tool.x] tables"),
                      param("call_tokens", &config::call_tokens)
                          .range(8, 4096)
                          .doc("the longest arguments of the call")};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("prompt", &inputs::prompt)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("tool", &outputs::tool),
                      port("args", &outputs::args),
                      port("result", &outputs::result)};
  }

  static stage_facts check(const config& c, const call_facts&, host& h) {
    stage_facts facts;
    if (c.tools.empty()) {
      facts.faults.push_back(
          {fault::out_of_range, "tools", 0, "names no tool"});
      return facts;
    }
    std::vector<std::string> names;
    for (const tool_ref& t : c.tools) names.push_back(t.name);
    facts.out_types.emplace("tool", type::one_of(std::move(names)));
    facts.answer = {
        c.model.name,
        agents::tokens_told(agents::tools_of(c.tools, h), c.model.name, h) +
            static_cast<std::size_t>(c.call_tokens)};
    return facts;
  }

  tool_pick_stage(const config& c, const call_facts& call, host& h)
      : tools_(agents::tools_of(c.tools, h)) {
    if (call.is_scripted) return;
    agents::tool_model::options o;
    o.model = c.model.name;
    o.asking.may_answer = false;
    o.call_tokens = static_cast<std::size_t>(c.call_tokens);
    model_.emplace(tools_, std::move(o), h);
  }

  // A person's no leaves the result absent; a tool that fails fails the stage.
  task<outputs> run(run_context& cx, inputs in) const {
    agents::turn t;
    if (const auto given = scripted_turn(cx, 0)) {
      t = agents::scripted(*given, tools_);
    } else {
      usage used;
      const auto work = [&] {
        return model_->next(model_->told(*in.prompt), cx, used);
      };
      t = co_await cx.blocking(work);
      cx.note_usage(used);
    }
    if (!t.tool) {
      throw stage_error(error_code::invalid_argument,
                        "the script gives a text; tool.pick must call a tool");
    }
    const file_tool& tool = *tools_[*t.tool];
    outputs o;
    o.tool = tool.name;
    o.args = from_json(
        unwrap(parse_json(t.arguments, "the arguments of " + tool.name)));
    task<tool_result> running = tool.call(cx, o.args);
    tool_result result = co_await std::move(running);
    unwrap(cx.stop().check());
    if (result.outcome == tool_outcome::failed) {
      throw stage_error(std::move(result.error).within("tool " + tool.name));
    }
    if (result.outcome == tool_outcome::denied) {
      cx.give_reason("denied: " + result.reason);
    } else {
      o.result = std::move(result.value);
    }
    co_return o;
  }

 private:
  agents::file_tools tools_;
  std::optional<agents::tool_model> model_;  // none in a scripted test
};
static_assert(stage<tool_pick_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_TOOL_PICK_TOOL_PICK_H_
