// SPDX-License-Identifier: MIT
// Types and presence of expressions: paths, lists, and the whole.
#ifndef TINYPHI_PIPELINE_EXPRESSION_CHECK_IPP_
#define TINYPHI_PIPELINE_EXPRESSION_CHECK_IPP_

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/pipeline/expression/check_calls.ipp"
#include "tinyphi/pipeline/expression/check_operations.ipp"
#include "tinyphi/pipeline/expression/checker.h"
#include "tinyphi/pipeline/expression/functions.ipp"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC type expression_checker::check_list(std::size_t n, place p) {
  type element;
  for (const std::size_t item : at(n).operands) {
    const type t = check(item, p);
    auto common = detail::common_type(element, t);
    if (!common) {
      fail(fault::type, at(item).begin,
           "the items of a list have one type; " + words_of(item, t) +
               ", those before it are " + to_string(element));
    }
    element = *std::move(common);
  }
  return type::list_of(element);
}

TINYPHI_FUNC void expression_checker::want_present(
    std::size_t n, std::string_view part, place p,
    std::string_view reason) const {
  if (p.may_be_absent || p.known.has(part)) return;
  const bool path = at(n).what == node::kind::path;
  const std::string whole = path ? at(n).name : words_of(n);
  fail(fault::absent, at(n).begin,
       (path ? std::string(part) : whole) +
           " may be absent: " + std::string(reason) +
           (tree_.spelling(n).empty() ? "; give it a default()"
                                      : "; guard it with has(" + whole + ")"));
}

// The longest beginning of the path that has a meaning.
TINYPHI_FUNC type expression_checker::bind_names(std::size_t n, place p,
                                                 std::size_t& n_names) {
  const node& path = at(n);
  std::vector<std::string_view> names;
  for (const step& s : path.steps) {
    if (s.what != step::kind::name) break;
    names.push_back(s.name);
  }
  auto meaning = scope_.find(names);
  if (auto* message = std::get_if<std::string>(&meaning.what)) {
    fail(fault::unknown_name, path.begin, std::move(*message));
  }
  n_names = std::clamp<std::size_t>(meaning.n_names, 1, names.size());
  if (auto* known = std::get_if<expression_scope::constant>(&meaning.what)) {
    out_.bindings_[n] =
        expression::constant_path{std::move(known->data), n_names};
    return std::move(known->type);
  }
  auto& slot = std::get<expression_scope::slot>(meaning.what);
  out_.bindings_[n] = expression::slot_path{slot.index, n_names};
  add_once(out_.reads_, slot.index);
  if (slot.may_be_absent) {
    const std::size_t length = path.steps[n_names - 1].spelling;
    want_present(n, std::string_view(path.name).substr(0, length), p,
                 slot.reason);
  }
  return std::move(slot.type);
}

TINYPHI_FUNC type expression_checker::check_path(std::size_t n, place p) {
  std::size_t n_names = 0;
  type t = bind_names(n, p, n_names);
  const node& path = at(n);
  bool of_all = false;
  for (std::size_t i = n_names; i < path.steps.size(); ++i) {
    const step& s = path.steps[i];
    // Of all items, those without a value are left out.
    t = check_step(n, s, t, {p.known, p.may_be_absent || of_all});
    of_all = of_all || s.what == step::kind::every_item;
  }
  return of_all ? type::list_of(t) : t;
}

TINYPHI_FUNC type expression_checker::check_step(std::size_t n, const step& s,
                                                 const type& from, place p) {
  const std::string_view here =
      std::string_view(at(n).name).substr(0, s.spelling);
  const auto before = [&] {
    return at(n).name.substr(0, (&s - 1)->spelling);  // a name comes first
  };
  if (s.what == step::kind::item) {
    const type index = check(s.index, p);
    if (!fits(index, type_kind::integer)) {
      fail(fault::type, at(s.index).begin,
           "an index is int; " + words_of(s.index, index));
    }
  }
  if (from.is(type_kind::any)) return from;
  if (from.is(type_kind::json)) {
    want_present(n, here, p, "it is json, which may lack it");
    return from;
  }
  if (s.what == step::kind::name) {
    if (const type::field* field = from.find_field(s.name)) {
      if (field->optional) {
        want_present(n, here, p, to_string(from) + " need not have it");
      }
      return field->type;
    }
    if (from.is(type_kind::record)) {
      std::vector<std::string_view> names;
      for (const type::field& f : from.fields()) names.push_back(f.name);
      fail(fault::unknown_name, s.offset + 1,
           to_string(from) + " has no field '" + s.name + "'" +
               did_you_mean(s.name, names));
    }
    fail(fault::type, s.offset,
         before() + " is " + to_string(from) +
             (from.is(type_kind::list)
                  ? "; take one item, " + before() + "[0]." + s.name +
                        ", or all, " + before() + "[]." + s.name
                  : ", which has no fields"));
  }
  if (!from.is(type_kind::list)) {
    fail(fault::type, s.offset,
         before() + " is " + to_string(from) + ", which has no items");
  }
  if (s.what == step::kind::item) {
    want_present(n, here, p, "the list may have fewer items");
  }
  return from.element();
}

TINYPHI_FUNC void expression_checker::want_printable() const {
  const type& t = out_.type_;
  if (detail::is_printable(t)) return;
  const std::string x = words_of(root());
  std::string way = "; write " + x + " | json";
  if (t.is(type_kind::list)) {
    way = detail::is_printable(t.element())
              ? "; write " + x + " | join(', '), or a loop"
              : "; write a loop, or " + x + " | json";
  } else if (!t.fields().empty()) {
    way = "; print its fields, such as " + x + "." + t.fields()[0].name +
          ", or " + x + " | json";
  } else if (t.is(type_kind::prompt)) {
    way.clear();
  }
  fail(fault::type, at(root()).begin,
       words_of(root(), t) + ", which cannot be printed" + way);
}

namespace detail {

template <class Want>
result<expression, expression_fault> checked(expression_tree tree,
                                             const expression_scope& scope,
                                             const presence_facts& known,
                                             Want want) {
  try {
    expression_checker checker(std::move(tree), scope);
    checker.run(known);
    want(checker);
    return checker.take();
  } catch (const expression_fault& fault) {
    return fault;
  }
}

}  // namespace detail

TINYPHI_FUNC result<expression, expression_fault> check_expression(
    expression_tree tree, const expression_scope& scope,
    const presence_facts& known) {
  return detail::checked(std::move(tree), scope, known,
                         [](const expression_checker&) {});
}

TINYPHI_FUNC result<expression, expression_fault> check_condition(
    expression_tree tree, const expression_scope& scope,
    const presence_facts& known) {
  return detail::checked(
      std::move(tree), scope, known,
      [](const expression_checker& c) { c.want_condition(); });
}

TINYPHI_FUNC result<expression, expression_fault> check_printed(
    expression_tree tree, const expression_scope& scope,
    const presence_facts& known) {
  return detail::checked(
      std::move(tree), scope, known,
      [](const expression_checker& c) { c.want_printable(); });
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_EXPRESSION_CHECK_IPP_
