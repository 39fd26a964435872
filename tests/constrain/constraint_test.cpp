// SPDX-License-Identifier: MIT
#include "tinyphi/constrain/constraint.h"

#include "constrain/walks.h"
#include "support/effort.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

const token_trie& small_trie() {
  static const token_trie t = make_trie(byte_level_tokenizer(
      {"ab", "abc", "true", "fal", "se", "{\"", "\":", "\"}", "12"}));
  return t;
}

// A text near one of the grammar's, or one of them.
std::string changed(std::string text, std::mt19937& random) {
  switch (random() % 4) {
    case 0:
      break;
    case 1:
      text.resize(random() % (text.size() + 1));
      break;
    case 2:
      if (!text.empty()) text.erase(random() % text.size(), 1);
      break;
    case 3:
      text.insert(random() % (text.size() + 1), 1,
                  small_alphabet[random() % small_alphabet.size()]);
  }
  return text;
}

// Whether the text leads through more ways than are followed, and is refused.
bool too_ambiguous(const constraint& c, std::string_view text) {
  matcher m(c);
  for (const char byte : text) {
    const auto got = m.accept(static_cast<unsigned char>(byte));
    if (!got) return got.error().code == error_code::limit;
  }
  return false;
}

}  // namespace

TEST_CASE("accepts takes the grammar's texts and no others") {
  std::mt19937 random(3);
  int taken = 0, refused = 0;
  for (int i = 0; i < sweep_rounds(100, 5000); ++i) {
    INFO("round " << i);
    const auto [g, c] = random_constraint(random, small_trie());
    grammar_oracle oracle(g);
    for (int again = 0; again < 12; ++again) {
      const std::mt19937 seed(random());
      const std::string text = changed(oracle.text(seed, seed, 0), random);
      INFO("'" << text << "'");
      const bool expected = oracle.takes(text);
      const bool accepts = c.accepts(text);
      if (accepts == expected || !too_ambiguous(c, text)) {
        CHECK(accepts == expected);
      }
      ++(expected ? taken : refused);
    }
  }
  CHECK(taken > refused / 4);
  CHECK(refused > taken / 4);
}

TEST_CASE("counts beyond any token's length are kept to the letter") {
  grammar g;
  const auto rule = g.rule("x", g.literal("ab"));
  g.start = g.rule("many", g.repeat(g.call(rule), g.literal(","), 999, 1001));
  const constraint c = make_constraint(small_trie(), g);
  std::string text = "ab";
  for (int n = 1; n <= 1002; ++n, text += ",ab") {
    if (n < 998 && n % 100 != 0) continue;
    INFO(n);
    CHECK(c.accepts(text) == (n >= 999 && n <= 1001));
  }
  CHECK(c.shortest() == 999 + 998);
  CHECK(c.bytes() < std::size_t{4} << 20);
}

TEST_CASE("a counted repetition ends between its parts only") {
  // The part's automaton comes back to where it began.
  const auto syntax = regex_syntax::parse("a*b");
  REQUIRE_OK(syntax);
  auto part = byte_automaton::regex(*syntax, byte_automaton::extent::whole);
  REQUIRE_OK(part);
  grammar g;
  const auto once = g.automaton(*std::move(part));
  g.start = g.rule("many", g.repeat(once, 3, 40));
  const constraint c = make_constraint(small_trie(), g);
  CHECK(c.accepts("bbb"));
  CHECK(c.accepts("aabbaab"));
  CHECK_FALSE(c.accepts("bb"));
  CHECK_FALSE(c.accepts("bbba"));
  CHECK_FALSE(c.accepts("bbabaaaa"));
}

TEST_CASE("shortest counts tokens, not bytes") {
  const auto shortest = [](const std::vector<std::string>& texts) {
    const auto c = constraint::choice(small_trie(), texts);
    REQUIRE_OK(c);
    return c->shortest();
  };
  CHECK(shortest({"true", "false"}) == 1);
  CHECK(shortest({"false"}) == 2);
  CHECK(shortest({"zz", "zzz"}) == 2);
  CHECK(shortest({"abcab"}) == 2);
}

TEST_CASE("a grammar that can be no constraint is an error") {
  grammar g;
  const auto r = g.rule("forever");
  g.rules[r].node = g.sequence({g.literal("a"), g.call(r)});
  g.start = r;
  const auto c = constraint::create(small_trie(), g);
  REQUIRE_FALSE(c);
  CHECK(c.error().code == error_code::bad_data);
  CHECK(c.error().message.find("forever") != std::string::npos);
}

TEST_CASE("a part that no finite text can end is never entered") {
  grammar g;
  const auto endless = g.rule("endless");
  g.rules[endless].node = g.sequence({g.literal("a"), g.call(endless)});
  g.start = g.rule("start", g.choice({g.call(endless), g.literal("ba")}));
  const constraint c = make_constraint(small_trie(), g);
  const token_set mask = mask_of(matcher(c));
  CHECK(mask.contains('b'));
  CHECK(mask.count() == 1);
  CHECK(c.accepts("ba"));
  CHECK_FALSE(c.accepts("a"));
}

TEST_CASE("constraints are made of expressions, choices, GBNF and schemas") {
  const auto takes = [](const result<constraint>& c, std::string_view yes,
                        std::string_view no) {
    REQUIRE_OK(c);
    CHECK(c->accepts(yes));
    CHECK_FALSE(c->accepts(no));
    CHECK(c->shortest() > 0);
    CHECK(c->ignored().empty());
    CHECK(c->vocabulary().vocab_size() == small_trie().vocab_size());
  };
  const token_trie& t = small_trie();
  takes(constraint::regex(t, "[a-c]+[0-9]{2}"), "abc12", "abc123");
  takes(constraint::choice(t, {"yes", "no"}), "no", "yesno");
  takes(constraint::gbnf(t, "root ::= \"a\" [0-9]+"), "a12", "a");
  takes(constraint::json_object(t), "{\"a\": [1, {}]}", "[1]");
  takes(constraint::json_schema(
            t, R"({"type": "object", "properties": {"a": {"type": "integer"}},
                   "required": ["a"]})"),
        "{\"a\": 12}", "{\"a\": \"12\"}");
}

TEST_CASE("what cannot be a constraint says why") {
  const token_trie& t = small_trie();
  const auto bad_regex = constraint::regex(t, "(a");
  REQUIRE_FALSE(bad_regex);
  CHECK(bad_regex.error().code == error_code::bad_data);
  CHECK_FALSE(constraint::choice(t, {}));
  CHECK_FALSE(constraint::gbnf(t, "root ::= nothing"));
  const auto bad_schema = constraint::json_schema(
      t, R"({"type": "object", "properties": {"a": {"not": {}}}})");
  REQUIRE_FALSE(bad_schema);
  CHECK(bad_schema.error().message.find("/properties/a/not") !=
        std::string::npos);
}

TEST_CASE("what a constraint keeps for its answers has a bound") {
  // A state for each of 1,500 beginnings, each with a mask of its own.
  std::vector<std::string> texts;
  for (int i = 0; i < 1500; ++i)
    texts.push_back(std::to_string(1000000 + i * 7));
  const tokenizer t = make_tokenizer(hf_vocabulary("tokenizer/phi-3"));
  const auto c = constraint::choice(make_trie(t), texts);
  REQUIRE_OK(c);
  const std::size_t before = c->bytes();
  CHECK(before > 0);
  for (int i = 0; i < 1500; ++i) {
    matcher m(*c);
    token_set mask;
    for (const token_id id : t.encode(texts[static_cast<std::size_t>(i)])) {
      mask = mask_of(m);
      accept(m, id);
    }
    CHECK(m.must_end());
  }
  CHECK(c->bytes() < before + (std::size_t{8} << 20));
}

TEST_CASE("copies of a constraint share what they hold") {
  const constraint c = make_constraint(small_trie(), nested_grammar());
  const constraint copy = c;
  const std::size_t before = copy.bytes();
  (void)mask_of(matcher(c));
  CHECK(copy.bytes() == c.bytes());
  CHECK(c.bytes() >= before);
}
