// SPDX-License-Identifier: MIT
// Functions of expressions: names, arguments, types.
#ifndef TINYPHI_PIPELINE_EXPRESSION_CHECK_CALLS_IPP_
#define TINYPHI_PIPELINE_EXPRESSION_CHECK_CALLS_IPP_

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/pipeline/expression/checker.h"
#include "tinyphi/pipeline/expression/functions.ipp"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC type expression_checker::check_name_call(std::size_t n) {
  const node& call = at(n);
  const auto offered = scope_.name_functions();
  if (std::ranges::find(offered, call.name) == offered.end()) {
    fail(fault::unknown_name, call.name_offset,
         "there is no " + call.name + "() at this place");
  }
  const node* argument =
      call.operands.size() == 1 ? &at(call.operands[0]) : nullptr;
  if (argument == nullptr || argument->what != node::kind::path ||
      argument->steps.size() != 1) {
    fail(fault::type, call.name_offset,
         call.name + "() takes the name of a stage or a tool");
  }
  auto found = scope_.find_call(call.name, argument->name);
  if (auto* message = std::get_if<std::string>(&found)) {
    fail(fault::unknown_name, argument->begin, call.name + "(): " + *message);
  }
  const std::size_t number = std::get<std::size_t>(found);
  out_.bindings_[n] = expression::call_number{number};
  add_once(out_.calls_, number);
  return call.name == "failed" || call.name == "ran" ? type_kind::boolean
                                                     : type_kind::integer;
}

TINYPHI_FUNC type expression_checker::check_call(std::size_t n, place p) {
  const node& call = at(n);
  const auto* f = std::ranges::find(detail::expression_functions, call.name,
                                    &detail::function_row::name);
  if (f == std::end(detail::expression_functions)) {
    std::vector<std::string_view> names(scope_.name_functions().begin(),
                                        scope_.name_functions().end());
    for (const auto& row : detail::expression_functions) {
      names.push_back(row.name);
    }
    fail(fault::unknown_name, call.name_offset,
         "no function '" + call.name + "'" + did_you_mean(call.name, names));
  }
  const std::size_t found = call.operands.size();
  if (found < f->min_arguments || found > f->max_arguments) {
    fail(fault::type, call.name_offset,
         std::string(f->form) + " is called with " + std::to_string(found) +
             (found == 1 ? " argument" : " arguments"));
  }
  out_.bindings_[n] = expression::function_call{f->function};
  return check_arguments(n, *f, p);
}

TINYPHI_FUNC type expression_checker::check_arguments(
    std::size_t n, const detail::function_row& f, place p) {
  using enum expression_function;
  const std::vector<std::size_t>& args = at(n).operands;
  const bool catches = f.function == has || f.function == fallback;
  if (f.function == has && tree_.spelling(args[0]).empty()) {
    fail(fault::type, at(args[0]).begin,
         "has() takes a path, or first() or last() of one");
  }
  if (f.function == tokens && !scope_.has_tokens()) {
    fail(fault::unknown_name, at(n).name_offset,
         "there is no tokens() at this place, since no model is known");
  }
  std::vector<type> types;
  for (std::size_t i = 0; i < args.size(); ++i) {
    types.push_back(
        check(args[i], {p.known, p.may_be_absent || (catches && i == 0)}));
  }
  const type& x = types[0];
  const auto want = [&](std::size_t i, bool right) {
    if (right) return;
    fail(fault::type, at(args[i]).begin,
         std::string(f.form) + ": " + words_of(args[i], types[i]));
  };
  const auto want_int = [&](std::size_t i) {
    want(i, fits(types[i], type_kind::integer));
  };
  const bool is_list = x.is(type_kind::list) || x.is(type_kind::any);
  switch (f.function) {
    case has:
      return type_kind::boolean;
    case fallback:
      want_same(n, args[0], x, args[1], types[1]);
      return *detail::common_type(x, types[1]);
    case len:
      want(0, is_list || detail::is_textual(x));
      return type_kind::integer;
    case tokens:
      want(0, detail::is_textual(x));
      return type_kind::integer;
    case lower:
    case upper:
    case trim:
      want(0, detail::is_textual(x));
      return type_kind::text;
    case lines:
      want(0, detail::is_textual(x));
      want_int(1);
      return type_kind::text;
    case join:
      want(0, is_list && detail::is_printable(x.element()));
      want(1, detail::is_textual(types[1]));
      out_.bindings_[n] =
          expression::function_call{f.function, x.element().kind()};
      return type_kind::text;
    case json:
      want(0, fits(x, type_kind::json));
      return type_kind::text;
    case sum:
      want(0, is_list && detail::is_quantity(x.element()));
      if (x == type::list_of({})) return type_kind::integer;  // sum([])
      return x.element();
    case abs:
      want(0, detail::is_quantity(x));
      return x;
    case round:
      want(0, fits(x, type_kind::number));
      if (args.size() == 2) want_int(1);
      return type_kind::number;
    case first:
    case last:
      want(0, is_list);
      if (x.is(type_kind::any)) return x;
      want_present(n, tree_.spelling(n), p, "the list may be empty");
      return x.element();
    case min:
    case max:
      return check_extreme(n, f, types, p);
  }
  return {};
}

// min() and max(), of a list or of their arguments.
TINYPHI_FUNC type
expression_checker::check_extreme(std::size_t n, const detail::function_row& f,
                                  const std::vector<type>& types, place p) {
  const std::vector<std::size_t>& args = at(n).operands;
  if (types.size() == 1) {
    const type& list = types[0];
    if (list.is(type_kind::any)) return list;
    if (!list.is(type_kind::list) || !detail::is_quantity(list.element())) {
      fail(fault::type, at(args[0]).begin,
           std::string(f.form) + ": " + words_of(args[0], list));
    }
    want_present(n, tree_.spelling(n), p, "the list may be empty");
    return list.element();
  }
  type common = types[0];
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (!detail::is_quantity(types[i])) {
      fail(fault::type, at(args[i]).begin,
           std::string(f.name) + "() takes numbers; " +
               words_of(args[i], types[i]));
    }
    want_same(n, args[0], common, args[i], types[i]);
    common = *detail::common_type(common, types[i]);
  }
  return common;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_EXPRESSION_CHECK_CALLS_IPP_
