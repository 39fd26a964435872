// SPDX-License-Identifier: MIT
// Answers under a constraint that are chosen by bytes from outside, for
// fuzzers.
#ifndef TESTS_SUPPORT_SHAPED_WALK_H_
#define TESTS_SUPPORT_SHAPED_WALK_H_

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "tinyphi/constrain/constraint.h"

namespace tinyphi_test {

// A vocabulary of all bytes and a few words.
inline const tinyphi::token_trie& small_trie() {
  static const tinyphi::token_trie trie = [] {
    tinyphi::vocabulary v;
    v.kind = tinyphi::bpe_kind::byte_level;
    for (int b = 0; b < 256; ++b) {
      v.pieces.emplace_back(1, static_cast<char>(b));
    }
    for (const char* word : {"{\"", "\":", "\",", "\"}", "true", "null", "12",
                             "ab", " \"", "]}", "é", "é\""}) {
      v.pieces.emplace_back(word);
    }
    auto t = tinyphi::tokenizer::create(std::move(v));
    if (!t) std::abort();
    auto made = tinyphi::token_trie::create(*t);
    if (!made) std::abort();
    return *std::move(made);
  }();
  return trie;
}

// An answer of at most 64 tokens more than the shortest; nothing if the
// constraint became too ambiguous. Aborts where an answer cannot go on, or a
// token that is allowed is not accepted.
inline std::optional<std::string> shaped_answer(const tinyphi::constraint& c,
                                                std::string_view choices) {
  std::uint64_t state = 0x9E3779B97F4A7C15;
  std::size_t at = 0;
  const auto draw = [&] {
    if (at < choices.size()) state ^= static_cast<unsigned char>(choices[at++]);
    state = state * 6364136223846793005 + 1442695040888963407;
    return static_cast<std::size_t>(state >> 33);
  };
  tinyphi::matcher m(c);
  std::size_t left = c.shortest() + draw() % 64;
  std::string text;
  tinyphi::token_set next;
  while (!m.must_end() && !(m.may_end() && (left == 0 || draw() % 4 == 0))) {
    if (!m.allowed(next, left)) return std::nullopt;
    const std::size_t n = next.count();
    if (n == 0 && m.may_end()) break;
    if (n == 0) std::abort();
    std::size_t k = draw() % n;
    tinyphi::token_id id = 0;
    next.for_each([&](tinyphi::token_id x) {
      if (k-- == 0) id = x;
    });
    if (!m.accept(id)) return std::nullopt;
    text += c.vocabulary().bytes(id);
    --left;
  }
  if (!c.accepts(text)) std::abort();
  return text;
}

}  // namespace tinyphi_test

#endif  // TESTS_SUPPORT_SHAPED_WALK_H_
