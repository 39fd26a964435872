// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_TOOL_IPP_
#define TINYPHI_PIPELINE_TOOL_IPP_

#include <algorithm>
#include <utility>

#include "tinyphi/pipeline/executor.h"
#include "tinyphi/pipeline/tool.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// The arguments as inputs of the tool's graph.
inline result<input_values> take_arguments(const graph& g,
                                           const value_data& arguments) {
  const auto wrong = [](std::string message) {
    return error{error_code::invalid_argument, std::move(message)};
  };
  const auto* given = arguments.get<value_data::record>();
  if (given == nullptr) {
    return wrong("the arguments are " + std::string(kind_of(arguments)) +
                 ", not an object");
  }
  input_values inputs;
  std::vector<std::string_view> known;
  for (const input_spec& input : g.inputs) {
    known.push_back(input.name);
    const value_data* data = arguments.find(input.name);
    if (data == nullptr && input.optional) continue;
    if (data == nullptr) return wrong("argument " + input.name + " is missing");
    auto checked = check_input(input, *data);
    if (!checked) {
      // "input x: ..."
      return wrong("argument" + checked.error().message.substr(5));
    }
    inputs.emplace(input.name, *std::move(checked));
  }
  for (const value_data::member& m : *given) {
    if (std::ranges::find(known, m.name) != known.end()) continue;
    return wrong("no argument " + quote(m.name) + did_you_mean(m.name, known));
  }
  return inputs;
}

// The stage that does what the tool is for; it is the last.
inline std::size_t called_stage(const graph& g) { return g.stages.size() - 1; }

// In a test, what stands for the stage inside the tool.
inline std::shared_ptr<const run_doubles> tool_doubles(
    const std::string& tool, const graph& g,
    const std::shared_ptr<const run_doubles>& outer) {
  if (outer == nullptr || !outer->tool) return nullptr;
  auto doubles = std::make_shared<run_doubles>();
  doubles->fake =
      [outer, tool, last = called_stage(g)](
          std::size_t stage,
          std::size_t attempt) -> std::optional<result<call_outputs>> {
    if (stage != last) return std::nullopt;
    return outer->tool(tool, attempt);
  };
  return doubles;
}

inline tool_result tool_result_of(const file_tool& tool,
                                  const run_result& done) {
  const auto called =
      std::ranges::find(done.stages, tool.name, &stage_report::id);
  if (tool.asks_person && called->outcome == stage_outcome::skipped) {
    std::string why = called->reason;
    for (const stage_report& s : done.stages) {
      if (s.reason.starts_with("denied: ")) why = s.reason.substr(8);
    }
    return {.outcome = tool_outcome::denied, .reason = std::move(why)};
  }
  value_data::record values;
  for (const auto& [name, v] : done.outputs) values.push_back({name, v.data});
  return {.outcome = tool_outcome::done, .value = std::move(values)};
}

}  // namespace detail

TINYPHI_FUNC task<tool_result> file_tool::call(run_context& cx,
                                               value_data arguments) const {
  auto inputs = detail::take_arguments(*body, arguments);
  if (!inputs) co_return tool_result{.error = std::move(inputs).error()};
  run_options options;
  options.stop.token = cx.stop().token;
  options.origin = cx.origin();
  options.within = cx.within();
  options.doubles = detail::tool_doubles(name, *body, cx.site().doubles);
  if (cx.site().approve) {
    options.approve = cx.site().approve.with(
        [this](approval_question& q) { q.stage = name; });
  }
  options.trace = cx.trace();
  task<result<run_result>> whole =
      run_graph(body, *std::move(inputs), std::move(options), cx.pool());
  result<run_result> done = co_await std::move(whole);
  tool_result out;
  if (done) {
    out = detail::tool_result_of(*this, *done);
  } else {
    out.error = std::move(done).error();
  }
  if (cx.within() != nullptr && cx.within()->tool_counts != nullptr) {
    tool_count& count = (*cx.within()->tool_counts)[name];
    ++(out.outcome == tool_outcome::denied ? count.denied : count.calls);
  }
  co_return out;
}

TINYPHI_FUNC bool asks_person(const file_tool& tool) {
  return tool.asks_person;
}

TINYPHI_FUNC std::optional<value_data> scripted_turn(const run_context& cx,
                                                     std::size_t n) {
  const call_site& site = cx.site();
  if (site.doubles == nullptr || !site.doubles->turn) return std::nullopt;
  return site.doubles->turn(site.stage, n);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_TOOL_IPP_
