// SPDX-License-Identifier: MIT
#include "tinyphi/text/pre_tokenize.h"

#include <string>
#include <vector>

#include "support/test.h"

using namespace tinyphi;

namespace {

using words = std::vector<std::string>;

words split(pre_tokenizer pre, std::string_view text) {
  words out;
  while (!text.empty()) {
    const std::size_t n = first_word_length(pre, text);
    REQUIRE(n > 0);
    REQUIRE(n <= text.size());
    out.emplace_back(text.substr(0, n));
    text.remove_prefix(n);
  }
  return out;
}
words cl100k(std::string_view text) {
  return split(pre_tokenizer::cl100k, text);
}
words o200k(std::string_view text) { return split(pre_tokenizer::o200k, text); }

}  // namespace

TEST_CASE("cl100k words") {
  CHECK(cl100k("I'll say it's 12345, OK?!\n\n") ==
        words{"I", "'ll", " say", " it", "'s", " ", "123", "45", ",", " OK",
              "?!\n\n"});
  CHECK(cl100k("a   b") == words{"a", "  ", " b"});
  CHECK(cl100k("a  \n  b  ") == words{"a", "  \n", " ", " b", "  "});
  CHECK(cl100k("camelCase (x)\t\ty") ==
        words{"camelCase", " (", "x", ")", "\t", "\ty"});
  CHECK(cl100k("'\u017Fx'D") == words{"'\u017F", "x", "'D"});
  CHECK(cl100k("e\u0301") == words{"e", "\u0301"});
}

TEST_CASE("o200k words") {
  CHECK(
      o200k("I'll say It's 12345, OK?!/\n\n") ==
      words{"I'll", " say", " It's", " ", "123", "45", ",", " OK", "?!/\n\n"});
  CHECK(o200k("camelCase HTMLParser") == words{"camel", "Case", " HTMLParser"});
  CHECK(o200k("\u65E5ABC") == words{"\u65E5", "ABC"});
  CHECK(o200k("\u65E5ABCd") == words{"\u65E5ABCd"});
  CHECK(o200k("\u0301A") == words{"\u0301", "A"});
  CHECK(o200k("e\u0301'S") == words{"e\u0301'S"});
  CHECK(o200k(" \u0301") == words{" \u0301"});
}

TEST_CASE("without a pre-tokenizer a text is one word") {
  CHECK(split(pre_tokenizer::none, "a b") == words{"a b"});
}
