// SPDX-License-Identifier: MIT
// The stage `guard.pii`: a text -> the text with placeholders in the place of
// personal data.
#ifndef TINYPHI_PLUGINS_GUARD_PII_GUARD_PII_H_
#define TINYPHI_PLUGINS_GUARD_PII_GUARD_PII_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "plugins/guard/pii.h"
#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

struct guard_pii_stage {
  static constexpr stage_info info{
      .id = "guard.pii",
      .summary = "Puts placeholders in the place of personal data"};

  struct config {
    std::vector<std::string> kinds = {"card", "iban", "phone", "email", "ip"};
  };
  struct inputs {
    std::string_view text;
  };
  struct outputs {
    std::string text;
    std::int64_t count = 0;
  };

  static constexpr auto params() {
    return std::tuple{
        param("kinds", &config::kinds)
            .doc("what is looked for: card, iban, phone, email, ip, date")};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("text", &inputs::text)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("text", &outputs::text),
                      port("count", &outputs::count)};
  }

  static stage_facts check(const config& c, host&) {
    stage_facts facts;
    const auto report = [&](std::string message) {
      facts.faults.push_back(
          {fault::out_of_range, "kinds", 0, std::move(message)});
    };
    // Words come from a caller, not from a file.
    const auto known = std::span(guard::pii_kind_names).first(6);
    if (c.kinds.empty()) report("names no kind, so nothing would be found");
    for (const std::string& name : c.kinds) {
      if (guard::parse_pii_kind(name)) continue;
      const std::string hint = did_you_mean(name, known);
      report("no kind " + quote(name) +
             (hint.empty() ? "; there are card, iban, phone, email, ip and date"
                           : hint));
    }
    return facts;
  }

  guard_pii_stage(const config& c, host&) : finder_(unwrap(find(c.kinds))) {}

  task<outputs> run(run_context& cx, inputs in) const {
    const auto mask = [&] { return guard::mask(in.text, finder_); };
    guard::masked_text masked = co_await cx.blocking(mask);
    co_return outputs{std::move(masked.text),
                      static_cast<std::int64_t>(masked.count)};
  }

 private:
  static result<guard::pii_finder> find(const std::vector<std::string>& names) {
    std::vector<guard::pii_kind> kinds;
    for (const std::string& name : names) {
      if (const auto kind = guard::parse_pii_kind(name)) kinds.push_back(*kind);
    }
    return guard::pii_finder::make(kinds);
  }

  guard::pii_finder finder_;
};
static_assert(stage<guard_pii_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_GUARD_PII_GUARD_PII_H_
