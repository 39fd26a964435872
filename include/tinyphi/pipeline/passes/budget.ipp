// SPDX-License-Identifier: MIT
// Token budgets: what a prompt may come to, and what those who take it may add,
// fit the model's context. Its faults: TP3004, TP3006, TP3007.
#ifndef TINYPHI_PIPELINE_PASSES_BUDGET_IPP_
#define TINYPHI_PIPELINE_PASSES_BUDGET_IPP_

#include "tinyphi/pipeline/passes/ports.ipp"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

class budget_pass {
 public:
  explicit budget_pass(compilation& c) : c_(c) {}

  void run() {
    for (const graph_stage& stage : c_.g.stages) {
      if (stage.facts.answer) reserve_for(stage, *stage.facts.answer);
    }
    for (std::size_t i = 0; i < c_.g.stages.size(); ++i) {
      if (c_.g.stages[i].facts.prompt) check_prompt(i);
    }
    for (const std::string& name : c_.used.models) check_context(name);
  }

 private:
  // Who answers a prompt has its max_tokens kept free in it.
  void reserve_for(const graph_stage& stage,
                   const stage_facts::answer_budget& budget) {
    for (const graph_port& port : stage.in) {
      for (const graph_source& source : port.binding.from) {
        if (source.what != graph_source::kind::slot) continue;
        const std::size_t owner = c_.g.slots[source.slot].stage;
        if (owner == no_stage) continue;
        graph_stage& from = c_.g.stages[owner];
        if (!from.facts.prompt) continue;
        if (from.facts.prompt->model != budget.model) {
          c_.report(fault::other_model, stage.at,
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

  void check_prompt(std::size_t i) {
    graph_stage& stage = c_.g.stages[i];
    call_facts& call = c_.stages[i].call;
    const std::string where = "stage " + stage.id + ": ";
    call.reserve = stage.reserve;
    // Ports without a cap share what the reserve leaves.
    if (stage.setup != nullptr) {
      stage.facts = stage.setup->check(call, *c_.g.services);
    }
    if (!stage.facts.prompt) return;
    const stage_facts::prompt_budget& budget = *stage.facts.prompt;
    const auto facts = c_.g.services->facts(budget.model);
    if (!facts) {
      return c_.report(fault::setup_failed, stage.at,
                       where + facts.error().message);
    }
    const std::size_t worst = budget.tokens + stage.reserve;
    if (facts->context == 0 || worst <= facts->context) return;
    c_.report(
        fault::over_budget, stage.at,
        where + "worst case " + std::to_string(worst) + " tokens (" +
            std::to_string(budget.tokens) + " of prompt, " +
            std::to_string(stage.reserve) + " reserved" +
            (stage.reserved_for.empty() ? ""
                                        : " for stage " + stage.reserved_for) +
            ") > context " + std::to_string(facts->context) + " of model " +
            budget.model +
            (budget.largest.empty()
                 ? ""
                 : "; the largest parts: " + budget.largest));
  }

  // What the file says of a model's context is a limit, not a promise that the
  // model could not keep.
  void check_context(const std::string& name) {
    const auto facts = c_.g.services->facts(name);
    if (!facts || facts->own_context == 0) return;  // the stages report it
    if (facts->context <= facts->own_context) return;
    c_.report(fault::context_too_large, c_.spec.models_at.at(name),
              "model " + name + ": context is " +
                  std::to_string(facts->context) + ", its file has " +
                  std::to_string(facts->own_context));
  }

  compilation& c_;
};

}  // namespace detail

inline void check_budgets(compilation& c) { detail::budget_pass(c).run(); }

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_PASSES_BUDGET_IPP_
