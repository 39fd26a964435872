// SPDX-License-Identifier: MIT
// What is proved of a graph once everything is bound: no cycle, labels and
// absence, token budgets. Used by compile.ipp only.
#ifndef TINYPHI_PIPELINE_GRAPH_PROVER_IPP_
#define TINYPHI_PIPELINE_GRAPH_PROVER_IPP_

#include <algorithm>

#include "tinyphi/pipeline/compile.h"

TINYPHI_NAMESPACE_BEGIN

class graph_prover {
 public:
  graph_prover(graph& g, std::vector<diagnostic>& faults)
      : g_(g), faults_(faults) {}

  // Depth first; false (reported) if stages wait for each other.
  bool sort_stages() {
    enum class mark : char { none, open, done };
    std::vector<mark> marks(g_.stages.size(), mark::none);
    struct step {
      std::size_t stage;
      std::size_t next;
    };
    for (std::size_t root = 0; root < g_.stages.size(); ++root) {
      if (marks[root] != mark::none) continue;
      std::vector<step> path{{root, 0}};
      marks[root] = mark::open;
      while (!path.empty()) {
        step& top = path.back();
        const auto& after = g_.stages[top.stage].after;
        if (top.next == after.size()) {
          marks[top.stage] = mark::done;
          g_.order.push_back(top.stage);
          path.pop_back();
          continue;
        }
        const std::size_t other = after[top.next++];
        if (marks[other] == mark::open) {
          std::vector<std::size_t> round;
          for (const step& s : path) round.push_back(s.stage);
          report_cycle(round, other);
          return false;
        }
        if (marks[other] == mark::none) {
          marks[other] = mark::open;
          path.push_back({other, 0});
        }
      }
    }
    return true;
  }

  // Labels and absence, from what each stage needs to what it gives.
  void follow_values() {
    for (const std::size_t i : g_.order) follow_values(g_.stages[i]);
  }

  void check_budgets() {
    for (const graph_stage& stage : g_.stages) {
      if (stage.facts.answer) reserve_for(stage, *stage.facts.answer);
    }
    for (graph_stage& stage : g_.stages) {
      if (stage.facts.prompt) check_prompt(stage);
    }
  }

 private:
  void report(fault code, position at, std::string message) {
    faults_.push_back({code, at, std::move(message)});
  }

  void report_cycle(const std::vector<std::size_t>& path, std::size_t first) {
    std::string names;
    for (auto it = std::ranges::find(path, first); it != path.end(); ++it) {
      names += g_.stages[*it].id + " -> ";
    }
    report(fault::cycle, g_.stages[first].at,
           "stages wait for each other: " + names + g_.stages[first].id);
  }

  void follow_values(graph_stage& stage) {
    stage.label = stage.plugin.makes;
    stage.may_be_absent = stage.when.has_value() || stage.skip_on_error;
    const auto absent = [&](std::size_t slot) {
      return g_.slots[slot].may_be_absent;
    };
    for (const graph_port& p : stage.in) {
      for (const std::size_t slot : p.from) {
        stage.label = join(stage.label, g_.slots[slot].label);
      }
      if (p.required && !p.from.empty() &&
          std::ranges::all_of(p.from, absent)) {
        stage.may_be_absent = true;
      }
    }
    for (std::size_t i = 0; i < stage.out.size(); ++i) {
      graph_slot& slot = g_.slots[stage.first_slot + i];
      slot.label = stage.label;
      slot.may_be_absent = slot.may_be_absent || stage.may_be_absent;
    }
  }

  // Who answers a prompt has its max_tokens kept free in it.
  void reserve_for(const graph_stage& stage,
                   const stage_facts::answer_budget& budget) {
    for (const graph_port& port : stage.in) {
      for (const std::size_t slot : port.from) {
        if (g_.slots[slot].stage == no_stage) continue;
        graph_stage& from = g_.stages[g_.slots[slot].stage];
        if (!from.facts.prompt) continue;
        if (from.facts.prompt->model != budget.model) {
          report(fault::other_model, stage.at,
                 "stage " + stage.id + ": stage " + from.id +
                     " lays its prompt out for model " +
                     from.facts.prompt->model + ", not for " + budget.model);
        } else if (from.reserve < budget.max_tokens) {
          from.reserve = budget.max_tokens;
          from.reserved_for = stage.id;
        }
      }
    }
  }

  void check_prompt(graph_stage& stage) {
    const std::string where = "stage " + stage.id + ": ";
    if (stage.setup->bind({stage.reserve})) {
      stage.facts = stage.setup->check(*g_.services);
      if (!stage.facts.prompt) return;
    }
    const stage_facts::prompt_budget& budget = *stage.facts.prompt;
    const auto facts = g_.services->facts(budget.model);
    if (!facts) {
      return report(fault::setup_failed, stage.at,
                    where + facts.error().message);
    }
    const std::size_t worst = budget.tokens + stage.reserve;
    if (facts->context == 0 || worst <= facts->context) return;
    report(
        fault::over_budget, stage.at,
        where + "worst case " + std::to_string(worst) + " tokens (" +
            std::to_string(budget.tokens) + " of prompt, " +
            std::to_string(stage.reserve) + " reserved" +
            (stage.reserved_for.empty() ? ""
                                        : " for stage " + stage.reserved_for) +
            ") > context " + std::to_string(facts->context) + " of model " +
            budget.model);
  }

  graph& g_;
  std::vector<diagnostic>& faults_;
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_GRAPH_PROVER_IPP_
