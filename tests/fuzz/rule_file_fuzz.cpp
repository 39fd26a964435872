// SPDX-License-Identifier: MIT
// Any bytes up to the first NUL as a rule file: refused with places inside it,
// or rules that find parts of the rest, in pieces, too.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "plugins/guard/hold_back.h"
#include "plugins/guard/rules.h"

namespace {

using namespace tinyphi;

void require(bool holds) {
  if (!holds) std::abort();
}

void check_matches(const guard::rule_set& rules, std::string_view text) {
  const guard::findings found = rules.find(text);
  require(found.open == std::string_view::npos);
  for (const guard::finding& f : found.all) {
    require(f.begin <= f.end && f.end <= text.size());
    require(f.by->score > 0 && f.by->score <= 1);
  }
  const guard::verdict v = guard::judge(text, {&rules, 1});
  require((v.score > 0) == !found.all.empty());

  std::string sent[2];
  guard::verdict seen[2];
  for (const std::size_t piece : {std::size_t{1}, text.size() + 1}) {
    const std::size_t k = piece == 1 ? 0 : 1;
    guard::hold_back held({{rules}, {}, 24, 4096});
    for (std::size_t i = 0; i < text.size(); i += piece) {
      sent[k] += held.push(text.substr(i, piece));
    }
    sent[k] += held.finish();
    seen[k] = held.judged();
  }
  require(sent[0] == sent[1] && text.starts_with(sent[0]));
  require(seen[0].blocked == seen[1].blocked);
  require(seen[0].rule == seen[1].rule);
  require(seen[0].blocked || sent[0] == text);
  require(seen[0].blocked || !v.blocked);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::string_view file = all.substr(0, all.find('\0'));
  std::vector<diagnostic> faults;
  const auto rules = guard::read_rules(file, faults);
  require(faults.empty() == rules.has_value());
  const auto lines = static_cast<std::size_t>(std::ranges::count(file, '\n'));
  for (const diagnostic& d : faults) {
    require(!d.message.empty() && d.at.line <= lines + 1);
  }
  if (rules) check_matches(*rules, all.substr(file.size()));
  return 0;
}
