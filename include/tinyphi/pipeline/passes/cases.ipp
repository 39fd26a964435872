// SPDX-License-Identifier: MIT
// Each case of a switch must be chosen sometimes: where those before it do not
// hold. Its fault: TP2012.
#ifndef TINYPHI_PIPELINE_PASSES_CASES_IPP_
#define TINYPHI_PIPELINE_PASSES_CASES_IPP_

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/pipeline/passes/compilation.h"
#include "tinyphi/pipeline/passes/presence.ipp"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

class case_check {
 public:
  case_check(compilation& c, presence_table& presence)
      : c_(c), presence_(presence) {}

  void run(const graph_switch& s) {
    std::vector<guard_set> before;  // of the cases that are guards and no more
    for (const graph_switch::choice& one : s.cases) {
      guard_set now;
      bool never = false;
      if (one.test) {
        const expression_tree& tree = one.test->test.tree();
        const bool is_whole = presence_.conditions_of(
            tree, tree.nodes().size() - 1, true, now, never);
        never = never || is_false(tree);
        if (never) {
          report_case(s, one, "its condition never holds");
        } else if (const auto* other = wider_case(s, one)) {
          report_case(s, one,
                      "whenever it holds, " + other->name +
                          " does, which is tried before it");
        } else if (presence_.leaves_nothing(before, now)) {
          report_case(s, one, "the cases before it leave nothing to it");
        }
        if (is_whole) before.push_back(std::move(now));
      } else if (&one != &s.cases.back()) {
        return;  // it has a fault, which was reported
      } else if (presence_.leaves_nothing(before, now)) {
        report_case(s, one, "the cases before it leave nothing to it");
      }
    }
  }

 private:
  void report_case(const graph_switch& s, const graph_switch::choice& one,
                   const std::string& why) {
    c_.report(fault::bad_switch, one.at,
              "switch " + s.name + ": case " + one.name +
                  " can never be chosen: " + why);
  }

  static bool is_false(const expression_tree& tree) {
    const expression_node& whole = tree.nodes().back();
    const auto* value = whole.constant.get<bool>();
    return whole.what == expression_node::kind::constant && value != nullptr &&
           !*value;
  }

  // A case before `one` that holds whenever it does: the same condition, or a
  // wider range of the same number. Null if none is seen to.
  static const graph_switch::choice* wider_case(
      const graph_switch& s, const graph_switch::choice& one) {
    const number_range range = range_of(*one.test);
    for (const graph_switch::choice& other : s.cases) {
      if (&other == &one) break;
      if (!other.test) continue;
      const number_range wider = range_of(*other.test);
      const bool is_same = other.test->text == one.test->text;
      if (is_same ||
          (!range.of.empty() && range.of == wider.of && wider.holds(range))) {
        return &other;
      }
    }
    return nullptr;
  }

  // What "len(x) < 100" says of len(x).
  struct number_range {
    std::string_view of;  // empty: the condition is not of that form
    double low = -std::numeric_limits<double>::infinity();
    double high = std::numeric_limits<double>::infinity();
    bool has_low = false;  // the ends themselves are in it
    bool has_high = false;

    [[nodiscard]] bool holds(const number_range& other) const {
      return (low < other.low ||
              (low == other.low && has_low >= other.has_low)) &&
             (high > other.high ||
              (high == other.high && has_high >= other.has_high));
    }
  };
  static number_range range_of(const graph_condition& condition) {
    using op = expression_operator;
    number_range range;
    const auto nodes = condition.test.tree().nodes();
    const expression_node& n = nodes.back();
    if (n.what != expression_node::kind::operation || n.operands.size() != 2) {
      return range;
    }
    const expression_node& left = nodes[n.operands[0]];
    const expression_node& right = nodes[n.operands[1]];
    const auto bound = right.what == expression_node::kind::constant
                           ? right.constant.number()
                           : std::nullopt;
    if (!bound) return range;
    switch (n.operation) {
      case op::less:
      case op::less_equal:
        range.high = *bound;
        range.has_high = n.operation == op::less_equal;
        break;
      case op::greater:
      case op::greater_equal:
        range.low = *bound;
        range.has_low = n.operation == op::greater_equal;
        break;
      case op::equal:
        range.low = range.high = *bound;
        range.has_low = range.has_high = true;
        break;
      default:
        return range;
    }
    range.of = std::string_view(condition.text)
                   .substr(left.begin, left.end - left.begin);
    return range;
  }

  compilation& c_;
  presence_table& presence_;
};

}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_PASSES_CASES_IPP_
