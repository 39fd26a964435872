// SPDX-License-Identifier: MIT
#include "tinyphi/base/ascii.h"

#include "support/test.h"

using namespace tinyphi;

TEST_CASE("digits, letters and their case are ASCII's for all 256 bytes") {
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    const std::string_view digits = "0123456789";
    const std::string_view small = "abcdefghijklmnopqrstuvwxyz";
    const std::string_view large = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const auto is_in = [&](std::string_view set) {
      return set.find(c) != std::string_view::npos;
    };
    CHECK(ascii::is_digit(c) == is_in(digits));
    CHECK(ascii::is_letter(c) == (is_in(small) || is_in(large)));
    CHECK(ascii::lower(c) == (is_in(large) ? small[large.find(c)] : c));
    const std::size_t value =
        std::string_view("0123456789abcdef")
            .find(is_in(large) ? small[large.find(c)] : c);
    CHECK(ascii::hex_digit(c) ==
          (value == std::string_view::npos ? -1 : static_cast<int>(value)));
  }
  CHECK(ascii::lower("Aa \xC3\x84Z") == "aa \xC3\x84z");
}

TEST_CASE("percent signs stand before two hexadecimal digits") {
  CHECK(ascii::percent_decoded("") == "");
  CHECK(ascii::percent_decoded("a%2Fb%2fc%25") == "a/b/c%");
  CHECK(ascii::percent_decoded("%2541") == "%41");  // once only
  CHECK(ascii::percent_decoded("%00%ff") == std::string("\0\xff", 2));
  for (const char* text : {"%", "%4", "a%", "%4g", "%g4", "%%41", "%+4"}) {
    CAPTURE(text);
    CHECK_FALSE(ascii::percent_decoded(text));
  }
}
