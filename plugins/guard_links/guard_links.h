// SPDX-License-Identifier: MIT
// The stage `guard.links`: a text -> the text without links and images to hosts
// that nobody allowed.
#ifndef TINYPHI_PLUGINS_GUARD_LINKS_GUARD_LINKS_H_
#define TINYPHI_PLUGINS_GUARD_LINKS_GUARD_LINKS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "plugins/guard/links.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

struct guard_links_stage {
  static constexpr stage_info info{
      .id = "guard.links",
      .summary = "Takes out links and images to hosts that nobody allowed"};

  struct config {
    std::vector<std::string> hosts;
  };
  struct inputs {
    std::string_view text;
  };
  struct outputs {
    std::string text;
    std::int64_t removed = 0;
  };

  static constexpr auto params() {
    return std::tuple{
        param("hosts", &config::hosts)
            .doc("hosts that links may lead to: example.com, or *.example.com "
                 "for all below it; none: no links leave")};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("text", &inputs::text)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("text", &outputs::text),
                      port("removed", &outputs::removed)};
  }

  static stage_facts check(const config& c, const call_facts&, host&) {
    stage_facts facts;
    if (const auto hosts = guard::allowed_hosts::make(c.hosts); !hosts) {
      facts.faults.push_back(
          {fault::out_of_range, "hosts", 0, "with." + hosts.error().message});
    }
    return facts;
  }

  guard_links_stage(const config& c, host&)
      : hosts_(unwrap(guard::allowed_hosts::make(c.hosts))) {}

  task<outputs> run(run_context& cx, inputs in) const {
    const auto clean = [&] { return guard::clean_links(in.text, hosts_); };
    guard::cleaned_text cleaned = co_await cx.blocking(clean);
    co_return outputs{std::move(cleaned.text),
                      static_cast<std::int64_t>(cleaned.removed)};
  }

 private:
  guard::allowed_hosts hosts_;
};
static_assert(stage<guard_links_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_GUARD_LINKS_GUARD_LINKS_H_
