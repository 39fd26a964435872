// SPDX-License-Identifier: MIT
#include "tinyphi/schema/regex_syntax.h"

#include <string>

#include "support/test.h"

using namespace tinyphi;
using tinyphi_test::message_of;

TEST_CASE("regex_syntax refuses what has no automaton or no one meaning") {
  const std::pair<const char*, const char*> cases[] = {
      {"a(?=b)", "'(?=' at character 2: look-ahead has no finite automaton"},
      {"(?!b)", "'(?!' at character 1: look-ahead has"},
      {"(?<=b)", "'(?<=' at character 1: look-behind has"},
      {"(?<!b)", "'(?<!' at character 1: look-behind has"},
      {"(a)\\1", "'\\1' at character 4: a back reference has"},
      {"\\bx", "'\\b' at character 1: a word's border has"},
      {"a*+", "'*+' at character 2: a possessive repetition has"},
      {"a(?i)b", "'(?i' at character 2: (?:...) and (?<name>...) are allowed"},
      {"(?P<n>a)", "'(?P' at character 1: (?:...)"},
      {"(?<a", "'(?<' at character 1: the group's name has no end"},
      {"(a", "'(' at character 1: the group has no end"},
      {"a)", "')' at character 2: closes no group; write '\\)'"},
      {"*a", "'*' at character 1: there is nothing before it to repeat"},
      {"a|+", "'+' at character 3: there is nothing before it"},
      {"{1}", "'{' at character 1: there is nothing before it"},
      {"a**", "'*' at character 3: repeats a repetition; use a group"},
      {"a{2}{3}", "'{' at character 5: repeats a repetition"},
      {"a{x}", "'{' at character 2: {m}, {m,} or {m,n}"},
      {"a{3,2}", "'{' at character 2: {m}, {m,} or {m,n}"},
      {"a{1001}", "'{' at character 2: {m}, {m,} or {m,n}"},
      {"a{1", "'{' at character 2: {m}, {m,} or {m,n}"},
      {"(ab){33}", "'{33}' at character 5: more than 32 times"},
      {"^*", "'*' at character 2: '^' and '$' cannot be repeated"},
      {"a}", "'}' at character 2: closes nothing; write '\\}'"},
      {"\xC3\xA4]", "']' at character 2: closes nothing; write '\\]'"},
      {"[a", "'[' at character 1: the class has no end"},
      {"[a-", "'[' at character 1: the class has no end"},
      {"[]", "'[]' at character 1: the class is empty"},
      {"[^]", "'[]' at character 1: the class is empty"},
      {"[z-a]", "'-a' at character 3: a range goes from"},
      {"[a-\\d]", "'-\\d' at character 3: a range goes from"},
      {"[[:alpha:]]", "'[:' at character 2: POSIX classes"},
      {"\\", "'\\' at character 1: escapes nothing; write '\\\\'"},
      {"\\a", "'\\a' at character 1: no escape that RE2 and ECMA-262"},
      {"\\Z", "'\\Z' at character 1: no escape"},
      {"\\x1", "'\\x' at character 1: no escape"},
      {"\\ud800", "'\\u' at character 1: no escape"},
      {"\\u{110000}", "'\\u' at character 1: no escape"},
      {"\\c1", "'\\c' at character 1: no escape"},
      {"\\01", "'\\0' at character 1: no escape"},
      {"\\\xC3\xA4", "'\\\xC3\xA4' at character 1: no escape"},
      {"\\p{Greek}", "'\\p' at character 1: {L}, {Lu},"},
      {"\\pL", "'\\p' at character 1: {L}, {Lu},"},
      {"a^", "'^' behind something"},
      {"(a|^b)*", "'^' behind something"},
      {"a$b", "'$' before something"},
      {"(?:a$)+", "'$' before something"},
      {"\xFF", "byte 0 is not UTF-8"},
  };
  for (const auto& [pattern, message] : cases) {
    INFO(pattern);
    const auto r = regex_syntax::parse(pattern);
    REQUIRE(!r);
    INFO(message_of(r));
    CHECK(message_of(r).starts_with(message));
  }
  CHECK(message_of(regex_syntax::parse(std::string(1001, 'a'))) ==
        "1001 bytes of pattern, at most 1000 are allowed");
  std::string deep = "a";
  for (int i = 0; i < 33; ++i) deep = '(' + deep + ')';
  CHECK(message_of(regex_syntax::parse(deep))
            .ends_with("groups nest deeper than the 32 levels allowed"));
}

TEST_CASE("regex_syntax takes what RE2 and ECMA-262 agree on") {
  for (const char* pattern : {"",
                              "^$",
                              "a|",
                              "(|a)*",
                              "^(?:a|b)$|^c",
                              "(^a|b$)",
                              "x(?<year>a)y",
                              "a{1000}",
                              "[a-z]{2,1000}",
                              "(ab){32}?",
                              "a*?b+?c??d{2}?",
                              "(?i)a",
                              "(?is).",
                              "[-a]",
                              "[a-]",
                              "[\\w-]",
                              "[^\\]\\\\]",
                              "\\/\\-\\@\\\"\\ \\#",
                              "\\u{1F600}\\uD83D\\uDE00\\u00e4\\x41\\cJ\\0",
                              "[\\p{L}\\P{Nd}\\s\\S\\D\\W]",
                              "^(?:^a)?"}) {
    INFO(pattern);
    CHECK_FALSE(!regex_syntax::parse(pattern));
  }
}

TEST_CASE("char_set has ranges and categories, or all else") {
  const char_set set{.ranges = {{'a', 'c'}, {0x1F600, 0x1F64F}},
                     .categories = std::uint32_t{1} << 9};  // Nd
  CHECK(set.contains('b'));
  CHECK(!set.contains('d'));
  CHECK(!set.contains('B'));
  CHECK(set.contains(0x1F600));
  CHECK(set.contains(0x0663));  // an Arabic digit
  char_set other = set;
  other.ignore_case = true;
  CHECK(other.contains('B'));
  other.negated = true;
  CHECK(!other.contains('B'));
  CHECK(other.contains('d'));
}
