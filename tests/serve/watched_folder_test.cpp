// SPDX-License-Identifier: MIT
#include "tinyphi/serve/watched_folder.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/temp_folder.h"
#include "support/test.h"

using namespace tinyphi;
namespace fs = std::filesystem;

namespace {

void write(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::vector<std::string> look(watched_folder& w) {
  const auto names = w.look();
  REQUIRE_OK(names);
  return *names;
}

using names = std::vector<std::string>;

}  // namespace

TEST_CASE("a file is given once it has stopped changing, the oldest first") {
  const tinyphi_test::temp_folder folder;
  watched_folder w({folder.path(), "*.txt"}, folder.path() / "done");
  write(folder.path() / "b.txt", "1");
  fs::last_write_time(folder.path() / "b.txt",
                      fs::file_time_type::clock::now() - std::chrono::hours(1));
  write(folder.path() / "a.txt", "1");
  write(folder.path() / "a.tmp", "1");
  fs::create_directory(folder.path() / "d.txt");
  fs::create_symlink("a.txt", folder.path() / "l.txt");
  CHECK(look(w).empty());
  write(folder.path() / "a.txt", "longer");
  CHECK(look(w) == names{"b.txt"});
  CHECK(look(w) == names{"b.txt", "a.txt"});
}

TEST_CASE("what is done is not given again, also by a new start") {
  const tinyphi_test::temp_folder folder;
  const fs::path record = folder.path() / "done";
  const auto restarted = [&] {
    watched_folder w({folder.path(), "*.txt"}, record);
    static_cast<void>(look(w));
    return look(w);
  };
  write(folder.path() / "a.txt", "1");
  write(folder.path() / "b \"\n.txt", "1");
  {
    watched_folder w({folder.path(), "*.txt"}, record);
    CHECK(look(w).empty());
    CHECK(look(w).size() == 2);
    REQUIRE_OK(w.set_done("b \"\n.txt"));
    CHECK(look(w) == names{"a.txt"});
    REQUIRE_OK(w.set_done("a.txt"));
    CHECK(look(w).empty());
  }
  CHECK(restarted().empty());
  write(folder.path() / "a.txt", "changed");
  CHECK(restarted() == names{"a.txt"});
  // A record that somebody broke loses what is broken, no more.
  std::string text;
  {
    std::ifstream in(record, std::ios::binary);
    text.assign(std::istreambuf_iterator<char>(in), {});
  }
  write(record,
        "nonsense\n{\"name\": 5}\n[]\n" + text.substr(0, text.size() - 1));
  CHECK(restarted() == names{"a.txt"});
}

TEST_CASE("a folder that cannot be read, or holds too much, is an error") {
  const tinyphi_test::temp_folder folder;
  watched_folder gone({folder.path() / "no", "*"}, folder.path() / "done");
  const auto missing = gone.look();
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == error_code::not_found);
  for (std::size_t i = 0; i <= watched_folder::max_files; ++i) {
    write(folder.path() / std::to_string(i), "");
  }
  watched_folder full({folder.path(), "*"}, folder.path() / "done");
  const auto many = full.look();
  REQUIRE_FALSE(many);
  CHECK(many.error().code == error_code::limit);
}
