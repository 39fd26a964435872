// SPDX-License-Identifier: MIT
// The one expression language of pipelines: conditions, rules, templates and
// expectations. What check_expression accepts has a value whenever its place
// is reached; it does not loop, fail or wait.
#ifndef TINYPHI_PIPELINE_EXPRESSION_EXPRESSION_H_
#define TINYPHI_PIPELINE_EXPRESSION_EXPRESSION_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/pipeline/expression/syntax.h"
#include "tinyphi/pipeline/regex.h"
#include "tinyphi/pipeline/type.h"
#include "tinyphi/pipeline/value.h"

TINYPHI_NAMESPACE_BEGIN

// What the names of an expression stand for at its place.
class expression_scope {
 public:
  // A value that is known when the expression is evaluated.
  struct slot {
    std::size_t index = 0;  // the caller's number
    tinyphi::type type;
    bool may_be_absent = false;
    std::string reason;  // why it may be: "switch gate may choose closed"
  };
  struct constant {
    value_data data;
    tinyphi::type type;
  };
  // What the first `n_names` names of a path stand for. A text is the message
  // of a fault: "no such value 'x'; did you mean 'y'?".
  struct meaning {
    std::variant<slot, constant, std::string> what;
    std::size_t n_names = 1;
  };

  virtual ~expression_scope() = default;
  // `names` are those of a path before its first "[", at least one.
  [[nodiscard]] virtual meaning find(
      std::span<const std::string_view> names) const = 0;
  // failed(), ran(), rounds(), attempts(), calls(), denied(): the functions
  // over names that exist here.
  [[nodiscard]] virtual std::span<const std::string_view> name_functions()
      const {
    return {};
  }
  // The caller's number for such a function of a name, or the message of a
  // fault.
  [[nodiscard]] virtual std::variant<std::size_t, std::string> find_call(
      std::string_view /*function*/, std::string_view name) const {
    return "no stage or tool '" + std::string(name) + "'";
  }
  // Whether there is a tokenizer for tokens().
  [[nodiscard]] virtual bool has_tokens() const { return false; }
  // True in expectations of tests: an absent value needs no guard there, and
  // ends the evaluation.
  [[nodiscard]] virtual bool allows_absent() const { return false; }
};

// What an expression is evaluated with. Functions that the scope does not
// offer may be left out.
struct expression_values {
  // Null if absent; the pointer must stay valid during the evaluation.
  std::function<const value_data*(std::size_t slot)> slot;
  // A bool for failed() and ran(), else an integer.
  std::function<value_data(std::size_t call)> call;
  std::function<std::size_t(std::string_view text)> count_tokens;
};

// The functions of the language, such as len().
enum class expression_function : std::uint8_t;

// A checked expression. Immutable; any thread may evaluate it.
class expression {
 public:
  // Of each text that an evaluation makes.
  static constexpr std::size_t max_text = std::size_t{1} << 20;

  [[nodiscard]] const tinyphi::type& type() const { return type_; }
  // The slots and the calls that it looks at, has() included; each once.
  [[nodiscard]] std::span<const std::size_t> reads() const { return reads_; }
  [[nodiscard]] std::span<const std::size_t> calls() const { return calls_; }
  [[nodiscard]] const expression_tree& tree() const { return tree_; }

  // The value. `limit`: a text would be longer than max_text. `not_found`: a
  // value was absent, and the message says which ("output.x is absent"); that
  // happens only if the scope allows it. Integers stay within 64 bits at their
  // ends, x / 0 is not a number, which compares false with everything.
  [[nodiscard]] result<value_data> evaluate(
      const expression_values& values) const;
  // The same of one node of the tree, to say why an expectation is false.
  [[nodiscard]] result<value_data> evaluate(const expression_values& values,
                                            std::size_t node) const;
  // Whether a condition holds; the same errors.
  [[nodiscard]] result<bool> holds(const expression_values& values) const;

 private:
  friend class expression_checker;
  friend class expression_evaluator;
  expression() = default;

  // What a node of the tree is bound to: a path's first names to a slot or a
  // constant, a call to a function or to the caller's number, `matches` to its
  // pattern.
  struct slot_path {
    std::size_t slot = 0;
    std::size_t n_names = 0;
  };
  struct constant_path {
    value_data data;
    std::size_t n_names = 0;
  };
  struct function_call {
    expression_function function;
    type_kind item = type_kind::any;  // of join()
  };
  struct call_number {
    std::size_t number = 0;
  };
  using binding =
      std::variant<std::monostate, slot_path, constant_path, function_call,
                   call_number, std::shared_ptr<const regex>>;

  expression_tree tree_;
  std::vector<binding> bindings_;  // of each node
  tinyphi::type type_;
  std::vector<std::size_t> reads_;
  std::vector<std::size_t> calls_;
};

// Types and presence of `tree`. `known` is what has a value at its place.
[[nodiscard]] result<expression, expression_fault> check_expression(
    expression_tree tree, const expression_scope& scope,
    const presence_facts& known = {});
// The same, and the expression is true or false.
[[nodiscard]] result<expression, expression_fault> check_condition(
    expression_tree tree, const expression_scope& scope,
    const presence_facts& known = {});
// The same, and {{ }} can print what it gives: a text, a number, a bool, a
// duration or a size.
[[nodiscard]] result<expression, expression_fault> check_printed(
    expression_tree tree, const expression_scope& scope,
    const presence_facts& known = {});

// A value as {{ }} prints it: a duration is "90s", a size "64KiB", in the
// largest unit in which they are whole; at most 24 bytes unless it is a text.
[[nodiscard]] std::string printed(const value_data& data, const type& t);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/expression/check.ipp"
#include "tinyphi/pipeline/expression/evaluate.ipp"
#endif

#endif  // TINYPHI_PIPELINE_EXPRESSION_EXPRESSION_H_
