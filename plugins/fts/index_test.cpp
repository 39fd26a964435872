// SPDX-License-Identifier: MIT
#include "plugins/fts/index.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iterator>

#include "plugins/fts/search.h"
#include "support/temp_folder.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;
namespace fs = std::filesystem;

namespace {

struct fixture {
  temp_folder docs, out;
  fs::path index = out.path() / "docs.db";

  fts::index_report update(const fts::index_options& options = {}) {
    auto report = fts::update_index(docs.path(), index, options);
    REQUIRE_OK(report);
    return *report;
  }
  std::string find(std::string_view question) {
    const auto hits = fts::search_index(index, question);
    REQUIRE_OK(hits);
    return hits->empty() ? "" : hits->front().passage.text;
  }
};

std::string read_file(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool any_contains(const std::vector<std::string>& notes,
                  const std::string& what) {
  for (const std::string& n : notes) {
    if (n.find(what) != std::string::npos) return true;
  }
  return false;
}

// Runs f in a child that may not write files larger than max_bytes.
template <class F>
bool with_file_limit(rlim_t max_bytes, F f) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{max_bytes, max_bytes};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    ::_exit(f() ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

TEST_CASE("only new and changed files are read again") {
  fixture f;
  const auto a = f.docs.write("a.md", "# A\n\nThe pump is blue.\n");
  f.docs.write("sub/b.txt", "The hose is green.\n");
  f.docs.write("ignored.pdf", "x");
  f.docs.write(".hidden.md", "x");
  auto report = f.update();
  CHECK(report.n_files == 2);
  CHECK(report.n_read == 2);
  CHECK(report.n_chunks == 2);
  CHECK(report.notes.empty());
  CHECK(f.update().n_read == 0);

  f.docs.write("a.md", "# A\n\nThe pump is black.\n");
  report = f.update();
  CHECK(report.n_read == 1);
  CHECK(f.find("pump") == "The pump is black.");

  // Touched, not changed.
  fs::last_write_time(a, fs::last_write_time(a) + std::chrono::seconds(5));
  CHECK(f.update().n_read == 0);

  fs::remove(a);
  report = f.update();
  CHECK(report.n_removed == 1);
  CHECK(report.n_files == 1);
  CHECK(f.find("pump").empty());
  CHECK(f.find("hose") == "The hose is green.");

  fts::index_options small;
  small.chunk_bytes = 8;
  CHECK(f.update(small).n_read == 1);
}

TEST_CASE("hostile documents are skipped with a note, or repaired") {
  fixture f;
  f.docs.write("good.md", "The pump is blue.\n");
  f.docs.write("binary.md", std::string("pump\0pump", 9));
  f.docs.write("bytes.md", "The hose is gr\xFF\xFEn.\n");
  f.docs.write("huge.md", std::string(5000, 'x'));
  f.docs.write("bad\nname.md", "hidden words");
  f.docs.write("bad\xFFname.md", "hidden words");
  const auto secret = f.out.write("secret.md", "The secret is 42.\n");
  fs::create_symlink(secret, f.docs.path() / "link.md");
  fs::create_directory_symlink(f.out.path(), f.docs.path() / "link.md.d");
  fs::create_directory_symlink(f.docs.path(), f.docs.path() / "loop");
  REQUIRE(::mkfifo((f.docs.path() / "pipe.md").c_str(), 0600) == 0);
  fs::create_directory(f.docs.path() / "folder.md");
  fts::index_options options;
  options.max_file_bytes = 4096;

  const auto report = f.update(options);
  CHECK(report.n_files == 2);
  CHECK(
      any_contains(report.notes, "binary.md: skipped: binary (NUL at byte 4)"));
  CHECK(any_contains(report.notes, "bytes.md: not UTF-8 at byte 14"));
  CHECK(
      any_contains(report.notes, "huge.md: skipped: 5000 bytes, at most 4096"));
  CHECK(any_contains(report.notes, "bad?name.md: the name holds control"));
  CHECK(any_contains(report.notes, "link.md: skipped: symbolic link"));
  CHECK(any_contains(report.notes, "pipe.md: not a regular file"));
  CHECK(f.find("secret").empty());
  CHECK(f.find("hidden words").empty());
  CHECK(f.find("hose") == "The hose is gr\xEF\xBF\xBD\xEF\xBF\xBDn.");

  // Told again, without being read again.
  const auto again = f.update(options);
  CHECK(again.n_read == 0);
  CHECK(again.notes == report.notes);
}

TEST_CASE("a file that may not be read is skipped with a note") {
  if (::geteuid() == 0) SKIP_CASE("root may read everything");
  fixture f;
  fs::permissions(f.docs.write("a.md", "The pump is blue.\n"), fs::perms::none);
  const auto report = f.update();
  CHECK(report.n_files == 0);
  CHECK(any_contains(report.notes, "a.md: Permission denied"));
}

TEST_CASE("folders nested too deep and too many files are bounded") {
  fixture f;
  f.docs.write("1/2/3/a.md", "deep\n");
  f.docs.write("b.md", "flat\n");
  fts::index_options options;
  options.folder.max_depth = 2;
  const auto report = f.update(options);
  CHECK(report.n_files == 1);
  CHECK(any_contains(report.notes, "1/2/3: nested deeper than 2 folders"));
  options.folder.max_depth = 16;
  options.folder.max_files = 1;
  const auto failed = fts::update_index(f.docs.path(), f.index, options);
  CHECK(message_of(failed) ==
        f.docs.path().string() + ": more than 1 documents");
}

TEST_CASE("a full disk leaves the index as it was, and no new file") {
  fixture f;
  f.docs.write("a.md", "The pump is blue.\n");
  std::string big;
  for (int i = 0; i < 20000; ++i) big += "word" + std::to_string(i) + "\n\n";
  f.docs.write("big.md", big);
  const auto fails = [&] {
    const auto r = fts::update_index(f.docs.path(), f.index);
    return !r && r.error().code == error_code::io &&
           r.error().message.find("disk") != std::string::npos;
  };
  CHECK(with_file_limit(65536, fails));
  CHECK(fs::is_empty(f.out.path()));

  fs::remove(f.docs.path() / "big.md");
  f.update();
  f.docs.write("big.md", big);
  CHECK(with_file_limit(65536, fails));
  CHECK(f.find("pump") == "The pump is blue.");
  CHECK(f.find("word7").empty());
  CHECK(f.update().n_read == 1);
  CHECK(f.find("word7").find("word7") != std::string::npos);
}

TEST_CASE("an update that is stopped or fails changes nothing") {
  fixture f;
  f.docs.write("a.md", "The pump is blue.\n");
  f.update();
  f.docs.write("a.md", "The pump is no longer blue.\n");
  fts::index_options options;
  options.stop.token.cancel();
  const auto r = fts::update_index(f.docs.path(), f.index, options);
  REQUIRE(!r);
  CHECK(r.error().code == error_code::cancelled);
  CHECK(f.find("pump") == "The pump is blue.");

  // A folder that is gone is a mistake, not an empty folder.
  const auto gone = fts::update_index(f.docs.path() / "no", f.index);
  REQUIRE(!gone);
  CHECK(gone.error().code == error_code::not_found);
  CHECK(f.find("pump") == "The pump is blue.");
}

TEST_CASE("a deadline holds inside one large document") {
  fixture f;
  std::string text;
  while (text.size() < (4 << 20)) text += "#\nx\n";
  f.docs.write("a.md", text);
  fts::index_options options;
  const auto start = std::chrono::steady_clock::now();
  options.stop.deadline = start + std::chrono::milliseconds(100);
  const auto r = fts::update_index(f.docs.path(), f.index, options);
  REQUIRE(!r);
  CHECK(r.error().code == error_code::deadline);
  CHECK(!fs::exists(f.index));
}

TEST_CASE("a file may claim to be from any time") {
  fixture f;
  f.docs.write("a.md", "The pump is blue.\n");
  const timespec times[2] = {{20'000'000'000, 0}, {20'000'000'000, 0}};
  REQUIRE(::utimensat(AT_FDCWD, (f.docs.path() / "a.md").c_str(), times, 0) ==
          0);
  CHECK(f.update().n_read == 1);
  CHECK(f.update().n_read == 0);
  CHECK(unix_nanoseconds({20'000'000'000, 5}) ==
        unix_nanoseconds({20'000'000'000, 4}) + 1);
}

TEST_CASE("an index with impossible file ids is refused") {
  for (const char* id : {"9223372036854775807", "0", "-1"}) {
    fixture f;
    f.docs.write("a.md", "The pump is blue.\n");
    f.update();
    {
      const auto db = fts::database::open(f.index, fts::index_kind,
                                          fts::database::mode::create);
      REQUIRE_OK(db);
      const auto set = db->execute("UPDATE file SET id = " + std::string(id));
      REQUIRE_OK(set);
    }
    f.docs.write("b.md", "The tank is red.\n");
    CHECK_THAT(message_of(fts::update_index(f.docs.path(), f.index)),
               Catch::Contains("which no update makes"));
  }
}

TEST_CASE(
    "a file that is no index is left alone, with no advice to delete it") {
  fixture f;
  f.docs.write("a.md", "The pump is blue.\n");
  const auto refuses = [&](const std::string& bytes) {
    f.out.write("docs.db", bytes);
    for (const std::string& message :
         {message_of(fts::update_index(f.docs.path(), f.index)),
          message_of(fts::search_index(f.index, "pump"))}) {
      CHECK(message == f.index.string() +
                           ": not an index of tinyphi, and left alone; choose "
                           "another file for the index");
    }
    CHECK(read_file(f.index) == bytes);
  };
  refuses("x");
  refuses("not a database, but somebody's notes. " + std::string(2000, 'x'));
  fs::remove(f.index);
  sqlite3* photos = nullptr;
  REQUIRE(sqlite3_open(f.index.c_str(), &photos) == SQLITE_OK);
  sqlite3_exec(photos, "CREATE TABLE photos (x)", nullptr, nullptr, nullptr);
  sqlite3_close(photos);
  std::string bytes = read_file(f.index);
  REQUIRE(bytes.size() >= 4096);
  refuses(bytes);
  bytes.resize(4096);  // damaged, and still the user's own
  refuses(bytes);
  // An index whose mark is damaged could be anything.
  fs::remove(f.index);
  f.update();
  bytes = read_file(f.index);
  bytes[68] = 'T';
  refuses(bytes);
}

TEST_CASE("an index that is ours, but damaged or too new, can be deleted") {
  fixture f;
  f.docs.write("a.md", "The pump is blue.\n");
  const auto refuses = [&](const char* why) {
    for (const std::string& message :
         {message_of(fts::update_index(f.docs.path(), f.index)),
          message_of(fts::search_index(f.index, "pump"))}) {
      CHECK_THAT(message,
                 Catch::Contains(why) && Catch::Contains("delete the file"));
    }
  };
  CHECK_THAT(message_of(fts::search_index(f.index, "pump")),
             Catch::Contains("no such index"));
  f.update();
  const std::string good = read_file(f.index);
  f.out.write("docs.db", good.substr(0, good.size() / 2));
  refuses("this index of tinyphi is damaged");
  std::string bad = good;
  const std::size_t text = bad.find("blue");
  REQUIRE(text != std::string::npos);
  bad[text] = 'g';
  f.out.write("docs.db", bad);
  CHECK_THAT(message_of(fts::search_index(f.index, "pump")),
             Catch::Contains("the checksum of a page is wrong"));
  f.out.write("docs.db", good);
  {
    const auto db = fts::database::open(f.index, fts::index_kind,
                                        fts::database::mode::create);
    REQUIRE_OK(db);
    const auto set = db->execute("PRAGMA user_version = 99");
    REQUIRE_OK(set);
  }
  refuses("index version 99");
}

TEST_CASE("a damaged index gives an error or what the intact one gives") {
  fixture f;
  for (int i = 0; i < 40; ++i) {
    f.docs.write("d" + std::to_string(i) + ".md",
                 "# Pump " + std::to_string(i) + "\n\nThe pump " +
                     std::to_string(i) + " is blue.\n");
  }
  f.update();
  const std::string good = read_file(f.index);
  const char* question = "Is pump 7 blue?";
  const auto right = fts::search_index(f.index, question);
  REQUIRE_OK(right);
  REQUIRE(right->size() == 6);
  int n_errors = 0, n_right = 0;
  const auto check = [&] {
    const auto hits = fts::search_index(f.index, question);
    if (!hits) {
      ++n_errors;
      CHECK(!hits.error().message.empty());
      return;
    }
    ++n_right;
    REQUIRE(hits->size() == right->size());
    for (std::size_t i = 0; i < hits->size(); ++i) {
      CHECK(hits->at(i).passage == right->at(i).passage);
      CHECK(hits->at(i).source == right->at(i).source);
      CHECK(hits->at(i).score == right->at(i).score);
    }
  };
  std::uint32_t random = 7;
  const auto any = [&] { return random = random * 1664525u + 1013904223u; };
  for (int round = 0; round < 300; ++round) {
    std::string bad = good;
    for (int i = 0; i < (round % 2 == 0 ? 1 : 16); ++i) {
      bad[(any() >> 8) % bad.size()] = static_cast<char>(any() >> 24);
    }
    if (round % 8 == 0) bad.resize((any() >> 4) % bad.size());
    f.out.write("docs.db", bad);
    check();
    // An update that takes the index for intact leaves one that is.
    if (fts::update_index(f.docs.path(), f.index)) check();
  }
  // Both happen: a search reads few of the pages.
  CHECK(n_errors > 50);
  CHECK(n_right > 50);
}
