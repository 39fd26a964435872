// SPDX-License-Identifier: MIT
#include "tinyphi/base/replacement_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "support/temp_folder.h"
#include "support/test.h"
#include "tinyphi/base/bytes.h"

using namespace tinyphi;
using namespace tinyphi_test;
namespace fs = std::filesystem;

namespace {

std::size_t n_files(const temp_folder& folder) {
  return static_cast<std::size_t>(std::distance(
      fs::directory_iterator(folder.path()), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("a replacement takes the place of a file when it is whole") {
  const temp_folder folder;
  const fs::path path = folder.write("a", "old");
  {
    replacement_file file(path);
    REQUIRE(file.create().has_value());
    REQUIRE(file.write(as_bytes("ne")).has_value());
    CHECK(*read_file(path, 10) == "old");
    REQUIRE(file.write(as_bytes("w")).has_value());
    REQUIRE(file.commit().has_value());
  }
  CHECK(*read_file(path, 10) == "new");
  CHECK(n_files(folder) == 1);
}

TEST_CASE("a replacement that is given up leaves nothing") {
  const temp_folder folder;
  const fs::path path = folder.write("a", "old");
  {
    replacement_file file(path);
    REQUIRE(file.create().has_value());
    REQUIRE(file.reserve(1000).has_value());
    REQUIRE(file.write(as_bytes("new")).has_value());
  }
  CHECK(*read_file(path, 10) == "old");
  CHECK(n_files(folder) == 1);
}

TEST_CASE("a replacement can take another file's time and permissions") {
  const temp_folder folder;
  const fs::path path = folder.path() / "a";
  const file_stamp stamp{1'234'567'890'123'456'789, 0, 0, 0640};
  replacement_file file(path);
  REQUIRE(file.create().has_value());
  REQUIRE(file.write(as_bytes("x")).has_value());
  REQUIRE(file.commit_like(stamp).has_value());
  const auto opened = mapped_file::open(path);
  REQUIRE_OK(opened);
  CHECK(opened->stamp().modified == stamp.modified);
  CHECK(opened->stamp().mode == 0640);
}

TEST_CASE("a replacement is as public as the umask and its maker allow") {
  const temp_folder folder;
  const auto mode_of = [](const fs::path& path) {
    return static_cast<unsigned>(fs::status(path).permissions());
  };
  const ::mode_t before = ::umask(026);
  replacement_file file(folder.path() / "a");
  CHECK(file.create().has_value());
  CHECK(file.commit().has_value());
  replacement_file secret(folder.path() / "b");
  CHECK(secret.create(0600).has_value());
  CHECK(secret.commit().has_value());
  CHECK(mode_of(folder.path() / "a") == 0640);
  CHECK(mode_of(folder.path() / "b") == 0600);
  CHECK(n_files(folder) == 2);
  CHECK(::umask(before) == 026);
}

TEST_CASE("a process that is killed while it writes leaves nothing") {
  const temp_folder folder;
  const int can = ::open(folder.path().c_str(), O_WRONLY | O_TMPFILE, 0600);
  if (can < 0) SKIP_CASE("this file system has no files without names");
  ::close(can);
  const ::pid_t child = ::fork();
  if (child == 0) {
    replacement_file file(folder.path() / "a");
    const bool written = file.create() && file.write(as_bytes("part"));
    ::_exit(written ? 7 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WEXITSTATUS(status) == 7);
  CHECK(n_files(folder) == 0);
}

TEST_CASE("a replacement names what it cannot replace") {
  const temp_folder folder;
  replacement_file device("/dev/null");
  CHECK(message_of(device.create()) == "/dev/null: not a regular file");
  replacement_file nowhere(folder.path() / "no" / "a");
  CHECK(message_of(nowhere.create()) ==
        (folder.path() / "no" / "a").string() + ": No such file or directory");
}
