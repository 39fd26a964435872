// SPDX-License-Identifier: MIT
#ifndef TINYPHI_CONSTRAIN_CONSTRAINT_IPP_
#define TINYPHI_CONSTRAIN_CONSTRAINT_IPP_

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "tinyphi/constrain/constraint.h"
#include "tinyphi/constrain/state_tokens.h"

TINYPHI_NAMESPACE_BEGIN

// The automata of a grammar, and tokens of states that answers have been in.
struct constraint::parts {
  static constexpr std::size_t max_cached = std::size_t{16} << 20;

  parts(token_trie t, rule_automata a)
      : trie(std::move(t)), automata(std::move(a)), known(automata.states()) {}

  // Null as state_tokens::find.
  std::shared_ptr<const state_tokens> tokens(rule_automata::state s) const {
    {
      const std::lock_guard lock(mutex);
      if (known[s]) return known[s];
    }
    // Two answers may find the same at a time; it is found alike.
    std::shared_ptr<const state_tokens> found =
        state_tokens::find(automata, trie, s);
    if (!found) return found;
    const std::lock_guard lock(mutex);
    if (cached + found->memory() > max_cached) {
      std::ranges::fill(known, nullptr);
      cached = 0;
    }
    if (!std::exchange(known[s], found)) cached += found->memory();
    return found;
  }

  // What may come first behind the space that SentencePiece puts in front of a
  // text and that is no part of it: by the tokens that are needed from then on.
  // Empty if there are too many ways.
  using by_least = std::map<std::uint32_t, token_set>;
  const by_least& first_spaced() const {
    const std::lock_guard lock(mutex);
    if (first) return *first;
    first.emplace();
    frame_table frames;
    grammar_walk walk(automata, frames);
    const grammar_config start = walk.start();
    const auto add = [&](token_trie::node n, const grammar_config& c) {
      if (trie.tokens(n).empty()) return;
      auto& set =
          first->try_emplace(walk.least(c), trie.vocab_size()).first->second;
      for (const token_id id : trie.tokens(n)) set.insert(id);
    };
    const token_trie::node space = trie.child(token_trie::root, ' ');
    // The space alone says nothing, so something must be able to follow.
    if (!walk.next_bytes(start).empty()) add(space, start);
    if (!each_reached(trie, space, start, walk, frames, add)) first->clear();
    return *first;
  }

  token_trie trie;
  rule_automata automata;
  std::vector<std::string> ignored;

  mutable std::mutex mutex;
  mutable std::vector<std::shared_ptr<const state_tokens>> known;  // by state
  mutable std::size_t cached = 0;  // bytes of `known`
  mutable std::optional<by_least> first;
};

TINYPHI_FUNC result<std::shared_ptr<constraint::parts>> constraint::make(
    const token_trie& t, const grammar& g) {
  TINYPHI_TRY(rule_automata a, rule_automata::create(g, t));
  frame_table frames;
  if (grammar_walk(a, frames).start().empty()) {
    return error{error_code::limit,
                 "the grammar begins in more than the " +
                     std::to_string(grammar_walk::max_entries) +
                     " ways that are allowed"};
  }
  return std::make_shared<parts>(t, std::move(a));
}

TINYPHI_FUNC result<constraint> constraint::create(const token_trie& t,
                                                   const grammar& g) {
  TINYPHI_TRY(auto made, make(t, g));
  return constraint(std::move(made));
}

TINYPHI_FUNC result<constraint> constraint::regex(const token_trie& t,
                                                  std::string_view pattern) {
  TINYPHI_TRY(const grammar g, regex_grammar(pattern));
  return create(t, g);
}

TINYPHI_FUNC result<constraint> constraint::choice(
    const token_trie& t, const std::vector<std::string>& texts) {
  TINYPHI_TRY(const grammar g, choice_grammar(texts));
  return create(t, g);
}

TINYPHI_FUNC result<constraint> constraint::gbnf(const token_trie& t,
                                                 std::string_view text) {
  TINYPHI_TRY(const grammar g, gbnf_grammar(text));
  return create(t, g);
}

TINYPHI_FUNC result<constraint> constraint::json_object(const token_trie& t,
                                                        json_gaps gaps) {
  return create(t, any_object_grammar(gaps));
}

namespace detail {

inline error first_of(const schema::faults& faults) {
  std::string message = to_string(faults.front());
  if (faults.size() > 1) {
    message += " (and " + std::to_string(faults.size() - 1) + " more)";
  }
  return {error_code::bad_data, std::move(message)};
}

}  // namespace detail

TINYPHI_FUNC result<constraint> constraint::json_schema(
    const token_trie& t, std::string_view schema_text, const json_form& form) {
  const auto s = schema::read(schema_text, form.schema);
  if (!s) return detail::first_of(s.error());
  return json_schema(t, *s, form.gaps);
}

TINYPHI_FUNC result<constraint> constraint::json_schema(const token_trie& t,
                                                        const schema& s,
                                                        json_gaps gaps) {
  const auto g = schema_grammar(s, gaps);
  if (!g) return detail::first_of(g.error());
  TINYPHI_TRY(auto made, make(t, *g));
  made->ignored = s.ignored();
  return constraint(std::move(made));
}

TINYPHI_FUNC bool constraint::accepts(std::string_view text) const {
  frame_table frames;
  grammar_walk walk(parts_->automata, frames);
  grammar_config at = walk.start(), next;
  for (const char c : text) {
    if (!walk.step(at, static_cast<std::uint8_t>(c), next) || next.empty()) {
      return false;
    }
    std::swap(at, next);
  }
  return walk.may_end(at);
}

TINYPHI_FUNC std::size_t constraint::shortest() const {
  return matcher(*this).shortest();
}

TINYPHI_FUNC const std::vector<std::string>& constraint::ignored() const {
  return parts_->ignored;
}

TINYPHI_FUNC const token_trie& constraint::vocabulary() const {
  return parts_->trie;
}

TINYPHI_FUNC std::size_t constraint::bytes() const {
  const std::lock_guard lock(parts_->mutex);
  const std::size_t first = parts_->first ? parts_->first->size() : 0;
  return sizeof(parts) + parts_->automata.memory() + parts_->cached +
         parts_->known.capacity() * sizeof(parts_->known[0]) +
         first * (sizeof(token_set) + parts_->trie.vocab_size() / 8);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_CONSTRAIN_CONSTRAINT_IPP_
