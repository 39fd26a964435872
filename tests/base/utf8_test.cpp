// SPDX-License-Identifier: MIT
#include "tinyphi/base/utf8.h"

#include "support/test.h"

using namespace tinyphi;

TEST_CASE("decode_utf8 reads characters of every length") {
  CHECK(decode_utf8("A").code_point == U'A');
  CHECK(decode_utf8("\xC3\xA4").code_point == 0xE4);
  CHECK(decode_utf8("\xE2\x82\xAC").code_point == 0x20AC);
  const utf8_char c = decode_utf8("\xF0\x9F\x98\x80!");
  CHECK(c.code_point == 0x1F600);
  CHECK(c.length == 4);
  CHECK(c.valid);
}

TEST_CASE("decode_utf8 refuses what RFC 3629 forbids, one byte at a time") {
  const std::string_view bad[] = {"\x80",              // continuation first
                                  "\xC0\x80",          // overlong
                                  "\xE0\x9F\xBF",      // overlong
                                  "\xF0\x8F\xBF\xBF",  // overlong
                                  "\xED\xA0\x80",      // surrogate
                                  "\xF4\x90\x80\x80",  // above U+10FFFF
                                  "\xC3(",             // no continuation
                                  "\xFF"};
  for (const std::string_view text : bad) {
    const utf8_char c = decode_utf8(text);
    CHECK(!c.valid);
    CHECK(!c.truncated);
    CHECK(c.length == 1);
  }
}

TEST_CASE("decode_utf8 tells a cut character from a wrong one") {
  CHECK(decode_utf8("\xE2\x82").truncated);
  CHECK(decode_utf8("\xF0").truncated);
  CHECK(!decode_utf8("\xE2(").truncated);
}

TEST_CASE("append_utf8 is the inverse of decode_utf8") {
  for (const char32_t c : {0x24u, 0x7Fu, 0x80u, 0x7FFu, 0x800u, 0xD7FFu,
                           0xE000u, 0xFFFFu, 0x10000u, 0x10FFFFu}) {
    std::string text;
    append_utf8(text, c);
    const utf8_char back = decode_utf8(text);
    CHECK(back.valid);
    CHECK(back.code_point == c);
    CHECK(back.length == text.size());
  }
}

TEST_CASE("complete_utf8_length stops before a character that is cut") {
  CHECK(complete_utf8_length("ab") == 2);
  CHECK(complete_utf8_length("ab\xE2\x82") == 2);
  CHECK(complete_utf8_length("ab\xE2\x82\xAC") == 5);
  CHECK(complete_utf8_length("ab\x80") == 3);
  CHECK(complete_utf8_length("\xF0\x9F\x98") == 0);
  CHECK(complete_utf8_length("") == 0);
}

TEST_CASE("invalid bytes are found and replaced") {
  CHECK(find_invalid_utf8("ok \xE2\x82\xAC") == std::string_view::npos);
  CHECK(find_invalid_utf8("ok \xFF") == 3);
  CHECK(to_valid_utf8("a\xFF"
                      "b") ==
        "a\xEF\xBF\xBD"
        "b");
  CHECK(to_valid_utf8("\xE2\x82") == "\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST_CASE("characters of UTF-8 are counted, not bytes") {
  CHECK(count_characters("") == 0);
  CHECK(count_characters("A\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80!") == 5);
}
