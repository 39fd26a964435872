// SPDX-License-Identifier: MIT
// Expressions as they are written: a tree without types. The grammar is that
// of the study, section 4:
//   expr    = both { "or" both }        both    = negated { "and" negated }
//   negated = "not" negated | compare   compare = sum [ OPERATOR sum ]
//   sum     = product { ("+" | "-") product }
//   product = unary { ("*" | "/") unary }
//   unary   = "-" unary | piped
//   piped   = primary { "|" name [ "(" [ args ] ")" ] }
//   primary = literal | path | name "(" [ args ] ")" | "[" [ args ] "]"
//           | "(" expr ")"
//   path    = name { "." name | "[" expr "]" | "[]" }
//   OPERATOR is == != < <= > >= in contains matches
#ifndef TINYPHI_PIPELINE_EXPRESSION_SYNTAX_H_
#define TINYPHI_PIPELINE_EXPRESSION_SYNTAX_H_

#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/pipeline/type.h"
#include "tinyphi/pipeline/value.h"

TINYPHI_NAMESPACE_BEGIN

// What is wrong with an expression, and at which byte of its text.
struct expression_fault {
  enum class kind : std::uint8_t {
    syntax,        // not of the grammar, or too large
    unknown_name,  // a path, a field or a function that does not exist here
    absent,        // a value that may be absent, at a place without a guard
    type           // a type where another is wanted; a pattern that is none
  };
  kind what = kind::syntax;
  std::size_t offset = 0;
  std::string message;
};

// Paths that are known to have a value at some place, as expressions spell
// them: "find.docs", "value.lines[0].amount". What has a value, has all that
// it is a part of; a list that has any item, has a first and a last.
class presence_facts {
 public:
  void add(std::string path) { paths_.insert(std::move(path)); }
  // What either set knows.
  void add(const presence_facts& more);
  // What both sets know.
  void keep(const presence_facts& other);
  // Nothing is known of `name` any more: another value has got that name.
  void forget(std::string_view name);
  [[nodiscard]] bool has(std::string_view path) const;

  friend bool operator==(const presence_facts&,
                         const presence_facts&) = default;

 private:
  [[nodiscard]] bool has_beginning(const std::string& path) const;

  std::set<std::string, std::less<>> paths_;
};

enum class expression_operator : std::uint8_t {
  both,
  either,
  negate,  // not
  equal,
  unequal,
  less,
  less_equal,
  greater,
  greater_equal,
  in,
  contains,
  matches,
  add,
  subtract,
  multiply,
  divide,
  minus  // of one operand
};

// A node of the tree; operands come before it.
struct expression_node {
  enum class kind : std::uint8_t { constant, path, list, call, operation };
  // ".name", "[index]" or "[]"; the first of a path is a name.
  struct step {
    enum class kind : std::uint8_t { name, item, every_item };
    kind what = kind::name;
    std::string name;
    std::size_t index = 0;     // of item: a node
    std::size_t offset = 0;    // in the text
    std::size_t spelling = 0;  // the length of the path up to here, in `name`
  };

  kind what = kind::constant;
  expression_operator operation = expression_operator::both;
  std::size_t begin = 0;  // its part of the text
  std::size_t end = 0;
  value_data constant;
  type_kind constant_kind = type_kind::text;
  std::string name;                   // of a call; how a path is spelled
  std::size_t name_offset = 0;        // of a call, or an operator
  std::vector<std::size_t> operands;  // nodes; arguments, items
  std::vector<step> steps;            // of a path
};

// An expression without types. Immutable.
class expression_tree {
 public:
  // Steps of paths count as nodes. Depth counts parentheses, calls, lists,
  // indexes and signs in each other.
  static constexpr std::size_t max_bytes = std::size_t{1} << 14;
  static constexpr std::size_t max_nodes = 256;
  static constexpr std::size_t max_depth = 32;

  // A path, before it is known what it stands for.
  struct path_use {
    std::vector<std::string_view> names;  // those before the first "["
    std::size_t offset = 0;
    // It stands in has() or default(), or where the first of its names is
    // known to have a value: it may be absent.
    bool optional = false;
  };

  // With `end`, the expression may be the beginning of a longer text, such as
  // "{{ x }} and so on" behind the braces, and *end says where it ended: at
  // the first byte behind it that is no white space. A '-' before "}}" or "%}"
  // is no operator.
  [[nodiscard]] static result<expression_tree, expression_fault> parse(
      std::string_view text, std::size_t* end = nullptr);

  // All paths in the order of the text, without the names of stages and tools
  // that failed() and its kin take. The views are into this tree.
  [[nodiscard]] std::vector<path_use> paths(
      const presence_facts& known = {}) const;
  // What is known to have a value where the expression gave `outcome`.
  [[nodiscard]] presence_facts proves(bool outcome) const {
    return proves(nodes_.size() - 1, outcome);
  }
  // The same of one of its nodes.
  [[nodiscard]] presence_facts proves(std::size_t node, bool outcome) const;

  // The last node is the whole.
  [[nodiscard]] std::span<const expression_node> nodes() const {
    return nodes_;
  }
  // The text that was parsed; nodes say which part of it they are.
  [[nodiscard]] const std::string& text() const { return text_; }
  // How facts name the value of a node: a path as it is written; first(x),
  // min(x) and max(x) as "x[0]", last(x) as "x[-1]". Empty for all others.
  [[nodiscard]] std::string spelling(std::size_t node) const;

 private:
  friend class expression_parser;
  void list_paths(std::size_t node, const presence_facts& known, bool optional,
                  std::vector<path_use>& out) const;

  std::string text_;
  std::vector<expression_node> nodes_;
};

// failed, ran, rounds, attempts, calls and denied: functions whose argument is
// the name of a stage or a tool.
[[nodiscard]] bool takes_name(std::string_view function);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/expression/syntax.ipp"
#endif

#endif  // TINYPHI_PIPELINE_EXPRESSION_SYNTAX_H_
