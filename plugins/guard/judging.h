// SPDX-License-Identifier: MIT
// What the stages that judge by rules share: rules by the names of [rules.x],
// and verdicts that block what cannot be judged.
#ifndef TINYPHI_PLUGINS_GUARD_JUDGING_H_
#define TINYPHI_PLUGINS_GUARD_JUDGING_H_

#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "plugins/guard/rules.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN
namespace guard {

// Adds what is wrong with rules that stand in the pipeline's file, for the
// parameter `rules`. Files are not opened.
inline void check_rules(const std::vector<rules_ref>& names, const host& h,
                        stage_facts& facts) {
  for (const rules_ref& ref : names) {
    const auto spec = h.rules().find(ref.name);
    if (spec == h.rules().end() || !spec->second.rules) continue;
    std::vector<diagnostic> wrong;
    (void)read_rules(*spec->second.rules, wrong);
    for (diagnostic& d : wrong) {
      facts.faults.push_back(
          {d.code, "rules", 0, "[rules." + ref.name + "]: " + d.message, d.at});
    }
  }
}

// The rules of those tables; files are opened. Throws a stage_error for one
// that is missing or wrong.
inline std::vector<rule_set> open_rules(const std::vector<rules_ref>& names,
                                        const host& h) {
  std::vector<rule_set> sets;
  for (const rules_ref& ref : names) {
    const auto spec = h.rules().find(ref.name);
    if (spec == h.rules().end()) {
      throw stage_error(error_code::not_found, "no [rules." + ref.name + "]");
    }
    if (!spec->second.rules) {
      sets.push_back(unwrap(load_rules(spec->second.path)));
      continue;
    }
    std::vector<diagnostic> wrong;
    auto set = read_rules(*spec->second.rules, wrong);
    if (!set) {
      throw stage_error(error_code::bad_data,
                        to_string(wrong, "[rules." + ref.name + "]"));
    }
    sets.push_back(*std::move(set));
  }
  return sets;
}

// The record for what judge() gives, a result<verdict>. What it cannot judge,
// for whatever reason, is blocked.
template <class Judge>
[[nodiscard]] tinyphi::verdict judge_closed(Judge&& judge) {
  std::string why;
  try {
    const result<verdict> v = judge();
    if (v && !v->blocked) return {false, {}, {}};
    if (v) return {true, v->rule, v->reason};
    why = v.error().message;
  } catch (const std::exception& e) {
    why = e.what();
  }
  return {true, {}, "the text could not be judged: " + why};
}

// The same on the pool. A request that is over is that, and no verdict.
template <class Judge>
[[nodiscard]] task<tinyphi::verdict> judge_on_pool(run_context& cx,
                                                   const Judge& judge) {
  const auto closed = [&] { return judge_closed(judge); };
  tinyphi::verdict v = co_await cx.blocking(closed);
  unwrap(cx.stop().check());
  co_return v;
}

}  // namespace guard
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_GUARD_JUDGING_H_
