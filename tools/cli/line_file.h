// SPDX-License-Identifier: MIT
// A file with a JSON object in each line, which `run --each` and `eval` go
// through twice: once to see that all lines can be, once to run them.
#ifndef TOOLS_CLI_LINE_FILE_H_
#define TOOLS_CLI_LINE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/base/json.h"
#include "tinyphi/pipeline/diagnostic.h"

namespace cli {

// What the system says of a file.
[[nodiscard]] tinyphi::error system_error(const std::string& path, int number);

// Which lines a file has; see content_hash.h.
struct line_summary {
  std::size_t n_lines = 0;
  std::uint64_t hash = 0;
};

class line_file {
 public:
  static constexpr std::size_t max_line_bytes = std::size_t{1} << 20;
  // How many bad lines are told of; the others are counted.
  static constexpr std::size_t max_faults = 20;

  // Regular files only.
  [[nodiscard]] static tinyphi::result<line_file> open(const std::string& path);

  // The object in the next line; nothing behind the last one. bad_data if it is
  // none, and the line behind it is next then. `what` is what messages call it,
  // such as "a request".
  [[nodiscard]] tinyphi::result<std::optional<tinyphi::json::object>> next(
      std::string_view what);
  // Of the line that next() read last, from 1.
  [[nodiscard]] std::size_t number() const { return read_.n_lines; }

  // Goes through the whole file, calling `check` for each object, and back to
  // its beginning. What is wrong with a line is added to `faults`, as TP5007.
  [[nodiscard]] tinyphi::result<line_summary> check_all(
      std::string_view what,
      const std::function<tinyphi::result<void>(const tinyphi::json::object&)>&
          check,
      std::vector<tinyphi::diagnostic>& faults);
  // Reads without looking at what is there.
  [[nodiscard]] tinyphi::result<void> skip(std::size_t n_lines);

 private:
  enum class end { line, too_long, file };

  struct close {
    void operator()(std::FILE* f) const { std::fclose(f); }
  };

  line_file(std::string path, std::FILE* in)
      : path_(std::move(path)), in_(in) {}
  end read_line();

  std::string path_;
  std::unique_ptr<std::FILE, close> in_;
  std::string line_;
  line_summary read_;
};

// Prints what is wrong with lines of `file`, as JSON on stdout or as text on
// stderr; returns the exit status.
int fail_lines(const std::vector<tinyphi::diagnostic>& faults,
               const std::string& file, bool as_json);

}  // namespace cli

#endif  // TOOLS_CLI_LINE_FILE_H_
