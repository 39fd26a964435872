// SPDX-License-Identifier: MIT
#ifndef TINYPHI_CONSTRAIN_MATCHER_IPP_
#define TINYPHI_CONSTRAIN_MATCHER_IPP_

#include <algorithm>
#include <deque>
#include <utility>

#include "tinyphi/constrain/constraint.ipp"

TINYPHI_NAMESPACE_BEGIN

struct matcher::state {
  // Frames that nothing refers to any more are dropped from then on.
  std::size_t many_frames = std::size_t{1} << 15;

  explicit state(constraint given) : c(std::move(given)) {
    grammar_walk w = walk();
    now = w.start();
  }

  [[nodiscard]] const constraint::parts& shared() const { return *c.parts_; }
  [[nodiscard]] const token_trie& trie() const { return c.parts_->trie; }
  [[nodiscard]] grammar_walk walk() const {
    return {c.parts_->automata, frames};
  }
  // What SentencePiece puts in front of a text's first piece is no part of it.
  [[nodiscard]] bool drops_space(std::string_view bytes) const {
    return ids.empty() && bytes.starts_with(' ') &&
           trie().source().strips_leading_space();
  }
  // What a token adds to the text here.
  [[nodiscard]] std::string_view added(token_id id) const {
    std::string_view bytes = trie().bytes(id);
    if (drops_space(bytes)) bytes.remove_prefix(1);
    return bytes;
  }

  // `to` becomes where `bytes` lead from here; empty if nowhere.
  [[nodiscard]] result<void> follow(std::string_view bytes,
                                    grammar_config& to) const {
    grammar_walk w = walk();
    grammar_config next;
    const std::size_t before = frames.size();
    to = now;
    // A space that is dropped says nothing, so something must be able to
    // follow.
    if (bytes.empty() && w.next_bytes(now).empty()) to.clear();
    for (const char b : bytes) {
      if (!w.step(to, static_cast<std::uint8_t>(b), next)) {
        frames.shrink(before);
        return too_much();
      }
      std::swap(to, next);
      if (to.empty()) break;
    }
    return {};
  }

  static error too_much() {
    return {error_code::limit,
            "the answer's shape became too ambiguous or too deep to follow: " +
                std::to_string(grammar_walk::max_entries) + " ways and " +
                std::to_string(frame_table::max_depth) +
                " nested parts are allowed"};
  }

  // Keeps the frames that configs refer to.
  void drop_frames() {
    std::vector<frame_table::index> number(frames.size(), frame_table::none);
    std::vector<bool> used(frames.size());
    const auto each = [&](auto&& f) {
      for (grammar_config& p : past) f(p);
      f(now);
    };
    each([&](const grammar_config& p) {
      for (const grammar_entry& e : p) {
        for (auto i = e.frame; i != frame_table::none && !used[i];
             i = frames[i].parent) {
          used[i] = true;
        }
      }
    });
    frame_table kept;
    const auto renumbered = [&](frame_table::index i) {
      return i == frame_table::none ? i : number[i];
    };
    for (std::size_t i = 0; i < used.size(); ++i) {
      if (!used[i]) continue;
      const auto& f = frames[static_cast<frame_table::index>(i)];
      number[i] =
          kept.push(shared().automata, renumbered(f.parent), f.back, f.counter);
    }
    each([&](grammar_config& p) {
      for (grammar_entry& e : p) e.frame = renumbered(e.frame);
    });
    frames = std::move(kept);
    many_frames = std::max(many_frames, 2 * frames.size());
  }

  constraint c;
  // What computes may add frames, which say nothing of the answer.
  mutable frame_table frames;
  grammar_config now;
  std::deque<grammar_config> past;  // before each of the last tokens
  std::vector<token_id> ids;
};

TINYPHI_FUNC matcher::matcher(constraint c)
    : state_(std::make_unique<state>(std::move(c))) {}
TINYPHI_FUNC matcher::~matcher() = default;
TINYPHI_FUNC matcher::matcher(const matcher& other)
    : state_(std::make_unique<state>(*other.state_)) {}
TINYPHI_FUNC matcher::matcher(matcher&&) noexcept = default;
TINYPHI_FUNC matcher& matcher::operator=(const matcher& other) {
  if (this != &other) *state_ = *other.state_;
  return *this;
}
TINYPHI_FUNC matcher& matcher::operator=(matcher&&) noexcept = default;

TINYPHI_FUNC result<bool> matcher::allows(token_id id,
                                          std::size_t tokens_left) const {
  if (state_->trie().bytes(id).empty()) return false;
  grammar_config to;
  const std::size_t before = state_->frames.size();
  TINYPHI_CHECK_OK(state_->follow(state_->added(id), to));
  const bool lands = !to.empty() && state_->walk().least(to) < tokens_left;
  state_->frames.shrink(before);
  return lands;
}

TINYPHI_FUNC result<void> matcher::allowed(token_set& out,
                                           std::size_t tokens_left) const {
  const token_trie& t = state_->trie();
  const rule_automata& a = state_->shared().automata;
  if (out.size() == t.vocab_size()) {
    out.clear();
  } else {
    out = token_set(t.vocab_size());
  }
  for (const grammar_entry& e : state_->now) {
    if (!a.may_go_on(e.state, e.counter)) continue;
    const auto tokens = state_->shared().tokens(e.state);
    if (!tokens || !tokens->add_to(out, a, t, state_->frames, e, tokens_left)) {
      return state::too_much();
    }
  }
  if (!state_->drops_space(" ")) return {};
  // The first token's space is dropped, so it may come, and is not the text's.
  out -= t.spaced();
  for (const auto& [least, tokens] : state_->shared().first_spaced()) {
    if (least < tokens_left) out |= tokens;
  }
  return {};
}

TINYPHI_FUNC result<void> matcher::accept(token_id id) {
  const auto refuse = [&] {
    return error{error_code::invalid_argument,
                 "token " + std::to_string(id) +
                     " does not fit the answer's shape at token " +
                     std::to_string(state_->ids.size() + 1)};
  };
  if (state_->trie().bytes(id).empty()) return refuse();
  grammar_config to;
  const std::size_t before = state_->frames.size();
  TINYPHI_CHECK_OK(state_->follow(state_->added(id), to));
  if (to.empty()) {
    state_->frames.shrink(before);
    return refuse();
  }
  state_->past.push_back(std::exchange(state_->now, std::move(to)));
  if (state_->past.size() > max_rollback) state_->past.pop_front();
  state_->ids.push_back(id);
  if (state_->frames.size() > state_->many_frames) state_->drop_frames();
  return {};
}

TINYPHI_FUNC void matcher::rollback(std::size_t tokens) {
  TINYPHI_ASSERT(tokens <= state_->past.size());
  if (tokens == 0) return;
  const std::size_t kept = state_->past.size() - tokens;
  state_->now = std::move(state_->past[kept]);
  state_->past.resize(kept);
  state_->ids.resize(state_->ids.size() - tokens);
}

TINYPHI_FUNC std::size_t matcher::length() const { return state_->ids.size(); }

TINYPHI_FUNC std::size_t matcher::shortest() const {
  // A text that begins with a space needs one more in front.
  const grammar_walk walk = state_->walk();
  const bool spaced =
      state_->drops_space(" ") && walk.next_bytes(state_->now).contains(' ');
  return std::size_t{walk.least(state_->now)} + (spaced ? 1 : 0);
}

TINYPHI_FUNC bool matcher::may_end() const {
  return state_->walk().may_end(state_->now);
}

TINYPHI_FUNC bool matcher::must_end() const {
  return may_end() && state_->walk().next_bytes(state_->now).empty();
}

TINYPHI_FUNC bool matcher::in_free_text() const {
  return std::ranges::any_of(state_->now, [&](const grammar_entry& e) {
    return state_->shared().automata.rule_of(e.state).free_text;
  });
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_CONSTRAIN_MATCHER_IPP_
