// SPDX-License-Identifier: MIT
// What names stand for. An in-port that the file neither binds nor gives as a
// parameter of its name takes
//   1. the [input] of exactly its name, whether the port is required or not;
//   2. if it is a prompt: the only prompt of the file that does not depend on
//      its stage.
// Nothing else is bound by rule. Its faults: TP2001, TP2002, TP2004, TP2005,
// TP3002, and TP2008 where an expression does not parse.
#ifndef TINYPHI_PIPELINE_PASSES_RESOLVE_IPP_
#define TINYPHI_PIPELINE_PASSES_RESOLVE_IPP_

#include "tinyphi/pipeline/passes/compilation.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// What a name stands for, before its fields are looked at; or why for nothing.
struct found_name {
  std::optional<graph_source> source;
  std::size_t n_names = 0;
  std::string message;  // empty as well if a fault was reported elsewhere
  fault code = fault::unknown_value;
};

inline std::vector<std::string_view> split_names(std::string_view path) {
  std::vector<std::string_view> names;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('.', begin), path.size());
    names.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return names;
}

inline std::vector<std::string_view> known_values(const compilation& c,
                                                  bool has_item) {
  std::vector<std::string_view> names;
  for (const graph_slot& s : c.g.slots) names.push_back(s.name);
  if (has_item) names.insert(names.end(), {"item", "index"});
  return names;
}

// `stage`: whose `item` and `index` are meant, if it has them.
inline found_name find_name(const compilation& c,
                            std::span<const std::string_view> names,
                            const graph_stage* stage) {
  const bool has_item = stage != nullptr && stage->each.has_value();
  graph_source source;
  if (has_item && (names[0] == "item" || names[0] == "index")) {
    const bool is_item = names[0] == "item";
    source.what =
        is_item ? graph_source::kind::item : graph_source::kind::index;
    source.type = is_item ? type() : type(type_kind::integer);
    return {source, 1, {}};
  }
  const std::string full =
      std::string(names[0]) +
      (names.size() > 1 ? "." + std::string(names[1]) : "");
  if (names[0] == "env" && names.size() > 1) {
    const auto env = c.spec.env.find(names[1]);
    if (env == c.spec.env.end()) {
      if (!c.is_first(full)) return {};
      std::vector<std::string_view> known;
      for (const auto& e : c.spec.env) known.push_back(e.first);
      return {
          {},
          0,
          "no " + quote(full) + " in [env]" + did_you_mean(names[1], known)};
    }
    if (env->second.poisoned) return {};
    source.what = graph_source::kind::constant;
    source.constant = env->second.value;
    source.type = env->second.type;
    return {source, 2, {}};
  }
  const auto it = std::ranges::find(c.g.slots, full, &graph_slot::name);
  if (it != c.g.slots.end()) {
    source.slot = static_cast<std::size_t>(it - c.g.slots.begin());
    source.type = it->type;
    return {source, 2, {}};
  }
  const auto owner = c.find_stage(names[0]);
  if (owner &&
      (!c.stages[*owner].known || !c.stages[*owner].open_outputs_known)) {
    return {};
  }
  if (names[0] == "secret" && !owner) {
    return {{},
            0,
            quote(full) + " is no value; " + std::string(secret_stands_alone),
            fault::bad_secret};
  }
  const bool is_stage = owner.has_value() || names[0] == "input";
  if (!c.is_first(is_stage ? std::string_view(full) : names[0])) return {};
  std::string message = "no such value " + quote(full) +
                        did_you_mean(full, known_values(c, has_item));
  if (!has_item && (names[0] == "item" || names[0] == "index")) {
    message += "; only a stage with `each` has it";
  }
  return {{}, 0, std::move(message)};
}

class resolve_pass {
 public:
  explicit resolve_pass(compilation& c) : c_(c) {}

  void run() {
    for (std::size_t i = 0; i < c_.g.switches.size(); ++i) read_switch(i);
    for (std::size_t i = 0; i < c_.g.stages.size(); ++i) bind_stage(i);
    for (std::size_t i = 0; i < c_.g.stages.size(); ++i) bind_by_rule(i);
    for (const output_spec& o : c_.spec.outputs) bind_output(o);
  }

 private:
  // The tree of an expression; what it reads is waited for by `node`.
  std::optional<expression_tree> parse(const config_node& text, node_index node,
                                       const graph_stage* s,
                                       const std::string& where) {
    auto parsed = expression_tree::parse(*text.get<std::string>());
    if (!parsed) {
      c_.report(fault::bad_expression,
                text.text_position(parsed.error().offset),
                where + ": " + parsed.error().message);
      return std::nullopt;
    }
    bool right = true;
    for (const expression_tree::path_use& path : parsed->paths()) {
      const found_name found = find_name(c_, path.names, s);
      if (found.source) {
        use(*found.source, path.names, node);
        continue;
      }
      right = false;
      if (found.message.empty()) continue;
      c_.report(found.code, text.text_position(path.offset),
                where + ": " + found.message);
    }
    for (const expression_node& n : parsed->nodes()) {
      if (n.what != expression_node::kind::call || !takes_name(n.name))
        continue;
      for (const std::size_t asked : n.operands) {
        right = ask(parsed->nodes()[asked], text, node, where) && right;
      }
    }
    if (!right) return std::nullopt;
    return *std::move(parsed);
  }

  // The stage in failed(stage).
  bool ask(const expression_node& asked, const config_node& text,
           node_index node, const std::string& where) {
    if (asked.what != expression_node::kind::path) return true;  // not a name
    const position at = text.text_position(asked.begin);
    const auto stage = c_.find_stage(asked.name);
    if (!stage) {
      if (!c_.is_first(asked.name)) return false;
      c_.report(fault::unknown_value, at,
                where + ": no stage " + quote(asked.name) +
                    did_you_mean(asked.name, stage_ids()));
      return false;
    }
    c_.need(node, *stage);
    const stage_spec& s = c_.spec.stages[*stage];
    if (s.skip_on_error || s.fallback) return true;
    c_.report(fault::never_fails, at,
              where + ": stage " + s.id +
                  " ends the request when it fails, so failed(" + s.id +
                  ") never holds; give " + s.id + " fallback = \"skip\"");
    return false;
  }

  std::vector<std::string_view> stage_ids() const {
    std::vector<std::string_view> ids;
    for (const graph_stage& s : c_.g.stages) ids.push_back(s.id);
    return ids;
  }

  void use(const graph_source& source, std::span<const std::string_view> names,
           node_index node) {
    if (source.what == graph_source::kind::slot) {
      c_.need(node, c_.node_of(source.slot));
    } else if (source.what == graph_source::kind::constant) {
      c_.used.env.insert(std::string(names[1]));
    }
  }

  std::optional<graph_source> resolve(const reference_spec& r,
                                      const std::string& where,
                                      const graph_stage* s,
                                      std::optional<node_index> node) {
    const auto names = split_names(r.name);
    found_name found = find_name(c_, names, s);
    if (!found.source) {
      if (!found.message.empty()) {
        c_.report(found.code, r.at, where + ": " + found.message);
      }
      return std::nullopt;
    }
    graph_source source = *std::move(found.source);
    if (node) {
      use(source, names, *node);
    } else if (source.what == graph_source::kind::constant) {
      c_.used.env.insert(std::string(names[1]));
    }
    source.name = r.name;
    source.at = r.at;
    for (std::size_t i = found.n_names; i < names.size(); ++i) {
      source.fields.emplace_back(names[i]);
    }
    return source;
  }

  void read_switch(std::size_t i) {
    const switch_spec& s = c_.spec.switches[i];
    for (std::size_t n = 0; n < s.cases.size(); ++n) {
      if (!s.cases[n].test) continue;  // else
      c_.switches[i].cases[n] =
          parse(*s.cases[n].test, c_.g.stages.size() + i, nullptr,
                "switch " + s.name + "." + s.cases[n].name);
      if (!c_.switches[i].cases[n]) {
        c_.g.slots[c_.g.switches[i].first_slot + n].poisoned = true;
      }
    }
  }

  void bind_stage(std::size_t i) {
    const stage_spec& s = c_.spec.stages[i];
    graph_stage& stage = c_.g.stages[i];
    const std::string where = "stage " + stage.id;
    if (!c_.stages[i].known) return;
    if (s.each) {
      stage.each = resolve(*s.each, where + ".each", nullptr, i);
      // A list of anything, so that `item` stands for something.
      if (!stage.each) {
        stage.each.emplace();
        stage.each->what = graph_source::kind::constant;
      }
    }
    for (const binding_spec& b : s.in) bind_port(b, i);
    if (s.when) c_.stages[i].when = parse(*s.when, i, &stage, where + ".when");
    if (s.repeat) bind_carry(*s.repeat, i);
    for (const reference_spec& r : s.after) {
      if (const auto other = c_.find_stage(r.name)) {
        c_.need(i, *other);
        stage.after_by_name.push_back(*other);
      } else if (c_.is_first(r.name)) {
        c_.report(fault::unknown_value, r.at,
                  where + ".after: no stage " + quote(r.name) +
                      did_you_mean(r.name, stage_ids()));
      }
    }
  }

  graph_port* find_port(graph_stage& stage, std::string_view name) {
    const auto it = std::ranges::find_if(
        stage.in, [&](const graph_port& p) { return p.info.name == name; });
    return it == stage.in.end() ? nullptr : &*it;
  }

  void bind_port(const binding_spec& b, std::size_t i) {
    graph_stage& stage = c_.g.stages[i];
    const std::string where = "stage " + stage.id + ".in." + b.port;
    graph_port* port = find_port(stage, b.port);
    if (port == nullptr) {
      if (c_.stages[i].complete) report_no_port(b.port, b.at, stage);
      c_.stages[i].misbound = true;
      return;
    }
    bool optional = false;
    port->binding.is_list = b.is_list;
    for (const reference_spec& r : b.from) {
      optional = optional || r.optional;
      if (r.optional && port->info.required) {
        c_.report(fault::maybe_absent, r.at,
                  where + ": the port needs a value, so '" + r.name +
                      "' cannot be marked '?'");
      }
      if (auto source = resolve(r, where, &stage, i)) {
        port->binding.from.push_back(*std::move(source));
      } else {
        port->type = type();
        port->poisoned = true;
      }
    }
    port->required = !optional && !b.is_list;
  }

  void bind_carry(const repeat_spec& repeat, std::size_t i) {
    graph_stage& stage = c_.g.stages[i];
    const std::string where = "stage " + stage.id + ".repeat.carry";
    for (const carry_spec& carry : repeat.carry) {
      graph_port* port = find_port(stage, carry.port);
      const auto out =
          std::ranges::find(stage.out, carry.from, &port_info::name);
      std::vector<std::string_view> outs;
      for (const port_info& p : stage.out) outs.push_back(p.name);
      std::string wrong;
      if (port == nullptr) {
        if (!c_.stages[i].complete) continue;
        wrong = "no in-port " + quote(carry.port) +
                did_you_mean(carry.port, port_names(stage));
      } else if (out == stage.out.end()) {
        if (!c_.stages[i].open_outputs_known) continue;
        wrong =
            "no out-port " + quote(carry.from) + did_you_mean(carry.from, outs);
      } else if (!port->binding.from.empty()) {
        wrong = "in." + carry.port + " is bound, and carried too";
      } else if (port->info.required) {
        wrong = "in." + carry.port +
                " is absent in round 1, so it must be optional";
      } else {
        port->carried = static_cast<std::size_t>(out - stage.out.begin());
        port->required = false;
        continue;
      }
      c_.report(fault::bad_carry, carry.at, where + ": " + wrong);
    }
  }

  static std::vector<std::string_view> port_names(const graph_stage& stage) {
    std::vector<std::string_view> names;
    for (const graph_port& p : stage.in) names.push_back(p.info.name);
    return names;
  }

  void report_no_port(const std::string& name, position at,
                      const graph_stage& stage) {
    const auto names = port_names(stage);
    std::string list;
    bool of_template = false;
    for (const graph_port& p : stage.in) {
      list += (list.empty() ? "" : ", ") + p.info.name;
      of_template = of_template || !p.info.param.empty();
    }
    const std::string hint = did_you_mean(name, names);
    if (of_template) {
      c_.report(fault::unknown_variable, at,
                "stage " + stage.id + ": in." + name +
                    ": no template of the stage uses " + quote(name) + hint);
      return;
    }
    c_.report(fault::unknown_port, at,
              "stage " + stage.id + ": plugin '" +
                  std::string(stage.plugin.id) + "' has no in-port " +
                  quote(name) +
                  (list.empty()   ? "; it has none"
                   : hint.empty() ? "; it has " + list
                                  : hint));
  }

  void bind_by_rule(std::size_t i) {
    const stage_notes& notes = c_.stages[i];
    if (!notes.known || !notes.complete || notes.misbound) return;
    const stage_spec& s = c_.spec.stages[i];
    for (graph_port& p : c_.g.stages[i].in) {
      const bool given =
          std::ranges::any_of(
              s.in, [&](const auto& b) { return b.port == p.info.name; }) ||
          is_parameter(p, i);
      if (given || p.carried != no_stage) continue;
      const auto slot = slot_by_rule(p, i);
      if (!slot) continue;
      graph_source& source = p.binding.from.emplace_back();
      source.slot = *slot;
      source.type = c_.g.slots[*slot].type;
      source.name = c_.g.slots[*slot].name;
      source.at = c_.g.stages[i].at;
      p.implicit = true;
      c_.need(i, c_.node_of(*slot));
    }
  }

  // Whether the file gives the value of a fixed port as a parameter.
  [[nodiscard]] bool is_parameter(const graph_port& port, std::size_t i) const {
    const graph_stage& stage = c_.g.stages[i];
    const auto& with = c_.spec.stages[i].with;
    const auto n = static_cast<std::size_t>(&port - stage.in.data());
    return with && n < stage.n_fixed_ports &&
           with->find(port.info.name) != nullptr;
  }

  // What an open port takes; nothing if there is nothing, which is reported
  // where something must be.
  std::optional<std::size_t> slot_by_rule(graph_port& port, std::size_t i) {
    const graph_stage& stage = c_.g.stages[i];
    const std::string where = "stage " + stage.id;
    for (std::size_t n = 0; n < c_.g.inputs.size(); ++n) {
      if (c_.g.inputs[n].name == port.info.name) return n;
    }
    if (port.info.types.front().is(type_kind::prompt)) {
      return only_prompt(port, i);
    }
    if (!port.info.param.empty()) {
      report_variable(port, i);
    } else if (port.info.required) {
      c_.report(fault::unbound_port, stage.at,
                where + ": in." + port.info.name + " (" +
                    to_string(port.info.types) +
                    ") is not bound, and no input is called " +
                    quote(port.info.name));
    } else {
      return std::nullopt;
    }
    port.poisoned = true;
    return std::nullopt;
  }

  void report_variable(const graph_port& port, std::size_t i) {
    if (!c_.is_first("input." + port.info.name)) return;
    const graph_stage& stage = c_.g.stages[i];
    std::vector<std::string_view> names;
    for (const input_spec& input : c_.g.inputs) names.push_back(input.name);
    for (const binding_spec& b : c_.spec.stages[i].in) {
      names.push_back(b.port);
    }
    c_.report(fault::unknown_variable,
              param_place(c_.stages[i].with, port.info.param, port.info.offset,
                          stage.at),
              "stage " + stage.id + ": the template uses " +
                  quote(port.info.name) + ", which is neither bound as in." +
                  port.info.name + " nor an input" +
                  did_you_mean(port.info.name, names));
  }

  std::optional<std::size_t> only_prompt(graph_port& port, std::size_t i) {
    const graph_stage& stage = c_.g.stages[i];
    std::vector<std::size_t> found;
    for (std::size_t n = 0; n < c_.g.slots.size(); ++n) {
      const graph_slot& s = c_.g.slots[n];
      if (s.type.is(type_kind::prompt) && !depends(s.stage, i)) {
        found.push_back(n);
      }
    }
    if (found.size() == 1) return found.front();
    if (!port.info.required) return std::nullopt;
    port.poisoned = true;
    const std::string what =
        "stage " + stage.id + ": in." + port.info.name + " is not bound and ";
    if (!found.empty()) {
      std::string choices;
      for (const std::size_t n : found) {
        choices += (choices.empty() ? "" : ", ") + c_.g.slots[n].name;
      }
      c_.report(fault::several_prompts, stage.at,
                what + "there are " + std::to_string(found.size()) +
                    " prompts: " + choices);
    } else if (std::ranges::all_of(c_.stages, &stage_notes::known)) {
      c_.report(
          fault::unbound_port, stage.at,
          what + "the file has no prompt that does not depend on the stage");
    }
    return std::nullopt;
  }

  // Whether node `a` is `b` or comes after it.
  [[nodiscard]] bool depends(node_index a, node_index b) const {
    std::vector<bool> seen(c_.needs.size());
    std::vector<node_index> open{a};
    while (!open.empty()) {
      const node_index now = open.back();
      open.pop_back();
      if (now == b) return true;
      if (seen[now]) continue;
      seen[now] = true;
      open.insert(open.end(), c_.needs[now].begin(), c_.needs[now].end());
    }
    return false;
  }

  void bind_output(const output_spec& o) {
    graph_output& out = c_.g.outputs.emplace_back();
    out.name = o.from.port;
    out.poisoned = o.from.from.empty();  // reported when it was read
    out.binding.is_list = o.from.is_list;
    for (const reference_spec& r : o.from.from) {
      out.may_be_absent = out.may_be_absent || r.optional;
      if (auto source =
              resolve(r, "output " + out.name, nullptr, std::nullopt)) {
        out.binding.from.push_back(*std::move(source));
      } else {
        out.poisoned = true;
      }
    }
  }

  compilation& c_;
};

}  // namespace detail

inline void resolve_names(compilation& c) { detail::resolve_pass(c).run(); }

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_PASSES_RESOLVE_IPP_
