// SPDX-License-Identifier: MIT
// Where a text stands in a grammar, and how a byte moves it on.
#ifndef TINYPHI_CONSTRAIN_GRAMMAR_WALK_H_
#define TINYPHI_CONSTRAIN_GRAMMAR_WALK_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tinyphi/constrain/rule_automaton.h"

TINYPHI_NAMESPACE_BEGIN

// Calls that wait for their rule's end. Equal ones are one, so that frames are
// compared by their numbers. A table belongs to one walk.
class frame_table {
 public:
  using index = std::uint32_t;
  static constexpr index none = ~index{0};  // below the first rule
  static constexpr std::size_t max_frames = std::size_t{1} << 20;
  static constexpr std::uint32_t max_depth = 4096;

  struct frame {
    index parent = none;
    rule_automata::state back = 0;  // where the caller goes on
    std::uint32_t counter = 0;      // the caller's, from then on
    std::uint32_t depth = 0;
    std::uint32_t rest = 0;  // tokens to the text's end once it is back
    friend bool operator==(const frame&, const frame&) = default;
  };

  [[nodiscard]] const frame& operator[](index i) const { return frames_[i]; }
  [[nodiscard]] std::size_t size() const { return frames_.size(); }
  // `none` if there are too many, or too deep.
  index push(const rule_automata& a, index parent, rule_automata::state back,
             std::uint32_t counter);
  // Forgets the frames from `size` on.
  void shrink(std::size_t size);

 private:
  static std::uint64_t hash(const frame& f) {
    std::uint64_t h = f.parent;
    for (const std::uint64_t x :
         {std::uint64_t{f.back}, std::uint64_t{f.counter}}) {
      h = (h ^ x) * 0x9E3779B97F4A7C15;
      h ^= h >> 29;
    }
    return h;
  }
  std::vector<frame> frames_;
  std::unordered_multimap<std::uint64_t, index> numbers_;
};

// One way of reading what has come: a state of a rule, its counter, and the
// calls that wait. `begun`: of a rule whose counter is not known, the most
// repetitions of it that were begun.
struct grammar_entry {
  rule_automata::state state = 0;
  frame_table::index frame = frame_table::none;
  std::uint32_t counter = 0;
  std::uint32_t begun = 0;
};

// All ways of reading it; empty if there is none. Closed: with what calls and
// ends of rules lead to without a byte.
using grammar_config = std::vector<grammar_entry>;

// Steps of configs over one frame table. An open walk starts in the middle of a
// rule whose caller and counter are not known: it never asks the counter of
// entries without a frame, and does not go on behind their rule's end.
class grammar_walk {
 public:
  static constexpr std::size_t max_entries = 256;

  grammar_walk(const rule_automata& a, frame_table& frames, bool open = false)
      : a_(&a), frames_(&frames), open_(open) {}

  [[nodiscard]] grammar_config start();
  // `to` becomes where `from` is after a byte. False if there is more to keep
  // than the limits allow.
  [[nodiscard]] bool step(const grammar_config& from, std::uint8_t byte,
                          grammar_config& to);
  // Adds what calls and ends of rules lead to. False as step.
  [[nodiscard]] bool close(grammar_config& c);
  // The first entries of what step made last are those that the byte led to;
  // none of the others is nearer to an end.
  [[nodiscard]] std::size_t moved() const { return moved_; }

  // Whether the whole text may end here (not in an open walk).
  [[nodiscard]] bool may_end(const grammar_config& c) const;
  // The bytes that may come next.
  [[nodiscard]] byte_set next_bytes(const grammar_config& c) const;
  // Tokens from here to the text's end.
  [[nodiscard]] std::uint32_t least(const grammar_config& c) const;
  [[nodiscard]] std::uint32_t least(const grammar_entry& e) const;
  // Whether bytes or calls may follow, as far as the counter goes.
  [[nodiscard]] bool may_go_on(const grammar_entry& e) const {
    return (open_ && e.frame == frame_table::none) ||
           a_->may_go_on(e.state, e.counter);
  }

 private:
  bool add(grammar_config& c, const grammar_entry& e) const;
  bool expand(grammar_config& c, std::size_t i);

  const rule_automata* a_;
  frame_table* frames_;
  bool open_;
  std::size_t moved_ = 0;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/constrain/grammar_walk.ipp"
#endif

#endif  // TINYPHI_CONSTRAIN_GRAMMAR_WALK_H_
