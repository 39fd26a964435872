// SPDX-License-Identifier: MIT
// A small, total subset of Jinja2: text, {{ values }}, loops over documents and
// conditions. It renders to segments that remember who wrote them.
#ifndef TINYPHI_PLUGINS_PROMPT_TEMPLATE_H_
#define TINYPHI_PLUGINS_PROMPT_TEMPLATE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/pipeline/record.h"

TINYPHI_NAMESPACE_BEGIN
namespace prompts {

// What a name stands for; monostate where the value is absent. Views into what
// the caller holds.
struct binding {
  std::variant<std::monostate, std::string_view, std::int64_t, double, bool,
               std::span<const document>>
      data;
  trust label = trust::trusted;
};
using bindings = std::map<std::string, binding, std::less<>>;

struct template_fault {
  std::size_t offset = 0;  // in the template's text
  std::string message;
};

// How a template uses one of its free variables.
struct variable_use {
  std::size_t offset = 0;   // of the first use
  bool looped = false;      // {% for x in it %} or it | length
  std::size_t printed = 0;  // times it is printed outside loops
  bool printed_in_loop = false;
  bool tested = false;  // in a condition, or with default(): it may be absent
};

namespace detail {

enum class filter_kind : std::uint8_t {
  trim,
  lower,
  upper,
  json,
  lines,
  fallback,
  length
};
struct filter {
  filter_kind kind;
  std::size_t count = 0;
  std::string text;
};

// A value with its filters: d.title | trim.
struct operand {
  enum class source : std::uint8_t { variable, field, loop, text, number };
  source from = source::text;
  std::string name;   // variable, or the loop's name for a field
  std::string field;  // title, ... or index, index0, first, last, length
  std::string text;
  std::int64_t number = 0;
  std::vector<filter> filters;
};

struct condition {
  enum class kind : std::uint8_t {
    truth,
    equal,
    unequal,
    negation,
    both,
    either
  };
  kind what = kind::truth;
  std::vector<operand> operands;
  std::vector<condition> parts;
};

struct node;
struct arm {
  condition when;  // the arm of `else` has no operands and is always taken
  bool is_else = false;
  std::vector<node> body;
};
struct node {
  enum class kind : std::uint8_t { text, print, loop, branch };
  kind what = kind::text;
  std::string text;       // text, or a loop's item name
  operand value;          // to print, or to loop over
  std::vector<arm> arms;  // a loop has one
};

}  // namespace detail

class prompt_template {
 public:
  static constexpr std::size_t max_bytes = 65536;
  static constexpr std::size_t max_depth = 16;  // nested blocks
  static constexpr std::size_t max_output = std::size_t{4} << 20;
  static constexpr std::size_t max_steps = 1 << 16;  // nodes run and items
                                                     // looped over

  // One template, or what is wrong with it and where. Like Jinja2, one newline
  // at the end of the text is left out.
  [[nodiscard]] static std::variant<prompt_template, template_fault> compile(
      std::string_view text);

  [[nodiscard]] const std::map<std::string, variable_use, std::less<>>&
  variables() const {
    return variables_;
  }
  // All text that the template itself can print, quoted texts included, from
  // every branch, each loop's body once.
  [[nodiscard]] const std::string& fixed_text() const { return fixed_text_; }

  // What every rendering begins with.
  struct beginning {
    std::string_view text;
    bool is_all = false;
  };
  [[nodiscard]] beginning constant_beginning() const;

  // A variable's value as it was printed outside of loops, filters applied.
  struct printed_value {
    std::string name;
    std::string text;
  };

  // Text of the template is trusted, and its control flag is `control`; text
  // from values carries their label and is never control. A variable that is
  // not bound counts as absent. Errors: more than max_output bytes or
  // max_steps steps. What variables printed is added to `printed`, unless it is
  // null; texts of default() are the template's own.
  [[nodiscard]] result<std::vector<prompt_segment>> render(
      const bindings& values, bool control = false,
      std::vector<printed_value>* printed = nullptr) const;

 private:
  prompt_template() = default;
  friend class template_compiler;

  std::vector<detail::node> nodes_;
  std::map<std::string, variable_use, std::less<>> variables_;
  std::string fixed_text_;
};

}  // namespace prompts
TINYPHI_NAMESPACE_END

#include "plugins/prompt/template_compiler.ipp"
#include "plugins/prompt/template_render.ipp"

#endif  // TINYPHI_PLUGINS_PROMPT_TEMPLATE_H_
