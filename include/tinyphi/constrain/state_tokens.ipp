// SPDX-License-Identifier: MIT
#ifndef TINYPHI_CONSTRAIN_STATE_TOKENS_IPP_
#define TINYPHI_CONSTRAIN_STATE_TOKENS_IPP_

#include <algorithm>
#include <map>
#include <utility>

#include "tinyphi/constrain/state_tokens.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC state_tokens::place state_tokens::place_of(
    const rule_automata& a, const frame_table& frames, const grammar_entry& e) {
  if (e.frame == frame_table::none) return {e.state, e.counter, 0, e.begun};
  constexpr std::uint64_t most = std::uint64_t{1} << 31;
  std::uint64_t below = a.least(e.state, e.counter);
  frame_table::index at = e.frame;
  for (; frames[at].parent != frame_table::none; at = frames[at].parent) {
    below += a.least(frames[at].back, frames[at].counter);
  }
  return {frames[at].back, frames[at].counter,
          static_cast<std::uint32_t>(std::min(below, most)), e.begun};
}

TINYPHI_FUNC std::shared_ptr<const state_tokens> state_tokens::find(
    const rule_automata& a, const token_trie& t, rule_automata::state s) {
  frame_table frames;
  grammar_walk walk(a, frames, true);
  auto out = std::make_shared<state_tokens>();
  std::map<std::vector<place>, std::vector<token_id>> by_places;
  // Only the first byte is the state's own: what its calls lead to has a state,
  // and so tokens, of its own.
  const grammar_config from{{s, frame_table::none, 0, 0}};
  const bool whole = each_reached(
      t, token_trie::root, from, walk, frames,
      [&](token_trie::node n, const grammar_config& c) {
        if (const auto tokens = t.tokens(n); !tokens.empty()) {
          std::vector<place> places;
          for (std::size_t i = 0; i < walk.moved(); ++i) {
            places.push_back(place_of(a, frames, c[i]));
          }
          std::ranges::sort(places);
          places.erase(std::unique(places.begin(), places.end()), places.end());
          auto& ids = by_places[std::move(places)];
          ids.insert(ids.end(), tokens.begin(), tokens.end());
        }
        if (t.end(n) == n + 1) return;
        for (const grammar_entry& e : c) {
          if (e.frame != frame_table::none ||
              a.ends(e.state) == rule_automata::ending::never) {
            continue;
          }
          const bool asks_min =
              a.ends(e.state) == rule_automata::ending::counted;
          for (token_trie::node m = n + 1; m < t.end(n); m = t.end(m)) {
            out->exits_.push_back({t.byte(m), asks_min, m, e.counter, e.begun});
          }
        }
      });
  if (!whole) return nullptr;
  std::ranges::stable_sort(out->exits_, {}, &exit::byte);
  out->exits_.shrink_to_fit();
  out->memory_ = sizeof(state_tokens) + out->exits_.capacity() * sizeof(exit);
  for (auto& [places, ids] : by_places) {
    group g{.places = places, .few = {}, .many = {}};
    if (ids.size() * sizeof(token_id) > t.vocab_size() / 8) {
      g.many = token_set(t.vocab_size());
      for (const token_id id : ids) g.many.insert(id);
    } else {
      g.few = std::move(ids);
    }
    out->memory_ += sizeof(group) + g.places.size() * sizeof(place) +
                    g.few.capacity() * sizeof(token_id) +
                    g.many.words().size_bytes();
    out->groups_.push_back(std::move(g));
  }
  return out;
}

TINYPHI_FUNC bool state_tokens::may_be(const rule_automata::rule& r,
                                       const grammar_entry& e,
                                       std::uint32_t begun) {
  return begun == 0 || r.max == rule_automata::no_limit ||
         e.counter + begun <= r.max;
}

TINYPHI_FUNC bool state_tokens::add_to(token_set& out, const rule_automata& a,
                                       const token_trie& t, frame_table& frames,
                                       const grammar_entry& e,
                                       std::size_t tokens_left) const {
  const rule_automata::rule& r = a.rule_of(e.state);
  const std::uint64_t rest =
      e.frame == frame_table::none ? 0 : frames[e.frame].rest;
  for (const group& g : groups_) {
    const bool fits = std::ranges::any_of(g.places, [&](const place& p) {
      return may_be(r, e, p.begun) &&
             std::uint64_t{p.below} + a.least(p.state, e.counter + p.counter) +
                     rest <
                 tokens_left;
    });
    if (!fits) continue;
    if (g.many.size() > 0) out |= g.many;
    for (const token_id id : g.few) out.insert(id);
  }
  if (e.frame == frame_table::none || exits_.empty()) return true;

  // What the caller cannot go on with is passed over whole: behind a string's
  // body only a quote can come, whatever stands before it.
  const std::size_t before = frames.size();
  grammar_walk walk(a, frames);
  const frame_table::frame caller = frames[e.frame];
  grammar_config back{{caller.back, caller.parent, caller.counter, 0}}, after;
  bool whole = walk.close(back);
  const byte_set bytes = whole ? walk.next_bytes(back) : byte_set();
  const auto add = [&](token_trie::node n, const grammar_config& c) {
    if (t.tokens(n).empty() || walk.least(c) >= tokens_left) return;
    for (const token_id id : t.tokens(n)) out.insert(id);
  };
  for (auto x = exits_.begin(); whole && x != exits_.end();) {
    const std::uint8_t byte = x->byte;
    if (!bytes.contains(byte)) {
      x = std::ranges::upper_bound(x, exits_.end(), byte, {}, &exit::byte);
      continue;
    }
    whole = walk.step(back, byte, after);
    for (; whole && x != exits_.end() && x->byte == byte; ++x) {
      if (!may_be(r, e, x->begun) ||
          (x->asks_min && e.counter + x->counter < r.min)) {
        continue;
      }
      add(x->node, after);
      whole = each_reached(t, x->node, after, walk, frames, add);
    }
  }
  frames.shrink(before);
  return whole;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_CONSTRAIN_STATE_TOKENS_IPP_
