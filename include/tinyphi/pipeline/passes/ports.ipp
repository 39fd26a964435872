// SPDX-License-Identifier: MIT
// The first pass: the names of everything that has a value, which is inputs,
// cases of switches and ports of stages, those included that follow from a
// config. Its faults: TP1010, TP1013 and TP2002 of [prompt.x] and [mcp.x], and
// what plugins say of their parameters.
#ifndef TINYPHI_PIPELINE_PASSES_PORTS_IPP_
#define TINYPHI_PIPELINE_PASSES_PORTS_IPP_

#include "tinyphi/pipeline/passes/calls.ipp"
#include "tinyphi/pipeline/passes/compilation.h"
#include "tinyphi/pipeline/passes/flow.ipp"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

class port_pass {
 public:
  explicit port_pass(compilation& c) : c_(c) {}

  void run() {
    add_inputs();
    for (const switch_spec& s : c_.spec.switches) add_switch(s);
    for (const stage_spec& s : c_.spec.stages) add_stage(s);
    c_.needs.resize(c_.g.stages.size() + c_.g.switches.size());
  }

 private:
  void add_inputs() {
    c_.g.inputs = c_.spec.inputs;
    for (const input_spec& input : c_.g.inputs) {
      graph_slot& slot = c_.g.slots.emplace_back();
      slot.name = "input." + input.name;
      slot.type = input.type;
      slot.optional = input.optional;
      slot.label = input.label;
    }
  }

  void add_switch(const switch_spec& s) {
    graph_switch& added = c_.g.switches.emplace_back();
    added.name = s.name;
    added.at = s.at;
    added.first_slot = c_.g.slots.size();
    c_.switches.emplace_back().cases.resize(s.cases.size());
    for (const case_spec& one : s.cases) {
      added.cases.push_back({.name = one.name, .test = {}, .at = one.at});
      graph_slot& slot = c_.g.slots.emplace_back();
      slot.name = s.name + "." + one.name;
      slot.type = type_kind::boolean;
    }
  }

  void add_stage(const stage_spec& s) {
    graph_stage& stage = c_.g.stages.emplace_back();
    stage_notes& notes = c_.stages.emplace_back();
    stage.id = s.id;
    stage.at = s.at;
    stage.timeout = s.timeout;
    stage.parallel = s.parallel;
    stage.collect = s.collect;
    stage.retry = s.retry;
    stage.has_fallback = s.skip_on_error || s.fallback.has_value();
    stage.first_slot = c_.g.slots.size();
    const stage_type* type = find_plugin(s);
    if (type == nullptr) return;
    stage.hash = joined_hash({s.hash, type->file_hash});
    notes.known = true;
    stage.plugin = type->info;
    stage.effects = type->info.effects;
    stage.out = type->out_ports;
    for (const port_info& p : type->in_ports) add_port(stage, p);
    stage.n_fixed_ports = stage.in.size();
    configure(s, *type, stage, notes);
    if (s.major && *s.major != type->info.major) notes.complete = false;
    stage.out.insert(stage.out.end(), type->stream_ports.begin(),
                     type->stream_ports.end());
    if (s.collect) {
      stage.out.push_back({.name = "failed",
                           .types = {type_of<std::vector<failure>>()},
                           .required = true});
    }
    for (const port_info& p : stage.out) {
      graph_slot& slot = c_.g.slots.emplace_back();
      slot.name = s.id + "." + p.name;
      slot.type = p.types.front();
      slot.stage = c_.g.stages.size() - 1;
      // The pieces of several runs would mix.
      slot.stream = p.stream && !s.each && !s.repeat;
      slot.optional = !p.required;
    }
  }

  static void add_port(graph_stage& stage, const port_info& info) {
    graph_port& port = stage.in.emplace_back();
    port.info = info;
    port.required = info.required;
  }

  const stage_type* find_plugin(const stage_spec& s) {
    if (s.plugin.empty()) return nullptr;  // reported when it was read
    if (s.plugin.starts_with("./")) return call_pass(c_).open(s);
    const stage_type* type = c_.plugins.find(s.plugin);
    if (type == nullptr) {
      std::vector<std::string_view> ids;
      for (const auto& t : c_.plugins.types()) ids.push_back(t.first);
      c_.report(fault::unknown_plugin, s.plugin_at,
                s.title() + ": no plugin " + quote(s.plugin) +
                    did_you_mean(s.plugin, ids));
    } else if (s.major && *s.major != type->info.major) {
      c_.report(fault::unknown_plugin, s.plugin_at,
                s.title() + ": plugin '" + s.plugin + "' is here as @" +
                    std::to_string(type->info.major) + ", not @" +
                    std::to_string(*s.major));
    }
    return type;
  }

  // Reads `with` and asks the stage which ports follow from it.
  void configure(const stage_spec& s, const stage_type& type,
                 graph_stage& stage, stage_notes& notes) {
    const std::size_t before = c_.faults.size();
    notes.with = s.with ? &*s.with : nullptr;
    const bool is_whole =
        (!type.takes_template ||
         add_shared(s, notes, "template", "prompt", c_.spec.prompts,
                    c_.used.prompts)) &&
        (!type.takes_server ||
         add_shared(s, notes, "server", "mcp", c_.spec.mcp_servers,
                    c_.used.mcp_servers));
    if (!is_whole) {
      notes.complete = notes.open_outputs_known = false;
      return;
    }
    param_reader reader(notes.with, s.title(), s.at, *c_.g.services, c_.faults);
    stage.setup = type.configure(reader);
    c_.used.models.insert(reader.models().begin(), reader.models().end());
    c_.used.rules.insert(reader.rules().begin(), reader.rules().end());
    c_.used.secrets.insert(reader.secrets().begin(), reader.secrets().end());
    c_.used.types.insert(reader.types().begin(), reader.types().end());
    const bool has_tools = add_tools(stage, reader.tools());
    const bool has_open = type.open_in_ports || type.open_out_ports;
    notes.configured = has_tools && c_.faults.size() == before;
    if (c_.faults.size() != before || !has_open) {
      notes.complete = !type.open_in_ports;
      notes.open_outputs_known = !type.open_out_ports;
      return;
    }
    std::vector<std::string> bound;
    for (const binding_spec& b : s.in) bound.push_back(b.port);
    const stage_ports ports = stage.setup->ports(bound);
    report_params(c_, c_.stages.size() - 1, ports.faults);
    for (const port_info& p : ports.in) add_port(stage, p);
    stage.out.insert(stage.out.end(), ports.out.begin(), ports.out.end());
    stage.effects = ports.effects.value_or(stage.effects);
    stage.plugin.makes = ports.makes.value_or(stage.plugin.makes);
    notes.complete = notes.configured = c_.faults.size() == before;
    notes.open_outputs_known = notes.complete;
  }

  // What a stage may do through its tools is what it does. False if one of them
  // has a fault, which was reported.
  bool add_tools(graph_stage& stage, const std::vector<std::string>& names) {
    stage.tools = names;
    effect unasked = unasked_effects(stage);
    for (const std::string& name : names) {
      c_.used.tools.insert(name);
      const auto tool = c_.g.tools.find(name);
      if (tool == c_.g.tools.end() || tool->second == nullptr) return false;
      stage.effects = stage.effects | tool->second->effects;
      unasked = unasked | tool->second->unasked_effects;
      if (stage.plugin.reads_tools) {
        stage.plugin.makes = join(stage.plugin.makes, tool->second->makes);
      }
    }
    if (!names.empty()) stage.plugin.unasked_effects = unasked;
    return true;
  }

  // Adds the parameters of the table that the parameter `key` names, with their
  // places. False if there is none to take.
  bool add_shared(const stage_spec& s, stage_notes& notes,
                  const std::string& key, const std::string& section,
                  const std::map<std::string, shared_params, std::less<>>& all,
                  std::set<std::string, std::less<>>& used) {
    const config_member* named = s.with ? s.with->find(key) : nullptr;
    const auto* name = named ? named->value.get<std::string>() : nullptr;
    if (name == nullptr) return true;
    const std::string where = s.title() + ": with.";
    used.insert(*name);
    const auto it = all.find(*name);
    if (it == all.end()) {
      std::vector<std::string_view> known;
      for (const auto& p : all) known.push_back(p.first);
      c_.report(fault::unknown_value, named->value.at,
                where + key + ": no [" + section + "." + *name + "]" +
                    did_you_mean(*name, known));
      return false;
    }
    if (it->second.poisoned) return false;
    config_node whole = *s.with;
    auto& members = std::get<config_table>(whole.data);
    bool right = true;
    for (const config_member& m : *it->second.params.get<config_table>()) {
      if (const config_member* own = s.with->find(m.key)) {
        c_.report(fault::keys_conflict, own->at,
                  where + m.key + " and [" + section + "." + *name + "]." +
                      m.key + " exclude each other");
        right = false;
      } else {
        members.push_back(m);
      }
    }
    notes.with = &c_.filled_templates.emplace_back(std::move(whole));
    return right;
  }

 public:
  // What a stage says of its own parameters.
  static void report_params(compilation& c, std::size_t stage,
                            const std::vector<param_fault>& faults) {
    const stage_spec& s = c.spec.stages[stage];
    for (const param_fault& f : faults) {
      const std::string name = "with." + f.param;
      c.report(f.code,
               f.at != position{}
                   ? f.at
                   : param_place(c.stages[stage].with, f.param, f.offset, s.at),
               s.title() + ": " +
                   (f.message.starts_with(name) ? f.message
                                                : name + ": " + f.message));
    }
  }

 private:
  compilation& c_;
};

}  // namespace detail

inline void add_ports(compilation& c) { detail::port_pass(c).run(); }

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_PASSES_PORTS_IPP_
