// SPDX-License-Identifier: MIT
// The functions and operators of expressions, and kinds of types that they
// take.
#ifndef TINYPHI_PIPELINE_EXPRESSION_FUNCTIONS_IPP_
#define TINYPHI_PIPELINE_EXPRESSION_FUNCTIONS_IPP_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "tinyphi/pipeline/expression/expression.h"

TINYPHI_NAMESPACE_BEGIN

enum class expression_function : std::uint8_t {
  has,
  fallback,
  len,
  lower,
  upper,
  trim,
  lines,
  join,
  json,
  tokens,
  sum,
  abs,
  min,
  max,
  round,
  first,
  last
};

namespace detail {

struct function_row {
  std::string_view name;
  expression_function function;
  std::size_t min_arguments;
  std::size_t max_arguments;
  std::string_view form;  // for messages
};
inline constexpr function_row expression_functions[] = {
    {"has", expression_function::has, 1, 1, "has(path)"},
    {"default", expression_function::fallback, 2, 2, "default(x, y)"},
    {"len", expression_function::len, 1, 1, "len(text or list)"},
    {"lower", expression_function::lower, 1, 1, "lower(text)"},
    {"upper", expression_function::upper, 1, 1, "upper(text)"},
    {"trim", expression_function::trim, 1, 1, "trim(text)"},
    {"lines", expression_function::lines, 2, 2, "lines(text, int)"},
    {"join", expression_function::join, 2, 2, "join(list, text)"},
    {"json", expression_function::json, 1, 1, "json(x)"},
    {"tokens", expression_function::tokens, 1, 1, "tokens(text)"},
    {"sum", expression_function::sum, 1, 1, "sum(list of numbers)"},
    {"abs", expression_function::abs, 1, 1, "abs(number)"},
    {"min", expression_function::min, 1, 256, "min(list of numbers)"},
    {"max", expression_function::max, 1, 256, "max(list of numbers)"},
    {"round", expression_function::round, 1, 2, "round(number, int)"},
    {"first", expression_function::first, 1, 1, "first(list)"},
    {"last", expression_function::last, 1, 1, "last(list)"},
};

inline constexpr std::string_view operator_names[] = {
    "and", "or",       "not",     "==", "!=", "<", "<=", ">", ">=",
    "in",  "contains", "matches", "+",  "-",  "*", "/",  "-"};

inline bool is_textual(const type& t) {
  return t.is(type_kind::text) || t.is(type_kind::path) ||
         t.is(type_kind::file) || t.is(type_kind::any);
}
// What + and sum() can add, and < compares by size.
inline bool is_quantity(const type& t) {
  return t.is_number() || t.is(type_kind::duration) || t.is(type_kind::size) ||
         t.is(type_kind::any);
}
inline bool is_printable(const type& t) {
  return is_textual(t) || is_quantity(t) || t.is(type_kind::boolean);
}

// The type that values of both are of, json only if one of them is.
inline std::optional<type> common_type(const type& a, const type& b) {
  if (a.is(type_kind::any)) return b;
  if (b.is(type_kind::any)) return a;
  if (fits(a, b)) return b;
  if (fits(b, a)) return a;
  if (is_textual(a) && is_textual(b)) return type(type_kind::text);
  if (a.is(type_kind::list) && b.is(type_kind::list)) {
    if (auto element = common_type(a.element(), b.element())) {
      return type::list_of(*std::move(element));
    }
  }
  return std::nullopt;
}

}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_EXPRESSION_FUNCTIONS_IPP_
