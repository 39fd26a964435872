// SPDX-License-Identifier: MIT
#include "plugins/fts/chunks.h"

#include "support/test.h"
#include "tinyphi/base/utf8.h"

using namespace tinyphi;
using fts::chunk;
using fts::split_chunks;

TEST_CASE("a passage knows its title, its headings and its line") {
  const auto chunks = split_chunks(
      "# The pump\n\nIt pumps.\n\n## Codes ##\n\n### Code 42\n\n"
      "Code 42 means\nthat the tank is empty.\n\n## C#\n\nNot a pump.\n",
      "pump", 1000);
  REQUIRE(chunks.size() == 3);
  CHECK(chunks[0] == chunk{"The pump", "The pump", "It pumps.", 3});
  CHECK(chunks[1] == chunk{"The pump", "Codes > Code 42",
                           "Code 42 means that the tank is empty.", 9});
  CHECK(chunks[2] == chunk{"The pump", "C#", "Not a pump.", 14});
}

TEST_CASE("paragraphs of one section share a passage while there is room") {
  const std::string text = "one one\n\ntwo two\n\nthree three\n";
  CHECK(split_chunks(text, "t", 100).size() == 1);
  const auto chunks = split_chunks(text, "t", 17);
  REQUIRE(chunks.size() == 2);
  CHECK(chunks[0].text == "one one\n\ntwo two");
  CHECK(chunks[1] == chunk{"t", "t", "three three", 5});
}

TEST_CASE("list items and table rows keep their lines, code keeps its marks") {
  const auto chunks = split_chunks(
      "Take\nthese:\n- a pump\n- a hose\n1. go\n\n```\n# no heading\n  "
      "x\n```\n",
      "t", 1000);
  REQUIRE(chunks.size() == 1);
  CHECK(
      chunks[0].text ==
      "Take these:\n- a pump\n- a hose\n1. go\n\n```\n# no heading\n  x\n```");
}

TEST_CASE("a text file has no headings and keeps its lines") {
  const auto chunks = split_chunks("# one\ntwo\n", "notes", 100, false);
  REQUIRE(chunks.size() == 1);
  CHECK(chunks[0] == chunk{"notes", "notes", "# one\ntwo", 1});
}

TEST_CASE("a long paragraph is cut between words and inside no character") {
  std::string words, letters;
  for (int i = 0; i < 1000; ++i) words += "word ", letters += "\xC3\xA9";
  for (const chunk& c : split_chunks(words, "t", 64)) {
    CHECK(c.text.size() <= 64);
    CHECK(c.text.ends_with("word"));
  }
  std::string joined;
  for (const chunk& c : split_chunks(letters, "t", 63)) {
    CHECK(c.text.size() <= 63);
    CHECK(find_invalid_utf8(c.text) == std::string::npos);
    joined += c.text;
  }
  CHECK(joined == letters);
}

TEST_CASE("headings are bounded, empty texts give no passage") {
  const auto chunks =
      split_chunks("# " + std::string(10000, 'h') + "\ntext\n", "t", 100);
  REQUIRE(chunks.size() == 1);
  CHECK(chunks[0].title.size() == 200);
  CHECK(split_chunks("", "t", 100).empty());
  CHECK(split_chunks("# Title\n\n## Nothing\n \n", "t", 100).empty());
  CHECK(split_chunks("##\n#\nx", "t", 100) ==
        std::vector<chunk>{{"t", "t", "x", 3}});
}
