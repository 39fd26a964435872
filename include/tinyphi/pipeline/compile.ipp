// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_COMPILE_IPP_
#define TINYPHI_PIPELINE_COMPILE_IPP_

#include <algorithm>

#include "tinyphi/pipeline/compile.h"
#include "tinyphi/pipeline/passes/budget.ipp"
#include "tinyphi/pipeline/passes/compilation.h"
#include "tinyphi/pipeline/passes/files.ipp"
#include "tinyphi/pipeline/passes/order.ipp"
#include "tinyphi/pipeline/passes/ports.ipp"
#include "tinyphi/pipeline/passes/resolve.ipp"
#include "tinyphi/pipeline/passes/tools.ipp"
#include "tinyphi/pipeline/passes/types.ipp"
#include "tinyphi/pipeline/passes/unused.ipp"
#include "tinyphi/pipeline/tool.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// Whether all that stage `i` takes of `other` is text that it reads while it is
// being written.
inline bool only_reads_stream(const compilation& c, std::size_t i,
                              std::size_t other) {
  const graph& g = c.g;
  const graph_stage& s = g.stages[i];
  std::size_t n_needs = 0, n_streams = 0;
  const auto add_if_in = [&](const auto& stages) {
    if (std::ranges::find(stages, other) != stages.end()) ++n_needs;
  };
  const auto needs = [&](std::size_t slot) {
    if (slot >= g.slots.size()) return;  // item, index
    const auto node = c.node_of(slot);
    if (node && *node >= g.stages.size()) {
      // A switch may look at the other stage's values.
      add_if_in(stages_before(c, *node));
    }
    if (node && *node == other) ++n_needs;
  };
  for (const graph_port& p : s.in) {
    for (const graph_source& from : p.binding.from) {
      if (from.what != graph_source::kind::slot) continue;
      needs(from.slot);
      if (p.info.stream && p.binding.from.size() == 1 && !p.binding.is_list &&
          g.slots[from.slot].stage == other && g.slots[from.slot].stream) {
        ++n_streams;
      }
    }
  }
  if (s.when) std::ranges::for_each(s.when->test.reads(), needs);
  if (s.when) add_if_in(s.when->test.calls());
  if (s.each && s.each->what == graph_source::kind::slot) needs(s.each->slot);
  add_if_in(s.after_by_name);
  return n_streams > 0 && n_needs == n_streams;
}

inline void count_waits(compilation& c) {
  for (std::size_t i = 0; i < c.g.stages.size(); ++i) {
    for (const std::size_t other : c.g.stages[i].after) {
      graph_stage& first = c.g.stages[other];
      auto& followers = only_reads_stream(c, i, other)
                            ? first.read_while_running_by
                            : first.before;
      followers.push_back(i);
      ++c.g.stages[i].n_waits;
    }
  }
}

inline void count_readers(graph& g) {
  for (graph_stage& s : g.stages) {
    const auto read = [&](std::size_t slot) {
      if (std::ranges::find(s.reads, slot) != s.reads.end()) return;
      s.reads.push_back(slot);
      ++g.slots[slot].n_readers;
    };
    each_read(s, read);
    each_condition(g, s, read);
  }
  for (const graph_switch& s : g.switches) {
    for (const auto& one : s.cases) {
      if (!one.test) continue;
      for (const std::size_t slot : one.test->test.reads()) {
        ++g.slots[slot].n_readers;
      }
    }
  }
  for (const graph_output& o : g.outputs) {
    for (const graph_source& from : o.binding.from) {
      if (from.what == graph_source::kind::slot) ++g.slots[from.slot].n_readers;
    }
  }
}

}  // namespace detail

TINYPHI_FUNC std::shared_ptr<graph> compile_graph(
    const pipeline_spec& spec, const registry& plugins,
    const host_options& options, const std::filesystem::path& file,
    std::vector<diagnostic>& faults,
    std::vector<std::filesystem::path> callers) {
  const std::size_t before = faults.size();
  auto g = std::make_shared<graph>();
  g->file = file.string();
  g->name = spec.name;
  g->version = spec.version;
  g->summary = spec.summary;
  g->deadline = spec.deadline;
  g->triggers = spec.triggers;
  g->limits = spec.limits;
  g->services = std::make_shared<host>(options, file.parent_path(), spec.models,
                                       spec.rules, spec.allowed, spec.secrets,
                                       types_of(spec));
  std::error_code unknown;
  callers.push_back(std::filesystem::weakly_canonical(file, unknown));
  compilation c(spec, plugins, options, std::move(callers), *g, faults);
  add_tools(c);
  add_ports(c);
  resolve_names(c);
  if (sort_nodes(c)) {
    follow_values(c);
    check_budgets(c);
    if (!has_errors(faults)) check_files(c);
    if (!has_errors(faults)) report_unused(c);
  }
  const std::span<diagnostic> found = std::span(faults).subspan(before);
  name_libraries(found, spec.libraries);
  if (has_errors(found)) return nullptr;
  detail::count_waits(c);
  detail::count_readers(*g);
  g->hash = spec.hash;
  for (std::size_t i = 0; i < g->stages.size(); ++i) {
    g->stages[i].call = std::move(c.stages[i].call);
    g->effects = g->effects | g->stages[i].effects;
    if (!waits_for_person(*g, g->stages[i])) {
      g->unasked_effects =
          g->unasked_effects | detail::unasked_effects(g->stages[i]);
    }
    g->hash = joined_hash({g->hash, g->stages[i].hash});
  }
  return g;
}

TINYPHI_FUNC result<void> create_tools(const graph& g, std::size_t i,
                                       std::string_view file) {
  for (const std::string& name : g.stages[i].tools) {
    graph& body = *g.tools.find(name)->second->body;
    if (body.stages.back().instance) continue;  // another stage has it, too
    TINYPHI_CHECK_OK(create_stages(body, file));
  }
  return {};
}

TINYPHI_FUNC result<void> create_stage(graph& g, std::size_t i,
                                       std::string_view file) {
  graph_stage& stage = g.stages[i];
  error failed;
  try {
    stage.instance = stage.setup->create(stage.call, *g.services);
    return {};
  } catch (const stage_error& e) {
    failed = e.error;
  } catch (const std::exception& e) {
    failed.message = e.what();
  }
  const diagnostic d{fault::setup_failed, stage.at,
                     "stage " + stage.id + ": " + failed.message};
  return error{failed.code, to_string(d, file)};
}

TINYPHI_FUNC result<void> create_stages(graph& g, std::string_view file,
                                        const std::vector<bool>& left_out) {
  for (std::size_t i = 0; i < g.stages.size(); ++i) {
    if (!left_out.empty() && left_out[i]) continue;
    TINYPHI_CHECK_OK(create_tools(g, i, file));
    TINYPHI_CHECK_OK(create_stage(g, i, file));
  }
  return {};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_COMPILE_IPP_
