// SPDX-License-Identifier: MIT
// Small grammars and vocabularies, some made by hand and many by chance.
#ifndef TESTS_CONSTRAIN_GRAMMAR_CASES_H_
#define TESTS_CONSTRAIN_GRAMMAR_CASES_H_

#include <cstdio>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "constrain/grammar_oracle.h"
#include "support/tokenizers.h"
#include "tinyphi/constrain/constraint.h"

namespace tinyphi_test {

// All bytes, then the pieces, as byte-level vocabularies have them.
inline tinyphi::tokenizer byte_level_tokenizer(
    const std::vector<std::string>& pieces) {
  tinyphi::vocabulary v;
  v.kind = tinyphi::bpe_kind::byte_level;
  for (int b = 0; b < 256; ++b) v.pieces.emplace_back(1, static_cast<char>(b));
  v.pieces.insert(v.pieces.end(), pieces.begin(), pieces.end());
  return make_tokenizer(std::move(v));
}

// <unk>, <s> and </s> as added tokens, of which the last is not called special;
// byte tokens 3 to 258; the pieces.
inline tinyphi::vocabulary sentencepiece_vocabulary(
    const std::vector<std::string>& pieces) {
  tinyphi::vocabulary v;
  v.pieces = {"<unk>", "<s>", "</s>"};
  for (std::size_t i = 0; i < 3; ++i) {
    v.added.push_back({.id = static_cast<tinyphi::token_id>(i),
                       .content = v.pieces[i],
                       .special = i < 2});
  }
  for (int b = 0; b < 256; ++b) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(b));
    v.pieces.emplace_back(name);
  }
  v.pieces.insert(v.pieces.end(), pieces.begin(), pieces.end());
  for (std::size_t i = 0; i < v.pieces.size(); ++i) {
    v.scores.push_back(-static_cast<float>(i));
  }
  return v;
}

inline tinyphi::token_trie make_trie(const tinyphi::tokenizer& t) {
  auto trie = tinyphi::token_trie::create(t);
  REQUIRE_OK(trie);
  return *std::move(trie);
}
inline tinyphi::constraint make_constraint(const tinyphi::token_trie& t,
                                           const tinyphi::grammar& g) {
  auto c = tinyphi::constraint::create(t, g);
  REQUIRE_OK(c);
  return *std::move(c);
}

// The texts of random grammars are made of these.
inline constexpr std::string_view small_alphabet = "ab,[]\" \xC3\xA4";

inline std::string random_text(std::mt19937& random, std::size_t most) {
  std::string text;
  for (std::size_t n = random() % (most + 1); text.size() < n;) {
    text += small_alphabet[random() % small_alphabet.size()];
  }
  return text;
}

// `count` different pieces of 2 to 6 bytes.
inline std::vector<std::string> random_pieces(std::mt19937& random,
                                              std::size_t count) {
  std::set<std::string> pieces;
  while (pieces.size() < count) {
    std::string piece = random_text(random, 6);
    if (piece.size() > 1) pieces.insert(std::move(piece));
  }
  return {pieces.begin(), pieces.end()};
}

// A grammar of up to four rules, which is checked: the first tries that are no
// constraint are thrown away.
inline tinyphi::grammar random_grammar(std::mt19937& random) {
  using tinyphi::byte_automaton;
  constexpr const char* patterns[] = {"[ab]+",     "a*b",        "(ab|a)*",
                                      "[^\",]{2}", "\"[^\"]*\"", "\xC3\xA4?b",
                                      "a{2,5}",    "[ab]*a[ab]"};
  constexpr std::uint32_t counts[][2] = {
      {0, 1}, {0, 2}, {1, 3}, {2, 2}, {3, 40}, {0, ~0U}, {1, ~0U}, {35, ~0U}};
  for (;;) {
    tinyphi::grammar g;
    const auto n_rules = static_cast<std::uint32_t>(1 + random() % 4);
    for (std::uint32_t r = 0; r < n_rules; ++r) {
      g.rule("rule " + std::to_string(r), 0, random() % 3 == 0);
    }
    std::vector<std::uint32_t> known;
    const auto any = [&] { return known[random() % known.size()]; };
    const auto leaf = [&] {
      if (random() % 3 != 0) return g.literal(random_text(random, 3));
      const auto pattern = tinyphi::regex_syntax::parse(
          patterns[random() % std::size(patterns)]);
      REQUIRE_OK(pattern);
      auto a = byte_automaton::regex(*pattern, byte_automaton::extent::whole);
      REQUIRE_OK(a);
      return g.automaton(*std::move(a));
    };
    for (int i = 0; i < 3; ++i) known.push_back(leaf());
    for (int i = 0, n = 4 + static_cast<int>(random() % 10); i < n; ++i) {
      const auto& c = counts[random() % std::size(counts)];
      switch (random() % 6) {
        case 0:
          known.push_back(leaf());
          break;
        case 1:
          known.push_back(g.sequence({any(), any(), any()}));
          break;
        case 2:
          known.push_back(g.choice({any(), any(), any()}));
          break;
        case 3:
          known.push_back(g.repeat(any(), c[0], c[1]));
          break;
        case 4:
          known.push_back(g.repeat(any(), any(), c[0], c[1]));
          break;
        case 5:
          known.push_back(
              g.call(static_cast<std::uint32_t>(random()) % n_rules));
          break;
      }
    }
    for (auto& r : g.rules) r.node = any();
    g.rules[0].node = known.back();
    if (g.check()) return g;
  }
}

// One of those that is not too large for a constraint either.
inline std::pair<tinyphi::grammar, tinyphi::constraint> random_constraint(
    std::mt19937& random, const tinyphi::token_trie& t) {
  for (;;) {
    tinyphi::grammar g = random_grammar(random);
    auto c = tinyphi::constraint::create(t, g);
    if (c) return {std::move(g), *std::move(c)};
    INFO(message_of(c));
    REQUIRE(c.error().code == tinyphi::error_code::limit);
  }
}

// Values of JSON, each inside the others: rules that call each other.
inline tinyphi::grammar nested_grammar() {
  tinyphi::grammar g;
  const auto pattern = [&](const char* text) {
    const auto syntax = tinyphi::regex_syntax::parse(text);
    REQUIRE_OK(syntax);
    auto a = tinyphi::byte_automaton::regex(
        *syntax, tinyphi::byte_automaton::extent::whole);
    REQUIRE_OK(a);
    return g.automaton(*std::move(a));
  };
  const auto value = g.rule("value"), list = g.rule("list"),
             object = g.rule("object");
  const auto text = g.rule("text", pattern("[^\"\\\\\\x00-\\x1f]*"), true);
  const auto quote = g.literal("\"");
  const auto string = g.sequence({quote, g.call(text), quote});
  const auto comma = pattern(", ?"), colon = pattern(": ?");
  g.rules[list].node = g.sequence(
      {g.literal("["),
       g.repeat(g.call(value), comma, 0, tinyphi::byte_automaton::no_limit),
       g.literal("]")});
  g.rules[object].node =
      g.sequence({g.literal("{"),
                  g.repeat(g.sequence({string, colon, g.call(value)}), comma, 0,
                           tinyphi::byte_automaton::no_limit),
                  g.literal("}")});
  g.rules[value].node = g.choice(
      {g.call(list), g.call(object), string, pattern("-?(0|[1-9][0-9]{0,17})"),
       g.literal("true"), g.literal("false"), g.literal("null")});
  g.start = value;
  return g;
}

// {"name": ..., "kind": one of three, "count": a number, "tags": up to 50}
inline tinyphi::grammar record_grammar() {
  tinyphi::grammar g;
  const auto pattern = [&](const char* text) {
    const auto syntax = tinyphi::regex_syntax::parse(text);
    REQUIRE_OK(syntax);
    auto a = tinyphi::byte_automaton::regex(
        *syntax, tinyphi::byte_automaton::extent::whole);
    REQUIRE_OK(a);
    return g.automaton(*std::move(a));
  };
  const auto text = g.rule("text", pattern("[^\"\\\\\\x00-\\x1f]{0,40}"), true);
  const auto quote = g.literal("\"");
  const auto string = g.sequence({quote, g.call(text), quote});
  const auto kind = pattern("\"(customer|custom order|complaint)\"");
  const auto root = g.sequence(
      {g.literal("{\"name\": "), string, g.literal(", \"kind\": "), kind,
       g.literal(", \"count\": "), pattern("0|[1-9][0-9]{0,5}"),
       g.literal(", \"tags\": ["), g.repeat(string, g.literal(", "), 0, 50),
       g.literal("], \"comment_of_the_clerk\": null}")});
  g.start = g.rule("record", root);
  return g;
}

}  // namespace tinyphi_test

#endif  // TESTS_CONSTRAIN_GRAMMAR_CASES_H_
