// SPDX-License-Identifier: MIT
// Any line as a schema, and what follows it as a value: both are read or
// refused with places inside them, and a check ends, the same however many
// faults it is to report.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "tinyphi/schema/schema_check.h"

namespace {

using namespace tinyphi;

void require(bool holds) {
  if (!holds) std::abort();
}

bool is_pointer(std::string_view p) { return p.empty() || p[0] == '/'; }

void check_faults(const schema::faults& faults) {
  require(!faults.empty() && faults.size() <= 32);
  for (const schema_fault& f : faults) {
    require(is_pointer(f.pointer) && !f.message.empty());
    require(to_string(f).find('\n') == std::string::npos);
  }
}

void check_rules(const schema& s) {
  const auto n = static_cast<std::uint32_t>(s.rules().size());
  const auto inside = [&](std::uint32_t i) {
    require(i < n || i == schema_rule::none);
  };
  for (const schema_rule& r : s.rules()) {
    inside(r.items);
    inside(r.additional);
    inside(r.ref);
    for (const auto* list :
         {&r.prefix_items, &r.any_of, &r.one_of, &r.all_of}) {
      std::for_each(list->begin(), list->end(), inside);
    }
    for (const schema_property& p : r.properties) {
      inside(p.rule);
      require(r.find(p.name) == &p);
    }
    require(is_pointer(s.document().pointer(r.where)));
  }
}

void check_value_of(const schema& s, std::string_view text) {
  const auto value = json_tree::read(text);
  if (!value) return;
  constexpr check_limits limits{.max_steps = 200'000};
  const auto faults = check_value(s, *value, limits);
  if (!faults) return;
  require(faults->size() <= limits.max_faults);
  for (const value_fault& f : *faults) {
    require(is_pointer(f.at) && is_pointer(f.rule) && !f.message.empty());
  }
  const auto one = check_value(s, *value, {.max_faults = 1});
  require(one && one->size() == std::min<std::size_t>(faults->size(), 1));
  if (!one->empty()) require((*one)[0] == (*faults)[0]);
  std::uint64_t steps = 1 << 20;
  require(equal_json(*value, 0, *value, 0, steps) || steps == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::size_t line = std::min(all.find('\n'), size);
  const std::string_view text = all.substr(0, line);
  const auto strict = schema::read(text);
  const auto foreign = schema::read(text, foreign_schema);
  if (!strict) check_faults(strict.error());
  if (!foreign) {
    check_faults(foreign.error());
    require(!strict);
    return 0;
  }
  require(strict.has_value() == foreign->ignored().empty());
  check_rules(*foreign);
  if (line < size) check_value_of(*foreign, all.substr(line + 1));
  return 0;
}
