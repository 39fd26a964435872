// SPDX-License-Identifier: MIT
#ifndef TINYPHI_CONSTRAIN_SCHEMA_SHAPE_IPP_
#define TINYPHI_CONSTRAIN_SCHEMA_SHAPE_IPP_

#include <algorithm>
#include <numeric>
#include <utility>

#include "tinyphi/constrain/schema_shape.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC void shape_merger::fault(schema_fault_code code,
                                      std::uint32_t rule,
                                      std::string_view keyword,
                                      std::string message) {
  constexpr std::size_t max_faults = 32;
  schema_fault f;
  f.code = code;
  f.pointer = schema_->document().pointer(schema_->rules()[rule].where);
  if (!keyword.empty()) f.pointer += "/" + std::string(keyword);
  f.message = std::move(message);
  // A schema that is used in several places is told of once.
  if (faults_->size() < max_faults &&
      std::ranges::find(*faults_, f) == faults_->end()) {
    faults_->push_back(std::move(f));
  }
}

TINYPHI_FUNC bool shape_merger::share(
    const std::vector<json_tree::node>& a,
    const std::vector<json_tree::node>& b) const {
  const json_tree& d = schema_->document();
  std::uint64_t steps = std::uint64_t{1} << 22;
  return std::ranges::any_of(a, [&](json_tree::node x) {
    return std::ranges::any_of(b, [&](json_tree::node y) {
      return equal_json(d, x, d, y, steps) || steps == 0;
    });
  });
}

TINYPHI_FUNC void shape_merger::add_values(schema_shape& shape,
                                           const schema_rule& r) {
  const json_tree& d = schema_->document();
  const auto merge = [&](std::vector<json_tree::node> values) {
    if (shape.values) {
      std::erase_if(values, [&](json_tree::node x) {
        return !share({x}, *shape.values);
      });
    }
    shape.values = std::move(values);
  };
  if (r.enumeration != json_tree::none) {
    std::vector<json_tree::node> values;
    for (auto n = d.first(r.enumeration); n != json_tree::none; n = d.next(n)) {
      values.push_back(n);
    }
    merge(std::move(values));
  }
  if (r.constant != json_tree::none) merge({r.constant});
}

TINYPHI_FUNC void shape_merger::add_multiple(schema_shape& shape,
                                             std::uint32_t rule) {
  const decimal m =
      schema_->document().number(schema_->rules()[rule].multiple_of);
  // 10^-k asks for at most k decimals.
  if (m.digits == "1" && m.exponent <= 0 && m.exponent > -16) {
    shape.number.decimals = std::min(
        shape.number.decimals, static_cast<std::uint32_t>(1 - m.exponent));
    return;
  }
  const auto n = to_count(m);
  const std::uint64_t both =
      n && *n <= max_divisor
          ? std::lcm<std::uint64_t, std::uint64_t>(*n, shape.number.divisor)
          : 0;
  if (both == 0 || both > max_divisor) {
    fault(
        schema_fault_code::unwritable, rule, "multipleOf",
        "an answer can be held to multiples of whole numbers up to " +
            std::to_string(max_divisor) +
            ", and of 0.1, 0.01 and so on; remove it, and check it afterwards");
    return;
  }
  shape.number.divisor = static_cast<std::uint32_t>(both);
}

TINYPHI_FUNC void shape_merger::add_number(schema_shape& shape,
                                           std::uint32_t rule) {
  const schema_rule& r = schema_->rules()[rule];
  const json_tree& d = schema_->document();
  const auto bound = [&](json_tree::node n, bool most, bool exclusive) {
    if (n == json_tree::none) return;
    auto& kept = most ? shape.number.most : shape.number.least;
    const decimal value = d.number(n);
    const bool tighter =
        !kept || (most ? value < kept->value : value > kept->value);
    if (tighter) {
      kept = number_bound{value, exclusive};
    } else if (value == kept->value) {
      kept->exclusive |= exclusive;
    }
  };
  bound(r.minimum, false, false);
  bound(r.exclusive_minimum, false, true);
  bound(r.maximum, true, false);
  bound(r.exclusive_maximum, true, true);
  if (r.multiple_of != json_tree::none) add_multiple(shape, rule);
}

TINYPHI_FUNC void shape_merger::add(schema_shape& shape, std::uint32_t rule) {
  // References may be many behind each other; they wait here, not in calls.
  std::vector<std::uint32_t> open{rule};
  while (!open.empty()) {
    const std::uint32_t next = open.back();
    open.pop_back();
    add_one(shape, next, open);
  }
}

TINYPHI_FUNC void shape_merger::add_one(schema_shape& shape, std::uint32_t rule,
                                        std::vector<std::uint32_t>& others) {
  const schema_rule& r = schema_->rules()[rule];
  // A schema twice in one value says nothing new.
  if (std::ranges::find(shape.rules, rule) != shape.rules.end()) return;
  shape.rules.push_back(rule);
  shape.never |= r.never;
  // Every integer is a number.
  constexpr std::uint8_t number_bit = type_bit(2);
  shape.types &= static_cast<std::uint8_t>(
      r.types | ((r.types & number_bit) != 0 ? integer_bit : 0));
  add_values(shape, r);
  add_number(shape, rule);
  shape.min_length = std::max(shape.min_length, r.min_length);
  shape.max_length = std::min(shape.max_length, r.max_length);
  shape.min_items = std::max(shape.min_items, r.min_items);
  shape.max_items = std::min(shape.max_items, r.max_items);
  shape.min_properties = std::max(shape.min_properties, r.min_properties);
  shape.max_properties = std::min(shape.max_properties, r.max_properties);
  if (r.pattern != schema_rule::none || r.format) shape.strings.push_back(rule);
  if (r.items != schema_rule::none || !r.prefix_items.empty()) {
    shape.arrays.push_back(rule);
  }
  if (!r.properties.empty() || r.additional != schema_rule::none) {
    shape.objects.push_back(rule);
  }
  // The last one is taken first, so the order is that of the document.
  others.insert(others.end(), r.all_of.rbegin(), r.all_of.rend());
  if (r.ref != schema_rule::none) others.push_back(r.ref);
  if (!r.any_of.empty()) shape.choices.push_back({rule, false});
  if (!r.one_of.empty()) shape.choices.push_back({rule, true});
}

// The values that a required name may have, if they are listed.
TINYPHI_FUNC std::optional<std::vector<json_tree::node>>
shape_merger::values_of(const schema_shape& shape, std::string_view name) {
  std::vector<std::uint32_t> rules;
  bool required = false;
  for (const std::uint32_t o : shape.objects) {
    const schema_property* p = schema_->rules()[o].find(name);
    if (p == nullptr) continue;
    required |= p->required;
    if (p->rule != json_tree::none) rules.push_back(p->rule);
  }
  if (!required) return std::nullopt;
  return merged(rules).values;
}

TINYPHI_FUNC bool shape_merger::disjoint(const schema_shape& a,
                                         const schema_shape& b) {
  if (a.never || b.never || (a.types & b.types) == 0) return true;
  if (a.values && b.values && !share(*a.values, *b.values)) return true;
  constexpr std::uint8_t object = type_bit(5);
  if ((a.types & b.types) != object) return false;
  for (const std::uint32_t o : a.objects) {
    for (const schema_property& p : schema_->rules()[o].properties) {
      const auto in_a = values_of(a, p.name), in_b = values_of(b, p.name);
      if (in_a && in_b && !share(*in_a, *in_b)) return true;
    }
  }
  return false;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_CONSTRAIN_SCHEMA_SHAPE_IPP_
