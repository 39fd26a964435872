// SPDX-License-Identifier: MIT
// Types, presence and labels, from what each stage and switch takes to what it
// gives. Its faults: TP2003, TP2007 to TP2010, TP2014, TP2020; plugins' own.
#ifndef TINYPHI_PIPELINE_PASSES_TYPES_IPP_
#define TINYPHI_PIPELINE_PASSES_TYPES_IPP_

#include "tinyphi/pipeline/passes/cases.ipp"
#include "tinyphi/pipeline/passes/flow.ipp"
#include "tinyphi/pipeline/passes/ports.ipp"
#include "tinyphi/pipeline/passes/presence.ipp"
#include "tinyphi/pipeline/passes/scopes.ipp"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline fault fault_of(const expression_fault& f) {
  switch (f.what) {
    case expression_fault::kind::unknown_name:
      return fault::unknown_value;
    case expression_fault::kind::absent:
      return fault::maybe_absent;
    default:
      return fault::bad_expression;
  }
}

class type_pass {
 public:
  explicit type_pass(compilation& c) : c_(c), presence_(c) {}

  void run() {
    for (std::size_t i = 0; i < c_.g.inputs.size(); ++i) {
      graph_slot& slot = c_.g.slots[i];
      if (slot.optional) slot.guards = {presence_.is_present(i)};
    }
    for (const node_index node : c_.order) {
      if (node < c_.g.stages.size()) {
        check_stage(node);
      } else {
        check_switch(node - c_.g.stages.size());
      }
    }
    for (std::size_t i = 0; i < c_.g.outputs.size(); ++i) check_output(i);
  }

 private:
  std::optional<graph_condition> check_condition(const config_node& text,
                                                 expression_tree tree,
                                                 const expression_scope& scope,
                                                 const std::string& where) {
    auto checked = tinyphi::check_condition(std::move(tree), scope);
    if (checked) {
      return graph_condition{*std::move(checked), *text.get<std::string>()};
    }
    const expression_fault& f = checked.error();
    if (!f.message.empty()) {
      c_.report(fault_of(f), text.text_position(f.offset),
                where + ": " + f.message);
    }
    return std::nullopt;
  }

  trust label_of_reads(const expression& e) {
    trust all = trust::trusted;
    for (const std::size_t slot : e.reads()) {
      if (slot < c_.g.slots.size()) {
        all = join(all, c_.g.slots[slot].label);
        all = join(all, presence_.label(c_.g.slots[slot].guards));
      }
    }
    for (const std::size_t stage : e.calls()) {
      all = join(all, c_.g.stages[stage].label);
    }
    return all;
  }

  std::string trail_of_reads(const expression& e) const {
    for (const std::size_t slot : e.reads()) {
      if (slot >= c_.g.slots.size()) continue;
      std::string trail = trail_of(c_, slot);
      if (!trail.empty()) return trail;
    }
    return {};
  }

  void check_switch(std::size_t i) {
    graph_switch& s = c_.g.switches[i];
    s.after = stages_before(c_, c_.g.stages.size() + i);
    const switch_spec& spec = c_.spec.switches[i];
    const graph_scope scope(c_, presence_, nullptr, {});
    for (std::size_t n = 0; n < s.cases.size(); ++n) {
      auto& tree = c_.switches[i].cases[n];
      if (!tree) continue;
      s.cases[n].test =
          check_condition(*spec.cases[n].test, *std::move(tree), scope,
                          "switch " + s.name + "." + s.cases[n].name);
      if (!s.cases[n].test) {
        c_.g.slots[s.first_slot + n].poisoned = true;
        continue;
      }
      s.label = join(s.label, label_of_reads(s.cases[n].test->test));
    }
    for (std::size_t n = 0; n < s.cases.size(); ++n) {
      c_.g.slots[s.first_slot + n].label = s.label;
    }
    case_check(c_, presence_).run(s);
  }

  // The type behind the fields; nothing (reported) if there is none.
  std::optional<type> type_behind(const graph_source& s, type t,
                                  const std::string& where) {
    for (const std::string& field : s.fields) {
      if (t.is(type_kind::any)) return t;
      if (t.is(type_kind::json)) {
        c_.report(fault::unknown_value, s.at,
                  where + ": what is before " + quote(field) +
                      " is json, whose members are not known before it runs");
        return std::nullopt;
      }
      const type::field* member = t.find_field(field);
      if (member != nullptr && member->optional) {
        c_.report(fault::maybe_absent, s.at,
                  where + ": " + s.name + " may be absent: " + to_string(t) +
                      " need not have " + quote(field) +
                      "; take it with json.pick, whose value may be absent");
        return std::nullopt;
      }
      if (member == nullptr) {
        std::vector<std::string_view> known;
        for (const auto& f : t.fields()) known.push_back(f.name);
        c_.report(fault::unknown_value, s.at,
                  where + ": " + to_string(t) + " has no field " +
                      quote(field) + did_you_mean(field, known));
        return std::nullopt;
      }
      t = type(member->type);
    }
    return t;
  }

  trust label_of(const graph_source& s, const graph_stage* stage) {
    if (s.what == graph_source::kind::slot) return c_.g.slots[s.slot].label;
    if (s.what == graph_source::kind::constant || stage == nullptr) {
      return trust::trusted;
    }
    return label_of(*stage->each, nullptr);  // item and index
  }

  // Of what is bound; nothing if a fault was reported, of it or elsewhere.
  std::optional<type> type_of_source(graph_source& s, const type& item,
                                     const std::string& where) {
    type t = s.type;
    if (s.what == graph_source::kind::item) t = item;
    if (s.what == graph_source::kind::slot) {
      if (c_.g.slots[s.slot].poisoned) return std::nullopt;
      t = c_.g.slots[s.slot].type;
    }
    auto found = type_behind(s, std::move(t), where);
    if (found) s.type = *found;
    return found;
  }

  // The one type of all sources; nothing after a fault.
  std::optional<type> type_of_binding(graph_binding& b, const type& item,
                                      const std::string& where) {
    std::optional<type> all;
    for (graph_source& s : b.from) {
      const auto t = type_of_source(s, item, where);
      if (!t) return std::nullopt;
      if (!all || fits(*all, *t)) {
        all = *t;
      } else if (!fits(*t, *all)) {
        c_.report(fault::type_mismatch, s.at,
                  where + ": " + s.name + " is " + to_string(*t) + ", " +
                      b.from.front().name + " is " + to_string(*all));
        return std::nullopt;
      }
    }
    if (!all) return std::nullopt;
    return b.is_list ? type::list_of(*all) : *all;
  }

  // The most bytes of a text in a value: of inputs, of their items and fields,
  // and of what the file itself says.
  std::optional<std::size_t> max_bytes_of(const graph_binding& b,
                                          const graph_stage& stage) const {
    std::size_t most = 0;
    for (const graph_source& s : b.from) {
      const graph_source& from =
          s.what == graph_source::kind::item ? *stage.each : s;
      if (from.what == graph_source::kind::slot &&
          from.slot < c_.g.inputs.size()) {
        most = std::max(most, c_.g.inputs[from.slot].max_bytes);
      } else if (const auto* text = from.constant.get<std::string>()) {
        most = std::max(most, text->size());
      } else {
        return std::nullopt;
      }
    }
    return most;
  }

  // What stands in the file itself is not longer than a value may be.
  void check_size(const value_data& data, position at,
                  const std::string& where) {
    const request_limits& limits = c_.g.limits;
    const auto wrong = find_size_fault(data, limits.text, limits.items);
    if (!wrong) return;
    c_.report(fault::out_of_range, at, where + wrong->message + " by [limits]");
  }

  // Under which conditions a binding has a value.
  guard_set guards_of(const graph_binding& b) {
    if (b.is_list) return {};
    std::vector<guard_set> all;
    std::string names;
    for (const graph_source& s : b.from) {
      all.push_back(s.what == graph_source::kind::slot
                        ? c_.g.slots[s.slot].guards
                        : guard_set{});
      names += (names.empty() ? "" : ", ") + s.name;
    }
    return presence_.first_of(all, names);
  }

  void check_stage(std::size_t i) {
    graph_stage& stage = c_.g.stages[i];
    stage_notes& notes = c_.stages[i];
    if (!notes.known) return poison(stage);
    flow_of_stage flow{.label = stage.plugin.makes};
    bool contradiction = false;
    const type item = check_each(stage, flow, contradiction);
    for (graph_port& p : stage.in) {
      check_port(stage, p, item, notes, flow, contradiction);
    }
    check_when(i, item, flow, contradiction);
    if (contradiction) {
      c_.report(fault::never_runs, stage.at,
                "stage " + stage.id +
                    ": never runs, since its inputs and when need different "
                    "outcomes");
    }
    flow.control = join(flow.control, presence_.label(stage.guards));
    stage.label = join(flow.label, flow.control);
    if (notes.configured) ask_plugin(i);
    std::vector<type> own = own_types(stage);
    check_until(i, own, flow);
    stage.label = join(stage.label, flow.control);
    check_fallback(i, own);
    give_outputs(stage, own);
    check_flow(c_, i, flow);
  }

  void poison(const graph_stage& stage) {
    for (std::size_t n = 0; n < stage.out.size(); ++n) {
      c_.g.slots[stage.first_slot + n].poisoned = true;
    }
  }

  // The type of the items.
  type check_each(graph_stage& stage, flow_of_stage& flow,
                  bool& contradiction) {
    if (!stage.each) return {};
    const std::string where = "stage " + stage.id + ".each";
    graph_source& list = *stage.each;
    const auto t = type_of_source(list, {}, where);
    if (list.what == graph_source::kind::slot) {
      contradiction = !add_guards(stage.guards, c_.g.slots[list.slot].guards);
    }
    flow.add_control(label_of(list, nullptr), trail_of(c_, {{list}, false}),
                     "each");
    flow.label = join(flow.label, label_of(list, nullptr));
    if (!t || t->is(type_kind::any)) return {};
    if (!t->is(type_kind::list)) {
      c_.report(
          fault::each_no_list, list.at,
          where + ": " + list.name + " is " + to_string(*t) + ", not a list");
      return {};
    }
    return t->element();
  }

  void check_port(graph_stage& stage, graph_port& p, const type& item,
                  stage_notes& notes, flow_of_stage& flow,
                  bool& contradiction) {
    if (p.binding.from.empty()) return;
    const std::string where = "stage " + stage.id + ".in." + p.info.name;
    const auto t = type_of_binding(p.binding, item, where);
    trust label = trust::trusted;
    for (const graph_source& s : p.binding.from) {
      label = join(label, label_of(s, &stage));
    }
    const guard_set guards = guards_of(p.binding);
    // That a value is absent is information, too.
    label = join(label, presence_.label(guards));
    if (p.required) contradiction |= !add_guards(stage.guards, guards);
    p.label = label;
    flow.label = join(flow.label, label);
    notes.call.types[p.info.name] = t.value_or(type());
    notes.call.labels[p.info.name] = label;
    if (const auto most = max_bytes_of(p.binding, stage)) {
      notes.call.max_bytes[p.info.name] = *most;
    }
    if (!t || p.poisoned) return;
    p.type = *t;
    if (label > p.info.accepts) {
      const graph_source& first = p.binding.from.front();
      c_.report(
          fault::label_too_low, first.at,
          where + ": " + first.name + " is " + std::string(to_string(label)) +
              ", " + std::string(stage.plugin.id) + " declares input " +
              p.info.name + " as " + std::string(to_string(p.info.accepts)));
    }
    if (p.info.takes(*t)) return;
    const graph_source& first = p.binding.from.front();
    c_.report(fault::type_mismatch, first.at,
              where + ": " + first.name + " is " + to_string(*t) +
                  ", the port takes " + to_string(p.info.types));
  }

  void check_when(std::size_t i, const type& item, flow_of_stage& flow,
                  bool& contradiction) {
    graph_stage& stage = c_.g.stages[i];
    auto& tree = c_.stages[i].when;
    if (!tree) return;
    const graph_scope scope(c_, presence_, &stage, item);
    stage.when = check_condition(*c_.spec.stages[i].when, *tree, scope,
                                 "stage " + stage.id + ".when");
    if (!stage.when) return;
    const expression& test = stage.when->test;
    flow.add_control(label_of_reads(test), trail_of_reads(test), "when");
    stage.when_asks_item = std::ranges::any_of(
        test.reads(), [&](std::size_t s) { return s >= c_.g.slots.size(); });
    if (stage.when_asks_item) return;  // it leaves items out
    if (presence_.conditions_of(test.tree(), test.tree().nodes().size() - 1,
                                true, stage.guards, contradiction)) {
      return;
    }
    const std::size_t v = presence_.add({"", stage.id + ".when may not hold"},
                                        label_of_reads(test));
    add_guard(stage.guards, {v, 1});
  }

  void ask_plugin(std::size_t i) {
    graph_stage& stage = c_.g.stages[i];
    try {
      stage.facts = stage.setup->check(c_.stages[i].call, *c_.g.services);
    } catch (const std::exception& e) {
      c_.report(fault::setup_failed, stage.at,
                "stage " + stage.id + ": " + e.what());
      return;
    }
    port_pass::report_params(c_, i, stage.facts.faults);
  }

  // Of the out-ports of one run, before lists are made of them.
  static std::vector<type> own_types(const graph_stage& stage) {
    std::vector<type> types;
    for (const port_info& p : stage.out) {
      const auto known = stage.facts.out_types.find(p.name);
      types.push_back(known == stage.facts.out_types.end() ? p.types.front()
                                                           : known->second);
    }
    return types;
  }

  void check_until(std::size_t i, std::span<const type> own,
                   flow_of_stage& flow) {
    const auto& spec = c_.spec.stages[i].repeat;
    graph_stage& stage = c_.g.stages[i];
    if (!spec) return;
    const std::string where = "stage " + stage.id + ".repeat.until";
    auto tree = expression_tree::parse(*spec->until.get<std::string>());
    if (!tree) {
      c_.report(fault::bad_expression,
                spec->until.text_position(tree.error().offset),
                where + ": " + tree.error().message);
      return;
    }
    const outputs_scope scope(stage, own);
    auto until = check_condition(spec->until, *std::move(tree), scope, where);
    if (!until) return;
    flow.add_control(stage.label, stage.id, "until");
    stage.repeat = graph_repeat{*std::move(until), spec->max, spec->last};
    for (const graph_port& p : stage.in) {
      if (p.carried == no_stage || p.info.takes(own[p.carried])) continue;
      c_.report(fault::bad_carry, spec->at,
                "stage " + stage.id +
                    ".repeat.carry: " + stage.out[p.carried].name + " is " +
                    to_string(own[p.carried]) + ", in." + p.info.name +
                    " takes " + to_string(p.info.types));
    }
  }

  void check_fallback(std::size_t i, std::span<const type> own) {
    const auto& given = c_.spec.stages[i].fallback;
    graph_stage& stage = c_.g.stages[i];
    stage.fallback.resize(stage.out.size());
    if (!given) return;
    if (stage.plugin.asks_person) {
      c_.report(fault::bad_fallback, stage.at,
                "stage " + stage.id +
                    ".fallback: values would stand for a person's answer; "
                    "write fallback = \"skip\", or leave it out");
      return;
    }
    for (const config_member& m : *given->get<config_table>()) {
      const auto port = std::ranges::find(stage.out, m.key, &port_info::name);
      const std::string where = "stage " + stage.id + ".fallback";
      if (port == stage.out.end()) {
        std::vector<std::string_view> known;
        for (const port_info& p : stage.out) known.push_back(p.name);
        c_.report(fault::bad_fallback, m.at,
                  where + ": no out-port " + quote(m.key) +
                      did_you_mean(m.key, known));
        poison(stage);
        continue;
      }
      const auto n = static_cast<std::size_t>(port - stage.out.begin());
      const value_data data = node_data(m.value);
      if (const auto wrong = find_misfit(data, own[n])) {
        c_.report(fault::type_mismatch, m.value.at,
                  where + "." + m.key + ": " + *wrong);
        poison(stage);
      } else {
        stage.fallback[n] = conform(data, own[n]);
        check_size(data, m.value.at, where + "." + m.key);
      }
    }
  }

  void give_outputs(graph_stage& stage, std::span<const type> own) {
    const std::size_t number =
        static_cast<std::size_t>(&stage - c_.g.stages.data());
    for (std::size_t n = 0; n < stage.out.size(); ++n) {
      graph_slot& slot = c_.g.slots[stage.first_slot + n];
      slot.label = stage.label;
      slot.guards = stage.guards;
      slot.type = own[n];
      const bool has_holes =
          slot.optional || (stage.has_fallback && !stage.fallback[n]);
      if (stage.each && !stage.lists_failures(n)) {
        slot.type = type::list_of(own[n]);
        if (has_holes) {
          report_hole(stage, n, !std::exchange(slot.optional, false));
        }
        continue;
      }
      if (stage.plugin.asks_person) slot.label = trust::user;
      if (slot.optional && stage.plugin.asks_person) {
        // What waits for it runs because a person said yes, whatever led to the
        // question: other guards add nothing, as there is no yes without them.
        slot.guards = {presence_.is_approved(number, true)};
        continue;
      }
      if (slot.optional) {
        add_guard(slot.guards, presence_.is_present(stage.first_slot + n));
      }
      if (stage.has_fallback && !stage.fallback[n]) {
        add_guard(slot.guards, presence_.has_failed(number, false));
      }
    }
  }

  // Only lists that somebody takes can have holes that somebody sees. An item
  // has none `by_fallback` if it failed, else since the plugin gave none.
  void report_hole(const graph_stage& stage, std::size_t n, bool by_fallback) {
    const std::size_t slot = stage.first_slot + n;
    const auto takes = [&](const graph_binding& b) {
      return std::ranges::any_of(b.from, [&](const graph_source& s) {
        return s.what == graph_source::kind::slot && s.slot == slot;
      });
    };
    bool taken = std::ranges::any_of(
        c_.g.outputs, [&](const graph_output& o) { return takes(o.binding); });
    for (const graph_stage& other : c_.g.stages) {
      taken = taken || std::ranges::any_of(other.in, [&](const graph_port& p) {
                return takes(p.binding);
              });
    }
    if (!taken) return;
    c_.report(fault::each_hole, stage.at,
              "stage " + stage.id + ".each: port " + stage.out[n].name +
                  " may be absent for an item, so its list would have holes; " +
                  (by_fallback ? "give it a value in fallback = { " +
                                     stage.out[n].name + " = ... }"
                               : "give it a default in a file of its own"));
  }

  void check_output(std::size_t i) {
    const output_spec& spec = c_.spec.outputs[i];
    graph_output& out = c_.g.outputs[i];
    const std::string where = "output " + out.name;
    if (out.poisoned) return;
    const auto t = type_of_binding(out.binding, {}, where);
    const guard_set guards = guards_of(out.binding);
    out.label = presence_.label(guards);
    for (const graph_source& s : out.binding.from) {
      out.label = join(out.label, label_of(s, nullptr));
      // One alone: a second one's pieces would come between the first's.
      out.stream = out.stream || is_stream(s);
    }
    if (out.binding.is_list ||
        std::any_of(c_.g.outputs.begin(),
                    c_.g.outputs.begin() + static_cast<std::ptrdiff_t>(i),
                    [](const graph_output& o) { return o.stream; })) {
      out.stream = false;
    }
    if (!t) return;
    out.type = *t;
    const graph_source& first = out.binding.from.front();
    if (t->is(type_kind::prompt)) {
      c_.report(fault::bad_type, first.at,
                where + ": a prompt never leaves its file");
    }
    if (spec.default_value) {
      const value_data data = node_data(*spec.default_value);
      if (const auto wrong = find_misfit(data, *t)) {
        c_.report(fault::type_mismatch, spec.default_value->at,
                  where + ": default: " + *wrong);
      } else {
        out.default_value = conform(data, *t);
        check_size(data, spec.default_value->at, where + ": default");
      }
    } else if (!guards.empty() && !out.may_be_absent) {
      c_.report(fault::maybe_absent, first.at,
                where + ": " + first.name +
                    " may be absent: " + presence_.reasons(guards) +
                    "; cover that with first, give a default, or write \"" +
                    first.name + "?\"");
    }
    out.may_be_absent = !guards.empty() && !spec.default_value;
  }

  bool is_stream(const graph_source& s) const {
    return s.what == graph_source::kind::slot && c_.g.slots[s.slot].stream;
  }

  compilation& c_;
  presence_table presence_;
};

}  // namespace detail

inline void follow_values(compilation& c) { detail::type_pass(c).run(); }

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_PASSES_TYPES_IPP_
