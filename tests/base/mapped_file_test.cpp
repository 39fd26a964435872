// SPDX-License-Identifier: MIT
#include "tinyphi/base/mapped_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "support/test.h"
#include "tinyphi/base/bytes.h"

using namespace tinyphi;
using tinyphi_test::message_of;
namespace fs = std::filesystem;

namespace {

// A folder that is removed with all that is in it.
struct temporary_folder {
  temporary_folder() {
    std::string name = (fs::temp_directory_path() / "tinyphi-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~temporary_folder() { fs::remove_all(path); }
  fs::path file(const std::string& name, std::string_view text) const {
    std::ofstream(path / name, std::ios::binary) << text;
    return path / name;
  }
  fs::path path;
};

}  // namespace

TEST_CASE("a mapped file is the bytes on disk, also when moved") {
  const temporary_folder folder;
  auto opened = mapped_file::open(folder.file("a", "some bytes"));
  REQUIRE_OK(opened);
  const mapped_file file = *std::move(opened);
  CHECK(as_text(file.bytes()) == "some bytes");
  file.release(file.bytes());
  CHECK(as_text(file.bytes()) == "some bytes");
}

TEST_CASE("an empty file maps to nothing") {
  const temporary_folder folder;
  const auto file = mapped_file::open(folder.file("empty", ""));
  REQUIRE_OK(file);
  CHECK(file->bytes().empty());
}

TEST_CASE("what is not a regular file is refused, without waiting") {
  const temporary_folder folder;
  const fs::path pipe = folder.path / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(message_of(mapped_file::open(folder.path)) ==
        folder.path.string() + ": a folder where a file is needed");
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

TEST_CASE("read_file reads at most what is allowed") {
  const temporary_folder folder;
  const fs::path path = folder.file("a", "12345");
  CHECK(*read_file(path, 5) == "12345");
  const auto refused = read_file(path, 4);
  REQUIRE(!refused);
  CHECK(refused.error().code == error_code::limit);
  CHECK(message_of(refused) ==
        path.string() + ": 5 bytes, at most 4 are allowed");
}
