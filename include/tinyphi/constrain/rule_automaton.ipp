// SPDX-License-Identifier: MIT
#ifndef TINYPHI_CONSTRAIN_RULE_AUTOMATON_IPP_
#define TINYPHI_CONSTRAIN_RULE_AUTOMATON_IPP_

#include <algorithm>
#include <utility>

#include "tinyphi/constrain/byte_nfa.ipp"
#include "tinyphi/constrain/rule_automaton.h"
#include "tinyphi/constrain/shortest_ways.ipp"

TINYPHI_NAMESPACE_BEGIN

// Makes an automaton of each rule, and further rules of repetitions that are
// too large to be written out.
class rule_compiler {
 public:
  using state = rule_automata::state;

  rule_compiler(const grammar& g, rule_automata& out) : g_(&g), out_(&out) {
    measure();
  }

  result<void> compile() {
    for (const grammar_rule& r : g_->rules)
      jobs_.push_back({r.node, r.free_text});
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      TINYPHI_CHECK_OK(jobs_[i].counted ? count(jobs_[i]) : whole(jobs_[i]));
      if (out_->states_.size() > rule_automata::max_states) {
        return error{error_code::limit,
                     "the grammar needs more than the " +
                         std::to_string(rule_automata::max_states) +
                         " states that are allowed; make it smaller"};
      }
    }
    return {};
  }

 private:
  struct job {
    std::uint32_t node;
    bool free_text;
    bool counted = false;  // node is a repetition, and its rule counts
  };
  // A repetition that would become longer than this is counted instead.
  static constexpr std::size_t max_copied = 64;
  static constexpr std::size_t max_depth = 256;

  // How many states a node becomes, roughly.
  void measure() {
    sizes_.resize(g_->nodes.size());
    for (std::size_t n = 0; n < sizes_.size(); ++n) {
      const grammar_node& node = g_->nodes[n];
      std::size_t size = 1;
      if (node.op == grammar_op::literal) {
        size += g_->literals[node.index].size();
      } else if (node.op == grammar_op::automaton) {
        size += g_->automata[node.index].states();
      }
      for (const std::uint32_t child : node.children) size += sizes_[child];
      if (node.op == grammar_op::repeat) size *= copies(node);
      sizes_[n] = std::min<std::size_t>(size, byte_nfa::max_states);
    }
  }
  static std::size_t copies(const grammar_node& node) {
    return node.max == rule_automata::no_limit
               ? std::max<std::size_t>(node.min, 1)
               : node.max;
  }

  std::uint32_t new_rule(std::uint32_t node, bool free_text, bool counted) {
    jobs_.push_back({node, free_text, counted});
    return static_cast<std::uint32_t>(jobs_.size() - 1);
  }

  result<void> whole(const job j) {
    byte_nfa nfa;
    const byte_nfa::state from = nfa.add(), to = nfa.add();
    TINYPHI_CHECK_OK(put(nfa, j.node, from, to, j.free_text, 0));
    TINYPHI_TRY(const byte_nfa::with_calls made,
                nfa.determinized_calls(from, to));
    add(made, j);
    return {};
  }

  result<void> put(byte_nfa& nfa, std::uint32_t n, byte_nfa::state from,
                   byte_nfa::state to, bool free_text, std::size_t depth) {
    if (depth > max_depth) {
      return error{error_code::limit,
                   "the grammar's parts are nested deeper than the " +
                       std::to_string(max_depth) + " that are allowed"};
    }
    if (nfa.full()) return {};  // determinizing says so
    const grammar_node& node = g_->nodes[n];
    switch (node.op) {
      case grammar_op::literal:
        nfa.copy(byte_automaton::literal(g_->literals[node.index]), from, to);
        return {};
      case grammar_op::automaton:
        nfa.copy(g_->automata[node.index], from, to);
        return {};
      case grammar_op::sequence:
        for (const std::uint32_t child : node.children) {
          const byte_nfa::state next = nfa.add();
          TINYPHI_CHECK_OK(put(nfa, child, from, next, free_text, depth + 1));
          from = next;
        }
        nfa.free_move(from, to);
        return {};
      case grammar_op::choice:
        for (const std::uint32_t child : node.children) {
          TINYPHI_CHECK_OK(put(nfa, child, from, to, free_text, depth + 1));
        }
        return {};
      case grammar_op::repeat:
        if (sizes_[n] > max_copied && copies(node) > 1) {
          nfa.call(from, new_rule(n, free_text, true), to);
          return {};
        }
        return repeat(nfa, node, from, to, free_text, depth);
      case grammar_op::call:
        nfa.call(from, node.index, to);
        return {};
    }
    return {};
  }

  // One copy for each repetition, or a loop behind the last one.
  result<void> repeat(byte_nfa& nfa, const grammar_node& node,
                      byte_nfa::state from, byte_nfa::state to, bool free_text,
                      std::size_t depth) {
    const auto item = [&](bool is_first, byte_nfa::state before,
                          byte_nfa::state behind) -> result<void> {
      if (!is_first && node.children.size() > 1) {
        const byte_nfa::state separated = nfa.add();
        TINYPHI_CHECK_OK(put(nfa, node.children[1], before, separated,
                             free_text, depth + 1));
        before = separated;
      }
      return put(nfa, node.children[0], before, behind, free_text, depth + 1);
    };
    if (node.min == 0) nfa.free_move(from, to);
    const std::size_t n = copies(node);
    for (std::size_t i = 0; i < n; ++i) {
      const byte_nfa::state behind = nfa.add();
      TINYPHI_CHECK_OK(item(i == 0, from, behind));
      if (i + 1 >= node.min) nfa.free_move(behind, to);
      from = behind;
    }
    if (node.max != rule_automata::no_limit) return {};
    return item(false, from, from);
  }

  // A state whose edges and calls are added next.
  [[nodiscard]] rule_automata::info next_state(std::uint32_t rule) const {
    rule_automata::info i;
    i.row = out_->next_.size();
    i.rule = rule;
    i.first_call = static_cast<std::uint32_t>(out_->calls_.size());
    return i;
  }

  // Numbers the states of a rule behind those that there are.
  void add(const byte_nfa::with_calls& made, const job& j) {
    const auto first = static_cast<state>(out_->states_.size());
    const auto rule = static_cast<std::uint32_t>(out_->rules_.size());
    out_->rules_.push_back({.start = first, .free_text = j.free_text});
    out_->classes_.push_back(made.classes);
    for (std::size_t s = 0; s < made.accepting.size(); ++s) {
      rule_automata::info i = next_state(rule);
      i.n_calls = static_cast<std::uint32_t>(made.calls[s].size());
      i.ends = made.accepting[s] ? rule_automata::ending::always
                                 : rule_automata::ending::never;
      for (const auto& c : made.calls[s]) {
        out_->calls_.push_back({c.rule, first + c.to, false});
      }
      for (std::size_t c = 0; c < made.n_classes; ++c) {
        const state to = made.next[s * made.n_classes + c];
        out_->next_.push_back(to == byte_automaton::dead ? rule_automata::dead
                                                         : first + to);
      }
      out_->states_.push_back(i);
    }
  }

  // A rule that counts: in the beginning, before an item, behind one.
  result<void> count(const job j) {
    const grammar_node& node = g_->nodes[j.node];
    const std::uint32_t item_node = node.children[0];
    if (node.children.size() == 1 &&
        g_->nodes[item_node].op == grammar_op::automaton &&
        takes_no_more(g_->automata[g_->nodes[item_node].index])) {
      count_within(g_->automata[g_->nodes[item_node].index], node, j);
      return {};
    }
    using ending = rule_automata::ending;
    const std::uint32_t item = new_rule(item_node, j.free_text, false);
    const bool separated = node.children.size() > 1;
    const std::uint32_t separator =
        separated ? new_rule(node.children[1], j.free_text, false) : 0;
    const auto first = static_cast<state>(out_->states_.size());
    const state begin = first, before = first + 1, behind = first + 2;
    const auto rule = static_cast<std::uint32_t>(out_->rules_.size());
    out_->rules_.push_back({.start = begin,
                            .free_text = j.free_text,
                            .min = node.min,
                            .max = node.max});
    out_->classes_.emplace_back();
    const auto put_state = [&](ending e, bool asks_max, bool within_item,
                               rule_automata::call c) {
      rule_automata::info i = next_state(rule);
      i.n_calls = 1;
      i.ends = e;
      i.asks_max = asks_max;
      i.within_item = within_item;
      out_->next_.push_back(rule_automata::dead);
      out_->calls_.push_back(c);
      out_->states_.push_back(i);
    };
    put_state(node.min == 0 ? ending::always : ending::never, false,
              node.min > 0, {item, behind, true});
    put_state(ending::never, false, true, {item, behind, true});
    put_state(ending::counted, true, false,
              separated ? rule_automata::call{separator, before, false}
                        : rule_automata::call{item, behind, true});
    return {};
  }

  static bool takes_no_more(const byte_automaton& a) {
    if (a.empty() || a.accepting(a.start())) return false;
    for (byte_automaton::state s = 0; s < a.states(); ++s) {
      for (unsigned b = 0; b < 256; ++b) {
        const auto to = a.next(s, static_cast<std::uint8_t>(b));
        // Where it comes back to its beginning, that is no border.
        if (to == a.start() || (a.accepting(s) && to != byte_automaton::dead)) {
          return false;
        }
      }
    }
    return true;
  }

  // What is repeated, such as a character, ends where nothing can follow: its
  // last byte leads back to the first state, and counts.
  void count_within(const byte_automaton& a, const grammar_node& node,
                    const job& j) {
    const auto first = static_cast<state>(out_->states_.size());
    const auto rule = static_cast<std::uint32_t>(out_->rules_.size());
    out_->rules_.push_back({.start = first,
                            .free_text = j.free_text,
                            .min = node.min,
                            .max = node.max});
    std::array<std::uint8_t, 256> classes{}, bytes{};
    for (unsigned b = 0; b < 256; ++b) {
      classes[b] = a.class_of(static_cast<std::uint8_t>(b));
      bytes[classes[b]] = static_cast<std::uint8_t>(b);
    }
    out_->classes_.push_back(classes);
    // The accepting states go; the first one is 0.
    std::vector<state> number(a.states());
    state n = first;
    for (byte_automaton::state s = 0; s < a.states(); ++s) {
      if (!a.accepting(s)) number[s] = n++;
    }
    for (byte_automaton::state s = 0; s < a.states(); ++s) {
      if (a.accepting(s)) continue;
      rule_automata::info i = next_state(rule);
      i.ends = s == a.start() ? rule_automata::ending::counted
                              : rule_automata::ending::never;
      i.asks_max = s == a.start();
      i.within_item = s != a.start();
      for (std::size_t c = 0; c < a.classes(); ++c) {
        const auto to = a.next(s, bytes[c]);
        out_->next_.push_back(to == byte_automaton::dead ? rule_automata::dead
                              : a.accepting(to)
                                  ? first | rule_automata::counting_bit
                                  : number[to]);
      }
      out_->states_.push_back(i);
    }
  }

  const grammar* g_;
  rule_automata* out_;
  std::vector<std::size_t> sizes_;  // by node
  std::vector<job> jobs_;           // one for each rule
};

TINYPHI_FUNC result<rule_automata> rule_automata::create(const grammar& g,
                                                         const token_trie& t) {
  TINYPHI_CHECK_OK(g.check());
  rule_automata out;
  out.start_ = g.start;
  TINYPHI_CHECK_OK(rule_compiler(g, out).compile());
  shortest_ways(out).find(t);
  return out;
}

TINYPHI_FUNC std::uint32_t rule_automata::least(state s,
                                                std::uint32_t n) const {
  const info& i = states_[s];
  const rule& r = rules_[i.rule];
  const std::uint32_t done = n + (i.within_item ? 1 : 0);
  // Saturates far beyond what any answer may have.
  constexpr std::uint64_t most = std::uint64_t{1} << 31;
  const std::uint64_t owed = r.min > done ? r.min - done : 0;
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(i.base + owed * r.unit, most));
}

TINYPHI_FUNC std::size_t rule_automata::memory() const {
  return states_.capacity() * sizeof(info) + next_.capacity() * sizeof(state) +
         calls_.capacity() * sizeof(call) +
         classes_.capacity() * sizeof(classes_[0]);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_CONSTRAIN_RULE_AUTOMATON_IPP_
