// SPDX-License-Identifier: MIT
#include "tinyphi/constrain/byte_automaton.h"

#include <random>
#include <string>
#include <vector>

#include "support/effort.h"
#include "support/test.h"
#include "tinyphi/base/utf8.h"
#include "tinyphi/constrain/utf8_ranges.h"
#include "tinyphi/schema/pattern.h"

using namespace tinyphi;
using tinyphi_test::message_of;
using extent = byte_automaton::extent;

namespace {

byte_automaton made(result<byte_automaton> a) {
  REQUIRE_OK(a);
  return *std::move(a);
}

byte_automaton expression(std::string_view pattern, extent e = extent::whole) {
  const auto syntax = regex_syntax::parse(pattern);
  INFO(pattern);
  REQUIRE_OK(syntax);
  return made(byte_automaton::regex(*syntax, e));
}

// Short texts of characters that expressions below tell apart, some of which
// take two or four bytes.
std::string random_text(std::mt19937& rng) {
  const std::vector<std::string> parts = {"a",  "b",    "c", "0", "\n", "\"",
                                          "\\", "\x01", "é", "€", "🌍"};
  std::string out;
  for (auto n = rng() % 7; n > 0; --n) out += parts[rng() % parts.size()];
  return out;
}

const std::vector<std::string> patterns = {"",
                                           "a",
                                           "^a|b$",
                                           "^(ab)+$",
                                           "[^a]{2,3}$",
                                           "(a|b)*c",
                                           "^$",
                                           "é+",
                                           "a.b",
                                           ".",
                                           "^[a-c]{3}$",
                                           "^(a{1,2}b?){2}$",
                                           R"(\d)",
                                           R"(^\D*$)",
                                           R"(\s)",
                                           "(?i)A",
                                           "^a*$",
                                           R"(\p{Lu}|c)",
                                           "[\\u0080-\\u{10FFFF}]$"};

}  // namespace

TEST_CASE("an automaton takes the texts in which its expression is found") {
  std::mt19937 rng(1);
  for (const std::string& p : patterns) {
    const byte_automaton a = expression(p, extent::found);
    const auto reference = pattern::compile(p);
    REQUIRE_OK(reference);
    for (int i = 0; i < tinyphi_test::effort(200, 40); ++i) {
      const std::string text = random_text(rng);
      std::uint64_t steps = 1 << 20;
      INFO(p << " in " << text);
      CHECK(a.accepts(text) == reference->found_in(text, steps));
    }
  }
}

TEST_CASE("a whole match is one from beginning to end") {
  const byte_automaton a = expression("a|bc");
  CHECK(a.accepts("a"));
  CHECK(a.accepts("bc"));
  CHECK_FALSE(a.accepts("abc"));
  CHECK_FALSE(a.accepts(""));
}

TEST_CASE("automata of automata take what their definition says") {
  std::mt19937 rng(2);
  const byte_automaton x = expression("(a|b|é)*"), y = expression(".*b.*");
  const byte_automaton both = made(byte_automaton::both(x, y)),
                       without = made(byte_automaton::without(x, y)),
                       either = made(byte_automaton::either(std::vector{x, y})),
                       twice = made(
                           byte_automaton::repeat(expression("ab?"), 2, 3)),
                       sequence = made(byte_automaton::sequence(
                           std::vector{expression("a|b"), expression("c*")}));
  const byte_automaton as_twice = expression("(ab?){2,3}"),
                       as_sequence = expression("(a|b)c*");
  for (int i = 0; i < 500; ++i) {
    const std::string text = random_text(rng);
    INFO(text);
    const bool in_x = x.accepts(text), in_y = y.accepts(text);
    CHECK(both.accepts(text) == (in_x && in_y));
    CHECK(without.accepts(text) == (in_x && !in_y));
    CHECK(either.accepts(text) == (in_x || in_y));
    CHECK(twice.accepts(text) == as_twice.accepts(text));
    CHECK(sequence.accepts(text) == as_sequence.accepts(text));
  }
}

TEST_CASE("an automaton of nothing takes no text") {
  CHECK(byte_automaton().empty());
  const byte_automaton none = made(byte_automaton::both(
      byte_automaton::literal("a"), byte_automaton::literal("b")));
  CHECK(none.empty());
  CHECK_FALSE(none.accepts(""));
  CHECK(made(byte_automaton::sequence(std::vector{none, expression("a*")}))
            .empty());
}

TEST_CASE("a JSON string has one spelling for each of its texts") {
  const byte_automaton a = made(byte_automaton::in_json_string(
      made(byte_automaton::characters(0, byte_automaton::no_limit))));
  CHECK(a.accepts("plain é🌍 text"));
  CHECK(a.accepts(R"(\" \\ \n \t \r \b \f \u0001 \u001f)"));
  for (const char* other : {"\"", "\\", "\n", R"(\/)", R"(\u000a)", R"(\u0041)",
                            R"(\u001F)", R"(\x)", "\xff", "\xed\xa0\x80"}) {
    INFO(other);
    CHECK_FALSE(a.accepts(other));
  }
  const byte_automaton quote =
      made(byte_automaton::in_json_string(byte_automaton::literal("\"\x01")));
  CHECK(quote.accepts(R"(\"\u0001)"));
}

TEST_CASE("automata are minimal") {
  CHECK(expression("a|b").states() == 2);
  CHECK(expression("(a|b)*").states() == 1);
  CHECK(expression("aa*|a*a").states() == 2);
  CHECK(expression("abc|abd|aec").states() == 5);
}

TEST_CASE("more than 4,096 states are an error of code limit") {
  const auto syntax = regex_syntax::parse("[a-z]{100}[a-z]{900}[b-z]{1000}");
  REQUIRE_OK(syntax);
  CHECK(made(byte_automaton::regex(*syntax, extent::whole)).states() == 2001);
  const byte_automaton large =
      made(byte_automaton::regex(*syntax, extent::whole));
  const auto twice = byte_automaton::repeat(large, 3, 3);
  REQUIRE_FALSE(twice);
  CHECK(twice.error().code == error_code::limit);
  CHECK(message_of(twice).find("4096 states") != std::string::npos);
  // One that grows with every character, and never ends if nobody counts.
  const auto wide = regex_syntax::parse("(a|b)*a(a|b){20}");
  REQUIRE_OK(wide);
  CHECK(byte_automaton::regex(*wide, extent::whole).error().code ==
        error_code::limit);
}

TEST_CASE(
    "an expression whose sets of states grow without end is given up soon") {
  std::string p;
  for (int i = 0; i < 60; ++i)
    p += i % 2 == 0 ? "[a-y]{0,999}" : "[b-z]{0,999}";
  const auto syntax = regex_syntax::parse(p);
  REQUIRE_OK(syntax);
  const double before = tinyphi_test::cpu_seconds();
  const auto a = byte_automaton::regex(*syntax, extent::found);
  REQUIRE_FALSE(a);
  CHECK(a.error().code == error_code::limit);
  CHECK(tinyphi_test::cpu_seconds() - before < tinyphi_test::effort(2.0, 20.0));
}

TEST_CASE("ranges of characters become ranges of bytes without a gap") {
  std::mt19937 rng(3);
  for (int round = 0; round < 200; ++round) {
    auto first = static_cast<char32_t>(rng() % 0x110000);
    auto last = static_cast<char32_t>(rng() % 0x110000);
    if (round % 2 == 0) first %= 0x900, last = first + last % 0x900;
    if (last < first) std::swap(first, last);
    char_set set;
    set.ranges = {{first, last}};
    const byte_automaton a = made(byte_automaton::one_character(set));
    for (int i = 0; i < 40; ++i) {
      char32_t c = i < 2 ? (i == 0 ? first : last)
                         : static_cast<char32_t>(rng() % 0x110000);
      if (i == 2 && first > 0) c = first - 1;
      if (i == 3 && last < 0x10FFFF) c = last + 1;
      const bool surrogate = c >= 0xD800 && c <= 0xDFFF;
      if (surrogate) continue;  // none has a spelling
      std::string text;
      append_utf8(text, c);
      INFO(std::uint32_t(c)
           << " of " << std::uint32_t(first) << " to " << std::uint32_t(last));
      CHECK(a.accepts(text) == (c >= first && c <= last));
    }
  }
}
