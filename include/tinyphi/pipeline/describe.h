// SPDX-License-Identifier: MIT
// A proved graph in words and pictures: what feeds what, and what it may cost.
#ifndef TINYPHI_PIPELINE_DESCRIBE_H_
#define TINYPHI_PIPELINE_DESCRIBE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tinyphi/pipeline/compile.h"

TINYPHI_NAMESPACE_BEGIN

enum class graph_format : std::uint8_t { text, dot, mermaid, svg };

// The graph with types and labels. As text: one stage after the other, in an
// order in which they may run. As SVG: a picture that needs no other file.
[[nodiscard]] std::string describe(const graph& g, graph_format format);

// What one stage may cost at most.
struct stage_plan {
  std::string id;
  std::string plugin;
  std::optional<duration> timeout;
  std::string model;              // of a stage that has to do with one
  std::size_t context = 0;        // of that model; 0: not known
  std::size_t prompt_tokens = 0;  // in a prompt that it lays out
  std::size_t reserve = 0;        // kept free in it
  std::size_t answer_tokens = 0;  // that it may generate
};

// In an order in which the stages may run. Behind a stage that calls a file
// stand those of the file, as "note.prompt".
[[nodiscard]] std::vector<stage_plan> plan(const graph& g);
// The plan as a table for people, the deadline last.
[[nodiscard]] std::string plan_text(const graph& g);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/describe.ipp"
#endif

#endif  // TINYPHI_PIPELINE_DESCRIBE_H_
