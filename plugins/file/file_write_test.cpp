// SPDX-License-Identifier: MIT
#include "plugins/file/file_write.h"

#include <sys/stat.h>

#include <fstream>
#include <iterator>

#include "support/run_stage.h"
#include "support/temp_folder.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

// How many bytes were written, or why not.
std::string write(const std::filesystem::path& file, std::string_view text,
                  files::write_mode mode) {
  host h = no_models();
  const file_write_stage stage({file, mode}, h);
  const auto out = run_stage(stage, {text});
  return out ? std::to_string(out->bytes)
             : std::string(to_string(out.error().code)) + ": " +
                   out.error().message;
}

std::string content(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("file.write appends lines, or replaces the whole") {
  using enum files::write_mode;
  const temp_folder folder;
  const auto file = folder.path() / "log.txt";
  CHECK(write(file, "a", append) == "2");
  CHECK(write(file, "b\n", append) == "2");
  CHECK(write(file, "", append) == "1");
  CHECK(content(file) == "a\nb\n\n");
  CHECK(write(file, "whole", replace) == "5");
  CHECK(content(file) == "whole");
}

TEST_CASE("file.write says what it could not write") {
  using enum files::write_mode;
  const temp_folder folder;
  const auto pipe = folder.path() / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  for (const auto mode : {append, replace}) {
    CHECK(write(folder.path() / "gone/x", "a", mode)
              .starts_with("not_found: " + folder.path().string() + "/gone/x"));
    CHECK(write(pipe, "a", mode) ==
          "invalid_argument: " + pipe.string() + ": not a regular file");
    CHECK(write("/dev/full", "a", mode) ==
          "invalid_argument: /dev/full: not a regular file");
  }
}
