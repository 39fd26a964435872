// SPDX-License-Identifier: MIT
#include "tinyphi/constrain/grammar.h"

#include <algorithm>
#include <string>
#include <vector>

#include "support/test.h"
#include "support/tokenizers.h"
#include "tinyphi/constrain/constraint.h"

using namespace tinyphi;
using tinyphi_test::message_of;

namespace {

bool has(const std::string& message, const std::vector<std::string>& parts) {
  return std::ranges::all_of(parts, [&](const std::string& part) {
    return message.find(part) != message.npos;
  });
}

// Whether the answer of a grammar may be `text`.
bool takes(const grammar& g, std::string_view text) {
  static const token_trie trie = [] {
    auto t = token_trie::create(tinyphi_test::make_tokenizer(
        tinyphi_test::hf_vocabulary("tokenizer/phi-3")));
    REQUIRE_OK(t);
    return *std::move(t);
  }();
  const auto c = constraint::create(trie, g);
  REQUIRE_OK(c);
  return c->accepts(text);
}

bool gbnf_takes(std::string_view g, std::string_view text) {
  const auto read = gbnf_grammar(g);
  INFO(g);
  REQUIRE_OK(read);
  return takes(*read, text);
}

std::string why(const result<grammar>& g) { return message_of(g); }

}  // namespace

TEST_CASE("grammars that no constraint can follow are refused by their rule") {
  grammar g;
  const auto r = g.rule("loop");
  g.start = r;
  SECTION("a rule that calls itself first") {
    g.rules[r].node =
        g.choice({g.sequence({g.call(r), g.literal("a")}), g.literal("b")});
    CHECK(has(message_of(g.check()),
              {"calls itself before it takes a byte", "'loop'"}));
  }
  SECTION("and one that does so behind what may be empty") {
    g.rules[r].node =
        g.choice({g.sequence({g.repeat(g.literal("x"), 0, 3), g.call(r)}),
                  g.literal("b")});
    CHECK_FALSE(g.check());
  }
  SECTION("a rule that never ends") {
    g.rules[r].node = g.sequence({g.literal("a"), g.call(r)});
    CHECK(has(message_of(g.check()), {"never ends"}));
  }
  SECTION("a repetition of what may be empty") {
    g.rules[r].node = g.repeat(g.literal(""), 0, 2);
    CHECK(has(message_of(g.check()), {"may be empty"}));
  }
  SECTION("parts that refer to nothing") {
    g.rules[r].node = g.call(7);
    CHECK(has(message_of(g.check()), {"refers to nothing"}));
    g.rules[r].node = 99;
    CHECK_FALSE(g.check());
  }
  SECTION("a rule that calls itself behind a byte is none of them") {
    g.rules[r].node =
        g.choice({g.sequence({g.literal("("), g.call(r), g.literal(")")}),
                  g.literal("x")});
    REQUIRE_OK(g.check());
    CHECK(takes(g, "((x))"));
    CHECK_FALSE(takes(g, "((x)"));
  }
}

TEST_CASE("what can never end is left out where something else can come") {
  grammar g;
  const auto endless = g.rule("endless"), root = g.rule("root");
  g.rules[endless].node = g.sequence({g.literal("a"), g.call(endless)});
  g.rules[root].node = g.choice({g.call(endless), g.literal("ab")});
  g.start = root;
  CHECK(takes(g, "ab"));
  CHECK_FALSE(takes(g, "aa"));
}

TEST_CASE("counted repetitions take their counts, with separators too") {
  for (const std::uint32_t max : {3u, 40u, 1000u}) {
    grammar g;
    g.start =
        g.rule("list", g.repeat(g.literal("item"), g.literal(","), 2, max));
    const auto list = [](std::uint32_t n) {
      std::string out;
      for (std::uint32_t i = 0; i < n; ++i) out += i > 0 ? ",item" : "item";
      return out;
    };
    INFO(max);
    CHECK_FALSE(takes(g, list(1)));
    CHECK(takes(g, list(2)));
    CHECK(takes(g, list(max)));
    CHECK_FALSE(takes(g, list(max + 1)));
    CHECK_FALSE(takes(g, list(2) + ","));
  }
}

TEST_CASE("a choice has texts that are told apart, 1 to 4,096 of them") {
  const auto g = choice_grammar({"yes", "yesterday", "no"});
  REQUIRE_OK(g);
  CHECK(takes(*g, "yes"));
  CHECK(takes(*g, "yesterday"));
  CHECK_FALSE(takes(*g, "yest"));
  CHECK(has(why(choice_grammar({})), {"there are 0"}));
  CHECK(has(why(choice_grammar({"a", ""})), {"empty"}));
  CHECK(has(why(choice_grammar({"a", "b", "a"})), {"twice"}));
  std::vector<std::string> many;
  for (int i = 0; i < 4097; ++i) many.push_back(std::to_string(i));
  CHECK(has(why(choice_grammar(many)), {"4097"}));
  many.resize(4096);
  REQUIRE_OK(choice_grammar(many));
  CHECK(has(why(choice_grammar({std::string(300000, 'x')})), {"bytes"}));
}

TEST_CASE("an expression that matches nothing is refused") {
  REQUIRE_OK(regex_grammar("[a-z]+"));
  CHECK(has(why(regex_grammar("[^\\s\\S]")), {"no text matches"}));
  CHECK_FALSE(regex_grammar("(?=a)"));
}

TEST_CASE("GBNF: literals, classes, groups, choices, repetitions, comments") {
  const char* g = R"(
# A list of names.
root  ::= "[" ws (name ("," ws name)*)? ws "]"   # behind a rule
name  ::= [a-zA-Z_] [a-zA-Z0-9_]{0,3} |
          "\"" [^"\\\n]+ "\""
ws    ::= [ \t\n]{,2}
)";
  // llama.cpp has {m}, {m,} and {m,n}; a missing minimum is none of them.
  CHECK(has(why(gbnf_grammar(g)), {"line 6"}));
  std::string good = g;
  good.replace(good.find("{,2}"), 4, "{0,2}");
  CHECK(gbnf_takes(good, "[]"));
  CHECK(gbnf_takes(good, "[ a,\tb_1]"));
  CHECK(gbnf_takes(good, "[\"é x\", abcd]"));
  CHECK_FALSE(gbnf_takes(good, "[abcde]"));
  CHECK_FALSE(gbnf_takes(good, "[a,]"));
  CHECK_FALSE(gbnf_takes(good, "[   ]x"));
  CHECK(gbnf_takes(R"(root ::= "\x41\u00e9\U0001F30D" . [^a])", "Aé🌍\nb"));
  CHECK(gbnf_takes("root ::= \"a\"{2} | \"b\"{2,}", "bbb"));
  CHECK_FALSE(gbnf_takes("root ::= \"a\"{2} | \"b\"{2,}", "aaa"));
  CHECK(gbnf_takes("root ::= (\"a\"*)* (\"b\"?)? end\nend ::= \"c\"", "aac"));
  CHECK(
      gbnf_takes("root ::= expr\nexpr ::= \"(\" expr \")\" | \"x\"", "((x))"));
}

TEST_CASE("GBNF: each mistake is told with its line") {
  const std::pair<const char*, const char*> cases[] = {
      {"root ::= x", "line 1: there is no rule 'x'"},
      {"a ::= \"x\"", "no rule 'root'"},
      {"root ::= \"a", "no end"},
      {"root ::= \"a\n\"", "the line ends"},
      {"root ::= [a", "no end"},
      {"root ::= [b-a]", "ends before it begins"},
      {"root ::= (\"a\"", "no ')'"},
      {"root ::= \"a\" )", "')' found"},
      {"root = \"a\"", "'::=' is expected"},
      {"root ::= \"a\"\nroot ::= \"b\"", "line 2: rule 'root' is there twice"},
      {"root ::= \"a\"{3,2}", "swapped"},
      {"root ::= \"a\"{100001}", "100000 at most"},
      {"root ::= \"a\"{x}", "a number is expected"},
      {"root ::= \"\\q\"", "'\\' before 'q'"},
      {"root ::= \"\\u12\"", "4 hexadecimal digits"},
      {"root ::= \"\\ud800\"", "surrogate"},
      {"root ::= \"\xff\"", "not UTF-8"},
      {"root ::= <think>", "not supported"},
      {"root ::= root \"a\" | \"b\"", "calls itself"},
      {"root ::= ws* \"b\"\nws ::= \" \"?", "may be empty"},
      {"::= \"a\"", "a rule's name is expected"},
      {"", "no rule 'root'"},
  };
  for (const auto& [g, message] : cases) {
    INFO(g);
    CHECK(has(why(gbnf_grammar(g)), {message}));
  }
  std::string deep = "root ::= ";
  for (int i = 0; i < 65; ++i) deep += '(';
  CHECK(has(why(gbnf_grammar(deep)), {"64"}));
  CHECK(has(why(gbnf_grammar(std::string(300000, ' '))), {"300000 bytes"}));
}
