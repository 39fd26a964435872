// SPDX-License-Identifier: MIT
// The stage `guard.rules`: a text -> whether rules of the author's find
// something in it.
#ifndef TINYPHI_PLUGINS_GUARD_RULES_GUARD_RULES_H_
#define TINYPHI_PLUGINS_GUARD_RULES_GUARD_RULES_H_

#include <string_view>
#include <tuple>
#include <vector>

#include "plugins/guard/judging.h"
#include "plugins/guard/rules.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

struct guard_rules_stage {
  static constexpr stage_info info{
      .id = "guard.rules", .summary = "Judges a text by rules of your own"};

  struct config {
    std::vector<rules_ref> rules;
  };
  struct inputs {
    std::string_view text;
  };
  struct outputs {
    tinyphi::verdict verdict;
  };

  static constexpr auto params() {
    return std::tuple{param("rules", &config::rules)
                          .required()
                          .doc("names of [rules.x]; findings of distinct rules "
                               "whose scores sum up to 1 block")};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("text", &inputs::text)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("verdict", &outputs::verdict)};
  }

  static stage_facts check(const config& c, const call_facts&, const host& h) {
    stage_facts facts;
    if (c.rules.empty()) {
      facts.faults.push_back({fault::out_of_range, "rules", 0,
                              "names no [rules.x], so nothing would be found"});
    }
    guard::check_rules(c.rules, h, facts);
    return facts;
  }

  guard_rules_stage(const config& c, const host& h)
      : rules_(guard::open_rules(c.rules, h)) {}

  task<outputs> run(run_context& cx, inputs in) const {
    const auto judge = [&] {
      return guard::judge(in.text, rules_, &cx.stop());
    };
    task<tinyphi::verdict> judged = guard::judge_on_pool(cx, judge);
    outputs out;
    out.verdict = co_await std::move(judged);
    co_return out;
  }

 private:
  std::vector<guard::rule_set> rules_;
};
static_assert(stage<guard_rules_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_GUARD_RULES_GUARD_RULES_H_
