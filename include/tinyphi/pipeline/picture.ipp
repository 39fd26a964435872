// SPDX-License-Identifier: MIT
// A graph as boxes and arrows, before it is known in which language they are
// drawn. Used by describe.ipp only.
#ifndef TINYPHI_PIPELINE_PICTURE_IPP_
#define TINYPHI_PIPELINE_PICTURE_IPP_

#include <algorithm>
#include <string>
#include <vector>

#include "tinyphi/pipeline/graph.h"
#include "tinyphi/pipeline/tool.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

struct picture_node {
  enum class kind : std::uint8_t { input, choice, stage, output };
  std::string id;  // letters, digits and '_': no language needs escapes
  std::vector<std::string> lines;  // the first is its name
  kind what = kind::stage;
  bool is_stacked = false;  // it runs for each item, or again
};

struct picture_edge {
  std::size_t from = 0;  // nodes
  std::size_t to = 0;
  std::string text;
  bool is_control = false;  // it decides whether or when a stage runs
  trust label = trust::trusted;
};

struct picture {
  std::string title;
  std::vector<picture_node> nodes;
  std::vector<picture_edge> edges;
};

inline std::string milliseconds_text(duration d) {
  return std::to_string(d.count()) + " ms";
}

// How a stage runs, a line for each modifier.
inline std::vector<std::string> modifiers(const graph& g,
                                          const graph_stage& s) {
  std::vector<std::string> lines;
  if (s.when) lines.push_back("when " + s.when->text);
  if (s.each) {
    lines.push_back("each " + s.each->name +
                    (s.parallel > 1
                         ? ", " + std::to_string(s.parallel) + " at a time"
                         : "") +
                    (s.collect ? ", failures are collected" : ""));
  }
  if (s.repeat) {
    lines.push_back("repeat until " + s.repeat->until.text + ", at most " +
                    std::to_string(s.repeat->max_rounds) + " rounds");
  }
  if (s.retry.max > 0) {
    lines.push_back("retry " + std::to_string(s.retry.max));
  }
  for (const std::string& name : s.tools) {
    const file_tool& tool = *g.tools.find(name)->second;
    lines.push_back("may call " + name +
                    (tool.asks_person ? " if a person says yes" : ""));
  }
  for (const std::size_t other : s.after_by_name) {
    lines.push_back("after " + g.stages[other].id);
  }
  if (s.timeout) lines.push_back("timeout " + milliseconds_text(*s.timeout));
  if (s.has_fallback) {
    const bool has_values = std::ranges::any_of(
        s.fallback, [](const auto& v) { return v.has_value(); });
    lines.push_back(has_values ? "its fallback if it fails"
                               : "skipped if it fails");
  }
  return lines;
}

class picture_maker {
 public:
  explicit picture_maker(const graph& g) : g_(g) {}

  picture make() {
    using kind = picture_node::kind;
    out_.title = g_.name;
    for (const input_spec& input : g_.inputs) {
      add("input_" + input.name, {"input." + input.name}, kind::input);
    }
    for (const graph_switch& s : g_.switches) {
      add("switch_" + s.name, {"switch " + s.name}, kind::choice);
    }
    for (const std::size_t i : g_.order) add_stage(g_.stages[i]);
    for (const graph_output& o : g_.outputs) {
      add("output_" + o.name, {"output." + o.name}, kind::output);
    }
    for (const graph_switch& s : g_.switches) {
      for (const auto& one : s.cases) {
        if (!one.test) continue;
        connect_reads(one.test->test, "switch_" + s.name, one.name);
      }
    }
    for (const std::size_t i : g_.order) connect_stage(g_.stages[i]);
    for (const graph_output& o : g_.outputs) {
      connect_binding(o.binding, "output_" + o.name);
    }
    return std::move(out_);
  }

 private:
  void add(std::string id, std::vector<std::string> lines,
           picture_node::kind kind) {
    out_.nodes.push_back({std::move(id), std::move(lines), kind, false});
  }

  void add_stage(const graph_stage& s) {
    std::vector<std::string> lines{s.id + " (" + std::string(s.plugin.id) +
                                   ")"};
    for (std::string& line : modifiers(g_, s)) {
      // Arrows show what decides whether and when it runs.
      if (line.starts_with("when ") || line.starts_with("after ")) continue;
      lines.push_back(std::move(line));
    }
    add("stage_" + s.id, std::move(lines), picture_node::kind::stage);
    out_.nodes.back().is_stacked = s.each || s.repeat;
  }

  void connect(const std::string& from, const std::string& to,
               const std::string& text, bool is_control, trust label) {
    const auto index = [&](const std::string& id) {
      return static_cast<std::size_t>(
          std::ranges::find(out_.nodes, id, &picture_node::id) -
          out_.nodes.begin());
    };
    picture_edge e{index(from), index(to), text, is_control, label};
    const bool is_known =
        std::ranges::any_of(out_.edges, [&](const picture_edge& other) {
          return other.from == e.from && other.to == e.to &&
                 other.text == e.text;
        });
    if (!is_known) out_.edges.push_back(std::move(e));
  }

  std::string owner(std::size_t slot) const {
    const graph_slot& s = g_.slots[slot];
    if (s.stage != no_stage) return "stage_" + g_.stages[s.stage].id;
    const std::string name = s.name.substr(0, s.name.find('.'));
    return name == "input" ? "input_" + s.name.substr(6) : "switch_" + name;
  }
  std::string port(std::size_t slot) const {
    const std::string& name = g_.slots[slot].name;
    return name.substr(name.find('.') + 1) + ": " +
           to_string(g_.slots[slot].type);
  }

  void connect_binding(const graph_binding& b, const std::string& to) {
    for (const graph_source& s : b.from) {
      if (s.what != graph_source::kind::slot) continue;
      connect(owner(s.slot), to, port(s.slot), false, g_.slots[s.slot].label);
    }
  }
  void connect_reads(const expression& e, const std::string& to,
                     const std::string& text) {
    for (const std::size_t slot : e.reads()) {
      if (slot >= g_.slots.size()) continue;  // item, index
      connect(owner(slot), to, text, true, g_.slots[slot].label);
    }
    for (const std::size_t stage : e.calls()) {
      connect("stage_" + g_.stages[stage].id, to, text, true,
              g_.stages[stage].label);
    }
  }
  void connect_stage(const graph_stage& s) {
    const std::string to = "stage_" + s.id;
    if (s.each && s.each->what == graph_source::kind::slot) {
      connect(owner(s.each->slot), to, "each of " + port(s.each->slot), false,
              g_.slots[s.each->slot].label);
    }
    for (const graph_port& p : s.in) connect_binding(p.binding, to);
    if (s.when) connect_reads(s.when->test, to, "when");
    for (const std::size_t other : s.after_by_name) {
      connect("stage_" + g_.stages[other].id, to, "after", true,
              trust::trusted);
    }
  }

  const graph& g_;
  picture out_;
};

inline picture picture_of(const graph& g) { return picture_maker(g).make(); }

}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_PICTURE_IPP_
