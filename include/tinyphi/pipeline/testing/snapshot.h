// SPDX-License-Identifier: MIT
// What values were when somebody last said that they are right: one file beside
// each pipeline file, snapshots/NAME.json, with an object for each test.
#ifndef TINYPHI_PIPELINE_TESTING_SNAPSHOT_H_
#define TINYPHI_PIPELINE_TESTING_SNAPSHOT_H_

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/pipeline/value.h"

TINYPHI_NAMESPACE_BEGIN

class snapshot_file {
 public:
  static constexpr std::size_t max_bytes = std::size_t{16} << 20;

  // A value as JSON on one line, and the line of the file that it stands on.
  struct entry {
    std::string name;  // the reference: "output.answer"
    std::string json;
    std::size_t line = 0;
  };

  // Without snapshots, whatever the file holds.
  explicit snapshot_file(std::filesystem::path path) : path_(std::move(path)) {}

  // Where the snapshots of a pipeline file lie.
  [[nodiscard]] static std::filesystem::path path_of(
      const std::filesystem::path& folder, const std::filesystem::path& file);
  // A file that is not there has no snapshots. The error names the place.
  [[nodiscard]] static result<snapshot_file> read(std::filesystem::path path);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  // Null if the test has no value of that name.
  [[nodiscard]] const entry* find(std::string_view test,
                                  std::string_view name) const;
  // Replaces all values of a test; in the order given.
  void set(std::string_view test, std::vector<entry> values);
  // Forgets tests that are not among `tests`.
  void keep(const std::vector<std::string>& tests);
  // The file's text: a line for each value.
  [[nodiscard]] std::string text() const;
  // Writes it, and the folder, if anything has changed since it was read; a
  // file without a snapshot is removed.
  [[nodiscard]] result<void> write();

 private:
  struct test {
    std::string name;
    std::vector<entry> values;
  };

  std::filesystem::path path_;
  std::vector<test> tests_;
  std::string written_;  // what the file holds
};

// A value as a snapshot holds it.
[[nodiscard]] std::string snapshot_of(const value_data& data);
// Where two such texts begin to differ, each with a few words around.
[[nodiscard]] std::string difference(std::string_view before,
                                     std::string_view now);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/testing/snapshot.ipp"
#endif

#endif  // TINYPHI_PIPELINE_TESTING_SNAPSHOT_H_
