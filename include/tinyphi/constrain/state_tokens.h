// SPDX-License-Identifier: MIT
// The tokens that may follow a state of a rule, whoever has called the rule and
// whatever its counter is: found once, and asked for each answer.
#ifndef TINYPHI_CONSTRAIN_STATE_TOKENS_H_
#define TINYPHI_CONSTRAIN_STATE_TOKENS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "tinyphi/constrain/grammar_walk.h"
#include "tinyphi/constrain/token_set.h"
#include "tinyphi/constrain/token_trie.h"

TINYPHI_NAMESPACE_BEGIN

// Tokens whose first byte is one of the state's own. Immutable; any thread.
class state_tokens {
 public:
  // Nothing if the limits of grammar_walk are reached on the way.
  [[nodiscard]] static std::shared_ptr<const state_tokens> find(
      const rule_automata& a, const token_trie& t, rule_automata::state s);

  // Adds to `out` what may follow entry `e`, whose state it is, with an end
  // that can be reached with tokens_left tokens, the one that follows among
  // them. False as grammar_walk::step.
  [[nodiscard]] bool add_to(token_set& out, const rule_automata& a,
                            const token_trie& t, frame_table& frames,
                            const grammar_entry& e,
                            std::size_t tokens_left) const;
  [[nodiscard]] std::size_t memory() const { return memory_; }

 private:
  // Where a token leads: a state of this rule, and what calls below cost still.
  struct place {
    rule_automata::state state;
    std::uint32_t counter;  // more than before
    std::uint32_t below;    // tokens until this rule goes on
    std::uint32_t begun;
    friend auto operator<=>(const place&, const place&) = default;
  };
  struct group {
    std::vector<place> places;
    std::vector<token_id> few;
    token_set many;  // instead of `few`, where it is smaller
  };
  // The first byte of a token that stands behind the rule's end: its node, and
  // what must hold of the counter before it.
  struct exit {
    std::uint8_t byte;
    bool asks_min;
    token_trie::node node;
    std::uint32_t counter, begun;
  };
  [[nodiscard]] static place place_of(const rule_automata& a,
                                      const frame_table& frames,
                                      const grammar_entry& e);
  [[nodiscard]] static bool may_be(const rule_automata::rule& r,
                                   const grammar_entry& e, std::uint32_t begun);

  std::vector<group> groups_;
  std::vector<exit> exits_;  // in the order of their bytes
  std::size_t memory_ = 0;
};

// Calls f(node, config) for each node below `v` that a text reaches which stood
// at `from` before the node's last bytes; `frames` is as before at the end.
// False if a step was.
template <typename F>
[[nodiscard]] bool each_reached(const token_trie& t, token_trie::node v,
                                const grammar_config& from, grammar_walk& walk,
                                frame_table& frames, F&& f) {
  struct level {
    token_trie::node end;
    std::size_t frames;
    grammar_config config;
  };
  const std::size_t before = frames.size();
  std::vector<level> levels;
  levels.push_back({t.end(v), before, from});
  std::size_t depth = 0;
  for (token_trie::node n = v + 1; n < t.end(v);) {
    while (n >= levels[depth].end) --depth;
    frames.shrink(levels[depth].frames);
    if (levels.size() == depth + 1) levels.emplace_back();
    level& next = levels[depth + 1];
    if (!walk.step(levels[depth].config, t.byte(n), next.config)) {
      frames.shrink(before);
      return false;
    }
    if (next.config.empty()) {
      n = t.end(n);
      continue;
    }
    f(n, std::as_const(next.config));
    next.end = t.end(n);
    next.frames = frames.size();
    if (t.end(n) > n + 1) ++depth;
    ++n;
  }
  frames.shrink(before);
  return true;
}

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/constrain/state_tokens.ipp"
#endif

#endif  // TINYPHI_CONSTRAIN_STATE_TOKENS_H_
