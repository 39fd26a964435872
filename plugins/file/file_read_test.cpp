// SPDX-License-Identifier: MIT
#include "plugins/file/file_read.h"

#include <sys/stat.h>

#include "support/run_stage.h"
#include "support/temp_folder.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

// A folder with inbox/a.txt and secret.txt; data may name files in inbox.
struct inbox {
  inbox() {
    folder.write("inbox/a.txt", "Gr\u00FC\u00DFe\n");
    folder.write("secret.txt", "key");
  }
  // The text, or "CODE: MESSAGE".
  std::string read(const std::string& name, std::uint64_t max_bytes = 64,
                   type_kind bound = type_kind::file) const {
    host h({}, folder.path(), {}, {}, {{folder.path() / "inbox"}, {}});
    call_facts call;
    call.types["file"] = bound;
    const file_read_stage stage({byte_size{max_bytes}}, call, h);
    const auto out = run_stage(stage, {{name}});
    if (!out) {
      return std::string(to_string(out.error().code)) + ": " +
             out.error().message;
    }
    CHECK(out->bytes == static_cast<std::int64_t>(out->text.size()));
    return out->text;
  }
  temp_folder folder;
};

}  // namespace

TEST_CASE("file.read reads below [allow].read") {
  const inbox box;
  CHECK(box.read("inbox/a.txt") == "Gr\u00FC\u00DFe\n");
  CHECK(box.read("./inbox//./a.txt") == "Gr\u00FC\u00DFe\n");
  CHECK(box.read((box.folder.path() / "inbox/a.txt").string()) ==
        "Gr\u00FC\u00DFe\n");
  box.folder.write("inbox/empty", "");
  CHECK(box.read("inbox/empty").empty());
  CHECK(box.read("inbox/b.txt") ==
        "not_found: file 'inbox/b.txt': No such file or directory");
  CHECK(box.read("inbox/a.txt", 8) == "Gr\u00FC\u00DFe\n");
  CHECK(box.read("inbox/a.txt", 7) ==
        "limit: file 'inbox/a.txt': larger than 7 bytes");
}

TEST_CASE("file.read leaves everything else alone") {
  const inbox box;
  namespace fs = std::filesystem;
  fs::create_symlink(box.folder.path() / "secret.txt",
                     box.folder.path() / "inbox/link");
  fs::create_symlink(box.folder.path(), box.folder.path() / "inbox/up");
  REQUIRE(::mkfifo((box.folder.path() / "inbox/pipe").c_str(), 0600) == 0);
  for (const std::string name :
       {"secret.txt", "/etc/passwd", "inbox2", "inbox/../secret.txt", "..", "",
        "inbox/link", "inbox/up/secret.txt"}) {
    INFO(name);
    const std::string out = box.read(name);
    CHECK_THAT(out, Catch::StartsWith("invalid_argument: file ") &&
                        Catch::Contains("[allow].read"));
  }
  using namespace std::string_literals;
  CHECK_THAT(box.read("inbox/a.txt\0.png"s), Catch::Contains("NUL"));
  // Without waiting for somebody who writes into the pipe.
  CHECK(box.read("inbox/pipe") ==
        "invalid_argument: file 'inbox/pipe' is not a regular file");
  CHECK(box.read("inbox") ==
        "invalid_argument: file 'inbox' is not a regular file");
  box.folder.write("inbox/latin", "Gr\xFC");
  CHECK(box.read("inbox/latin") ==
        "bad_data: file 'inbox/latin': byte 2 is not UTF-8");
  host h({}, box.folder.path(), {});
  const file_read_stage stage({}, {}, h);
  const auto out = run_stage(stage, {{"inbox/a.txt"}});
  REQUIRE(!out);
  CHECK(out.error().message ==
        "file 'inbox/a.txt' lies in no folder of [allow].read, which names "
        "none");
}

TEST_CASE("file.read takes a path that the author wrote as it is") {
  const inbox box;
  CHECK(box.read("secret.txt", 64, type_kind::path) == "key");
  CHECK(box.read("gone.txt", 64, type_kind::path)
            .starts_with("not_found: file 'gone.txt'"));
}
