// SPDX-License-Identifier: MIT
// What a grammar means, by trying everything: slow, and simple enough to be
// right. It shares nothing with what it is the measure of, except that it asks
// byte_automaton for one step at a time.
#ifndef TESTS_CONSTRAIN_GRAMMAR_ORACLE_H_
#define TESTS_CONSTRAIN_GRAMMAR_ORACLE_H_

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/constrain/grammar.h"

namespace tinyphi_test {

// For grammars without left recursion, as grammar::check demands.
class grammar_oracle {
 public:
  using places = std::set<std::size_t>;

  explicit grammar_oracle(tinyphi::grammar g)
      : g_(std::move(g)),
        node_least_(g_.nodes.size(), endless),
        rule_least_(g_.rules.size(), endless) {
    for (const tinyphi::byte_automaton& a : g_.automata) {
      ways_.push_back(ways_of(a));
    }
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t n = 0; n < g_.nodes.size(); ++n) {
        changed |= lower(node_least_[n], least_now(g_.nodes[n]));
      }
      for (std::size_t r = 0; r < g_.rules.size(); ++r) {
        changed |= lower(rule_least_[r], node_least_[g_.rules[r].node]);
      }
    }
  }

  [[nodiscard]] const tinyphi::grammar& source() const { return g_; }
  // Whether the text is one of the grammar's.
  [[nodiscard]] bool takes(std::string_view text) {
    begin(text);
    return ends(root(), 0).contains(text.size());
  }
  // Whether some text of the grammar begins with this one.
  [[nodiscard]] bool can_become(std::string_view text) {
    begin(text);
    return partial(root(), 0);
  }
  // The fewest bytes of a text.
  [[nodiscard]] std::size_t least_bytes() const {
    return rule_least_[g_.start];
  }

  // A text of the grammar. What is decided after the first `fixed` bytes are
  // there is decided by `b`, the rest by `a`: so texts with one beginning come
  // about. Choices become the shortest ones after some 60 bytes.
  [[nodiscard]] std::string text(std::mt19937 a, std::mt19937 b,
                                 std::size_t fixed) const {
    writer w{.first = a, .second = b, .fixed = fixed, .out = {}};
    write(w, root(), 0);
    return w.out;
  }

 private:
  static constexpr std::size_t endless =
      std::numeric_limits<std::size_t>::max() / 4;
  struct writer {
    std::mt19937 first, second;
    std::size_t fixed;
    std::string out;

    std::size_t below(std::size_t n) {
      return (out.size() < fixed ? first : second)() % n;
    }
  };

  [[nodiscard]] std::uint32_t root() const { return g_.rules[g_.start].node; }

  static bool lower(std::size_t& value, std::size_t by) {
    if (by >= value) return false;
    value = by;
    return true;
  }
  // Bytes from each state to the nearest that accepts.
  static std::vector<std::size_t> ways_of(const tinyphi::byte_automaton& a) {
    std::vector<std::size_t> way(a.states(), endless);
    for (bool changed = true; changed;) {
      changed = false;
      for (std::uint32_t s = 0; s < a.states(); ++s) {
        if (a.accepting(s)) changed |= lower(way[s], 0);
        for (unsigned b = 0; b < 256; ++b) {
          const auto to = a.next(s, static_cast<std::uint8_t>(b));
          if (to != tinyphi::byte_automaton::dead) {
            changed |= lower(way[s], way[to] + 1);
          }
        }
      }
    }
    return way;
  }
  [[nodiscard]] std::size_t least_now(const tinyphi::grammar_node& n) const {
    using tinyphi::grammar_op;
    std::size_t sum = 0, best = endless;
    for (const std::uint32_t c : n.children) {
      sum = std::min(endless, sum + node_least_[c]);
      best = std::min(best, node_least_[c]);
    }
    switch (n.op) {
      case grammar_op::literal:
        return g_.literals[n.index].size();
      case grammar_op::automaton:
        return ways_[n.index].empty() ? endless : ways_[n.index][0];
      case grammar_op::sequence:
        return sum;
      case grammar_op::choice:
        return best;
      case grammar_op::repeat: {
        if (n.min == 0) return 0;
        const std::size_t between = n.children.size() < 2 || n.min == 1
                                        ? 0
                                        : node_least_[n.children[1]];
        return std::min(endless, n.min * node_least_[n.children[0]] +
                                     (n.min - 1) * between);
      }
      case grammar_op::call:
        return rule_least_[n.index];
    }
    return endless;
  }

  void begin(std::string_view text) {
    text_ = text;
    ends_.clear();
    partial_.clear();
  }
  [[nodiscard]] bool finite(std::uint32_t node) const {
    return node_least_[node] < endless;
  }
  [[nodiscard]] std::uint8_t byte_at(std::size_t p) const {
    return static_cast<std::uint8_t>(text_[p]);
  }

  // Where a text of the node can end that begins at p.
  const places& ends(std::uint32_t node, std::size_t p) {
    const auto key = std::pair(node, p);
    if (const auto found = ends_.find(key); found != ends_.end()) {
      return found->second;
    }
    return ends_.emplace(key, find_ends(g_.nodes[node], p)).first->second;
  }
  places after(const places& from, std::uint32_t node) {
    places out;
    for (const std::size_t p : from) {
      const places& to = ends(node, p);
      out.insert(to.begin(), to.end());
    }
    return out;
  }
  places find_ends(const tinyphi::grammar_node& n, std::size_t p) {
    using tinyphi::grammar_op;
    places out;
    switch (n.op) {
      case grammar_op::literal:
        if (text_.substr(p).starts_with(g_.literals[n.index])) {
          out.insert(p + g_.literals[n.index].size());
        }
        break;
      case grammar_op::automaton: {
        const auto& a = g_.automata[n.index];
        for (auto s = a.start(); s != a.dead; s = a.next(s, byte_at(p++))) {
          if (a.accepting(s)) out.insert(p);
          if (p == text_.size()) break;
        }
        break;
      }
      case grammar_op::sequence:
        out.insert(p);
        for (const std::uint32_t c : n.children) out = after(out, c);
        break;
      case grammar_op::choice:
        for (const std::uint32_t c : n.children) out.merge(after({p}, c));
        break;
      case grammar_op::repeat: {
        if (n.min == 0) out.insert(p);
        places now{p};
        for (std::uint32_t i = 1; i <= n.max && !now.empty(); ++i) {
          if (i > 1 && n.children.size() > 1) now = after(now, n.children[1]);
          now = after(now, n.children[0]);
          if (i >= n.min) out.insert(now.begin(), now.end());
        }
        break;
      }
      case grammar_op::call:
        return ends(g_.rules[n.index].node, p);
    }
    return out;
  }

  // Whether all of the text from p on begins a text of the node.
  bool partial(std::uint32_t node, std::size_t p) {
    if (!finite(node)) return false;
    const auto key = std::pair(node, p);
    if (const auto found = partial_.find(key); found != partial_.end()) {
      return found->second;
    }
    return partial_[key] = find_partial(g_.nodes[node], p);
  }
  bool partial(const places& from, std::uint32_t node) {
    return std::ranges::any_of(from,
                               [&](std::size_t p) { return partial(node, p); });
  }
  bool find_partial(const tinyphi::grammar_node& n, std::size_t p) {
    using tinyphi::grammar_op;
    const bool at_end = p == text_.size();
    switch (n.op) {
      case grammar_op::literal:
        return std::string_view(g_.literals[n.index])
            .starts_with(text_.substr(p));
      case grammar_op::automaton: {
        const auto& a = g_.automata[n.index];
        auto s = a.start();
        for (; p < text_.size() && s != a.dead; ++p) s = a.next(s, byte_at(p));
        return s != a.dead && ways_[n.index][s] < endless;
      }
      case grammar_op::sequence: {
        places now{p};
        for (const std::uint32_t c : n.children) {
          if (partial(now, c)) return true;
          now = after(now, c);
        }
        return at_end && n.children.empty();
      }
      case grammar_op::choice:
        return std::ranges::any_of(
            n.children, [&](std::uint32_t c) { return partial(c, p); });
      case grammar_op::repeat:
        return partial_repeat(n, p, at_end);
      case grammar_op::call:
        return partial(g_.rules[n.index].node, p);
    }
    return false;
  }
  bool partial_repeat(const tinyphi::grammar_node& n, std::size_t p,
                      bool at_end) {
    if (n.min == 0 && at_end) return true;
    const std::uint32_t body = n.children[0];
    const bool separated = n.children.size() > 1;
    const bool can_go_on = !separated || finite(n.children[1]);
    if (!finite(body)) return false;
    places now{p};
    for (std::uint32_t i = 1; i <= n.max && !now.empty(); ++i) {
      if (i > 1 && separated) {
        if (partial(now, n.children[1])) return true;
        now = after(now, n.children[1]);
      }
      if ((i >= n.min || can_go_on) && partial(now, body)) return true;
      now = after(now, body);
    }
    return false;
  }

  void write(writer& w, std::uint32_t node, int depth) const {
    using tinyphi::grammar_op;
    const tinyphi::grammar_node& n = g_.nodes[node];
    const bool hurry = depth > 40 || w.out.size() > 60;
    switch (n.op) {
      case grammar_op::literal:
        w.out += g_.literals[n.index];
        return;
      case grammar_op::automaton:
        return write_automaton(w, n.index);
      case grammar_op::sequence:
        for (const std::uint32_t c : n.children) write(w, c, depth + 1);
        return;
      case grammar_op::choice: {
        std::vector<std::uint32_t> can;
        std::ranges::copy_if(n.children, std::back_inserter(can),
                             [&](std::uint32_t c) { return finite(c); });
        const auto least = [&](std::uint32_t c) { return node_least_[c]; };
        write(w,
              hurry ? *std::ranges::min_element(can, {}, least)
                    : can[w.below(can.size())],
              depth + 1);
        return;
      }
      case grammar_op::repeat:
        for (std::uint32_t i = 0; i < n.max; ++i) {
          const bool may_stop = i >= n.min;
          const bool cannot =
              !finite(n.children[0]) ||
              (i > 0 && n.children.size() > 1 && !finite(n.children[1]));
          if (may_stop &&
              (cannot || w.out.size() > 60 || depth > 40 || w.below(3) == 0)) {
            return;
          }
          if (i > 0 && n.children.size() > 1)
            write(w, n.children[1], depth + 1);
          write(w, n.children[0], depth + 1);
        }
        return;
      case grammar_op::call:
        write(w, g_.rules[n.index].node, depth + 1);
        return;
    }
  }
  void write_automaton(writer& w, std::uint32_t index) const {
    const tinyphi::byte_automaton& a = g_.automata[index];
    const std::vector<std::size_t>& way = ways_[index];
    const std::size_t hurry_from = w.out.size() + 12;
    for (auto s = a.start();;) {
      const bool hurry = w.out.size() > hurry_from;
      if (a.accepting(s) && (hurry || w.below(4) == 0)) return;
      std::vector<std::uint8_t> can;
      for (unsigned b = 0; b < 256; ++b) {
        const auto to = a.next(s, static_cast<std::uint8_t>(b));
        if (to != a.dead && way[to] < (hurry ? way[s] : endless)) {
          can.push_back(static_cast<std::uint8_t>(b));
        }
      }
      if (can.empty()) return;
      const std::uint8_t b = can[w.below(can.size())];
      w.out += static_cast<char>(b);
      s = a.next(s, b);
    }
  }

  tinyphi::grammar g_;
  std::vector<std::vector<std::size_t>> ways_;        // by automaton, state
  std::vector<std::size_t> node_least_, rule_least_;  // bytes
  std::string_view text_;
  std::map<std::pair<std::uint32_t, std::size_t>, places> ends_;
  std::map<std::pair<std::uint32_t, std::size_t>, bool> partial_;
};

}  // namespace tinyphi_test

#endif  // TESTS_CONSTRAIN_GRAMMAR_ORACLE_H_
