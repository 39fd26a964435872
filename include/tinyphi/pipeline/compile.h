// SPDX-License-Identifier: MIT
// From a description to a proved graph: plugins and ports known, references
// and types right, no cycle, nothing that may be absent where it must not be,
// no effect that untrusted data drives, prompts within the model's context.
// Each step is a pass in passes/, whose head lists the codes that it reports.
#ifndef TINYPHI_PIPELINE_COMPILE_H_
#define TINYPHI_PIPELINE_COMPILE_H_

#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/pipeline/graph.h"
#include "tinyphi/pipeline/registry.h"
#include "tinyphi/pipeline/spec.h"

TINYPHI_NAMESPACE_BEGIN

// Files that call each other nest at most so deep.
inline constexpr std::size_t max_call_depth = 8;

// Proves the description of `file`. What is wrong is added to `faults`; if an
// error is among it the graph is null. Nothing is opened but the files that it
// calls, and what host_options::describe_model opens. `callers` are the files
// that lead to this one.
[[nodiscard]] std::shared_ptr<graph> compile_graph(
    const pipeline_spec& spec, const registry& plugins,
    const host_options& options, const std::filesystem::path& file,
    std::vector<diagnostic>& faults,
    std::vector<std::filesystem::path> callers = {});

// Creates a stage, or all but those that are left out, by stage. The error
// names the stage and has its own code.
// The tools that a stage may call, unless another stage has created them.
[[nodiscard]] result<void> create_tools(const graph& g, std::size_t stage,
                                        std::string_view file);
[[nodiscard]] result<void> create_stage(graph& g, std::size_t stage,
                                        std::string_view file);
[[nodiscard]] result<void> create_stages(
    graph& g, std::string_view file, const std::vector<bool>& left_out = {});

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/compile.ipp"
#endif

#endif  // TINYPHI_PIPELINE_COMPILE_H_
