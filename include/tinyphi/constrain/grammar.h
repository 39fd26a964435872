// SPDX-License-Identifier: MIT
// A grammar over bytes: rules that are made of literals, automata, sequences,
// choices, counted repetitions and calls of rules. Every kind of constraint is
// read into one.
#ifndef TINYPHI_CONSTRAIN_GRAMMAR_H_
#define TINYPHI_CONSTRAIN_GRAMMAR_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/constrain/byte_automaton.h"

TINYPHI_NAMESPACE_BEGIN

enum class grammar_op : std::uint8_t {
  literal,    // the bytes of literals[index], in this order; may be none
  automaton,  // a text that automata[index] takes
  sequence,   // the children, one behind the other; may be none
  choice,     // one of the children; none: no text at all
  repeat,  // the first child min to max times; if there is a second child, it
           // stands between two of them. The first child is never empty
  call,    // rules[index]
};

struct grammar_node {
  grammar_op op = grammar_op::sequence;
  std::uint32_t index = 0;
  std::uint32_t min = 0,
                max = 0;  // max: byte_automaton::no_limit for any number
  std::vector<std::uint32_t> children = {};
};

struct grammar_rule {
  std::string name;  // for messages: a JSON pointer, or GBNF's name
  std::uint32_t node = 0;
  // What stands here is free text, such as a string's body: repetition
  // penalties apply to it, as they do not to braces and keys.
  bool free_text = false;
};

// A node's children come before it, and may be used more than once; only a call
// leads back. A part that no finite text can end is never entered.
struct grammar {
  static constexpr std::size_t max_nodes = 65536;

  std::vector<grammar_node> nodes;
  std::vector<std::string> literals;
  std::vector<byte_automaton> automata;
  std::vector<grammar_rule> rules;
  std::uint32_t start = 0;  // a rule

  // Each returns the new node.
  std::uint32_t literal(std::string_view text);
  std::uint32_t automaton(byte_automaton a);
  std::uint32_t sequence(std::vector<std::uint32_t> children);
  std::uint32_t choice(std::vector<std::uint32_t> children);
  std::uint32_t repeat(std::uint32_t child, std::uint32_t min,
                       std::uint32_t max);
  std::uint32_t repeat(std::uint32_t child, std::uint32_t separator,
                       std::uint32_t min, std::uint32_t max);
  std::uint32_t call(std::uint32_t rule);
  // Takes all of another grammar in, and calls its start.
  std::uint32_t call(const grammar& other);
  // Returns the new rule, whose node may be set later.
  std::uint32_t rule(std::string name, std::uint32_t node = 0,
                     bool free_text = false);

  // Nothing if it can be a constraint; else bad_data, which names the rule: one
  // that calls itself before it takes a byte, one that no finite text can end,
  // a repetition of what may be empty, an index of nothing; or limit.
  [[nodiscard]] result<void> check() const;

 private:
  std::uint32_t add(grammar_node node);
};

// The whole answer is one that the expression matches; bad_data, limit.
[[nodiscard]] result<grammar> regex_grammar(std::string_view pattern);
// The whole answer is one of the texts, 1 to 4,096 of them, none empty, none
// twice, 256 KiB altogether.
[[nodiscard]] result<grammar> choice_grammar(
    const std::vector<std::string>& texts);
// llama.cpp's GBNF, whose rule `root` is the answer; bad_data with the line.
[[nodiscard]] result<grammar> gbnf_grammar(std::string_view text);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/constrain/gbnf.ipp"
#include "tinyphi/constrain/grammar.ipp"
#endif

#endif  // TINYPHI_CONSTRAIN_GRAMMAR_H_
