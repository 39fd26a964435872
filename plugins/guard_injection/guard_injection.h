// SPDX-License-Identifier: MIT
// The stage `guard.injection`: a text -> whether it gives orders to a model.
#ifndef TINYPHI_PLUGINS_GUARD_INJECTION_GUARD_INJECTION_H_
#define TINYPHI_PLUGINS_GUARD_INJECTION_GUARD_INJECTION_H_

#include <string_view>
#include <tuple>
#include <vector>

#include "plugins/guard/injection.h"
#include "plugins/guard/judging.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

struct guard_injection_stage {
  static constexpr stage_info info{
      .id = "guard.injection",
      .summary = "Judges whether a text gives orders to a model"};

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
    return std::tuple{
        param("rules", &config::rules)
            .doc("names of [rules.x] that count beside its own; they see the "
                 "text in small letters, without marks and disguises")};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("text", &inputs::text)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("verdict", &outputs::verdict)};
  }

  static stage_facts check(const config& c, const call_facts&, const host& h) {
    stage_facts facts;
    guard::check_rules(c.rules, h, facts);
    return facts;
  }

  guard_injection_stage(const config& c, const host& h)
      : rules_(guard::open_rules(c.rules, h)) {
    unwrap(guard::injection_rules());  // not for the first text
  }

  task<outputs> run(run_context& cx, inputs in) const {
    const auto judge = [&] {
      return guard::judge_injection(in.text, rules_, &cx.stop());
    };
    task<tinyphi::verdict> judged = guard::judge_on_pool(cx, judge);
    outputs out;
    out.verdict = co_await std::move(judged);
    co_return out;
  }

 private:
  std::vector<guard::rule_set> rules_;
};
static_assert(stage<guard_injection_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_GUARD_INJECTION_GUARD_INJECTION_H_
