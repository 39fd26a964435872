// SPDX-License-Identifier: MIT
// A deterministic automaton that is being made: states and edges in any order,
// which minimal() trims and merges.
#ifndef TINYPHI_CONSTRAIN_AUTOMATON_BUILDER_IPP_
#define TINYPHI_CONSTRAIN_AUTOMATON_BUILDER_IPP_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/constrain/byte_automaton.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC error too_many_states() {
  return {error_code::limit,
          "the automaton needs more than the " +
              std::to_string(byte_automaton::max_states) +
              " states that are allowed; repeat less, or allow shorter texts"};
}

class automaton_builder {
 public:
  using state = byte_automaton::state;

  // classes[byte] < n_classes <= 256.
  automaton_builder(const std::array<std::uint8_t, 256>& classes,
                    std::size_t n_classes)
      : classes_(classes), n_classes_(n_classes) {}

  // The first state is where texts begin.
  state add(bool accepting);
  void edge(state from, std::size_t byte_class, state to) {
    next_[from * n_classes_ + byte_class] = to;
  }
  // The smallest automaton that takes the same texts; limit if it has more
  // than byte_automaton::max_states states.
  [[nodiscard]] result<byte_automaton> minimal() &&;

 private:
  // Blocks of states that no text tells apart so far.
  class partition;
  void reach();                     // leaves out what is not reached
  std::vector<bool> alive() const;  // states that can still accept
  void merge_classes(byte_automaton& a) const;

  std::array<std::uint8_t, 256> classes_;
  std::size_t n_classes_;
  std::vector<state> next_;  // [states][classes]
  std::vector<std::uint8_t> accepting_;
};

TINYPHI_FUNC automaton_builder::state automaton_builder::add(bool accepting) {
  accepting_.push_back(accepting ? 1 : 0);
  next_.resize(next_.size() + n_classes_, byte_automaton::dead);
  return static_cast<state>(accepting_.size() - 1);
}

// Hopcroft's partition refinement: a block is split by the states that lead
// into another one, and only the smaller half has to be looked at again. The
// states lie in one array, those of a block behind each other.
class automaton_builder::partition {
 public:
  partition(std::size_t n, const std::vector<std::uint8_t>& accepting)
      : order_(n), place_(n), block_(n), marked_(1, 0), ends_{n}, begins_{0} {
    for (std::size_t i = 0; i < n; ++i) order_[i] = place_[i] = i;
    for (std::size_t i = 0; i < n; ++i) {
      if (accepting[i] != 0) mark(i);
    }
    split_marked([](std::size_t, std::size_t) {});
  }

  [[nodiscard]] std::size_t blocks() const { return begins_.size(); }
  [[nodiscard]] std::size_t block_of(std::size_t s) const { return block_[s]; }
  [[nodiscard]] std::vector<std::size_t> members(std::size_t b) const {
    return {order_.begin() + static_cast<std::ptrdiff_t>(begins_[b]),
            order_.begin() + static_cast<std::ptrdiff_t>(ends_[b])};
  }
  [[nodiscard]] std::size_t size_of(std::size_t b) const {
    return ends_[b] - begins_[b];
  }

  // Marked states move to their block's front.
  void mark(std::size_t s) {
    const std::size_t b = block_[s];
    const std::size_t to = begins_[b] + marked_[b];
    if (place_[s] < to) return;
    if (marked_[b]++ == 0) touched_.push_back(b);
    const std::size_t other = order_[to];
    std::swap(order_[to], order_[place_[s]]);
    place_[other] = place_[s];
    place_[s] = to;
  }
  // Blocks of which some states are marked become two; calls f(old, new).
  template <typename F>
  void split_marked(F&& f) {
    for (const std::size_t b : std::exchange(touched_, {})) {
      const std::size_t n = std::exchange(marked_[b], 0);
      if (n == size_of(b)) continue;
      const std::size_t added = blocks();
      begins_.push_back(begins_[b]);
      ends_.push_back(begins_[b] + n);
      marked_.push_back(0);
      begins_[b] += n;
      for (std::size_t i = begins_[added]; i < ends_[added]; ++i) {
        block_[order_[i]] = added;
      }
      f(b, added);
    }
  }

 private:
  std::vector<std::size_t> order_, place_, block_, marked_, ends_, begins_;
  std::vector<std::size_t> touched_;
};

TINYPHI_FUNC std::vector<bool> automaton_builder::alive() const {
  const std::size_t n = accepting_.size();
  std::vector<std::vector<state>> before(n);
  for (state s = 0; s < n; ++s) {
    for (std::size_t c = 0; c < n_classes_; ++c) {
      const state to = next_[s * n_classes_ + c];
      if (to != byte_automaton::dead &&
          (before[to].empty() || before[to].back() != s)) {
        before[to].push_back(s);
      }
    }
  }
  std::vector<bool> out(n);
  std::vector<state> open;
  for (state s = 0; s < n; ++s) {
    if (accepting_[s] == 0) continue;
    out[s] = true;
    open.push_back(s);
  }
  while (!open.empty()) {
    const state s = open.back();
    open.pop_back();
    for (const state p : before[s]) {
      if (out[p]) continue;
      out[p] = true;
      open.push_back(p);
    }
  }
  return out;
}

TINYPHI_FUNC void automaton_builder::reach() {
  const std::vector<bool> lives = alive();
  std::vector<state> number(accepting_.size(), byte_automaton::dead), order;
  if (!accepting_.empty() && lives[0]) {
    number[0] = 0;
    order.push_back(0);
  }
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (std::size_t c = 0; c < n_classes_; ++c) {
      const state to = next_[order[i] * n_classes_ + c];
      if (to == byte_automaton::dead || !lives[to] ||
          number[to] != byte_automaton::dead) {
        continue;
      }
      number[to] = static_cast<state>(order.size());
      order.push_back(to);
    }
  }
  std::vector<state> next(order.size() * n_classes_, byte_automaton::dead);
  std::vector<std::uint8_t> accepting(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    accepting[i] = accepting_[order[i]];
    for (std::size_t c = 0; c < n_classes_; ++c) {
      const state to = next_[order[i] * n_classes_ + c];
      if (to != byte_automaton::dead) next[i * n_classes_ + c] = number[to];
    }
  }
  next_ = std::move(next);
  accepting_ = std::move(accepting);
}

TINYPHI_FUNC void automaton_builder::merge_classes(byte_automaton& a) const {
  const std::size_t n = a.accepting_.size();
  std::map<std::vector<state>, std::uint8_t> known;
  std::vector<std::uint8_t> class_of(n_classes_);
  std::vector<std::size_t> kept;
  for (std::size_t c = 0; c < n_classes_; ++c) {
    std::vector<state> column(n);
    for (std::size_t s = 0; s < n; ++s) column[s] = a.next_[s * n_classes_ + c];
    const auto [found, made] = known.try_emplace(
        std::move(column), static_cast<std::uint8_t>(kept.size()));
    if (made) kept.push_back(c);
    class_of[c] = found->second;
  }
  std::vector<state> next;
  next.reserve(n * kept.size());
  for (std::size_t s = 0; s < n; ++s) {
    for (const std::size_t c : kept)
      next.push_back(a.next_[s * n_classes_ + c]);
  }
  a.next_ = std::move(next);
  a.n_classes_ = kept.size();
  for (std::size_t b = 0; b < 256; ++b) a.classes_[b] = class_of[classes_[b]];
}

TINYPHI_FUNC result<byte_automaton> automaton_builder::minimal() && {
  reach();
  const std::size_t n = accepting_.size();
  if (n == 0) return byte_automaton();
  // Who leads to a state by a class, class by class: before[first[key]] and
  // what follows it. Edges to `dead` need no block: a state that has one is
  // told from a state that has none by the other's edge.
  const auto key = [&](std::size_t c, std::size_t to) { return c * n + to; };
  std::vector<std::uint32_t> first(n_classes_ * n + 1), before;
  const auto each_edge = [&](auto&& f) {
    for (state s = 0; s < n; ++s) {
      for (std::size_t c = 0; c < n_classes_; ++c) {
        const state to = next_[s * n_classes_ + c];
        if (to != byte_automaton::dead) f(s, key(c, to));
      }
    }
  };
  each_edge([&](state, std::size_t k) { ++first[k]; });
  std::uint32_t edges = 0;
  for (std::uint32_t& at : first) edges += std::exchange(at, edges);
  before.resize(edges);
  each_edge([&](state s, std::size_t k) { before[first[k]++] = s; });
  // Each one has moved to where the next one began.
  const auto begin_of = [&](std::size_t k) {
    return k == 0 ? 0 : first[k - 1];
  };
  partition p(n, accepting_);
  std::vector<std::size_t> waiting;
  std::vector<bool> waits;
  for (std::size_t b = 0; b < p.blocks(); ++b) {
    waiting.push_back(b);
    waits.push_back(true);
  }
  while (!waiting.empty()) {
    const std::size_t b = waiting.back();
    waiting.pop_back();
    waits[b] = false;
    const std::vector<std::size_t> into = p.members(b);
    for (std::size_t c = 0; c < n_classes_; ++c) {
      for (const std::size_t s : into) {
        const std::size_t k = key(c, s);
        for (std::uint32_t i = begin_of(k); i < first[k]; ++i) {
          p.mark(before[i]);
        }
      }
      p.split_marked([&](std::size_t old, std::size_t added) {
        waits.push_back(false);
        const std::size_t again =
            waits[old] || p.size_of(added) <= p.size_of(old) ? added : old;
        waits[again] = true;
        waiting.push_back(again);
      });
    }
  }
  if (p.blocks() > byte_automaton::max_states) return too_many_states();

  byte_automaton a;
  // Blocks are numbered in the order in which their first states are reached,
  // so that 0 is where texts begin, and equal automata look alike.
  std::vector<state> number(p.blocks(), byte_automaton::dead);
  std::vector<state> firsts;
  for (state s = 0; s < n; ++s) {
    if (number[p.block_of(s)] != byte_automaton::dead) continue;
    number[p.block_of(s)] = static_cast<state>(firsts.size());
    firsts.push_back(s);
  }
  for (const state s : firsts) {
    a.accepting_.push_back(accepting_[s]);
    for (std::size_t c = 0; c < n_classes_; ++c) {
      const state to = next_[s * n_classes_ + c];
      a.next_.push_back(to == byte_automaton::dead ? to
                                                   : number[p.block_of(to)]);
    }
  }
  merge_classes(a);
  return a;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_CONSTRAIN_AUTOMATON_BUILDER_IPP_
