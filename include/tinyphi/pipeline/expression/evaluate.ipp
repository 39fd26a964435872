// SPDX-License-Identifier: MIT
// Evaluation of checked expressions. Data of another kind than its type says
// does no harm: it counts as null, as an empty text or as not a number.
#ifndef TINYPHI_PIPELINE_EXPRESSION_EVALUATE_IPP_
#define TINYPHI_PIPELINE_EXPRESSION_EVALUATE_IPP_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "tinyphi/pipeline/expression/compare.ipp"
#include "tinyphi/pipeline/expression/expression.h"
#include "tinyphi/pipeline/expression/functions.ipp"
#include "tinyphi/pipeline/expression/texts.ipp"
#include "tinyphi/pipeline/value_json.h"

TINYPHI_NAMESPACE_BEGIN

class expression_evaluator {
 public:
  using node = expression_node;
  using step = node::step;
  using op = expression_operator;

  expression_evaluator(const expression& e, const expression_values& values)
      : e_(e), values_(values) {}

  result<value_data> value(std::size_t n) {
    switch (at(n).what) {
      case node::kind::constant:
        return at(n).constant;
      case node::kind::path:
        return path(n);
      case node::kind::list: {
        TINYPHI_TRY(value_data::list items, all(at(n).operands));
        return value_data(std::move(items));
      }
      case node::kind::call:
        return call(n);
      case node::kind::operation:
        return operation(n);
    }
    return value_data();
  }

 private:
  const node& at(std::size_t n) const { return e_.tree_.nodes()[n]; }

  result<value_data::list> all(const std::vector<std::size_t>& nodes) {
    value_data::list out;
    out.reserve(nodes.size());
    for (const std::size_t n : nodes) {
      TINYPHI_TRY(value_data x, value(n));
      out.push_back(std::move(x));
    }
    return out;
  }

  static error absent(std::string_view what) {
    return {error_code::not_found, std::string(what) + " is absent"};
  }
  static result<value_data> text(std::optional<std::string> made) {
    if (made && made->size() <= expression::max_text) {
      return value_data(*std::move(made));
    }
    return error{error_code::limit, "an expression makes a text of more than " +
                                        std::to_string(expression::max_text) +
                                        " bytes"};
  }
  static std::string_view text_of(const value_data& x) {
    const auto* s = x.get<std::string>();
    return s == nullptr ? std::string_view() : std::string_view(*s);
  }
  static std::int64_t int_of(const value_data& x) {
    const auto* n = x.get<std::int64_t>();
    return n == nullptr ? 0 : *n;
  }
  static const value_data::list& list_of(const value_data& x) {
    static const value_data::list empty;
    const auto* items = x.get<value_data::list>();
    return items == nullptr ? empty : *items;
  }

  result<value_data> path(std::size_t n);
  result<const value_data*> item(const step& s, const value_data& list);
  static void collect(std::span<const step> steps, const value_data& from,
                      value_data::list& out);
  result<value_data> call(std::size_t n);
  result<value_data> apply(expression::function_call f,
                           const value_data::list& args, std::size_t n);
  static result<value_data> join(const value_data::list& args, type_kind item);
  static std::optional<value_data> extreme(bool greatest,
                                           const value_data::list& args);
  result<value_data> operation(std::size_t n);
  static bool contains(const value_data& whole, const value_data& part);
  static result<value_data> arithmetic(op what, const value_data& a,
                                       const value_data& b);

  const expression& e_;
  const expression_values& values_;
};

TINYPHI_FUNC result<const value_data*> expression_evaluator::item(
    const step& s, const value_data& list) {
  TINYPHI_TRY(const value_data index, value(s.index));
  const auto& items = list_of(list);
  const auto size = static_cast<std::int64_t>(items.size());
  std::int64_t i = int_of(index);
  if (i < 0) i += size;
  if (i < 0 || i >= size) return nullptr;
  return &items[static_cast<std::size_t>(i)];
}

// What `steps` lead to in all items; what an item lacks is left out.
TINYPHI_FUNC void expression_evaluator::collect(std::span<const step> steps,
                                                const value_data& from,
                                                value_data::list& out) {
  if (steps.empty()) {
    out.push_back(from);
  } else if (steps[0].what == step::kind::every_item) {
    for (const value_data& x : list_of(from)) {
      collect(steps.subspan(1), x, out);
    }
  } else if (const value_data* field = from.find(steps[0].name)) {
    collect(steps.subspan(1), *field, out);
  }
}

TINYPHI_FUNC result<value_data> expression_evaluator::path(std::size_t n) {
  const node& p = at(n);
  const auto here = [&](const step& s) {
    return absent(std::string_view(p.name).substr(0, s.spelling));
  };
  const value_data* x = nullptr;
  std::size_t n_names = 0;
  if (const auto* slot = std::get_if<expression::slot_path>(&e_.bindings_[n])) {
    n_names = slot->n_names;
    x = values_.slot ? values_.slot(slot->slot) : nullptr;
    if (x == nullptr) return here(p.steps[n_names - 1]);
  } else {
    const auto& known = std::get<expression::constant_path>(e_.bindings_[n]);
    n_names = known.n_names;
    x = &known.data;
  }
  const std::span<const step> steps(p.steps);
  for (std::size_t i = n_names; i < steps.size(); ++i) {
    if (steps[i].what == step::kind::every_item) {
      if (x->get<value_data::list>() == nullptr) return here(steps[i]);
      value_data::list items;
      collect(steps.subspan(i), *x, items);
      return value_data(std::move(items));
    }
    if (steps[i].what == step::kind::name) {
      x = x->find(steps[i].name);
    } else {
      TINYPHI_TRY(x, item(steps[i], *x));
    }
    if (x == nullptr) return here(steps[i]);
  }
  return *x;
}

TINYPHI_FUNC result<value_data> expression_evaluator::call(std::size_t n) {
  const node& c = at(n);
  if (const auto* own =
          std::get_if<expression::call_number>(&e_.bindings_[n])) {
    return values_.call ? values_.call(own->number) : value_data();
  }
  const auto f = std::get<expression::function_call>(e_.bindings_[n]);
  const bool is_has = f.function == expression_function::has;
  if (is_has || f.function == expression_function::fallback) {
    auto x = value(c.operands[0]);
    const bool missing = !x && x.error().code == error_code::not_found;
    if (!x && !missing) return x;
    if (is_has) return value_data(!missing);
    return missing ? value(c.operands[1]) : std::move(x);
  }
  TINYPHI_TRY(const value_data::list args, all(c.operands));
  return apply(f, args, n);
}

TINYPHI_FUNC result<value_data> expression_evaluator::apply(
    expression::function_call call, const value_data::list& args,
    std::size_t n) {
  using enum expression_function;
  const expression_function f = call.function;
  const value_data& x = args[0];
  switch (f) {
    case has:
    case fallback:
      break;  // not here: they look at what is absent
    case len:
      return value_data(x.get<std::string>() != nullptr
                            ? count_characters(text_of(x))
                            : list_of(x).size());
    case lower:
    case upper:
      return text(detail::changed_case(text_of(x), f == upper));
    case trim:
      return text(std::string(detail::trimmed(text_of(x))));
    case lines:
      return text(
          std::string(detail::first_lines(text_of(x), int_of(args[1]))));
    case join:
      return this->join(args, call.item);
    case json:
      return text(json_text(x, expression::max_text));
    case tokens:
      return value_data(values_.count_tokens ? values_.count_tokens(text_of(x))
                                             : std::size_t{0});
    case sum: {
      value_data total(std::int64_t{0});
      for (const value_data& item : list_of(x)) {
        TINYPHI_TRY(total, arithmetic(op::add, total, item));
      }
      return total;
    }
    case abs:
      if (const auto* i = x.get<std::int64_t>()) {
        return *i < 0 ? arithmetic(op::subtract, std::int64_t{0}, x) : x;
      }
      return value_data(std::fabs(detail::number_of(x)));
    case round:
      return value_data(detail::rounded(detail::number_of(x),
                                        args.size() < 2 ? 0 : int_of(args[1])));
    case min:
    case max: {
      const value_data::list& all = args.size() == 1 ? list_of(x) : args;
      auto found = extreme(f == max, all);
      if (!found) break;
      return *std::move(found);
    }
    case first:
    case last: {
      const value_data::list& items = list_of(x);
      if (items.empty()) break;
      return f == first ? items.front() : items.back();
    }
  }
  return absent(e_.tree_.text().substr(at(n).begin, at(n).end - at(n).begin));
}

TINYPHI_FUNC result<value_data> expression_evaluator::join(
    const value_data::list& args, type_kind item_kind) {
  std::string out;
  bool first = true;
  for (const value_data& item : list_of(args[0])) {
    if (!std::exchange(first, false)) out += text_of(args[1]);
    const auto* s = item.get<std::string>();
    out += s != nullptr ? *s : printed(item, item_kind);
    if (out.size() > expression::max_text) return text(std::nullopt);
  }
  return text(std::move(out));
}

// Nothing for no arguments. What is not a number comes before all others.
TINYPHI_FUNC std::optional<value_data> expression_evaluator::extreme(
    bool greatest, const value_data::list& args) {
  if (args.empty()) return std::nullopt;
  const value_data* best = &args[0];
  for (const value_data& x : args) {
    if (std::isnan(detail::number_of(*best))) break;
    if (std::isnan(detail::number_of(x)) ||
        detail::holds(greatest ? op::greater : op::less, x, *best)) {
      best = &x;
    }
  }
  return *best;
}

TINYPHI_FUNC result<value_data> expression_evaluator::operation(std::size_t n) {
  const node& o = at(n);
  TINYPHI_TRY(value_data a, value(o.operands[0]));
  const auto truth = [](const value_data& x) {
    const bool* b = x.get<bool>();
    return b != nullptr && *b;
  };
  switch (o.operation) {
    case op::negate:
      return value_data(!truth(a));
    case op::minus:
      if (a.get<std::int64_t>()) {
        return arithmetic(op::subtract, std::int64_t{0}, a);
      }
      return value_data(-detail::number_of(a));
    case op::both:
      if (!truth(a)) return value_data(false);
      break;
    case op::either:
      if (truth(a)) return value_data(true);
      break;
    default:
      break;
  }
  TINYPHI_TRY(const value_data b, value(o.operands[1]));
  switch (o.operation) {
    case op::both:
    case op::either:
      return value_data(truth(b));
    case op::in:
      return value_data(contains(b, a));
    case op::contains:
      return value_data(contains(a, b));
    case op::matches: {
      const auto* pattern =
          std::get_if<std::shared_ptr<const regex>>(&e_.bindings_[n]);
      return value_data(pattern != nullptr && (*pattern)->contains(text_of(a)));
    }
    case op::add:
    case op::subtract:
    case op::multiply:
    case op::divide:
      return arithmetic(o.operation, a, b);
    default:
      return value_data(detail::holds(o.operation, a, b));
  }
}

TINYPHI_FUNC bool expression_evaluator::contains(const value_data& whole,
                                                 const value_data& part) {
  if (const auto* prompt = whole.get<labelled_prompt>()) {
    std::string all;
    for (const prompt_segment& s : prompt->segments) all += s.text;
    return detail::has_part(all, text_of(part));
  }
  if (const auto* s = whole.get<std::string>()) {
    return detail::has_part(*s, text_of(part));
  }
  return std::ranges::any_of(list_of(whole), [&](const value_data& item) {
    return detail::holds(op::equal, item, part);
  });
}

TINYPHI_FUNC result<value_data> expression_evaluator::arithmetic(
    op what, const value_data& a, const value_data& b) {
  const auto* s = a.get<std::string>();
  if (what == op::add && s != nullptr) {
    const std::string_view more = text_of(b);
    if (s->size() + more.size() > expression::max_text) {
      return text(std::nullopt);
    }
    return value_data(*s + std::string(more));
  }
  const auto* i = a.get<std::int64_t>();
  const auto* j = b.get<std::int64_t>();
  if (i != nullptr && j != nullptr && what != op::divide) {
    std::int64_t exact = 0;
    const bool negative = what == op::multiply ? (*i < 0) != (*j < 0) : *i < 0;
    const bool overflow =
        what == op::add        ? __builtin_add_overflow(*i, *j, &exact)
        : what == op::subtract ? __builtin_sub_overflow(*i, *j, &exact)
                               : __builtin_mul_overflow(*i, *j, &exact);
    if (!overflow) return value_data(exact);
    // 0 - x overflows for the least x only, and then upwards.
    using limits = std::numeric_limits<std::int64_t>;
    return value_data(negative ? limits::min() : limits::max());
  }
  const double x = detail::number_of(a), y = detail::number_of(b);
  switch (what) {
    case op::add:
      return value_data(x + y);
    case op::subtract:
      return value_data(x - y);
    case op::multiply:
      return value_data(x * y);
    default:
      return value_data(y == 0 ? std::numeric_limits<double>::quiet_NaN()
                               : x / y);
  }
}

TINYPHI_FUNC result<value_data> expression::evaluate(
    const expression_values& values) const {
  return evaluate(values, tree_.nodes().size() - 1);
}

TINYPHI_FUNC result<value_data> expression::evaluate(
    const expression_values& values, std::size_t node) const {
  return expression_evaluator(*this, values).value(node);
}

TINYPHI_FUNC result<bool> expression::holds(
    const expression_values& values) const {
  TINYPHI_TRY(const value_data x, evaluate(values));
  const bool* b = x.get<bool>();
  return b != nullptr && *b;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_EXPRESSION_EVALUATE_IPP_
