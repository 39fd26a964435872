// SPDX-License-Identifier: MIT
// Which parts of a file its tests have reached. Its fault: TP5008. Used by
// run_tests.ipp only.
#ifndef TINYPHI_PIPELINE_TESTING_COVERAGE_IPP_
#define TINYPHI_PIPELINE_TESTING_COVERAGE_IPP_

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tinyphi/pipeline/executor.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// What the tests of a file have reached so far.
struct coverage {
  explicit coverage(const graph& g)
      : ran(g.stages.size()),
        failed(g.stages.size()),
        repeated(g.stages.size()),
        held_not(g.stages.size()),
        slots(g.slots.size()) {}

  void add(const graph& g, const run_record& record) {
    for (std::size_t n = 0; n < record.stages.size(); ++n) {
      const stage_report& s = record.stages[n];
      const std::size_t i = g.order[n];
      const bool done = s.outcome == stage_outcome::done;
      ran[i] = ran[i] || done;
      failed[i] = failed[i] || s.failed;
      repeated[i] = repeated[i] || s.rounds > 1;
      held_not[i] = held_not[i] || s.reason.starts_with("when: ");
    }
    for (std::size_t i = 0; i < record.slots.size(); ++i) {
      const auto& v = record.slots[i];
      const bool* yes = v ? v->get<bool>() : nullptr;
      slots[i] = slots[i] || (yes != nullptr && *yes);
    }
  }

  [[nodiscard]] std::vector<diagnostic> missing(const graph& g) const {
    std::vector<diagnostic> out;
    const auto report = [&](position at, std::string message) {
      out.push_back({fault::not_covered, at, std::move(message)});
    };
    for (const graph_switch& s : g.switches) {
      for (std::size_t n = 0; n < s.cases.size(); ++n) {
        if (slots[s.first_slot + n]) continue;
        report(s.cases[n].at, "switch " + s.name + ": case " + s.cases[n].name +
                                  " was never chosen");
      }
    }
    for (std::size_t i = 0; i < g.stages.size(); ++i) {
      const graph_stage& s = g.stages[i];
      const std::string where = "stage " + s.id;
      if (!ran[i]) {
        if (!is_explained(g, s)) report(s.at, where + " never ran");
        continue;
      }
      const auto choice = case_of(g, s);
      const bool is_told = choice && !is_any_other_chosen(g, *choice);
      if (s.when && !s.when_asks_item && !held_not[i] && !is_told) {
        report(s.at, where + ": when always held");
      }
      if (s.has_fallback && !failed[i]) {
        report(s.at, where + ": the fallback was never taken");
      }
      if (s.repeat && !repeated[i]) {
        report(s.at, where + ": there was never a second round");
      }
    }
    return out;
  }

  // The case of a switch that a stage's `when` is, and nothing else.
  static std::optional<std::size_t> case_of(const graph& g,
                                            const graph_stage& s) {
    if (!s.when || s.when->test.reads().size() != 1) return std::nullopt;
    const expression_node& whole = s.when->test.tree().nodes().back();
    const std::size_t slot = s.when->test.reads().front();
    const bool is_case = whole.what == expression_node::kind::path &&
                         slot < g.slots.size() && switch_of(g, slot);
    return is_case ? std::optional(slot) : std::nullopt;
  }

  [[nodiscard]] bool is_any_other_chosen(const graph& g,
                                         std::size_t choice) const {
    const graph_switch& s = g.switches[*switch_of(g, choice)];
    for (std::size_t n = 0; n < s.cases.size(); ++n) {
      const std::size_t slot = s.first_slot + n;
      if (slot != choice && slots[slot]) return true;
    }
    return false;
  }

  // Whether a stage did not run since another did not, or a case was not
  // chosen: that is told, and one cause is told once.
  [[nodiscard]] bool is_explained(const graph& g, const graph_stage& s) const {
    const auto never_ran = [&](const graph_source& from) {
      if (from.what != graph_source::kind::slot) return false;
      const std::size_t stage = g.slots[from.slot].stage;
      return stage != no_stage && !ran[stage];
    };
    const auto choice = case_of(g, s);
    if (choice && !slots[*choice]) return true;
    if (s.each && never_ran(*s.each)) return true;
    return std::ranges::any_of(s.in, [&](const graph_port& p) {
      return p.required && !p.binding.is_list && !p.binding.from.empty() &&
             std::ranges::all_of(p.binding.from, never_ran);
    });
  }

  std::vector<bool> ran, failed, repeated, held_not;  // by stage
  std::vector<bool> slots;  // those of switches that were chosen
};

}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_TESTING_COVERAGE_IPP_
