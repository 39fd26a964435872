// SPDX-License-Identifier: MIT
#include "plugins/fts/search.h"

#include "plugins/fts/index.h"
#include "support/temp_folder.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

struct manual {
  temp_folder folder;
  std::filesystem::path index = folder.path() / "index.db";

  manual() {
    folder.write("docs/codes.md",
                 "# Codes\n\n## Code 42\n\nThe tank is empty.\n\n"
                 "## Code 50\n\nThe filter is dirty.\n");
    folder.write("docs/care.md",
                 "# Care\n\n## Filter\n\nClean the filter once a week. The "
                 "caf\xC3\xA9 pump runs at 3.5 bar.\n");
    update();
  }
  void update() {
    const auto report = fts::update_index(folder.path() / "docs", index);
    REQUIRE_OK(report);
  }
  std::vector<fts::hit> ask(std::string_view question, double min = 0) {
    fts::search_options options;
    options.min_coverage = min;
    auto hits = fts::search_index(index, question, options);
    REQUIRE_OK(hits);
    return *std::move(hits);
  }
};

}  // namespace

TEST_CASE("a question finds its passage, with file, heading and line") {
  manual m;
  const auto hits = m.ask("How often should I clean the filters?");
  REQUIRE(!hits.empty());
  CHECK(hits[0].source == "care.md");
  CHECK(hits[0].number == 1);
  CHECK(hits[0].passage.title == "Care");
  CHECK(hits[0].passage.heading == "Filter");
  CHECK(hits[0].passage.line == 5);
  CHECK(hits[0].coverage == Approx(1));
  CHECK(m.ask("What does code 42 mean?")[0].passage.heading == "Code 42");
  CHECK(m.ask("CAF\xC3\x89 at 3.5 bar")[0].source == "care.md");
}

TEST_CASE("a word that no passage holds lowers the coverage most") {
  manual m;
  const auto one_of_two = m.ask("clean the rocket");
  REQUIRE(!one_of_two.empty());
  CHECK(one_of_two[0].coverage < 0.5);
  CHECK(one_of_two[0].coverage > 0.1);
  CHECK(m.ask("clean the rocket", 0.5).empty());
  CHECK(m.ask("What does code 77 mean?", 0.5).empty());
  CHECK(m.ask("Who are you?").empty());
  CHECK(m.ask("").empty());
}

TEST_CASE("coverage takes a word for found where the index finds it") {
  manual m;
  CHECK(m.ask("CAF\xC3\x89 pumps cleaned at 3.5 bars")[0].coverage ==
        Approx(1));
  // Its tokens stand there, but not one behind the other.
  const auto decimal = m.ask("bar 5.3");
  REQUIRE(!decimal.empty());
  CHECK(decimal[0].coverage < 0.7);
  for (const char* word : {"filters", "cafe", "3.5", "Dirty", "42", "week"}) {
    INFO(word);
    REQUIRE(!m.ask(word).empty());
    CHECK(m.ask(word)[0].coverage == Approx(1));
  }
}

TEST_CASE("nothing in a question is an operator") {
  manual m;
  for (const char* question :
       {"what is C++ filter", "title:filter", "\"filter", "filter* OR NOT",
        "NEAR(filter, 2)", "{filter}", "filter AND", "^filter", "fil\xFFter",
        "filter'); DROP TABLE chunk; --", "(((((", "- + | \xE2\x80\x9C"}) {
    INFO(question);
    m.ask(question);
  }
  CHECK(!m.ask("\xE2\x80\x9C"
               "filter\xE2\x80\x9D")
             .empty());
  CHECK(!m.ask("title:filter").empty());
  std::string many;
  for (int i = 0; i < 20000; ++i) many += "w" + std::to_string(i) + " ";
  CHECK(m.ask(many).empty());
}

TEST_CASE("weights decide between a heading and a body") {
  manual m;
  m.folder.write("docs/x.md", "# X\n\n## Valve\n\nTurn it.\n");
  m.folder.write("docs/y.md", "# Y\n\n## Other\n\nThe valve.\n");
  m.update();
  fts::search_options options;
  options.heading_weight = 10;
  auto hits = fts::search_index(m.index, "valve", options);
  REQUIRE_OK(hits);
  CHECK(hits->front().source == "x.md");
  options.heading_weight = 0;
  hits = fts::search_index(m.index, "valve", options);
  REQUIRE_OK(hits);
  CHECK(hits->front().source == "y.md");
  options.top_k = 1;
  hits = fts::search_index(m.index, "valve", options);
  REQUIRE_OK(hits);
  CHECK(hits->size() == 1);
}
