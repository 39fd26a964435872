// SPDX-License-Identifier: MIT
// Nondeterministic automata over bytes, as they are put together before they
// become a byte_automaton.
#ifndef TINYPHI_CONSTRAIN_BYTE_NFA_IPP_
#define TINYPHI_CONSTRAIN_BYTE_NFA_IPP_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/constrain/automaton_builder.ipp"
#include "tinyphi/constrain/byte_automaton.h"
#include "tinyphi/constrain/utf8_ranges.h"

TINYPHI_NAMESPACE_BEGIN

// States with edges for ranges of bytes, and free moves that take no byte; some
// moves are open at the text's beginning only, or at its end only.
class byte_nfa {
 public:
  using state = std::uint32_t;
  static constexpr std::size_t max_states = 65536;
  enum class move : std::uint8_t { always, at_begin, at_end };

  // Returns a state; when there are too many, the last one, and full().
  state add();
  [[nodiscard]] bool full() const { return full_; }
  void edge(state from, std::uint8_t first, std::uint8_t last, state to);
  void free_move(state from, state to, move m = move::always);
  // Edges from `from` to `to` that spell the characters of the ranges.
  void characters(state from, const std::vector<code_point_range>& ranges,
                  state to);
  // A rule of a grammar from `from` to `to`.
  void call(state from, std::uint32_t rule, state to);
  // A copy of `a` from `from` to `to`.
  void copy(const byte_automaton& a, state from, state to);

  // The smallest automaton of the texts that lead from `start` to `accepting`;
  // limit if it has more states than a byte_automaton may have.
  [[nodiscard]] result<byte_automaton> determinized(state start,
                                                    state accepting) const;

  // As determinized, with calls, and not made small: state 0 is where texts
  // begin. limit beyond byte_automaton::max_states states.
  struct call_edge {
    std::uint32_t rule;
    state to;
  };
  struct with_calls {
    std::array<std::uint8_t, 256> classes{};
    std::size_t n_classes = 0;
    std::vector<byte_automaton::state> next;  // [states][classes]
    std::vector<bool> accepting;
    std::vector<std::vector<call_edge>> calls;  // by state
  };
  [[nodiscard]] result<with_calls> determinized_calls(state start,
                                                      state accepting) const;

 private:
  friend class subset_construction;
  struct byte_edge {
    std::uint8_t first, last;
    state to;
  };
  struct free_edge {
    move when;
    state to;
  };
  struct node {
    std::vector<byte_edge> edges;
    std::vector<free_edge> moves;
    std::vector<call_edge> calls;
  };
  std::vector<node> nodes_;
  bool full_ = false;
};

TINYPHI_FUNC byte_nfa::state byte_nfa::add() {
  if (nodes_.size() >= max_states) {
    full_ = true;
  } else {
    nodes_.emplace_back();
  }
  return static_cast<state>(nodes_.size() - 1);
}

TINYPHI_FUNC void byte_nfa::edge(state from, std::uint8_t first,
                                 std::uint8_t last, state to) {
  nodes_[from].edges.push_back({first, last, to});
}

TINYPHI_FUNC void byte_nfa::free_move(state from, state to, move m) {
  nodes_[from].moves.push_back({m, to});
}

TINYPHI_FUNC void byte_nfa::call(state from, std::uint32_t rule, state to) {
  nodes_[from].calls.push_back({rule, to});
}

TINYPHI_FUNC void byte_nfa::characters(
    state from, const std::vector<code_point_range>& ranges, state to) {
  // Sequences that begin or go on alike share their states.
  std::map<std::pair<state, unsigned>, state> known;
  const auto key = [](utf8_sequence::bytes b) {
    return static_cast<unsigned>(b.first) << 8 | b.last;
  };
  for (const code_point_range& r : ranges) {
    each_utf8_sequence(r, [&](const utf8_sequence& s) {
      state at = from;
      for (std::size_t i = 0; i + 1 < s.size && !full_; ++i) {
        const utf8_sequence::bytes b = s.ranges[i];
        const auto [found, made] = known.try_emplace({at, key(b)}, 0);
        if (made) {
          found->second = add();
          edge(at, b.first, b.last, found->second);
        }
        at = found->second;
      }
      const utf8_sequence::bytes b = s.ranges[s.size - 1];
      edge(at, b.first, b.last, to);
    });
  }
}

TINYPHI_FUNC void byte_nfa::copy(const byte_automaton& a, state from,
                                 state to) {
  std::vector<state> copies(a.states());
  for (state& s : copies) s = add();
  if (full_ || a.empty()) return;
  free_move(from, copies[a.start()]);
  for (byte_automaton::state s = 0; s < a.states(); ++s) {
    if (a.accepting(s)) free_move(copies[s], to);
    for (unsigned b = 0; b < 256; ++b) {
      const auto next = a.next(s, static_cast<std::uint8_t>(b));
      if (next == byte_automaton::dead) continue;
      unsigned last = b;
      while (last < 255 &&
             a.next(s, static_cast<std::uint8_t>(last + 1)) == next) {
        ++last;
      }
      edge(copies[s], static_cast<std::uint8_t>(b),
           static_cast<std::uint8_t>(last), copies[next]);
      b = last;
    }
  }
}

// Sets of states become states, one for each that can be reached.
class subset_construction {
 public:
  using state = byte_nfa::state;

  subset_construction(const byte_nfa& nfa, state accepting)
      : nfa_(&nfa), accepting_(accepting), marks_(nfa.nodes_.size()) {
    find_classes();
  }

  // limit if there are more than max_states.
  result<byte_nfa::with_calls> make(state start, std::size_t max_states) {
    // The beginning is a state of its own: what may come there only, may come
    // nowhere else, even where the same states are reached.
    start_ = {start};
    close(start_, true);
    std::vector<state> ended = start_;
    close(ended, true, true);
    add(&start_, ended);
    for (std::size_t i = 0; i < sets_.size(); ++i) {
      for (std::size_t c = 0; c < out_.n_classes; ++c) {
        const auto next = step(*sets_[i], representatives_[c]);
        out_.next[i * out_.n_classes + c] = next;
      }
      call(i);
      if (sets_.size() > max_states || work_ > max_work) {
        return too_many_states();
      }
    }
    return std::move(out_);
  }

 private:
  // Bytes that no edge tells apart are one class.
  void find_classes() {
    std::array<bool, 257> begins{};
    for (const auto& n : nfa_->nodes_) {
      for (const auto& e : n.edges) {
        begins[e.first] = true;
        begins[e.last + 1u] = true;
      }
    }
    for (unsigned b = 0; b < 256; ++b) {
      if (b == 0 || begins[b]) {
        representatives_[out_.n_classes++] = static_cast<std::uint8_t>(b);
      }
      out_.classes[b] = static_cast<std::uint8_t>(out_.n_classes - 1);
    }
  }

  // Adds what free moves lead to, and sorts.
  void close(std::vector<state>& set, bool at_begin, bool at_end = false) {
    ++round_;
    for (const state s : set) marks_[s] = round_;
    for (std::size_t i = 0; i < set.size(); ++i) {
      for (const auto& m : nfa_->nodes_[set[i]].moves) {
        if ((m.when == byte_nfa::move::at_begin && !at_begin) ||
            (m.when == byte_nfa::move::at_end && !at_end) ||
            marks_[m.to] == round_) {
          continue;
        }
        marks_[m.to] = round_;
        set.push_back(m.to);
      }
    }
    std::ranges::sort(set);
    work_ += set.size();
  }

  byte_automaton::state step(const std::vector<state>& from,
                             std::uint8_t byte) {
    std::vector<state> to;
    ++round_;
    for (const state s : from) {
      work_ += nfa_->nodes_[s].edges.size();
      for (const auto& e : nfa_->nodes_[s].edges) {
        if (byte < e.first || byte > e.last || marks_[e.to] == round_) continue;
        marks_[e.to] = round_;
        to.push_back(e.to);
      }
    }
    return to.empty() ? byte_automaton::dead : number(std::move(to));
  }

  // The calls of a rule from one state come back to one state.
  void call(std::size_t from) {
    std::map<std::uint32_t, std::vector<state>> by_rule;
    for (const state s : *sets_[from]) {
      for (const auto& c : nfa_->nodes_[s].calls)
        by_rule[c.rule].push_back(c.to);
    }
    for (auto& [rule, to] : by_rule) {
      std::ranges::sort(to);
      to.erase(std::unique(to.begin(), to.end()), to.end());
      const byte_automaton::state back = number(std::move(to));
      out_.calls[from].push_back({rule, back});
    }
  }

  byte_automaton::state number(std::vector<state> set) {
    close(set, false);
    const auto [found, made] = numbers_.try_emplace(
        std::move(set), static_cast<byte_automaton::state>(sets_.size()));
    if (made) {
      std::vector<state> ended = found->first;
      close(ended, false, true);
      add(&found->first, ended);
    }
    return found->second;
  }

  void add(const std::vector<state>* set, const std::vector<state>& ended) {
    sets_.push_back(set);
    out_.next.resize(out_.next.size() + out_.n_classes, byte_automaton::dead);
    out_.accepting.push_back(std::ranges::binary_search(ended, accepting_));
    out_.calls.emplace_back();
  }

  // Edges and members of sets that are looked at: some 100 ms, and 64 MB at
  // most.
  static constexpr std::size_t max_work = std::size_t{1} << 24;

  const byte_nfa* nfa_;
  state accepting_;
  std::size_t work_ = 0;
  std::vector<std::size_t> marks_;
  std::size_t round_ = 0;
  std::array<std::uint8_t, 256> representatives_{};
  byte_nfa::with_calls out_;
  std::vector<state> start_;
  std::map<std::vector<state>, byte_automaton::state> numbers_;
  std::vector<const std::vector<state>*> sets_;
};

TINYPHI_FUNC result<byte_nfa::with_calls> byte_nfa::determinized_calls(
    state start, state accepting) const {
  if (full_) return too_many_states();
  return subset_construction(*this, accepting)
      .make(start, byte_automaton::max_states);
}

TINYPHI_FUNC result<byte_automaton> byte_nfa::determinized(
    state start, state accepting) const {
  if (full_) return too_many_states();
  // Many states may become few.
  TINYPHI_TRY(const with_calls made,
              subset_construction(*this, accepting)
                  .make(start, byte_automaton::max_states * 4));
  automaton_builder b(made.classes, made.n_classes);
  for (const bool accepts : made.accepting) b.add(accepts);
  for (std::size_t s = 0; s < made.accepting.size(); ++s) {
    for (std::size_t c = 0; c < made.n_classes; ++c) {
      b.edge(static_cast<byte_automaton::state>(s), c,
             made.next[s * made.n_classes + c]);
    }
  }
  return std::move(b).minimal();
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_CONSTRAIN_BYTE_NFA_IPP_
