// SPDX-License-Identifier: MIT
// Operators of expressions: the types of their operands.
#ifndef TINYPHI_PIPELINE_EXPRESSION_CHECK_OPERATIONS_IPP_
#define TINYPHI_PIPELINE_EXPRESSION_CHECK_OPERATIONS_IPP_

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/pipeline/expression/checker.h"
#include "tinyphi/pipeline/expression/functions.ipp"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC type expression_checker::check_operation(std::size_t n, place p) {
  const node& o = at(n);
  if (o.operation <= op::negate) return check_logic(n, p);
  const type a = check(o.operands[0], p);
  if (o.operation == op::minus) {
    if (!fits(a, type_kind::number)) {
      fail(fault::type, o.name_offset,
           "'-' takes a number; " + words_of(o.operands[0], a));
    }
    return a;
  }
  const type b = check(o.operands[1], p);
  switch (o.operation) {
    case op::add:
    case op::subtract:
    case op::multiply:
    case op::divide:
      return check_arithmetic(n, a, b);
    case op::in:
    case op::contains:
      check_member(n, a, b);
      break;
    case op::matches:
      check_pattern(n, a);
      break;
    default:
      check_comparison(n, a, b);
  }
  return type_kind::boolean;
}

TINYPHI_FUNC type expression_checker::check_logic(std::size_t n, place p) {
  const node& o = at(n);
  const std::size_t left = o.operands[0];
  want_truth(left, check(left, p));
  if (o.operation == op::negate) return type_kind::boolean;
  presence_facts known = p.known;
  known.add(tree_.proves(left, o.operation == op::both));
  const std::size_t right = o.operands[1];
  want_truth(right, check(right, {known, p.may_be_absent}));
  return type_kind::boolean;
}

TINYPHI_FUNC void expression_checker::want_truth(std::size_t n,
                                                 const type& t) const {
  if (fits(t, type_kind::boolean)) return;
  const std::string x = words_of(n);
  std::string hint;
  if (detail::is_textual(t) || t.is(type_kind::list)) {
    hint = tree_.spelling(n).empty() ? "" : "has(" + x + ") or ";
    hint = "; write " + hint + "len(" + x + ") > 0";
  } else if (t.is_number()) {
    hint = "; write " + x + " != 0";
  } else if (t.is(type_kind::json)) {
    hint = "; write " + x + " == true";
  }
  fail(fault::type, at(n).begin, words_of(n, t) + ", not true or false" + hint);
}

TINYPHI_FUNC void expression_checker::want_same(std::size_t n, std::size_t left,
                                                const type& a,
                                                std::size_t right,
                                                const type& b) const {
  if (detail::common_type(a, b)) return;
  const node& o = at(n);
  fail(fault::type, at(right).begin,
       words_of(right, b) + ", but " + words_of(left, a) + "; " +
           (o.what == node::kind::call
                ? o.name + "()"
                : std::string(detail::operator_names[static_cast<std::size_t>(
                      o.operation)])) +
           " takes two of one type");
}

// A text of known values is compared with these only.
TINYPHI_FUNC void expression_checker::want_words(const type& known,
                                                 std::size_t other,
                                                 const type& other_type) const {
  constexpr std::size_t most = 8;
  const auto words = known.words();
  if (words.empty()) return;
  const auto is_word = [&](const std::string& w) {
    return std::ranges::find(words, w) != words.end();
  };
  const std::string allowed =
      words.size() <= most
          ? to_string(known)
          : "one of its " + std::to_string(words.size()) + " values";
  if (const value_data* data = constant_of(other)) {
    const auto* text = data->get<std::string>();
    if (text == nullptr || is_word(*text)) return;
    const std::vector<std::string_view> names(words.begin(), words.end());
    fail(fault::type, at(other).begin,
         quote(*text) + " is not " + allowed + did_you_mean(*text, names));
  }
  if (at(other).what == node::kind::list) {
    for (const std::size_t item : at(other).operands) {
      want_words(known, item, type_kind::text);
    }
    return;
  }
  const auto others = other_type.words();
  if (!others.empty() && std::ranges::none_of(others, is_word)) {
    fail(fault::type, at(other).begin,
         words_of(other, other_type) + ", which is never " + allowed);
  }
}

TINYPHI_FUNC void expression_checker::check_comparison(std::size_t n,
                                                       const type& a,
                                                       const type& b) const {
  const node& o = at(n);
  const std::size_t left = o.operands[0], right = o.operands[1];
  const std::string_view name =
      detail::operator_names[static_cast<std::size_t>(o.operation)];
  const bool ordered = o.operation != op::equal && o.operation != op::unequal;
  for (const std::size_t side : {left, right}) {
    const type& t = side == left ? a : b;
    if (t.is(type_kind::prompt)) {
      fail(fault::type, at(side).begin,
           words_of(side, t) + ", which is not compared; use contains");
    }
    if (ordered && !detail::is_textual(t) && !detail::is_quantity(t) &&
        !t.is(type_kind::json)) {
      fail(fault::type, at(side).begin,
           words_of(side, t) + ", which has no order for '" +
               std::string(name) + "'");
    }
  }
  want_same(n, left, a, right, b);
  want_words(a, right, b);
  want_words(b, left, a);
}

// `in` and `contains`.
TINYPHI_FUNC void expression_checker::check_member(std::size_t n, const type& a,
                                                   const type& b) const {
  const node& o = at(n);
  const bool in = o.operation == op::in;
  const std::size_t whole_node = o.operands[in ? 1 : 0];
  const std::size_t part_node = o.operands[in ? 0 : 1];
  const type& whole = in ? b : a;
  const type& part = in ? a : b;
  if (whole.is(type_kind::any)) return;
  if (whole.is(type_kind::list)) {
    if (part.is(type_kind::prompt)) {
      fail(fault::type, at(part_node).begin,
           words_of(part_node, part) + ", which is in no list");
    }
    if (!detail::common_type(whole.element(), part)) {
      fail(fault::type, at(part_node).begin,
           words_of(part_node, part) + ", but the items of " +
               words_of(whole_node) + " are " + to_string(whole.element()));
    }
    want_words(whole.element(), part_node, part);
    want_words(part, whole_node, whole.element());
    return;
  }
  const bool text = detail::is_textual(whole) || whole.is(type_kind::prompt);
  if (in || !text) {
    fail(fault::type, at(whole_node).begin,
         in ? "'in' takes a list on its right; " + words_of(whole_node, whole) +
                  (text ? "; write x contains y" : "")
            : "'contains' takes a text, a list or a prompt on its left; " +
                  words_of(whole_node, whole));
  }
  if (!detail::is_textual(part)) {
    fail(fault::type, at(part_node).begin,
         words_of(part_node, part) + ", but " + words_of(whole_node, whole) +
             ", which contains texts only");
  }
}

TINYPHI_FUNC void expression_checker::check_pattern(std::size_t n,
                                                    const type& a) {
  const node& o = at(n);
  if (!detail::is_textual(a)) {
    fail(fault::type, at(o.operands[0]).begin,
         "'matches' takes a text on its left; " + words_of(o.operands[0], a));
  }
  const std::size_t right = o.operands[1];
  const value_data* data = constant_of(right);
  const auto* pattern = data ? data->get<std::string>() : nullptr;
  if (pattern == nullptr) {
    fail(fault::type, at(right).begin,
         "'matches' takes a constant pattern on its right");
  }
  auto compiled = regex::compile(*pattern);
  if (!compiled) {
    fail(fault::type, at(right).begin, std::move(compiled).error().message);
  }
  out_.bindings_[n] = std::make_shared<const regex>(*std::move(compiled));
}

TINYPHI_FUNC type expression_checker::check_arithmetic(std::size_t n,
                                                       const type& a,
                                                       const type& b) const {
  const node& o = at(n);
  if (const auto common = detail::common_type(a, b)) {
    const bool quantity = detail::is_quantity(*common);
    if (o.operation == op::divide && quantity) return type_kind::number;
    if (o.operation == op::multiply ? fits(*common, type_kind::number)
                                    : quantity) {
      return *common;
    }
    if (o.operation == op::add && detail::is_textual(*common)) {
      return type_kind::text;
    }
  }
  constexpr std::string_view takes[] = {
      "two numbers, two durations, two sizes or two texts",
      "two numbers, two durations or two sizes", "two numbers",
      "two numbers, two durations or two sizes"};
  const auto i = static_cast<std::size_t>(o.operation);
  fail(fault::type, o.name_offset,
       "'" + std::string(detail::operator_names[i]) + "' takes " +
           std::string(takes[i - static_cast<std::size_t>(op::add)]) + "; " +
           words_of(o.operands[0], a) + ", " + words_of(o.operands[1], b));
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_EXPRESSION_CHECK_OPERATIONS_IPP_
