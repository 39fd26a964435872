// SPDX-License-Identifier: MIT
// The expressions of `when`: total, without loops or assignment, typed when
// the file is loaded. A subset of the language's grammar:
//   expr = and { "or" and }     and = not { "and" not }
//   not  = "not" not | cmp      cmp = prim [ ("=="|"!="|"<"|"<="|">"|">=") prim
//   ] prim = number | "'" text "'" | "true" | "false" | name "." name
//        | "len" "(" expr ")" | "has" "(" name "." name ")" | "(" expr ")"
#ifndef TINYPHI_PIPELINE_EXPRESSION_H_
#define TINYPHI_PIPELINE_EXPRESSION_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/pipeline/type.h"
#include "tinyphi/pipeline/value.h"

TINYPHI_NAMESPACE_BEGIN

// A checked expression that gives true or false. Immutable.
class expression {
 public:
  static constexpr std::size_t max_nodes = 256;

  struct parse_error {
    std::size_t offset = 0;  // byte of the text
    bool unknown_path = false;
    std::string message;
  };
  // What a path such as "find.count" stands for: a slot of the request whose
  // type is known, or a constant ([env]).
  struct slot {
    std::size_t index = 0;
    tinyphi::type type;
  };
  using meaning = std::variant<slot, value_data>;
  // Gives the meaning, or the message of an error.
  using resolver =
      std::function<std::variant<meaning, std::string>(std::string_view path)>;
  // The value in a slot; null if absent.
  using lookup = std::function<const value*(std::size_t slot)>;

  [[nodiscard]] static std::variant<expression, parse_error> parse(
      std::string_view text, const resolver& resolve);

  // The slots whose values it needs; without one of them it has no value.
  [[nodiscard]] const std::vector<std::size_t>& needs() const { return needs_; }
  // All slots it looks at: `needs` and the arguments of has().
  [[nodiscard]] const std::vector<std::size_t>& reads() const { return reads_; }
  // False while one of the slots of needs() is absent.
  [[nodiscard]] bool holds(const lookup& values) const;

 private:
  friend class expression_parser;
  enum class op : std::uint8_t {
    constant,
    slot,
    has,
    length,
    negate,
    both,
    either,
    equal,
    unequal,
    less,
    less_equal,
    greater,
    greater_equal
  };
  enum class kind : std::uint8_t { boolean, number, text, other };
  using scalar = std::variant<bool, double, std::string>;
  struct node {
    op what = op::constant;
    kind gives = kind::boolean;
    scalar value = false;   // of a constant
    std::size_t index = 0;  // of a slot
    std::size_t left = 0;   // operands: nodes before this one
    std::size_t right = 0;
  };

  [[nodiscard]] scalar evaluate(std::size_t n, const lookup& values) const;

  std::vector<node> nodes_;  // the last is the whole
  std::vector<std::size_t> needs_;
  std::vector<std::size_t> reads_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/expression.ipp"
#endif

#endif  // TINYPHI_PIPELINE_EXPRESSION_H_
