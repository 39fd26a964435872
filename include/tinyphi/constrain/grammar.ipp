// SPDX-License-Identifier: MIT
#ifndef TINYPHI_CONSTRAIN_GRAMMAR_IPP_
#define TINYPHI_CONSTRAIN_GRAMMAR_IPP_

#include <algorithm>
#include <set>
#include <utility>

#include "tinyphi/constrain/grammar.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC std::uint32_t grammar::add(grammar_node node) {
  nodes.push_back(std::move(node));
  return static_cast<std::uint32_t>(nodes.size() - 1);
}

TINYPHI_FUNC std::uint32_t grammar::literal(std::string_view text) {
  literals.emplace_back(text);
  return add({.op = grammar_op::literal,
              .index = static_cast<std::uint32_t>(literals.size() - 1)});
}

TINYPHI_FUNC std::uint32_t grammar::automaton(byte_automaton a) {
  automata.push_back(std::move(a));
  return add({.op = grammar_op::automaton,
              .index = static_cast<std::uint32_t>(automata.size() - 1)});
}

TINYPHI_FUNC std::uint32_t grammar::sequence(
    std::vector<std::uint32_t> children) {
  return add({.op = grammar_op::sequence, .children = std::move(children)});
}

TINYPHI_FUNC std::uint32_t grammar::choice(
    std::vector<std::uint32_t> children) {
  return add({.op = grammar_op::choice, .children = std::move(children)});
}

TINYPHI_FUNC std::uint32_t grammar::repeat(std::uint32_t child,
                                           std::uint32_t min,
                                           std::uint32_t max) {
  return add(
      {.op = grammar_op::repeat, .min = min, .max = max, .children = {child}});
}

TINYPHI_FUNC std::uint32_t grammar::repeat(std::uint32_t child,
                                           std::uint32_t separator,
                                           std::uint32_t min,
                                           std::uint32_t max) {
  return add({.op = grammar_op::repeat,
              .min = min,
              .max = max,
              .children = {child, separator}});
}

TINYPHI_FUNC std::uint32_t grammar::call(std::uint32_t rule) {
  return add({.op = grammar_op::call, .index = rule});
}

TINYPHI_FUNC std::uint32_t grammar::call(const grammar& other) {
  const auto at = [](const auto& all) {
    return static_cast<std::uint32_t>(all.size());
  };
  const std::uint32_t first_node = at(nodes), first_literal = at(literals),
                      first_automaton = at(automata), first_rule = at(rules);
  for (grammar_node n : other.nodes) {
    if (n.op == grammar_op::literal) n.index += first_literal;
    if (n.op == grammar_op::automaton) n.index += first_automaton;
    if (n.op == grammar_op::call) n.index += first_rule;
    for (std::uint32_t& child : n.children) child += first_node;
    nodes.push_back(std::move(n));
  }
  literals.insert(literals.end(), other.literals.begin(), other.literals.end());
  automata.insert(automata.end(), other.automata.begin(), other.automata.end());
  for (grammar_rule r : other.rules) {
    r.node += first_node;
    rules.push_back(std::move(r));
  }
  return call(first_rule + other.start);
}

TINYPHI_FUNC std::uint32_t grammar::rule(std::string name, std::uint32_t node,
                                         bool free_text) {
  rules.push_back({std::move(name), node, free_text});
  return static_cast<std::uint32_t>(rules.size() - 1);
}

namespace detail {

// What is known of a grammar's nodes and rules, found from the leaves up until
// nothing changes any more: at most as many rounds as there are rules.
class grammar_facts {
 public:
  explicit grammar_facts(const grammar& g)
      : g_(&g),
        nullable_(g.nodes.size()),
        finite_(g.nodes.size()),
        rule_nullable_(g.rules.size()),
        rule_finite_(g.rules.size()) {
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t n = 0; n < g.nodes.size(); ++n) look_at(n);
      for (std::size_t r = 0; r < g.rules.size(); ++r) {
        changed |= become(rule_nullable_, r, nullable_[g.rules[r].node]);
        changed |= become(rule_finite_, r, finite_[g.rules[r].node]);
      }
    }
  }

  [[nodiscard]] bool nullable(std::size_t node) const {
    return nullable_[node];
  }
  [[nodiscard]] bool rule_finite(std::size_t rule) const {
    return rule_finite_[rule];
  }
  // The rules that a rule may call before it has taken a byte.
  [[nodiscard]] std::vector<std::uint32_t> first_calls(std::size_t rule) const {
    std::vector<std::uint32_t> open{g_->rules[rule].node}, out;
    std::vector<bool> seen(g_->nodes.size());
    while (!open.empty()) {
      const std::uint32_t n = open.back();
      open.pop_back();
      if (seen[n]) continue;
      seen[n] = true;
      const grammar_node& node = g_->nodes[n];
      if (node.op == grammar_op::call) out.push_back(node.index);
      for (const std::uint32_t child : node.children) {
        open.push_back(child);
        // A repetition's first child is never empty, nor is what stands behind
        // the first part of a sequence that takes a byte reached.
        if (node.op == grammar_op::repeat ||
            (node.op == grammar_op::sequence && !nullable_[child])) {
          break;
        }
      }
    }
    return out;
  }

 private:
  static bool become(std::vector<bool>& facts, std::size_t i, bool value) {
    if (!value || facts[i]) return false;
    facts[i] = true;
    return true;
  }

  void look_at(std::size_t n) {
    const grammar_node& node = g_->nodes[n];
    const auto& c = node.children;
    const auto nullable = [&](std::uint32_t i) { return nullable_[i]; };
    const auto finite = [&](std::uint32_t i) { return finite_[i]; };
    switch (node.op) {
      case grammar_op::literal:
        nullable_[n] = g_->literals[node.index].empty();
        finite_[n] = true;
        return;
      case grammar_op::automaton: {
        const byte_automaton& a = g_->automata[node.index];
        nullable_[n] = a.accepting(a.start());
        finite_[n] = !a.empty();
        return;
      }
      case grammar_op::sequence:
        nullable_[n] = std::ranges::all_of(c, nullable);
        finite_[n] = std::ranges::all_of(c, finite);
        return;
      case grammar_op::choice:
        nullable_[n] = std::ranges::any_of(c, nullable);
        finite_[n] = std::ranges::any_of(c, finite);
        return;
      case grammar_op::repeat:
        nullable_[n] = node.min == 0;
        finite_[n] = node.min == 0 ||
                     (finite_[c[0]] && (node.min == 1 || finite_[c.back()]));
        return;
      case grammar_op::call:
        nullable_[n] = rule_nullable_[node.index];
        finite_[n] = rule_finite_[node.index];
        return;
    }
  }

  const grammar* g_;
  std::vector<bool> nullable_, finite_, rule_nullable_, rule_finite_;
};

inline error bad_grammar(const std::string& what) {
  return {error_code::bad_data, "the grammar " + what};
}

// Indices, before anything follows them.
inline result<void> check_nodes(const grammar& g) {
  if (g.nodes.size() > grammar::max_nodes) {
    return error{error_code::limit,
                 "the grammar has " + std::to_string(g.nodes.size()) +
                     " parts; " + std::to_string(grammar::max_nodes) +
                     " are allowed"};
  }
  const auto bad = [](std::size_t n) {
    return bad_grammar("refers to nothing in its part " + std::to_string(n));
  };
  for (std::size_t n = 0; n < g.nodes.size(); ++n) {
    const grammar_node& node = g.nodes[n];
    const std::size_t limit = node.op == grammar_op::literal ? g.literals.size()
                              : node.op == grammar_op::automaton
                                  ? g.automata.size()
                              : node.op == grammar_op::call ? g.rules.size()
                                                            : 1;
    if (node.index >= limit) return bad(n);
    for (const std::uint32_t child : node.children) {
      if (child >= n) return bad(n);
    }
    if (node.op != grammar_op::repeat) continue;
    if (node.children.empty() || node.children.size() > 2 ||
        node.max < node.min || node.max == 0) {
      return bad_grammar("repeats wrongly in its part " + std::to_string(n));
    }
  }
  for (const grammar_rule& r : g.rules) {
    if (r.node >= g.nodes.size()) {
      return bad_grammar("does not define its rule '" + r.name + "'");
    }
  }
  if (g.start >= g.rules.size())
    return bad_grammar("has no rule to begin with");
  return {};
}

}  // namespace detail

TINYPHI_FUNC result<void> grammar::check() const {
  TINYPHI_CHECK_OK(detail::check_nodes(*this));
  const detail::grammar_facts facts(*this);
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    if (nodes[n].op == grammar_op::repeat &&
        facts.nullable(nodes[n].children[0])) {
      return detail::bad_grammar("repeats what may be empty, in its part " +
                                 std::to_string(n));
    }
  }
  if (!facts.rule_finite(start)) {
    return detail::bad_grammar("has no finite text: rule '" +
                               rules[start].name + "' never ends");
  }
  // Rules in an order in which each comes behind those that it begins with;
  // what is left over begins with itself.
  std::vector<std::vector<std::uint32_t>> calls(rules.size());
  std::vector<std::size_t> waits_for(rules.size());
  std::vector<std::vector<std::uint32_t>> callers(rules.size());
  std::vector<std::uint32_t> ready;
  for (std::uint32_t r = 0; r < rules.size(); ++r) {
    for (const std::uint32_t c : facts.first_calls(r)) callers[c].push_back(r);
    waits_for[r] = facts.first_calls(r).size();
    if (waits_for[r] == 0) ready.push_back(r);
  }
  std::size_t done = 0;
  for (; done < ready.size(); ++done) {
    for (const std::uint32_t c : callers[ready[done]]) {
      if (--waits_for[c] == 0) ready.push_back(c);
    }
  }
  if (done == rules.size()) return {};
  const auto stuck =
      std::ranges::find_if(waits_for, [](std::size_t n) { return n > 0; });
  return detail::bad_grammar(
      "calls itself before it takes a byte, in rule '" +
      rules[static_cast<std::size_t>(stuck - waits_for.begin())].name + "'");
}

TINYPHI_FUNC result<grammar> regex_grammar(std::string_view pattern) {
  TINYPHI_TRY(const regex_syntax syntax, regex_syntax::parse(pattern));
  TINYPHI_TRY(byte_automaton a,
              byte_automaton::regex(syntax, byte_automaton::extent::whole));
  if (a.empty()) {
    return error{error_code::bad_data, "no text matches the expression"};
  }
  grammar g;
  g.start = g.rule("the expression", g.automaton(std::move(a)), true);
  return g;
}

TINYPHI_FUNC result<grammar> choice_grammar(
    const std::vector<std::string>& texts) {
  constexpr std::size_t max_texts = 4096, max_bytes = std::size_t{256} << 10;
  const auto bad = [](const std::string& what) {
    return error{error_code::invalid_argument, "choices: " + what};
  };
  if (texts.empty() || texts.size() > max_texts) {
    return bad("there are " + std::to_string(texts.size()) + "; 1 to " +
               std::to_string(max_texts) + " are allowed");
  }
  grammar g;
  std::set<std::string_view> known;
  std::vector<std::uint32_t> children;
  std::size_t bytes = 0;
  for (const std::string& text : texts) {
    bytes += text.size();
    if (text.empty()) return bad("one is empty; leave it out");
    if (!known.insert(text).second) return bad("'" + text + "' is there twice");
    if (bytes > max_bytes) {
      return bad("they have more than the " + std::to_string(max_bytes) +
                 " bytes that are allowed");
    }
    children.push_back(g.literal(text));
  }
  g.start = g.rule("the choices", g.choice(std::move(children)));
  return g;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_CONSTRAIN_GRAMMAR_IPP_
