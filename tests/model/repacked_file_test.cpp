// SPDX-License-Identifier: MIT
#include "tinyphi/model/repacked_file.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "support/temp_folder.h"
#include "support/test.h"
#include "tinyphi/base/bytes.h"

using namespace tinyphi;
using namespace tinyphi_test;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

const std::string strips(1000, 'w');
constexpr std::uint64_t content = 0x00ab'cdef'0123'4567;

repacked_key key_in(const temp_folder& folder) {
  repacked_key key;
  key.path = folder.path() / "m.gguf.r16";
  key.made_from = "the facts of a model";
  key.strip_bytes = strips.size();
  key.model.owner = ::geteuid();
  key.model.mode = 0644;
  key.changed = 1'700'000'000'000'000'001;
  return key;
}

repacked_key written(const temp_folder& folder) {
  repacked_key key = key_in(folder);
  const auto done = write_repacked(key, as_bytes(strips), content);
  REQUIRE_OK(done);
  return key;
}

}  // namespace

TEST_CASE("strips that were kept come back, at a page's beginning") {
  const temp_folder folder;
  const auto opened = repacked_file::open(written(folder));
  REQUIRE_OK(opened);
  CHECK(as_text(opened->strips()) == strips);
  CHECK(opened->content() == content);
  CHECK(reinterpret_cast<std::uintptr_t>(opened->strips().data()) % 4096 == 0);
}

TEST_CASE("a kept file is another if any byte of its head is another") {
  const temp_folder folder;
  const repacked_key key = written(folder);
  const std::string right = *read_file(key.path, 1 << 20);
  for (std::size_t i = 0; i < 4096; ++i) {
    std::string wrong = right;
    wrong[i] = static_cast<char>(i < 16 && wrong[i] != '9' ? '9' : ~wrong[i]);
    folder.write("m.gguf.r16", wrong);
    const auto opened = repacked_file::open(key);
    if (i < 16 && wrong[i] == '9') {
      REQUIRE_OK(opened);
      REQUIRE(opened->content() != content);
      continue;
    }
    REQUIRE(!opened);
    REQUIRE_THAT(message_of(opened), Contains("not made from this model"));
  }
}

TEST_CASE("a kept file is refused if it or the key is of another model") {
  const temp_folder folder;
  const repacked_key key = written(folder);
  const std::string right = *read_file(key.path, 1 << 20);

  repacked_key other = key;
  other.made_from += " ";
  CHECK_THAT(message_of(repacked_file::open(other)), Contains("this version"));
  other = key;
  other.strip_bytes += 1;
  CHECK_THAT(message_of(repacked_file::open(other)), Contains("another size"));
  other = key;
  other.path += "x";
  CHECK(repacked_file::open(other).error().code == error_code::not_found);

  for (const auto& wrong :
       {right.substr(0, right.size() - 1), right + "x", right.substr(0, 4096),
        right.substr(0, 10), std::string()}) {
    folder.write("m.gguf.r16", wrong);
    CHECK_THAT(message_of(repacked_file::open(key)), Contains("another size"));
  }
}

TEST_CASE("a kept file is unchanged until it or the model is written to") {
  const temp_folder folder;
  const repacked_key key = written(folder);
  const auto unchanged = [](const repacked_key& k) {
    const auto opened = repacked_file::open(k);
    REQUIRE_OK(opened);
    return opened->unchanged();
  };
  CHECK(unchanged(key));
  repacked_key later = key;
  *later.changed += 1;
  CHECK(!unchanged(later));
  later.changed.reset();
  CHECK(!unchanged(later));

  // Written to, with the same bytes, until that is known to be so.
  folder.write("m.gguf.r16", *read_file(key.path, 1 << 20));
  CHECK(!unchanged(key));
  const auto opened = repacked_file::open(key);
  REQUIRE_OK(opened);
  opened->remember(later);
  CHECK(!unchanged(later));
  CHECK(!unchanged(key));
  opened->remember(key);
  CHECK(unchanged(key));

  // Kept while the model's last change may not have been over.
  REQUIRE_OK(write_repacked(later, as_bytes(strips), content));
  CHECK(!unchanged(later));
  CHECK(!unchanged(key));
}

TEST_CASE("the last change tells files apart, unless it may not be over") {
  const temp_folder folder;
  folder.write("new", "x");
  const auto change = [&](std::initializer_list<fs::path> paths) {
    std::vector<mapped_file> files;
    for (const fs::path& path : paths) {
      files.push_back(*mapped_file::open(path));
    }
    std::vector<const mapped_file*> all;
    for (const mapped_file& file : files) all.push_back(&file);
    return last_change(all);
  };
  // The test's own files are older than two seconds.
  const auto a = data_dir() / "tiny/mini-4k/model.safetensors";
  const auto b = data_dir() / "tiny/mini-128k/model.safetensors";
  const auto c = data_dir() / "tiny/small-8k/model.safetensors";
  CHECK(change({a}) == mapped_file::open(a)->stamp().changed);
  CHECK(change({a}) != change({b}));
  CHECK(change({a, b}) != change({a, c}));
  CHECK(change({a, b}) != change({b, c}));
  CHECK(change({folder.path() / "new"}) == std::nullopt);
  CHECK(change({a, folder.path() / "new"}) == std::nullopt);
}

TEST_CASE("a change is trusted from two seconds after it on") {
  using namespace std::chrono_literals;
  const temp_folder folder;
  folder.write("model", "x");
  const auto file = mapped_file::open(folder.path() / "model");
  REQUIRE_OK(file);
  const mapped_file* const files[] = {&*file};
  const std::chrono::system_clock::time_point changed(
      std::chrono::nanoseconds(file->stamp().changed));
  CHECK(last_change(files, changed + 2s) == file->stamp().changed);
  CHECK(last_change(files, changed + 2s - 1ns) == std::nullopt);
  CHECK(last_change(files, changed) == std::nullopt);
  // A clock that was set back.
  CHECK(last_change(files, changed - 24h) == std::nullopt);
}

TEST_CASE("a kept file of a foreign user is not believed") {
  if (::geteuid() != 0) SKIP_CASE("only root can give files away");
  const temp_folder folder;
  repacked_key key = written(folder);
  REQUIRE(::chown(key.path.c_str(), 12345, 12345) == 0);
  CHECK_THAT(message_of(repacked_file::open(key)), Contains("belongs neither"));
  key.model.owner = 12345;
  CHECK(repacked_file::open(key));
}

TEST_CASE("who opens a file that several write finds all of it or nothing") {
  const temp_folder folder;
  const repacked_key key = key_in(folder);
  std::vector<std::jthread> writers;
  std::atomic<int> n_written = 0;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&] {
      for (int n = 0; n < 10; ++n) {
        n_written += write_repacked(key, as_bytes(strips), content).has_value();
      }
    });
  }
  int n_opened = 0;
  do {
    const auto opened = repacked_file::open(key);
    if (!opened && opened.error().code == error_code::not_found) continue;
    REQUIRE_OK(opened);
    REQUIRE(as_text(opened->strips()) == strips);
    ++n_opened;
  } while (n_written < 40 || n_opened == 0);
  const auto files = fs::directory_iterator(folder.path());
  CHECK(std::distance(begin(files), end(files)) == 1);
}

TEST_CASE("what cannot be kept is an error that says what to do") {
  const temp_folder folder;
  repacked_key key = key_in(folder);
  key.path = folder.path() / "no" / "m.r16";
  const auto no_folder = write_repacked(key, as_bytes(strips), content);
  CHECK_THAT(message_of(no_folder), Contains("No such file or directory"));

  key = key_in(folder);
  fs::create_directory(key.path);
  CHECK_THAT(message_of(write_repacked(key, as_bytes(strips), content)),
             Contains("not a regular file"));

  key.path = folder.path() / "stopped.r16";
  stop_condition stop;
  stop.token.cancel();
  CHECK(write_repacked(key, as_bytes(strips), content, stop).error().code ==
        error_code::cancelled);
  CHECK(!fs::exists(key.path));
}
