// SPDX-License-Identifier: MIT
#include "tinyphi/base/mapped_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "support/temp_folder.h"
#include "support/test.h"
#include "tinyphi/base/bytes.h"

using namespace tinyphi;
using tinyphi_test::message_of;
using tinyphi_test::temp_folder;
namespace fs = std::filesystem;

TEST_CASE("a mapped file is the bytes on disk, also when moved") {
  const temp_folder folder;
  auto opened = mapped_file::open(folder.write("a", "some bytes"));
  REQUIRE_OK(opened);
  const mapped_file file = *std::move(opened);
  CHECK(as_text(file.bytes()) == "some bytes");
  file.release(file.bytes());
  CHECK(as_text(file.bytes()) == "some bytes");
}

TEST_CASE("an empty file maps to nothing") {
  const temp_folder folder;
  const auto file = mapped_file::open(folder.write("empty", ""));
  REQUIRE_OK(file);
  CHECK(file->bytes().empty());
}

TEST_CASE("what is not a regular file is refused, without waiting") {
  const temp_folder folder;
  const fs::path pipe = folder.path() / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(message_of(mapped_file::open(folder.path())) ==
        folder.path().string() + ": a folder where a file is needed");
  CHECK(message_of(mapped_file::open(pipe)) ==
        pipe.string() + ": not a regular file");
  CHECK(message_of(read_file("/dev/zero", 10)) ==
        "/dev/zero: not a regular file");
}

TEST_CASE("a file that is not there is named") {
  const auto file = mapped_file::open("/no/such/file");
  REQUIRE(!file);
  CHECK(file.error().code == error_code::not_found);
  CHECK(message_of(file) == "/no/such/file: No such file or directory");
}

TEST_CASE("a file may be from any time") {
  const temp_folder folder;
  const auto path = folder.write("a", "x");
  for (const std::int64_t year : {-300, 0, 130, 290, 400}) {
    const ::timespec times[2] = {{0, UTIME_OMIT}, {year * 31'556'952, 7}};
    // File systems bring times that they cannot hold to their nearest.
    REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
    CHECK(mapped_file::open(path).has_value());
    CHECK(read_file(path, 1).has_value());
  }
}

TEST_CASE("read_file reads at most what is allowed") {
  const temp_folder folder;
  const fs::path path = folder.write("a", "12345");
  CHECK(*read_file(path, 5) == "12345");
  const auto refused = read_file(path, 4);
  REQUIRE(!refused);
  CHECK(refused.error().code == error_code::limit);
  CHECK(message_of(refused) ==
        path.string() + ": 5 bytes, at most 4 are allowed");
}
