// SPDX-License-Identifier: MIT
// The parameter `kinds` of the stages that look for personal data.
#ifndef TINYPHI_PLUGINS_GUARD_KINDS_H_
#define TINYPHI_PLUGINS_GUARD_KINDS_H_

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/guard/pii.h"
#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN
namespace guard {

inline std::vector<std::string> default_kinds() {
  return {"card", "iban", "phone", "email", "ip"};
}

// Adds names that are none of `known`.
inline void check_kinds(const std::vector<std::string>& names,
                        std::span<const std::string_view> known,
                        stage_facts& facts) {
  std::string all;
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (i > 0) all += i + 1 == known.size() ? " and " : ", ";
    all += known[i];
  }
  for (const std::string& name : names) {
    if (std::ranges::find(known, name) != known.end()) continue;
    std::string hint = did_you_mean(name, known);
    if (hint.empty()) hint = "; there are " + all;
    facts.faults.push_back(
        {fault::out_of_range, "kinds", 0, "no kind " + quote(name) + hint});
  }
}

// Those that personal data have.
inline std::vector<pii_kind> parse_kinds(
    const std::vector<std::string>& names) {
  std::vector<pii_kind> kinds;
  for (const std::string& name : names) {
    if (const auto kind = parse_pii_kind(name)) kinds.push_back(*kind);
  }
  return kinds;
}

}  // namespace guard
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_GUARD_KINDS_H_
