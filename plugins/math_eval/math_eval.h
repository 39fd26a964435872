// SPDX-License-Identifier: MIT
// The stage `math.eval`: an expression that comes as text -> its value. A
// calculator for models, which cannot reckon.
#ifndef TINYPHI_PLUGINS_MATH_EVAL_MATH_EVAL_H_
#define TINYPHI_PLUGINS_MATH_EVAL_MATH_EVAL_H_

#include <cmath>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "tinyphi/pipeline/expression/expression.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

struct math_eval_stage {
  static constexpr stage_info info{
      .id = "math.eval", .summary = "Reckons an expression that comes as text"};

  struct config {};
  struct inputs {
    std::string_view expression;
  };
  struct outputs {
    double value = 0;
  };

  static constexpr auto params() { return std::tuple{}; }
  static constexpr auto in_ports() {
    return std::tuple{port("expression", &inputs::expression)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("value", &outputs::value)};
  }

  math_eval_stage(config, host&) {}

  // The language's own expressions, of numbers only: 256 nodes and 32 levels at
  // most, integers saturate, and what has no finite value is an error.
  task<outputs> run(run_context&, inputs in) const {
    const std::string where = quote(in.expression) + ": ";
    const auto refuse = [&](const expression_fault& f) {
      return stage_error(error_code::invalid_argument, where + f.message);
    };
    auto tree = expression_tree::parse(std::string(in.expression));
    if (!tree) throw refuse(tree.error());
    const auto checked = check_expression(*std::move(tree), numbers_only());
    if (!checked) throw refuse(checked.error());
    const auto value = unwrap(checked->evaluate({})).number();
    if (!value) {
      throw stage_error(
          error_code::invalid_argument,
          where + "it is " + to_string(checked->type()) + ", not a number");
    }
    if (!std::isfinite(*value)) {
      throw stage_error(error_code::invalid_argument,
                        where + "it has no value, as if divided by zero");
    }
    co_return outputs{*value};
  }

 private:
  class numbers_only final : public expression_scope {
   public:
    [[nodiscard]] meaning find(
        std::span<const std::string_view> names) const override {
      return {"there are no names here, and " + quote(names[0]) + " is one", 1};
    }
  };
};
static_assert(stage<math_eval_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_MATH_EVAL_MATH_EVAL_H_
