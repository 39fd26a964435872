// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_DESCRIBE_IPP_
#define TINYPHI_PIPELINE_DESCRIBE_IPP_

#include "tinyphi/pipeline/describe.h"
#include "tinyphi/pipeline/picture.ipp"
#include "tinyphi/pipeline/picture_svg.ipp"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline std::string slot_text(const graph_slot& s) {
  return s.name + ": " + (s.stream ? "stream<text>" : to_string(s.type)) +
         ", " + std::string(to_string(s.label)) +
         (s.may_be_absent() ? ", may be absent" : "");
}

inline std::string binding_text(const graph& g, const graph_binding& b,
                                bool streamed = false) {
  std::string text;
  for (const graph_source& s : b.from) {
    const std::string_view between = b.is_list ? ", " : ", else ";
    text += (text.empty() ? "" : std::string(between)) + s.name;
    const bool is_stream = s.what == graph_source::kind::slot &&
                           s.fields.empty() && g.slots[s.slot].stream;
    if (is_stream && !streamed) text += " (collected)";
  }
  return b.is_list ? "[" + text + "]" : text;
}

inline std::string graph_as_text(const graph& g) {
  std::string out = g.name + (g.version.empty() ? "" : " " + g.version) + "\n";
  if (!g.summary.empty()) out += g.summary + "\n";
  for (std::size_t i = 0; i < g.inputs.size(); ++i) {
    out += "\n" + slot_text(g.slots[i]);
  }
  for (const graph_switch& s : g.switches) {
    out += "\n\nswitch " + s.name;
    for (const auto& one : s.cases) {
      out += "\n  " + one.name + ": " + (one.test ? one.test->text : "else");
    }
  }
  for (const std::size_t i : g.order) {
    const graph_stage& s = g.stages[i];
    out += "\n\nstage " + s.id + ": " + std::string(s.plugin.id) + "@" +
           std::to_string(s.plugin.major);
    for (const std::string& line : modifiers(g, s)) out += "\n  " + line;
    for (const graph_port& p : s.in) {
      if (p.carried != no_stage) {
        out += "\n  in." + p.info.name + " <- " + s.out[p.carried].name +
               " of the round before";
      }
      if (p.binding.from.empty()) continue;
      out += "\n  in." + p.info.name + " <- " +
             binding_text(g, p.binding, p.info.stream) +
             (p.implicit ? " (by rule)" : "");
    }
    for (std::size_t port = 0; port < s.out.size(); ++port) {
      out += "\n  -> " + slot_text(g.slots[s.first_slot + port]);
    }
  }
  out += "\n";
  for (const graph_output& o : g.outputs) {
    out += "\noutput " + o.name + " <- " +
           binding_text(g, o.binding, o.stream) +
           (o.default_value ? ", else its default" : "") +
           (o.may_be_absent ? ", may be absent" : "") +
           (o.stream ? ", streamed" : "");
  }
  return out + "\n";
}

// A text in double quotes, for DOT and Mermaid.
inline std::string picture_text(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) {
    if (!out.empty()) out += ", ";
    for (const char c : line) out += c == '"' || c == '\\' ? '\'' : c;
  }
  return "\"" + out + "\"";
}

inline std::string picture_as_dot(const picture& p) {
  std::string out = "digraph pipeline {\n  rankdir=LR;\n  node [shape=box];\n";
  for (const picture_node& n : p.nodes) {
    out += "  " + n.id + " [label=" + picture_text(n.lines) +
           (n.is_stacked ? ", peripheries=2" : "") + "];\n";
  }
  for (const picture_edge& e : p.edges) {
    out += "  " + p.nodes[e.from].id + " -> " + p.nodes[e.to].id +
           " [label=" + picture_text({e.text}) +
           (e.is_control ? ", style=dashed" : "") + "];\n";
  }
  return out + "}\n";
}

inline std::string picture_as_mermaid(const picture& p) {
  std::string out = "flowchart LR\n";
  for (const picture_node& n : p.nodes) {
    out += "  " + n.id + (n.is_stacked ? "[[" : "[") + picture_text(n.lines) +
           (n.is_stacked ? "]]" : "]") + "\n";
  }
  for (const picture_edge& e : p.edges) {
    out += "  " + p.nodes[e.from].id + (e.is_control ? " -.->" : " -->") + "|" +
           picture_text({e.text}) + "| " + p.nodes[e.to].id + "\n";
  }
  return out;
}

}  // namespace detail

TINYPHI_FUNC std::string describe(const graph& g, graph_format format) {
  switch (format) {
    case graph_format::text:
      return detail::graph_as_text(g);
    case graph_format::dot:
      return detail::picture_as_dot(detail::picture_of(g));
    case graph_format::mermaid:
      return detail::picture_as_mermaid(detail::picture_of(g));
    case graph_format::svg:
      return detail::picture_as_svg(detail::picture_of(g));
  }
  return {};
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
    if (!p.model.empty()) {
      if (const auto facts = g.services->facts(p.model)) {
        p.context = facts->context;
      }
    }
    const graph* called = s.setup ? s.setup->called_file() : nullptr;
    if (called == nullptr) continue;
    for (stage_plan& inner : plan(*called)) {
      inner.id = s.id + "." + inner.id;
      plans.push_back(std::move(inner));
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
