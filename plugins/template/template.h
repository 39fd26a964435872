// SPDX-License-Identifier: MIT
// Templates: text with {{ expressions }}, {% if %} and {% for %}, a total
// subset of Jinja2 on top of the expression language. They render to segments
// that remember who wrote them.
//
// A text is parsed, which tells its variables, then checked with their types,
// then rendered, any number of times.
#ifndef TINYPHI_PLUGINS_TEMPLATE_TEMPLATE_H_
#define TINYPHI_PLUGINS_TEMPLATE_TEMPLATE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/cancel.h"
#include "tinyphi/base/error.h"
#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/pipeline/expression/expression.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN
namespace templates {

struct template_fault {
  fault code = fault::bad_template;
  std::size_t offset = 0;  // in the template's text
  std::string message;
};

// How a template uses one of its variables.
struct variable_use {
  std::size_t offset = 0;  // of the first use
  bool required = false;   // not all uses stand behind has() or in default()
  bool looped = false;     // {% for x in it %}
};
using variable_uses = std::map<std::string, variable_use, std::less<>>;

namespace detail {

// An expression in a tag.
struct formula {
  std::size_t offset = 0;  // in the template's text
  expression_tree tree;
  std::optional<expression> checked;
};

constexpr std::size_t no_place = static_cast<std::size_t>(-1);

struct node;
struct arm {
  std::optional<formula> when;  // `else` has none
  std::vector<node> body;
};
struct node {
  enum class kind : std::uint8_t { text, print, loop, branch };
  kind what = kind::text;
  std::string text;              // text, or the name that a loop binds
  formula value;                 // to print, or to loop over
  std::vector<arm> arms;         // a loop has one
  std::size_t place = no_place;  // of what stands outside of loops
};

}  // namespace detail

// What all templates of a stage are checked with.
struct variable {
  tinyphi::type type;
  bool may_be_absent = false;
};
using variables = std::map<std::string, variable, std::less<>>;

// A value in a template, or a loop with all that it prints, outside of other
// loops.
struct place {
  std::size_t offset = 0;  // of the expression, in the template's text
  tinyphi::type type;      // of what is printed; `any` for a loop
  bool is_loop = false;
  std::string list;                // a loop's, if that is a whole variable
  std::vector<std::string> reads;  // the variables in its expression
  // Those in it that are printed or looped over; more than `reads` for a loop.
  std::vector<std::string> prints;
  std::vector<std::string> literals;    // texts in its expression
  std::optional<std::string> constant;  // what it prints, if it reads nothing
  bool is_path = false;  // it prints a part of one variable, as it stands
};

// What one node that stands outside of loops has printed.
struct piece {
  std::vector<prompt_segment> segments;
  std::size_t place = detail::no_place;  // none: text of the template
};

// A template whose expressions have types. Immutable; any thread may render.
class checked_template {
 public:
  static constexpr std::size_t max_output = std::size_t{4} << 20;
  // Nodes run and items looped over.
  static constexpr std::size_t max_steps = 1 << 16;

  [[nodiscard]] std::span<const place> places() const { return places_; }

  // The greatest cost of a rendering, given those of its texts and places: of
  // arms of a condition the dearest counts. No sum is more than `most`.
  using text_cost = std::function<std::size_t(const std::string&)>;
  using place_cost = std::function<std::size_t(std::size_t place)>;
  [[nodiscard]] std::size_t greatest_cost(const text_cost& text,
                                          const place_cost& at_place,
                                          std::size_t most) const;

  // What every rendering begins with.
  struct beginning {
    std::string_view text;
    bool is_all = false;
  };
  [[nodiscard]] beginning constant_beginning() const;

  // Text of the template is trusted, and its control flag is `control`; what
  // expressions print carries the greatest label of the variables that they
  // read, and is never control. A variable that is missing is absent. `limit`:
  // more than max_output bytes or max_steps steps.
  [[nodiscard]] result<std::vector<piece>> render(
      const named_values& values, bool control = false,
      const stop_condition& stop = {}) const;

 private:
  friend class template_checker;
  checked_template() = default;

  std::vector<detail::node> nodes_;
  std::vector<std::string> variables_;  // by slot
  std::vector<place> places_;
};

// A template without types. Immutable.
class parsed_template {
 public:
  static constexpr std::size_t max_bytes = 65536;
  static constexpr std::size_t max_depth = 16;  // nested blocks

  // Like Jinja2, one newline at the end of the text is left out.
  [[nodiscard]] static result<parsed_template, template_fault> parse(
      std::string_view text);

  [[nodiscard]] const variable_uses& uses() const { return uses_; }

  // Types, and that no value is used where it may be absent. `types` has every
  // variable of uses().
  [[nodiscard]] result<checked_template, template_fault> check(
      const variables& types) const;

 private:
  friend class template_parser;
  friend class template_checker;
  parsed_template() = default;

  std::vector<detail::node> nodes_;
  variable_uses uses_;
};

// For stages that have templates: the in-ports of a parameter's variables,
// their types at the stage's place, and a fault as one of the parameter.
[[nodiscard]] inline std::vector<port_info> ports_of(const variable_uses& uses,
                                                     const std::string& param) {
  std::vector<port_info> ports;
  for (const auto& [name, use] : uses) {
    ports.push_back({.name = name,
                     .types = {type()},
                     .required = use.required,
                     .param = param,
                     .offset = use.offset});
  }
  return ports;
}
[[nodiscard]] inline variables variables_of(const variable_uses& uses,
                                            const call_facts& call) {
  variables types;
  for (const auto& [name, use] : uses) {
    const auto bound = call.types.find(name);
    types[name] = {bound == call.types.end() ? type() : bound->second,
                   !use.required};
  }
  return types;
}
[[nodiscard]] inline param_fault in_param(const template_fault& f,
                                          std::string_view param) {
  return {f.code, std::string(param), f.offset, f.message};
}

// What is known to have a value in the body of a loop, given what is known in
// front of it.
[[nodiscard]] inline presence_facts known_in_loop(presence_facts known,
                                                  const expression_tree& list,
                                                  std::string_view item) {
  const std::string spelled = list.spelling(list.nodes().size() - 1);
  if (spelled.find("[]") == std::string::npos) known.add(spelled + "[0]");
  known.forget(item);
  known.forget("loop");
  return known;
}

}  // namespace templates
TINYPHI_NAMESPACE_END

#include "plugins/template/template_check.ipp"
#include "plugins/template/template_parser.ipp"
#include "plugins/template/template_render.ipp"

#endif  // TINYPHI_PLUGINS_TEMPLATE_TEMPLATE_H_
