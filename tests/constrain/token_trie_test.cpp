// SPDX-License-Identifier: MIT
#include "tinyphi/constrain/token_trie.h"

#include "constrain/grammar_cases.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

// A constraint that takes any bytes lets all tokens of the trie through.
token_set tokens_of(const token_trie& t) {
  grammar g;
  const auto any = g.automaton(byte_automaton::one_of(byte_set::range(0, 255)));
  g.start = g.rule("any", g.repeat(any, 0, byte_automaton::no_limit));
  const matcher m(make_constraint(t, g));
  token_set mask;
  const auto got = m.allowed(mask, 1000);
  REQUIRE_OK(got);
  return mask;
}

}  // namespace

TEST_CASE("no added token may stand in an answer, special or not") {
  vocabulary v = sentencepiece_vocabulary({"a", "ab"});
  v.added.push_back({.id = 263, .content = "<|tool|>", .special = false});
  v.added.push_back({.id = 264, .content = "<|end|>", .special = true});
  v.pieces.resize(263);  // 261 and 262: a gap
  v.scores.resize(265);
  const tokenizer t = make_tokenizer(std::move(v));
  const token_trie trie = make_trie(t);
  CHECK(trie.vocab_size() == 265);
  CHECK(trie.source().size() == 265);
  const token_set mask = tokens_of(trie);
  CHECK(mask.size() == trie.vocab_size());
  for (const token_id id : {0, 1, 2, 261, 262, 263, 264}) {
    INFO(id);
    CHECK_FALSE(mask.contains(id));
  }
  CHECK(mask.contains(259));
  CHECK(mask.contains(260));
  CHECK(mask.count() == 255 + 2);  // all bytes but that of "a"; "a", "ab"
}

TEST_CASE("a byte token is out where its byte has a piece of its own") {
  const tokenizer t = make_tokenizer(
      sentencepiece_vocabulary({"\"", "\xE2\x96\x81", "x\"", "\xC3\xA4"}));
  const token_set mask = tokens_of(make_trie(t));
  CHECK_FALSE(mask.contains(3 + '"'));
  CHECK_FALSE(mask.contains(3 + ' '));
  CHECK(mask.contains(3 + 'x'));  // has no piece of its own
  CHECK(mask.contains(3 + '\n'));
  CHECK(mask.contains(3 + 0xC3));  // a character's first byte is no character
  CHECK(mask.count() == 254 + 4);
}

TEST_CASE("pieces with the same bytes are all there") {
  // Both read " a" in an answer.
  const tokenizer t =
      make_tokenizer(sentencepiece_vocabulary({"\xE2\x96\x81"
                                               "a",
                                               " a"}));
  REQUIRE(t.bytes(259) == t.bytes(260));
  const token_set mask = tokens_of(make_trie(t));
  CHECK(mask.contains(259));
  CHECK(mask.contains(260));
}

TEST_CASE("tokens of a byte-level vocabulary need not be whole characters") {
  const tokenizer t = byte_level_tokenizer({"\xC3\xA4", "\xA4x", "ab"});
  CHECK(tokens_of(make_trie(t)).count() == 259);
}

TEST_CASE("Phi-3's vocabulary without what an answer never holds") {
  const tokenizer t = make_tokenizer(hf_vocabulary("tokenizer/phi-3"));
  const token_trie trie = make_trie(t);
  CHECK(trie.vocab_size() == t.size());
  const token_set mask = tokens_of(trie);
  CHECK_FALSE(mask.contains(2));  // </s>, which the file does not call special
  for (token_id id = 32000; id < static_cast<token_id>(t.size()); ++id) {
    CHECK_FALSE(mask.contains(id));
  }
  const auto newline = t.find("<0x0A>"), quote = t.find("<0x22>"),
             quote_piece = t.find("\"");
  REQUIRE((newline && quote && quote_piece));
  CHECK(mask.contains(*newline));
  CHECK_FALSE(mask.contains(*quote));
  CHECK(mask.contains(*quote_piece));
  // 32,000 without <unk>, <s>, </s> and the byte tokens of 96 characters.
  CHECK(mask.count() == 32000 - 3 - 96);
}

TEST_CASE("a trie outlives the tokenizer that it was made from") {
  const token_trie trie = [] {
    const tokenizer t = byte_level_tokenizer({"ab"});
    return make_trie(t);
  }();
  CHECK(trie.source().bytes(256) == "ab");
  CHECK(tokens_of(trie).contains(256));
}
