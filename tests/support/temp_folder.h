// SPDX-License-Identifier: MIT
// A folder of a test's own, removed with all that is in it.
#ifndef TESTS_SUPPORT_TEMP_FOLDER_H_
#define TESTS_SUPPORT_TEMP_FOLDER_H_

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "support/test.h"

namespace tinyphi_test {

class temp_folder {
 public:
  temp_folder() {
    std::string name =
        (std::filesystem::temp_directory_path() / "tinyphi-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~temp_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  temp_folder(const temp_folder&) = delete;
  temp_folder& operator=(const temp_folder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  // Writes a file, and the folders on its way.
  std::filesystem::path write(std::string_view name,
                              std::string_view content) const {
    const auto file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
    return file;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace tinyphi_test

#endif  // TESTS_SUPPORT_TEMP_FOLDER_H_
