// SPDX-License-Identifier: MIT
// The walk that gives an expression its types; included by check*.ipp only.
#ifndef TINYPHI_PIPELINE_EXPRESSION_CHECKER_H_
#define TINYPHI_PIPELINE_EXPRESSION_CHECKER_H_

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/pipeline/expression/expression.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {
struct function_row;
}

// Walks the tree once; the first fault is thrown inside and returned by
// check_expression.
class expression_checker {
 public:
  using node = expression_node;
  using step = node::step;
  using op = expression_operator;
  using fault = expression_fault::kind;

  expression_checker(expression_tree tree, const expression_scope& scope)
      : scope_(scope) {
    out_.tree_ = std::move(tree);
  }

  void run(const presence_facts& known) {
    out_.bindings_.resize(tree_.nodes().size());
    out_.type_ = check(root(), {known, scope_.allows_absent()});
  }
  expression take() { return std::move(out_); }
  void want_condition() const { want_truth(root(), out_.type_); }
  void want_printable() const;

 private:
  // What is known where a node stands, and whether it may be absent there.
  struct place {
    const presence_facts& known;
    bool may_be_absent = false;
  };

  [[noreturn]] static void fail(fault what, std::size_t offset,
                                std::string message) {
    throw expression_fault{what, offset, std::move(message)};
  }

  std::size_t root() const { return tree_.nodes().size() - 1; }
  const node& at(std::size_t n) const { return tree_.nodes()[n]; }
  // A node in messages.
  std::string words_of(std::size_t n) const {
    constexpr std::size_t longest = 60;
    const std::size_t length = at(n).end - at(n).begin;
    return length > longest ? "this" : tree_.text().substr(at(n).begin, length);
  }
  std::string words_of(std::size_t n, const type& t) const {
    return words_of(n) + " is " + to_string(t);
  }

  // The value of a literal, or of a name that stands for a constant.
  const value_data* constant_of(std::size_t n) const {
    if (at(n).what == node::kind::constant) return &at(n).constant;
    const auto* bound =
        std::get_if<expression::constant_path>(&out_.bindings_[n]);
    return bound != nullptr && bound->n_names == at(n).steps.size()
               ? &bound->data
               : nullptr;
  }

  type check(std::size_t n, place p) {
    switch (at(n).what) {
      case node::kind::constant:
        return at(n).constant_kind;
      case node::kind::path:
        return check_path(n, p);
      case node::kind::list:
        return check_list(n, p);
      case node::kind::call:
        return takes_name(at(n).name) ? check_name_call(n) : check_call(n, p);
      case node::kind::operation:
        return check_operation(n, p);
    }
    return {};
  }

  type check_list(std::size_t n, place p);
  type check_path(std::size_t n, place p);
  type check_step(std::size_t n, const step& s, const type& from, place p);
  type bind_names(std::size_t n, place p, std::size_t& n_names);
  void want_present(std::size_t n, std::string_view part, place p,
                    std::string_view reason) const;
  type check_name_call(std::size_t n);
  type check_call(std::size_t n, place p);
  type check_arguments(std::size_t n, const detail::function_row& f, place p);
  type check_extreme(std::size_t n, const detail::function_row& f,
                     const std::vector<type>& types, place p);
  type check_operation(std::size_t n, place p);
  type check_logic(std::size_t n, place p);
  type check_arithmetic(std::size_t n, const type& a, const type& b) const;
  void check_comparison(std::size_t n, const type& a, const type& b) const;
  void check_member(std::size_t n, const type& a, const type& b) const;
  void check_pattern(std::size_t n, const type& a);
  void want_truth(std::size_t n, const type& t) const;
  void want_words(const type& known, std::size_t other,
                  const type& other_type) const;
  void want_same(std::size_t n, std::size_t left, const type& a,
                 std::size_t right, const type& b) const;

  template <class Number>
  static void add_once(std::vector<Number>& all, Number n) {
    if (std::ranges::find(all, n) == all.end()) all.push_back(n);
  }

  expression out_;
  const expression_tree& tree_ = out_.tree_;
  const expression_scope& scope_;
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_EXPRESSION_CHECKER_H_
