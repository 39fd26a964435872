// SPDX-License-Identifier: MIT
// Its faults: TP2002, TP2003, TP5001, TP5002, TP5005.
#ifndef TINYPHI_PIPELINE_TESTING_TEST_CASE_IPP_
#define TINYPHI_PIPELINE_TESTING_TEST_CASE_IPP_

#include <algorithm>
#include <set>
#include <string>

#include "tinyphi/pipeline/testing/expect_scope.ipp"
#include "tinyphi/pipeline/testing/given_values.ipp"
#include "tinyphi/pipeline/testing/recorded.h"
#include "tinyphi/pipeline/testing/test_case.h"
#include "tinyphi/pipeline/tool.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

class test_compiler {
 public:
  test_compiler(const graph& g, std::vector<diagnostic>& faults)
      : g_(g), faults_(faults) {}

  test_case compile(const test_spec& s) {
    where_ = "test " + quote(s.name);
    test_case t;
    t.name = s.name;
    t.at = s.at;
    t.tags = s.tags;
    t.with_model = s.with_model;
    t.times = s.times;
    t.pass = s.pass;
    t.left_out.resize(g_.stages.size());
    read_inputs(s, t);
    const std::size_t before = faults_.size();
    for (const reference_spec& r : s.approve) {
      if (const std::string wrong = wrong_approval(g_, r.name);
          !wrong.empty()) {
        report(fault::bad_fake, r.at, "approve: " + wrong);
      }
      t.approved.push_back(r.name);
    }
    if (s.fake) read_fakes(*s.fake, t, false);
    if (s.script) read_fakes(*s.script, t, true);
    for (const config_node& e : s.expect) read_expectation(e, t);
    for (const config_node& v : s.snapshot) read_snapshot(v, t);
    t.trace = s.trace;
    t.trace_at = s.trace_at;
    t.recorded.resize(g_.stages.size());
    if (faults_.size() != before) return t;
    note_effects(t);
    choose_stages(s, t);
    check_readers(s, t);
    return t;
  }

 private:
  void report(fault code, position at, std::string message) {
    faults_.push_back({code, at, where_ + ": " + std::move(message)});
  }
  // Whether no test was told of this name before: where a stage is called
  // otherwise, all tests that fake it are wrong for one reason.
  bool is_first(std::string unknown) {
    return told_.insert(std::move(unknown)).second;
  }

  void read_inputs(const test_spec& s, test_case& t) {
    std::vector<std::string_view> names;
    for (const input_spec& i : g_.inputs) names.push_back(i.name);
    const auto* given = s.input ? s.input->get<config_table>() : nullptr;
    if (given == nullptr) return;
    for (const config_member& m : *given) {
      const auto it = std::ranges::find(g_.inputs, m.key, &input_spec::name);
      if (it == g_.inputs.end()) {
        if (!is_first("input " + m.key)) continue;
        report(fault::unknown_value, m.at,
               "no input " + quote(m.key) + did_you_mean(m.key, names));
        continue;
      }
      value_data data = node_data(m.value);
      if (const auto wrong = find_misfit(data, it->type)) {
        report(fault::type_mismatch, m.value.at,
               "input " + m.key + ": " + *wrong);
        continue;
      }
      t.inputs.emplace(m.key, std::move(data));
    }
  }

  std::optional<std::size_t> find_stage(const std::string& id, position at,
                                        std::string_view key) {
    const auto it = std::ranges::find(g_.stages, id, &graph_stage::id);
    if (it != g_.stages.end()) {
      return static_cast<std::size_t>(it - g_.stages.begin());
    }
    if (!is_first("stage " + id)) return std::nullopt;
    std::vector<std::string_view> ids;
    for (const graph_stage& s : g_.stages) ids.push_back(s.id);
    report(fault::bad_fake, at,
           std::string(key) + "." + id + ": no stage " + quote(id) +
               did_you_mean(id, ids));
    return std::nullopt;
  }

  void read_fakes(const config_node& all, test_case& t, bool scripts) {
    const std::string_view key = scripts ? "script" : "fake";
    for (const config_member& m : *all.get<config_table>()) {
      const std::string name = std::string(key) + "." + m.key;
      const auto tool = g_.tools.find(m.key);
      const bool is_tool = tool != g_.tools.end();
      std::size_t number = 0;
      if (!is_tool) {
        const auto stage = find_stage(m.key, m.at, key);
        if (!stage) continue;
        number = *stage;
      }
      // What stands for the stage of a tool's file, or for one of this file.
      const graph& g = is_tool ? *tool->second->body : g_;
      const graph_stage& stage = is_tool ? g.stages.back() : g_.stages[number];
      std::vector<stage_fake>& fakes =
          is_tool ? t.tool_fakes[m.key] : t.fakes[number];
      if (!fakes.empty()) {
        report(fault::bad_fake, m.at, name + ": the stage has a fake, too");
        continue;
      }
      const bool has_turns = scripts && !stage.tools.empty();
      std::vector<const config_node*> runs{&m.value};
      if (scripts) {
        const auto* list = m.value.get<config_array>();
        if (list == nullptr || list->empty()) {
          report(fault::bad_fake, m.value.at,
                 name + " is " + std::string(m.value.kind()) +
                     (has_turns
                          ? ", it must be a list with an entry for each turn "
                            "of the model"
                          : ", it must be a list with an entry for each run"));
          continue;
        }
        runs.clear();
        for (const config_node& entry : *list) runs.push_back(&entry);
      }
      for (const config_node* entry : runs) {
        if (has_turns) {
          read_turn(*entry, stage, name, t.turns[number]);
        } else if (auto f = read_fake(*entry, g, stage, name)) {
          fakes.push_back(*std::move(f));
        }
      }
      if (has_turns) t.fakes.erase(number);
    }
  }

  // { call = "tool", args = { ... } }, or { text = "..." }.
  void read_turn(const config_node& node, const graph_stage& stage,
                 const std::string& name, std::vector<value_data>& turns) {
    const config_member* call = node.find("call");
    const config_member* args = node.find("args");
    const config_member* text = node.find("text");
    const auto* table = node.get<config_table>();
    const bool is_call =
        call != nullptr && call->value.get<std::string>() != nullptr &&
        table->size() == (args == nullptr ? 1u : 2u) &&
        (args == nullptr || args->value.get<config_table>() != nullptr);
    const bool is_text = text != nullptr &&
                         text->value.get<std::string>() != nullptr &&
                         table->size() == 1;
    if (!is_call && !is_text) {
      return report(fault::bad_fake, node.at,
                    name +
                        ": a turn of the model is { call = \"tool\", args = "
                        "{ ... } } or { text = \"...\" }");
    }
    if (is_call) {
      const std::string& tool = *call->value.get<std::string>();
      if (std::ranges::find(stage.tools, tool) == stage.tools.end()) {
        const std::vector<std::string_view> known(stage.tools.begin(),
                                                  stage.tools.end());
        return report(fault::bad_fake, call->value.at,
                      name + ": stage " + stage.id + " has no tool " +
                          quote(tool) + did_you_mean(tool, known));
      }
    }
    if (args != nullptr && !names_arguments(*call, args->value, name)) return;
    turns.push_back(node_data(node));
  }

  // False (reported) for a name that the tool does not know. Values may be
  // wrong: that is what a model may write.
  bool names_arguments(const config_member& call, const config_node& args,
                       const std::string& name) {
    const std::string& tool = *call.value.get<std::string>();
    std::vector<std::string_view> known;
    for (const input_spec& i : g_.tools.find(tool)->second->body->inputs) {
      known.push_back(i.name);
    }
    for (const config_member& m : *args.get<config_table>()) {
      if (std::ranges::find(known, m.key) != known.end()) continue;
      report(fault::bad_fake, m.at,
             name + ": tool " + tool + " has no argument " + quote(m.key) +
                 did_you_mean(m.key, known));
      return false;
    }
    return true;
  }

  std::optional<stage_fake> read_fake(const config_node& node, const graph& g,
                                      const graph_stage& stage,
                                      const std::string& name) {
    const auto* table = node.get<config_table>();
    if (table == nullptr) {
      report(fault::bad_fake, node.at,
             name + " is " + std::string(node.kind()) +
                 ", it must be a table of values by out-port");
      return std::nullopt;
    }
    stage_fake f;
    f.outputs.resize(stage.out.size());
    for (const config_member& m : *table) {
      if (m.key == "error") {
        read_failure(m, name, f);
        continue;
      }
      const auto port = std::ranges::find(stage.out, m.key, &port_info::name);
      if (port == stage.out.end()) {
        if (!is_first(stage.id + "." + m.key)) return std::nullopt;
        std::vector<std::string_view> known;
        for (const port_info& p : stage.out) known.push_back(p.name);
        report(fault::bad_fake, m.at,
               name + ": no out-port " + quote(m.key) +
                   did_you_mean(m.key, known));
        return std::nullopt;
      }
      const auto n = static_cast<std::size_t>(port - stage.out.begin());
      const type t = type_of_port(g, stage, n);
      const value_data given = node_data(m.value);
      const value_data data = completed(given, t);
      if (const auto wrong = find_misfit(data, t, given)) {
        report(fault::bad_fake, m.value.at, name + "." + m.key + ": " + *wrong);
        return std::nullopt;
      }
      f.outputs[n] = conform(data, t);
    }
    return f;
  }

  // Of one run: with `each`, of one item.
  [[nodiscard]] static type type_of_port(const graph& g,
                                         const graph_stage& stage,
                                         std::size_t n) {
    const type t = g.slots[stage.first_slot + n].type;
    return stage.each && !stage.lists_failures(n) ? t.element() : t;
  }

  void read_failure(const config_member& m, const std::string& name,
                    stage_fake& f) {
    const auto* code = m.value.get<std::string>();
    const auto it = code == nullptr
                        ? std::end(error_code_names)
                        : std::ranges::find(error_code_names, *code);
    if (it == std::end(error_code_names)) {
      report(fault::bad_fake, m.value.at,
             name + ".error: no error code " +
                 (code == nullptr
                      ? std::string(m.value.kind())
                      : quote(*code) + did_you_mean(*code, error_code_names)));
      return;
    }
    f.failure =
        error{static_cast<error_code>(it - std::begin(error_code_names)),
              "the test lets it fail"};
  }

  void read_expectation(const config_node& node, test_case& t) {
    const std::string& text = *node.get<std::string>();
    const auto wrong = [&](const expression_fault& f) {
      report(f.what == expression_fault::kind::unknown_name
                 ? fault::unknown_value
                 : fault::bad_expect,
             node.text_position(f.offset),
             "expect " + quote(text) + ": " + f.message);
    };
    auto e = compile_expectation(g_, text, node.at);
    if (!e) {
      const expression_fault& f = e.error();
      const bool is_name = f.what == expression_fault::kind::unknown_name;
      return !is_name || is_first(f.message) ? wrong(f) : void();
    }
    t.expects_error = t.expects_error || e->asks_error();
    t.expect.push_back(*std::move(e));
  }

  void read_snapshot(const config_node& node, test_case& t) {
    const std::string& text = *node.get<std::string>();
    const auto wrong = [&](fault code, std::size_t offset,
                           const std::string& what) {
      report(code, node.text_position(offset),
             "snapshot " + quote(text) + ": " + what);
    };
    auto tree = expression_tree::parse(text);
    if (!tree) {
      return wrong(fault::bad_expect, tree.error().offset,
                   tree.error().message);
    }
    if (tree->nodes().back().what != expression_node::kind::path) {
      return wrong(fault::bad_expect, 0,
                   "not a reference, such as output.x or stage.port");
    }
    auto checked = check_expression(*std::move(tree), expect_scope(g_));
    if (!checked) {
      return wrong(checked.error().what == expression_fault::kind::unknown_name
                       ? fault::unknown_value
                       : fault::bad_expect,
                   checked.error().offset, checked.error().message);
    }
    t.snapshot.push_back({*std::move(checked), text, node.at});
  }

  // Whether an expectation looks at the stage itself or at what it gives.
  [[nodiscard]] bool is_expected(const test_case& t, std::size_t i) const {
    const graph_stage& s = g_.stages[i];
    const auto reads = [&](const expression& e) {
      return std::ranges::any_of(e.reads(), [&](std::size_t slot) {
        return slot >= s.first_slot && slot - s.first_slot < s.out.size();
      });
    };
    const bool is_kept = std::ranges::any_of(
        t.snapshot, [&](const test_snapshot& one) { return reads(one.value); });
    return is_kept ||
           std::ranges::any_of(t.expect, [&](const test_expectation& e) {
             return reads(e.test) ||
                    std::ranges::any_of(e.test.calls(), [&](std::size_t c) {
                      return c % g_.stages.size() == i;
                    });
           });
  }

  // A stage that must not run in a test is left out if only fakes would take
  // its values.
  void choose_stages(const test_spec& spec, test_case& t) {
    if (!spec.trace.empty()) return choose_recorded(spec, t);
    if (!spec.only.empty()) {
      t.left_out.assign(g_.stages.size(), true);
      for (const reference_spec& r : spec.only) {
        if (const auto stage = find_stage(r.name, r.at, "only")) {
          t.left_out[*stage] = false;
        }
      }
      for (const auto& [stage, f] : t.fakes) t.left_out[stage] = false;
      return;
    }
    for (auto it = g_.order.rbegin(); it != g_.order.rend(); ++it) {
      const std::size_t i = *it;
      if (t.needs_fake[i].empty() || t.fakes.contains(i) || is_expected(t, i)) {
        continue;
      }
      bool is_read = false;
      bool is_needed = false;
      const auto owns = [&](std::size_t slot) {
        return g_.slots[slot].stage == i;
      };
      for (std::size_t other = 0; other < g_.stages.size(); ++other) {
        const graph_stage& s = g_.stages[other];
        const bool takes = !t.fakes.contains(other) && !t.left_out[other];
        each_read(s, [&](std::size_t slot) {
          is_read = is_read || owns(slot);
          is_needed = is_needed || (owns(slot) && takes);
        });
        each_condition(g_, s, [&](std::size_t slot) {
          is_needed = is_needed || owns(slot);
        });
        const bool asked =
            s.when && std::ranges::find(s.when->test.calls(), i) !=
                          s.when->test.calls().end();
        is_needed = is_needed || asked;
      }
      is_needed = is_needed || is_read_elsewhere(i);
      t.left_out[i] = is_read && !is_needed;
    }
  }

  // With a trace all stages run but those that it stands for: with `only` all
  // others, else those that run a model, call a file or have an effect.
  void choose_recorded(const test_spec& spec, test_case& t) {
    std::vector<bool> under_test(g_.stages.size());
    for (const reference_spec& r : spec.only) {
      if (const auto stage = find_stage(r.name, r.at, "only")) {
        under_test[*stage] = true;
      }
    }
    for (std::size_t i = 0; i < g_.stages.size(); ++i) {
      const graph_stage& s = g_.stages[i];
      if (t.fakes.contains(i) || makes_prompt(g_, i)) continue;
      const bool is_call = std::ranges::find(g_.called_files, s.plugin.id) !=
                           g_.called_files.end();
      const bool asks_model = s.facts.answer && !t.with_model;
      t.recorded[i] = spec.only.empty()
                          ? asks_model || is_call || s.effects != effect::none
                          : !under_test[i];
    }
  }

  // By an output or a switch.
  [[nodiscard]] bool is_read_elsewhere(std::size_t i) const {
    const auto owns = [&](std::size_t slot) {
      return slot < g_.slots.size() && g_.slots[slot].stage == i;
    };
    for (const graph_output& o : g_.outputs) {
      for (const graph_source& from : o.binding.from) {
        if (from.what == graph_source::kind::slot && owns(from.slot)) {
          return true;
        }
      }
    }
    for (const graph_switch& s : g_.switches) {
      for (const auto& one : s.cases) {
        if (one.test && std::ranges::any_of(one.test->test.reads(), owns)) {
          return true;
        }
      }
    }
    return false;
  }

  // Who runs finds what it must have.
  void check_readers(const test_spec& spec, const test_case& t) {
    for (std::size_t i = 0; i < g_.stages.size(); ++i) {
      const graph_stage& s = g_.stages[i];
      if (t.left_out[i] || t.recorded[i] || t.fakes.contains(i)) continue;
      for (const graph_port& p : s.in) {
        if (!p.required) continue;
        for (const graph_source& from : p.binding.from) {
          if (from.what != graph_source::kind::slot) continue;
          if (const std::string missing = missing_in(t, from.slot);
              !missing.empty()) {
            report(fault::fake_incomplete, spec.at,
                   "stage " + s.id + " reads " + from.name + ", " + missing);
          }
        }
      }
    }
  }

  [[nodiscard]] std::string missing_in(const test_case& t,
                                       std::size_t slot) const {
    const std::size_t owner = g_.slots[slot].stage;
    if (owner == no_stage) return {};
    const std::string& id = g_.stages[owner].id;
    const auto fakes = t.fakes.find(owner);
    if (fakes == t.fakes.end()) {
      return t.left_out[owner]
                 ? "which does not run; give fake." + id + " or run it, too"
                 : "";
    }
    const std::size_t port = slot - g_.stages[owner].first_slot;
    const graph_stage& s = g_.stages[owner];
    if (!s.out[port].required) return {};
    const bool is_given = std::ranges::all_of(
        fakes->second,
        [&](const stage_fake& f) { return f.failure || f.outputs[port]; });
    return is_given ? "" : "which fake." + id + " does not give";
  }

  // A test that reaches one of these without a fake fails.
  void note_effects(test_case& t) const {
    constexpr effect driven = effect::write | effect::net | effect::exec;
    for (std::size_t i = 0; i < g_.stages.size(); ++i) {
      const graph_stage& s = g_.stages[i];
      std::string& why = t.needs_fake.emplace_back();
      if (t.turns.contains(i)) continue;
      if (s.facts.answer && !t.with_model) {
        why = "stage " + s.id + " runs a model; " +
              (s.tools.empty() ? "fake it" : "fake it, give script." + s.id) +
              " or say mode = \"model\"";
      } else if (has(s.effects, driven) && s.tools.empty()) {
        why = "stage " + s.id + " changes something outside; fake it";
      }
    }
    for (const auto& [name, tool] : g_.tools) {
      const bool asks_model = std::ranges::any_of(
          tool->body->stages,
          [](const graph_stage& s) { return s.facts.answer.has_value(); });
      if (asks_model && !t.with_model) {
        t.tool_needs_fake[name] =
            "tool " + name + " runs a model; fake it or say mode = \"model\"";
      } else if (has(tool->effects, driven)) {
        t.tool_needs_fake[name] =
            "tool " + name + " changes something outside; fake it";
      }
    }
  }

  const graph& g_;
  std::vector<diagnostic>& faults_;
  std::string where_;
  std::set<std::string> told_;
};

}  // namespace detail

TINYPHI_FUNC bool test_expectation::asks_error() const {
  return std::ranges::any_of(test.tree().paths(), [](const auto& path) {
    return path.names.front() == "error";
  });
}

TINYPHI_FUNC result<test_expectation, expression_fault> compile_expectation(
    const graph& g, const std::string& text, position at) {
  auto tree = expression_tree::parse(text);
  if (!tree) return tree.error();
  auto checked = check_condition(*std::move(tree), detail::expect_scope(g));
  if (!checked) return checked.error();
  return test_expectation{*std::move(checked), text, at};
}

TINYPHI_FUNC std::vector<test_case> compile_tests(
    const pipeline_spec& spec, const graph& g,
    std::vector<diagnostic>& faults) {
  std::vector<test_case> tests;
  detail::test_compiler compiler(g, faults);
  for (const test_spec& s : spec.tests) tests.push_back(compiler.compile(s));
  return tests;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_TESTING_TEST_CASE_IPP_
