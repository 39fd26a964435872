// SPDX-License-Identifier: MIT
#include "tinyphi/schema/pattern.h"

#include <random>
#include <regex>
#include <string>

#include "support/effort.h"
#include "support/test.h"

using namespace tinyphi;
using tinyphi_test::message_of;

namespace {

bool found(const std::string& p, std::string_view text) {
  const auto compiled = pattern::compile(p);
  REQUIRE_OK(compiled);
  std::uint64_t steps = 1'000'000;
  return compiled->found_in(text, steps);
}

// A pattern that ECMA-262 and we read alike, over the letters a to c.
std::string random_pattern(std::mt19937& random, int depth) {
  const auto pick = [&](std::size_t n) { return random() % n; };
  std::string out;
  for (std::size_t i = pick(4); i > 0; --i) {
    const std::size_t kind = pick(depth > 0 ? 9 : 6);
    if (kind < 4) {
      out += static_cast<char>('a' + pick(3));
    } else if (kind == 4) {
      out += pick(2) == 0 ? "[^a]" : "[ab]";
    } else if (kind == 5) {
      out += '.';
    } else {
      out += "(?:" + random_pattern(random, depth - 1) + '|' +
             random_pattern(random, depth - 1) + ')';
    }
    static constexpr const char* repeats[] = {
        "", "", "", "*", "+", "?", "{2}", "{1,}", "*?", "{0,2}", "+?"};
    out += repeats[pick(11)];
  }
  return out;
}

}  // namespace

TEST_CASE("a pattern is searched for unless it is anchored") {
  CHECK(found("b", "abc"));
  CHECK(!found("^b", "abc"));
  CHECK(!found("b$", "abc"));
  CHECK(found("^abc$", "abc"));
  CHECK(found("^a|c$", "xc"));
  CHECK(found("", ""));
  CHECK(!found("a$", "a\n"));
  CHECK(found("^(?:^a)?b", "b"));
}

TEST_CASE("characters of a pattern are code points") {
  CHECK(found("^.$", "\xF0\x9F\x98\x80"));
  CHECK(found("^[\\u{1F600}-\\u{1F64F}]$", "\xF0\x9F\x98\x83"));
  CHECK(!found("^.$", "\xE2\x80\xA8"));  // U+2028, a line's end
  CHECK(found("(?s)^.$", "\xE2\x80\xA8"));
  CHECK(found("^\\s$", "\xEF\xBB\xBF"));  // the byte order mark
  CHECK(!found("^\\d$", "\xD9\xA3"));     // an Arabic digit
  CHECK(found("^\\p{Nd}\\P{Nd}$", "\xD9\xA3x"));
  CHECK(!found("^\\w$", "\xC3\xA9"));
  CHECK(found("(?i)^[\xC3\xA4]K$", "\xC3\x84k"));
  CHECK(found("^\\uD83D\\uDE00\\x41\\cJ\\t$",
              "\xF0\x9F\x98\x80"
              "A\n\t"));
}

TEST_CASE("patterns match as std::regex says") {
  std::mt19937 random(5);
  const int rounds = tinyphi_test::sweep_rounds(1000, 20000);
  int n_found = 0;
  for (int i = 0; i < rounds; ++i) {
    std::string p = random_pattern(random, 2);
    if (random() % 2 == 0) p = "^(?:" + p + ")$";
    const std::regex theirs(p);
    const auto ours = pattern::compile(p);
    INFO(p);
    REQUIRE_OK(ours);
    for (int j = 0; j < 8; ++j) {
      std::string text;
      for (std::size_t n = random() % 7; n > 0; --n) {
        text += static_cast<char>('a' + random() % 4);
      }
      std::uint64_t steps = 1'000'000;
      const bool expected = std::regex_search(text, theirs);
      n_found += expected ? 1 : 0;
      if (ours->found_in(text, steps) != expected) {
        INFO(text);
        CHECK(ours->found_in(text, steps) == expected);
      }
    }
  }
  CHECK(n_found > rounds);
  CHECK(n_found < 7 * rounds);
}

TEST_CASE("a pattern costs at most its states for each character") {
  const auto evil = pattern::compile("^(?:(?:a|a)*|a*)*b$");
  REQUIRE_OK(evil);
  std::uint64_t steps = 1'000'000;
  const std::string text(1000, 'a');
  CHECK(!evil->found_in(text, steps));
  CHECK(1'000'000 - steps <= evil->states() * 1001);
  steps = 100;
  CHECK(!evil->found_in(text + "b", steps));
  CHECK(steps == 0);
  CHECK(message_of(pattern::compile("((a{32}){32}){32}"))
            .starts_with("the pattern needs more than the 4096 states"));
  CHECK(message_of(pattern::compile("((((a?){32}){32}){32}){32}"))
            .starts_with("the pattern needs more than the 4096 states"));
  CHECK_FALSE(!pattern::compile("[a-z]{1000}"));
}
