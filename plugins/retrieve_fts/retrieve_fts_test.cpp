// SPDX-License-Identifier: MIT
#include "plugins/retrieve_fts/retrieve_fts.h"

#include "plugins/ingest/ingest.h"
#include "support/run_stage.h"
#include "support/temp_folder.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;

TEST_CASE("ingest makes an index, retrieve.fts finds its passages") {
  temp_folder folder;
  folder.write("docs/codes.md",
               "# Codes\n\n## Code 42\n\nThe tank is empty.\n");
  folder.write("docs/bad.md", std::string("\0", 1));
  host h({}, folder.path(), {});
  const auto index = folder.path() / "index.db";
  const ingest_stage ingest({folder.path() / "docs", index}, h);
  auto report = run_stage(ingest, {});
  REQUIRE_OK(report);
  CHECK(report->files == 1);
  CHECK(report->read == 1);
  CHECK(report->passages == 1);
  CHECK(report->notes == "bad.md: skipped: binary (NUL at byte 0)\n");

  const retrieve_fts_stage retrieve({.index = index, .weights = {}}, h);
  auto found = run_stage(retrieve, {"What does code 42 mean?"});
  REQUIRE_OK(found);
  CHECK(found->count == 1);
  REQUIRE(found->docs);
  const document& d = found->docs->at(0);
  CHECK(d.id == "codes.md#1");
  CHECK(d.source == "codes.md");
  CHECK(d.title == "Codes");
  CHECK(d.locator == "Code 42");
  CHECK(d.line == 5);
  CHECK(d.text == "The tank is empty.");
  CHECK(d.score > 0);

  // Not sure enough: no docs at all, so that what needs them is skipped.
  auto nothing = run_stage(retrieve, {"What does code 77 mean?"});
  REQUIRE_OK(nothing);
  CHECK(!nothing->docs);
  CHECK(nothing->count == 0);
}

TEST_CASE("a folder of many bad files cannot make ingestion fail") {
  temp_folder folder;
  const std::string name(200, 'x');
  folder.write("docs/good.md", "The tank is empty.\n");
  for (int i = 0; i < 1000; ++i) {
    std::filesystem::create_symlink(
        "nowhere", folder.path() / "docs" / (name + std::to_string(i) + ".md"));
  }
  host h({}, folder.path(), {});
  const ingest_stage ingest({folder.path() / "docs", folder.path() / "i.db"},
                            h);
  auto report = run_stage(ingest, {});
  REQUIRE_OK(report);
  CHECK(report->files == 1);
  CHECK(report->notes.size() < 65536 + 100);
  CHECK(report->notes.ends_with(" more notes\n"));
}

TEST_CASE("errors name the folder or the index") {
  temp_folder folder;
  host h({}, folder.path(), {});
  const auto gone = folder.path() / "gone";
  const ingest_stage ingest({gone, folder.path() / "i.db"}, h);
  CHECK_THAT(message_of(run_stage(ingest, {})),
             Catch::Contains(gone.string() + ": cannot open the folder"));
  const retrieve_fts_stage retrieve({.index = gone, .weights = {}}, h);
  CHECK_THAT(message_of(run_stage(retrieve, {"x"})),
             Catch::Contains(gone.string() + ": no such index"));
  stop_condition stop;
  stop.token.cancel();
  folder.write("docs/a.md", "x");
  const ingest_stage stopped({folder.path() / "docs", folder.path() / "i.db"},
                             h);
  CHECK(run_stage(stopped, {}, stop).error().code == error_code::cancelled);
}

TEST_CASE("weights are checked") {
  host h = no_models();
  retrieve_fts_stage::config c;
  c.weights = {{"title", 2}, {"heading", 0}, {"body", 1}};
  CHECK(retrieve_fts_stage::check(c, {}, h).faults.empty());
  c.weights = {{"titel", 2}};
  auto faults = retrieve_fts_stage::check(c, {}, h).faults;
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].message ==
        "unknown weight 'titel'; there are title, heading and body");
  c.weights = {{"title", -1}};
  faults = retrieve_fts_stage::check(c, {}, h).faults;
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].message == "the weight of 'title' must be at least 0");
}
