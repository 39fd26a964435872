// SPDX-License-Identifier: MIT
// Comparisons of values whose kinds are known only when they are compared.
#ifndef TINYPHI_PIPELINE_EXPRESSION_COMPARE_IPP_
#define TINYPHI_PIPELINE_EXPRESSION_COMPARE_IPP_

#include <algorithm>
#include <cmath>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "tinyphi/pipeline/expression/syntax.h"
#include "tinyphi/pipeline/value.h"

TINYPHI_NAMESPACE_BEGIN
namespace detail {

// Not a number, if it is none.
inline double number_of(const value_data& x) {
  return x.number().value_or(std::numeric_limits<double>::quiet_NaN());
}

[[nodiscard]] inline bool equal_in_depth(const value_data& a,
                                         const value_data& b);

// Members may come in any order. Sorted, since there may be many of them.
inline bool equal_records(const value_data::record& a,
                          const value_data::record& b) {
  if (&a == &b) return true;
  if (a.size() != b.size()) return false;
  const auto sorted = [](const value_data::record& r) {
    std::vector<const value_data::member*> out;
    for (const auto& m : r) out.push_back(&m);
    std::ranges::sort(out, {}, &value_data::member::name);
    return out;
  };
  return std::ranges::equal(
      sorted(a), sorted(b), [](const auto* x, const auto* y) {
        return x->name == y->name && equal_in_depth(x->value, y->value);
      });
}

// An integer equals the number of its value.
inline bool equal_in_depth(const value_data& a, const value_data& b) {
  if (a.get<std::int64_t>() != nullptr && b.get<std::int64_t>() != nullptr) {
    return a == b;
  }
  if (a.number()) return a.number() == b.number();
  const auto* list = a.get<value_data::list>();
  const auto* other_list = b.get<value_data::list>();
  if (list != nullptr && other_list != nullptr) {
    return std::ranges::equal(*list, *other_list, equal_in_depth);
  }
  const auto* record = a.get<value_data::record>();
  const auto* other_record = b.get<value_data::record>();
  if (record != nullptr && other_record != nullptr) {
    return equal_records(*record, *other_record);
  }
  return a == b;
}

// A comparison by ==, !=, <, ... of numbers, texts, or for equality anything.
// Values of two kinds, and what is not a number, compare false.
inline bool holds(expression_operator what, const value_data& a,
                  const value_data& b) {
  const auto by = [what](std::partial_ordering order) {
    switch (what) {
      case expression_operator::equal:
        return order == 0;
      case expression_operator::unequal:
        return order < 0 || order > 0;
      case expression_operator::less:
        return order < 0;
      case expression_operator::less_equal:
        return order <= 0;
      case expression_operator::greater:
        return order > 0;
      default:
        return order >= 0;
    }
  };
  const auto* i = a.get<std::int64_t>();
  const auto* j = b.get<std::int64_t>();
  if (i != nullptr && j != nullptr) return by(*i <=> *j);
  if (a.number() && b.number()) return by(*a.number() <=> *b.number());
  if (kind_of(a) != kind_of(b)) return false;
  if (const auto* text = a.get<std::string>()) {
    return by(*text <=> *b.get<std::string>());
  }
  const bool same = equal_in_depth(a, b);
  return what == expression_operator::equal     ? same
         : what == expression_operator::unequal ? !same
                                                : false;
}

}  // namespace detail
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_EXPRESSION_COMPARE_IPP_
