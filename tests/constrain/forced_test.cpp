// SPDX-License-Identifier: MIT
// Forced tokens: what has to come, and never otherwise than the tokenizer would
// have encoded the whole answer.
#include "constrain/walks.h"
#include "support/effort.h"
#include "tinyphi/text/tiktoken.h"
#include "tinyphi/text/tokenizer_json.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

using ids = std::vector<token_id>;

const tokenizer& phi3() {
  static const tokenizer t = make_tokenizer(hf_vocabulary("tokenizer/phi-3"));
  return t;
}

tokenizer cl100k() {
  auto v = parse_phi3_small_tiktoken(
      read_data("tokenizer/cl100k-small/cl100k_base.tiktoken"), "cl100k");
  REQUIRE_OK(v);
  return make_tokenizer(*std::move(v));
}

// Objects with long keys, choices with common beginnings, line breaks, which
// are hard borders in Phi-3's vocabulary, and characters without a piece.
std::vector<grammar> grammars() {
  std::vector<grammar> all{record_grammar(), nested_grammar()};
  for (const char* pattern :
       {"the (answer|answers|answered) (is|was) (yes|no|not known)\\.",
        "\\{\\n  \"temperature\": -?[0-9]{1,3},\\n  \"unit\": \"(celsius|"
        "kelvin)\"\\n\\}",
        "Straße [0-9]+, (München|Münster), \\u6f22\\u5b57 🂡🂡(🂡|x)",
        "cards: 🂡(🂢|🂣)🂡, (漢|漣)", "    indented +text  (and|an)    more",
        "x?y?zebra(s|fish)? crossing"}) {
    const auto g = regex_grammar(pattern);
    REQUIRE_OK(g);
    all.push_back(*g);
  }
  const auto words = choice_grammar(
      {"international", "internal", "interest", "interesting times"});
  REQUIRE_OK(words);
  all.push_back(*words);
  return all;
}

std::string text_of_ids(const tokenizer& t, const ids& all) {
  answer a(t);
  for (const token_id id : all) a.add(id);
  return a.text();
}

// What must come after the first `cut` tokens of a text of the grammar agrees
// with the encodings of other texts that begin alike. The number of tokens.
std::size_t check_forced(const constraint& c, const grammar_oracle& oracle,
                         const tokenizer& t, std::mt19937& random) {
  const std::mt19937 seed(random());
  const std::string whole = oracle.text(seed, seed, 0);
  ids known = t.encode(whole);
  known.resize(random() % (known.size() + 1));
  matcher m(c);
  for (const token_id id : known) accept(m, id);
  const std::string before = text_of_ids(t, known);
  const ids forced = m.forced(64);
  INFO("'" << whole << "' after '" << before << "'");
  REQUIRE(forced.size() <= 64);
  const std::size_t few = random() % 4;
  ids some = forced;
  some.resize(std::min(few, some.size()));
  CHECK(m.forced(few) == some);
  CHECK(m.length() == known.size());
  for (const token_id id : forced) accept(m, id);
  ids expected = known;
  expected.insert(expected.end(), forced.begin(), forced.end());
  if (forced.empty()) return 0;
  for (int i = 0; i < 7; ++i) {
    const std::string other =
        oracle.text(seed, std::mt19937(random()), before.size());
    INFO("and '" << other << "'");
    ids got = t.encode(other);
    got.resize(std::min(got.size(), expected.size()));
    REQUIRE(got == expected);
  }
  return forced.size();
}

void sweep(const tokenizer& t, int rounds, unsigned seed) {
  const token_trie trie = make_trie(t);
  std::mt19937 random(seed);
  std::size_t forced = 0;
  const auto all = grammars();
  for (const grammar& g : all) {
    const constraint c = make_constraint(trie, g);
    const grammar_oracle oracle(g);
    for (int i = 0; i < rounds / static_cast<int>(all.size()) + 1; ++i) {
      forced += check_forced(c, oracle, t, random);
    }
  }
  CHECK(forced > static_cast<std::size_t>(rounds));
}

}  // namespace

TEST_CASE(
    "forced tokens are those of the whole answer, with Phi-3's vocabulary") {
  sweep(phi3(), sweep_rounds(1000, 50000), 21);
}

TEST_CASE("forced tokens are those of the whole answer, with byte-level BPE") {
  sweep(cl100k(), sweep_rounds(300, 20000), 22);
}

TEST_CASE("forced tokens are those of the whole answer, with o200k's pieces") {
  auto v = parse_tokenizer_json(
      read_data("tokenizer/o200k-small/tokenizer.json"), "", "o200k");
  REQUIRE_OK(v);
  sweep(make_tokenizer(*std::move(v)), sweep_rounds(300, 20000), 23);
}

TEST_CASE("tokens that were sampled otherwise than encoded are not rewritten") {
  const auto g = choice_grammar({"international law"});
  REQUIRE_OK(g);
  const constraint c = make_constraint(make_trie(phi3()), *g);
  matcher m(c);
  CHECK_FALSE(m.forced(10).empty());
  const auto letter = phi3().find("i");
  REQUIRE(letter);
  accept(m, *letter);
  CHECK(m.forced(10).empty());
}

// The last token may be left to the model: a longer one begins like it.
TEST_CASE("forced text goes on to the end of an answer, and no further") {
  const std::string text = "{\"answer\": [true, null]}";
  const auto g = choice_grammar({text});
  REQUIRE_OK(g);
  matcher m(make_constraint(make_trie(phi3()), *g));
  const ids forced = m.forced(1000);
  ids rest = phi3().encode(text);
  REQUIRE(forced.size() + 1 >= rest.size());
  CHECK(std::equal(forced.begin(), forced.end(), rest.begin()));
  CHECK(m.forced(0).empty());
  CHECK(m.forced(3) == ids(forced.begin(), forced.begin() + 3));
  for (const token_id id : forced) accept(m, id);
  rest.erase(rest.begin(),
             rest.begin() + static_cast<std::ptrdiff_t>(forced.size()));
  for (const token_id id : rest) accept(m, id);
  CHECK(m.must_end());
  CHECK(m.forced(10).empty());
}

TEST_CASE("nothing is forced where the answer may end or go on") {
  const auto g = choice_grammar({"yes", "yes, and more"});
  REQUIRE_OK(g);
  matcher m(make_constraint(make_trie(phi3()), *g));
  for (const token_id id : phi3().encode("yes")) accept(m, id);
  CHECK(m.may_end());
  CHECK_FALSE(m.must_end());
  CHECK(m.forced(10).empty());
}

TEST_CASE("an endless forced text is followed as far as asked for") {
  grammar g;
  const auto r = g.rule("twice", g.literal("ab"));
  g.start = g.rule("many", g.repeat(g.call(r), 100000, 100000));
  matcher m(make_constraint(make_trie(phi3()), g));
  CHECK(m.forced(20).size() <= 20);
}
