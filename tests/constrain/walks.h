// SPDX-License-Identifier: MIT
// Walks over tokens beside the oracle, for the tests of matchers.
#ifndef TESTS_CONSTRAIN_WALKS_H_
#define TESTS_CONSTRAIN_WALKS_H_

#include <algorithm>
#include <map>
#include <random>
#include <string>

#include "constrain/grammar_cases.h"

namespace tinyphi_test {

// So many tokens that no answer has to hurry.
inline constexpr std::size_t unhurried = 1'000'000;

// The text of tokens as decoding gives it, but byte for byte.
class answer {
 public:
  explicit answer(const tinyphi::tokenizer& t) : t_(&t) {}

  [[nodiscard]] std::string with(tinyphi::token_id id) const {
    return stripped(raw_ + std::string(t_->bytes(id)));
  }
  void add(tinyphi::token_id id) { raw_ += t_->bytes(id); }
  [[nodiscard]] std::string text() const { return stripped(raw_); }

 private:
  [[nodiscard]] std::string stripped(std::string raw) const {
    if (t_->strips_leading_space() && raw.starts_with(' ')) raw.erase(0, 1);
    return raw;
  }
  const tinyphi::tokenizer* t_;
  std::string raw_;
};

inline tinyphi::token_set mask_of(const tinyphi::matcher& m,
                                  std::size_t tokens_left = unhurried) {
  tinyphi::token_set mask;
  const auto got = m.allowed(mask, tokens_left);
  REQUIRE_OK(got);
  return mask;
}

inline void accept(tinyphi::matcher& m, tinyphi::token_id id) {
  const auto accepted = m.accept(id);
  REQUIRE_OK(accepted);
}

// All that may stand in an answer: what a grammar of any bytes allows.
inline tinyphi::token_set all_tokens(const tinyphi::token_trie& t) {
  using tinyphi::byte_automaton;
  tinyphi::grammar g;
  const auto any =
      g.automaton(byte_automaton::one_of(tinyphi::byte_set::range(0, 255)));
  g.start = g.rule("any", g.repeat(any, 0, byte_automaton::no_limit));
  return mask_of(tinyphi::matcher(make_constraint(t, g)));
}

// The tokens of `all` after which some text of the grammar can come about.
inline tinyphi::token_set expected_mask(grammar_oracle& oracle,
                                        const answer& so_far,
                                        const tinyphi::token_set& all) {
  std::map<std::string, bool> alive;  // each beginning is looked at once
  const auto ask = [&](const std::string& text) {
    const auto found = alive.find(text);
    if (found != alive.end()) return found->second;
    return alive[text] = oracle.can_become(text);
  };
  tinyphi::token_set mask(all.size());
  const std::size_t known = so_far.text().size();
  all.for_each([&](tinyphi::token_id id) {
    const std::string text = so_far.with(id);
    bool ok = true;
    for (std::size_t n = std::min(known + 1, text.size()); ok; ++n) {
      ok = ask(text.substr(0, n));
      if (n >= text.size()) break;
    }
    if (ok) mask.insert(id);
  });
  return mask;
}

// One of the set's tokens, which is not empty.
inline tinyphi::token_id pick(const tinyphi::token_set& mask,
                              std::mt19937& random) {
  std::size_t n = random() % mask.count();
  tinyphi::token_id chosen = -1;
  mask.for_each([&](tinyphi::token_id id) {
    if (n-- == 0) chosen = id;
  });
  return chosen;
}

// All that a matcher says of its state, so that two can be compared.
struct matcher_view {
  tinyphi::token_set mask;
  std::size_t shortest, length;
  bool may_end, must_end, free_text;

  explicit matcher_view(const tinyphi::matcher& m)
      : mask(mask_of(m)),
        shortest(m.shortest()),
        length(m.length()),
        may_end(m.may_end()),
        must_end(m.must_end()),
        free_text(m.in_free_text()) {}
  friend bool operator==(const matcher_view&, const matcher_view&) = default;
};

}  // namespace tinyphi_test

#endif  // TESTS_CONSTRAIN_WALKS_H_
