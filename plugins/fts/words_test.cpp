// SPDX-License-Identifier: MIT
#include "plugins/fts/words.h"

#include "support/test.h"

using namespace tinyphi;
using words = std::vector<std::string>;

TEST_CASE("words are lower case, numbers keep their decimals") {
  CHECK(fts::split_words("Don't touch: 3.5 bar, E42. ") ==
        words{"dont", "touch", "3.5", "bar", "e42"});
  CHECK(fts::split_words("\xC3\x89t\xC3\xA9 \xE2\x80\x9Cx\xE2\x80\x9D") ==
        words{"\xC3\xA9t\xC3\xA9", "x"});
  CHECK(fts::split_words("a\xFF"
                         "b 1. 2") == words{"a", "b", "1", "2"});
  CHECK(fts::split_words(" \n'...").empty());
}

TEST_CASE("stop words say how something is asked") {
  CHECK(fts::is_stop_word("what"));
  CHECK(!fts::is_stop_word("pump"));
}
