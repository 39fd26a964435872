// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_DESCRIBE_IPP_
#define TINYPHI_PIPELINE_DESCRIBE_IPP_

#include "tinyphi/pipeline/describe.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline std::string slot_text(const graph_slot& s) {
  return s.name + ": " + (s.stream ? "stream<text>" : "") +
         (s.stream ? "" : to_string(s.type)) + ", " +
         std::string(to_string(s.label)) +
         (s.may_be_absent ? ", may be absent" : "");
}

inline std::string sources_text(const graph& g,
                                const std::vector<std::size_t>& from,
                                bool streamed = false) {
  std::string text;
  for (const std::size_t slot : from) {
    text += (text.empty() ? "" : ", else ") + g.slots[slot].name;
    if (g.slots[slot].stream && !streamed) text += " (collected)";
  }
  return text;
}

inline std::string graph_as_text(const graph& g) {
  std::string out = g.name + (g.version.empty() ? "" : " " + g.version) + "\n";
  if (!g.summary.empty()) out += g.summary + "\n";
  for (std::size_t i = 0; i < g.inputs.size(); ++i) {
    out += "\n" + slot_text(g.slots[i]);
  }
  for (const std::size_t i : g.order) {
    const graph_stage& s = g.stages[i];
    out += "\n\nstage " + s.id + ": " + std::string(s.plugin.id) + "@" +
           std::to_string(s.plugin.major);
    if (s.when) out += "\n  when " + s.when_text;
    for (const std::size_t other : s.after_by_name) {
      out += "\n  after " + g.stages[other].id;
    }
    if (s.timeout) {
      out += "\n  timeout " + std::to_string(s.timeout->count()) + " ms";
    }
    if (s.skip_on_error) out += "\n  skipped if it fails";
    for (const graph_port& p : s.in) {
      if (p.from.empty()) continue;
      out += "\n  in." + p.info.name + " <- " + sources_text(g, p.from) +
             (p.implicit ? " (by rule)" : "");
    }
    for (std::size_t port = 0; port < s.out.size(); ++port) {
      out += "\n  -> " + slot_text(g.slots[s.first_slot + port]);
    }
  }
  out += "\n";
  for (const graph_output& o : g.outputs) {
    out += "\noutput " + o.name + " <- " + sources_text(g, o.from, o.stream) +
           (o.default_value ? ", else its default" : "") +
           (o.stream ? ", streamed" : "");
  }
  return out + "\n";
}

// What a stage's box says of how it runs.
inline std::string box_text(const graph_stage& s) {
  std::string text = s.id + " (" + std::string(s.plugin.id) + ")";
  if (s.timeout) {
    text += ", at most " + std::to_string(s.timeout->count()) + " ms";
  }
  if (s.skip_on_error) text += ", skipped if it fails";
  return text;
}

// Nodes and edges, as both picture languages want them. An edge of control
// decides whether or when a stage runs. Names are ids, so nothing needs
// escapes.
enum class edge_kind : std::uint8_t { data, control };
template <class Node, class Edge>
void draw(const graph& g, Node node, Edge edge) {
  for (const input_spec& input : g.inputs) {
    node("input_" + input.name, "input." + input.name);
  }
  for (const std::size_t i : g.order) {
    const graph_stage& s = g.stages[i];
    node("stage_" + s.id, box_text(s));
  }
  for (const graph_output& o : g.outputs) {
    node("output_" + o.name, "output." + o.name);
  }
  const auto source = [&](std::size_t slot) {
    const graph_slot& s = g.slots[slot];
    return s.stage == no_stage ? "input_" + s.name.substr(6)
                               : "stage_" + g.stages[s.stage].id;
  };
  const auto label = [&](std::size_t slot) {
    const std::string& name = g.slots[slot].name;
    return name.substr(name.find('.') + 1) + ": " +
           to_string(g.slots[slot].type);
  };
  for (const std::size_t i : g.order) {
    const graph_stage& s = g.stages[i];
    for (const graph_port& p : s.in) {
      for (const std::size_t slot : p.from) {
        edge(source(slot), "stage_" + s.id, label(slot), edge_kind::data);
      }
    }
    if (s.when) {
      for (const std::size_t slot : s.when->reads()) {
        edge(source(slot), "stage_" + s.id, "when", edge_kind::control);
      }
    }
    for (const std::size_t other : s.after_by_name) {
      edge("stage_" + g.stages[other].id, "stage_" + s.id, "after",
           edge_kind::control);
    }
  }
  for (const graph_output& o : g.outputs) {
    for (const std::size_t slot : o.from) {
      edge(source(slot), "output_" + o.name, label(slot), edge_kind::data);
    }
  }
}

}  // namespace detail

TINYPHI_FUNC std::string describe(const graph& g, graph_format format) {
  if (format == graph_format::text) return detail::graph_as_text(g);
  std::string out;
  if (format == graph_format::dot) {
    out = "digraph pipeline {\n  rankdir=LR;\n  node [shape=box];\n";
    detail::draw(
        g,
        [&](const std::string& id, const std::string& text) {
          out += "  " + id + " [label=\"" + text + "\"];\n";
        },
        [&](const std::string& a, const std::string& b, const std::string& text,
            detail::edge_kind kind) {
          const bool dashed = kind == detail::edge_kind::control;
          out += "  " + a + " -> " + b + " [label=\"" + text + "\"" +
                 (dashed ? ", style=dashed" : "") + "];\n";
        });
    return out + "}\n";
  }
  out = "flowchart LR\n";
  detail::draw(
      g,
      [&](const std::string& id, const std::string& text) {
        out += "  " + id + "[\"" + text + "\"]\n";
      },
      [&](const std::string& a, const std::string& b, const std::string& text,
          detail::edge_kind kind) {
        const bool dashed = kind == detail::edge_kind::control;
        out += "  " + a + (dashed ? " -.->" : " -->") + "|\"" + text + "\"| " +
               b + "\n";
      });
  return out;
}

TINYPHI_FUNC std::vector<stage_plan> plan(const graph& g) {
  std::vector<stage_plan> plans;
  for (const std::size_t i : g.order) {
    const graph_stage& s = g.stages[i];
    stage_plan& p = plans.emplace_back();
    p.id = s.id;
    p.plugin = s.plugin.id;
    p.timeout = s.timeout;
    if (s.facts.prompt) {
      p.model = s.facts.prompt->model;
      p.prompt_tokens = s.facts.prompt->tokens;
      p.reserve = s.reserve;
    }
    if (s.facts.answer) {
      p.model = s.facts.answer->model;
      p.answer_tokens = s.facts.answer->max_tokens;
    }
    if (p.model.empty()) continue;
    if (const auto facts = g.services->facts(p.model)) {
      p.context = facts->context;
    }
  }
  return plans;
}

TINYPHI_FUNC std::string plan_text(const graph& g) {
  std::string out;
  for (const stage_plan& p : plan(g)) {
    out += p.id + " (" + p.plugin + "): ";
    if (p.prompt_tokens != 0) {
      out += "prompt of at most " + std::to_string(p.prompt_tokens) +
             " tokens, " + std::to_string(p.reserve) + " reserved, ";
    }
    if (p.answer_tokens != 0) {
      out += "at most " + std::to_string(p.answer_tokens) + " tokens, ";
    }
    if (!p.model.empty()) {
      out += "model " + p.model + " with context " +
             (p.context == 0 ? "unknown" : std::to_string(p.context)) + ", ";
    }
    out += p.timeout ? "timeout " + std::to_string(p.timeout->count()) + " ms\n"
                     : "no timeout of its own\n";
  }
  return out + "deadline: " +
         (g.deadline ? std::to_string(g.deadline->count()) + " ms" : "none") +
         "\n";
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_DESCRIBE_IPP_
