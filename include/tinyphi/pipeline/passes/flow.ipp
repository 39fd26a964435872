// SPDX-License-Identifier: MIT
// Information flow: an effect other than reading must not be driven by what
// untrusted people wrote, neither by a port that decides what is done nor by
// what decides whether it is done. [allow].flow grants exceptions, and what
// waits for a person's yes is driven by that person. And an effect is not tried
// again unless twice is as good as once. Its faults: TP2019, TP4001, TP4002,
// TP4005, TP4009.
#ifndef TINYPHI_PIPELINE_PASSES_FLOW_IPP_
#define TINYPHI_PIPELINE_PASSES_FLOW_IPP_

#include "tinyphi/pipeline/passes/compilation.h"
#include "tinyphi/pipeline/tool.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// The labels that reach one stage.
struct flow_of_stage {
  trust label = trust::trusted;    // of its data
  trust control = trust::trusted;  // of what decides whether it runs
  std::string driver;              // "when", "each", "until"
  std::string trail;               // of the first of them that is untrusted

  void add_control(trust more, std::string from, std::string by) {
    if (driver.empty() && more == trust::untrusted) {
      driver = std::move(by);
      trail = std::move(from);
    }
    control = join(control, more);
  }
};

inline std::string to_string_of_effects(effect e) {
  std::string text;
  constexpr std::pair<effect, std::string_view> names[] = {
      {effect::write, "write"}, {effect::net, "net"}, {effect::exec, "exec"}};
  for (const auto& [flag, name] : names) {
    if (!has(e, flag)) continue;
    text += (text.empty() ? "" : ", ") + std::string(name);
  }
  return text;
}

// The effects of a stage that no person inside it has to allow.
inline effect unasked_effects(const graph_stage& s) {
  return s.plugin.unasked_effects.value_or(s.effects);
}

inline std::string trail_of(const compilation& c, const graph_binding& b,
                            std::size_t n_steps = 0);

// How an untrusted value came about, from its end to where it began:
// "sort.label <- prompt.prompt <- input.mail". Empty if it is not untrusted.
inline std::string trail_of(const compilation& c, std::size_t index,
                            std::size_t n_steps = 0) {
  constexpr std::size_t max_steps = 8;
  const graph_slot& slot = c.g.slots[index];
  if (slot.label != trust::untrusted) return {};
  if (slot.stage == no_stage || n_steps == max_steps) return slot.name;
  for (const graph_port& p : c.g.stages[slot.stage].in) {
    const std::string rest = trail_of(c, p.binding, n_steps + 1);
    if (!rest.empty()) return slot.name + " <- " + rest;
  }
  return slot.name;
}

inline std::string trail_of(const compilation& c, const graph_binding& b,
                            std::size_t n_steps) {
  for (const graph_source& s : b.from) {
    if (s.what != graph_source::kind::slot) continue;
    std::string trail = trail_of(c, s.slot, n_steps);
    if (!trail.empty()) return trail;
  }
  return {};
}

// True if [allow].flow has an exception for `to`, which is then told.
inline bool is_granted(compilation& c, const std::string& to) {
  const auto& grants = c.spec.flow_grants;
  const auto it = std::ranges::find(grants, to, &flow_grant_spec::to);
  if (it == grants.end()) return false;
  if (c.used.grants.insert(to).second) {
    c.report(
        fault::granted, it->at,
        "[allow].flow: " + to + " is driven by untrusted data: " + it->why);
  }
  return true;
}

inline std::string ways_out(const std::string& name) {
  return "put a person in between (use = \"approve\") or grant " + name +
         " with a reason in [allow].flow";
}

// A tool with an effect in the hands of a model that untrusted people may have
// talked to.
inline void check_tools(compilation& c, const graph_stage& stage, trust label) {
  constexpr effect driven = effect::write | effect::net | effect::exec;
  for (const std::string& name : stage.tools) {
    const file_tool& tool = *c.g.tools.find(name)->second;
    if (label != trust::untrusted || !has(tool.unasked_effects, driven) ||
        is_granted(c, name)) {
      continue;
    }
    c.report(fault::driven_tool, tool.at,
             "tool " + name + ": has effect " +
                 to_string_of_effects(tool.unasked_effects) + ", and stage " +
                 stage.id +
                 " may call it with untrusted data; give it approve = \"60s\" "
                 "or grant " +
                 name + " with a reason in [allow].flow");
  }
}

inline void check_flow(compilation& c, std::size_t i,
                       const flow_of_stage& flow) {
  graph_stage& stage = c.g.stages[i];
  constexpr effect driven = effect::write | effect::net | effect::exec;
  if (!has(stage.effects, driven)) return;
  const std::string where = "stage " + stage.id + ": ";
  std::string effects = to_string_of_effects(stage.effects);
  if (stage.retry.max > 0 && !stage.facts.idempotent) {
    c.report(fault::no_retry, stage.retry.at,
             where + "has effect " + effects + ", so it is not retried");
  }
  if (!has(unasked_effects(stage), driven)) return;
  check_tools(c, stage, join(flow.label, flow.control));
  effects = to_string_of_effects(unasked_effects(stage));
  for (const graph_port& p : stage.in) {
    const std::string name = stage.id + "." + p.info.name;
    if (!p.info.decides || p.label != trust::untrusted || is_granted(c, name)) {
      continue;
    }
    c.report(fault::driven_port,
             p.binding.from.empty() ? stage.at : p.binding.from.front().at,
             where + "in." + p.info.name + " decides what is done (effect " +
                 effects + ") and is untrusted: " + trail_of(c, p.binding) +
                 "; " + ways_out(name));
  }
  if (flow.control != trust::untrusted) return;
  // Guards of its inputs drive it as its `when` would.
  const std::string by = flow.driver.empty() ? "when" : flow.driver;
  const std::string name = stage.id + "." + by;
  if (is_granted(c, name)) return;
  std::string trail = flow.trail;
  for (const graph_port& p : stage.in) {
    if (trail.empty() && p.label == trust::untrusted) {
      trail = trail_of(c, p.binding);
    }
  }
  const auto& when = c.spec.stages[i].when;
  c.report(fault::driven_effect,
           flow.driver == "when" && when ? when->at : stage.at,
           where + "has effect " + effects +
               ", and untrusted data decides whether it runs: " + name +
               " <- " + trail + "; " + ways_out(name));
}

}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_PASSES_FLOW_IPP_
