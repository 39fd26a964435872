// SPDX-License-Identifier: MIT
// What a model may call: a [tool.x] table of a file. A tool runs as a file of
// its own, whose inputs are the arguments and whose outputs are the tool's; a
// person is asked in it where the table says so. Made by passes/tools.ipp.
#ifndef TINYPHI_PIPELINE_TOOL_H_
#define TINYPHI_PIPELINE_TOOL_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "tinyphi/base/error.h"
#include "tinyphi/pipeline/run_context.h"
#include "tinyphi/pipeline/stage.h"
#include "tinyphi/pipeline/value.h"

TINYPHI_NAMESPACE_BEGIN

struct graph;  // graph.h

// How a call of a tool ended. Denied: a person was asked and did not say yes.
enum class tool_outcome : std::uint8_t { done, failed, denied };

struct tool_result {
  tool_outcome outcome = tool_outcome::failed;
  // A record of those of its outputs that are there; only of one that is done.
  value_data value = {};
  tinyphi::error error = {};  // only of one that failed
  std::string reason = {};    // only of one that was denied
};

// Immutable once its stages are created; any number of calls at once.
struct file_tool {
  std::string name;
  std::string describe;
  position at;
  // The JSON Schema of an object with the arguments as members.
  std::string parameters;
  bool asks_person = false;
  effect effects = effect::none;
  effect unasked_effects = effect::none;  // those that wait for no person
  trust makes = trust::trusted;           // its outputs
  std::shared_ptr<graph> body;

  // Runs the tool within the run of a stage, which it shares deadline, memory
  // and trace with. `arguments` come from a model: they are checked against the
  // types first, and what is wrong with them is invalid_argument.
  [[nodiscard]] task<tool_result> call(run_context& cx,
                                       value_data arguments) const;
};

// In a test the n-th turn of the model, from 0, which the test's script gives
// to the stage that runs: { call, args } or { text }. Nothing outside of tests.
[[nodiscard]] std::optional<value_data> scripted_turn(const run_context& cx,
                                                      std::size_t n);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/tool.ipp"
#endif

#endif  // TINYPHI_PIPELINE_TOOL_H_
