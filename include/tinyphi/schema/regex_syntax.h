// SPDX-License-Identifier: MIT
// Regular expressions of JSON Schema as a tree: what RE2 and ECMA-262 agree on,
// so that every expression has a finite automaton and one meaning.
#ifndef TINYPHI_SCHEMA_REGEX_SYNTAX_H_
#define TINYPHI_SCHEMA_REGEX_SYNTAX_H_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tinyphi/base/error.h"

TINYPHI_NAMESPACE_BEGIN

struct code_point_range {
  char32_t first = 0, last = 0;  // both are in it
};

// A set of characters: those of the ranges and of the general categories, or
// all others.
struct char_set {
  std::vector<code_point_range> ranges;
  // Bit i: UTF8PROC_CATEGORY_... number i.
  std::uint32_t categories = 0;
  bool negated = false;
  bool ignore_case = false;  // before negation: simple case mapping, both ways

  [[nodiscard]] bool contains(char32_t c) const;
};

enum class regex_op : std::uint8_t {
  set,       // one character of sets[first]
  sequence,  // the children, one behind the other; may be none
  choice,    // one of the children
  repeat,    // the only child, min to max times
  at_begin,  // nothing, at the text's beginning
  at_end,    // nothing, at the text's end
};

struct regex_node {
  regex_op op = regex_op::sequence;
  std::uint32_t set = 0;
  std::uint32_t min = 0, max = 0;  // max: regex_syntax::unbounded for * and +
  std::vector<std::uint32_t> children = {};
};

// Literals, '.', classes, \d \w (ASCII), \s (Unicode's spaces), their
// complements, groups, '|', repetitions greedy or lazy alike, '^' and '$' at
// the ends of branches, \p{L} and other general categories; (?i) and (?s) at
// the beginning. '.' is not a line's end; '$' is the text's end. Look-around,
// back references, \b, possessive repetitions and what the two read differently
// are errors.
struct regex_syntax {
  static constexpr std::uint32_t unbounded = ~std::uint32_t{0};
  static constexpr std::size_t max_characters = 1000;
  static constexpr std::uint32_t max_count = 1000;
  // A greater count is possible over one set of characters only.
  static constexpr std::uint32_t max_group_count = 32;

  std::vector<regex_node> nodes;  // the last one is the root
  std::vector<char_set> sets;

  // bad_data, whose message says which character, from 1; limit.
  [[nodiscard]] static result<regex_syntax> parse(
      std::string_view pattern, std::size_t max_size = max_characters);
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/schema/regex_syntax.ipp"
#endif

#endif  // TINYPHI_SCHEMA_REGEX_SYNTAX_H_
