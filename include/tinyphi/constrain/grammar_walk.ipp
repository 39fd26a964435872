// SPDX-License-Identifier: MIT
#ifndef TINYPHI_CONSTRAIN_GRAMMAR_WALK_IPP_
#define TINYPHI_CONSTRAIN_GRAMMAR_WALK_IPP_

#include <algorithm>

#include "tinyphi/constrain/grammar_walk.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC frame_table::index frame_table::push(const rule_automata& a,
                                                  index parent,
                                                  rule_automata::state back,
                                                  std::uint32_t counter) {
  frame f{.parent = parent, .back = back, .counter = counter};
  f.rest = a.least(back, counter);
  if (parent != none) {
    f.depth = frames_[parent].depth + 1;
    f.rest = static_cast<std::uint32_t>(std::min(
        std::uint64_t{f.rest} + frames_[parent].rest, std::uint64_t{1} << 31));
  }
  const std::uint64_t h = hash(f);
  const auto [first, last] = numbers_.equal_range(h);
  for (auto i = first; i != last; ++i) {
    if (frames_[i->second] == f) return i->second;
  }
  if (frames_.size() >= max_frames || f.depth >= max_depth) return none;
  const auto made = static_cast<index>(frames_.size());
  frames_.push_back(f);
  numbers_.emplace(h, made);
  return made;
}

TINYPHI_FUNC void frame_table::shrink(std::size_t size) {
  while (frames_.size() > size) {
    const auto gone = static_cast<index>(frames_.size() - 1);
    const auto [first, last] = numbers_.equal_range(hash(frames_.back()));
    numbers_.erase(std::find_if(
        first, last, [&](const auto& n) { return n.second == gone; }));
    frames_.pop_back();
  }
}

TINYPHI_FUNC bool grammar_walk::add(grammar_config& c,
                                    const grammar_entry& e) const {
  for (grammar_entry& known : c) {
    if (known.state == e.state && known.frame == e.frame &&
        known.counter == e.counter) {
      // The one that asks less of the counter holds wherever the other does.
      known.begun = std::min(known.begun, e.begun);
      return true;
    }
  }
  if (c.size() >= max_entries) return false;
  c.push_back(e);
  return true;
}

TINYPHI_FUNC bool grammar_walk::expand(grammar_config& c, std::size_t i) {
  const grammar_entry e = c[i];
  const bool outside = open_ && e.frame == frame_table::none;
  if (!outside && e.frame != frame_table::none &&
      a_->may_end(e.state, e.counter)) {
    const frame_table::frame& f = (*frames_)[e.frame];
    if (!add(c, {f.back, f.parent, f.counter, e.begun})) return false;
  }
  if (!may_go_on(e)) return true;
  for (const rule_automata::call& call : a_->calls(e.state)) {
    const std::uint32_t counter =
        call.counts
            ? (outside ? e.counter + 1 : a_->counted(e.state, e.counter))
            : e.counter;
    const frame_table::index f = frames_->push(*a_, e.frame, call.to, counter);
    if (f == frame_table::none) return false;
    std::uint32_t begun = e.begun;
    if (outside && a_->asks_max(e.state)) {
      begun = std::max(begun, e.counter + 1);
    }
    if (!add(c, {a_->rule_at(call.rule).start, f, 0, begun})) return false;
  }
  return true;
}

TINYPHI_FUNC bool grammar_walk::close(grammar_config& c) {
  for (std::size_t i = 0; i < c.size(); ++i) {
    if (!expand(c, i)) return false;
  }
  return true;
}

TINYPHI_FUNC grammar_config grammar_walk::start() {
  grammar_config c{{a_->start_rule().start, frame_table::none, 0, 0}};
  if (!close(c)) c.clear();
  return c;
}

TINYPHI_FUNC bool grammar_walk::step(const grammar_config& from,
                                     std::uint8_t byte, grammar_config& to) {
  to.clear();
  for (const grammar_entry& e : from) {
    if (!may_go_on(e)) continue;
    const auto move = a_->next(e.state, byte);
    if (move.to == rule_automata::dead) continue;
    const bool outside = open_ && e.frame == frame_table::none;
    grammar_entry next{move.to, e.frame, e.counter, e.begun};
    if (outside && a_->asks_max(e.state)) {
      next.begun = std::max(e.begun, e.counter + 1);
    }
    if (move.counts) {
      next.counter = outside ? e.counter + 1 : a_->counted(e.state, e.counter);
    }
    if (!add(to, next)) return false;
  }
  moved_ = to.size();
  return close(to);
}

TINYPHI_FUNC bool grammar_walk::may_end(const grammar_config& c) const {
  return std::ranges::any_of(c, [&](const grammar_entry& e) {
    return e.frame == frame_table::none && a_->may_end(e.state, e.counter);
  });
}

TINYPHI_FUNC byte_set grammar_walk::next_bytes(const grammar_config& c) const {
  byte_set out;
  for (const grammar_entry& e : c) {
    if (!may_go_on(e)) continue;
    for (unsigned b = 0; b < 256; ++b) {
      const auto byte = static_cast<std::uint8_t>(b);
      if (a_->next(e.state, byte).to != rule_automata::dead) out.insert(byte);
    }
  }
  return out;
}

TINYPHI_FUNC std::uint32_t grammar_walk::least(const grammar_entry& e) const {
  constexpr std::uint64_t most = std::uint64_t{1} << 31;
  std::uint64_t n = a_->least(e.state, e.counter);
  if (e.frame != frame_table::none) n += (*frames_)[e.frame].rest;
  return static_cast<std::uint32_t>(std::min(n, most));
}

TINYPHI_FUNC std::uint32_t grammar_walk::least(const grammar_config& c) const {
  std::uint32_t n = ~std::uint32_t{0};
  for (const grammar_entry& e : c) n = std::min(n, least(e));
  return n;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_CONSTRAIN_GRAMMAR_WALK_IPP_
