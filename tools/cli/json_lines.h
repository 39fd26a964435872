// SPDX-License-Identifier: MIT
// Commands that read an object a line from standard input and write one.
#ifndef TOOLS_CLI_JSON_LINES_H_
#define TOOLS_CLI_JSON_LINES_H_

#include <functional>
#include <string>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/base/json.h"

namespace cli {

// One line of input, which is an object.
class json_line {
 public:
  explicit json_line(tinyphi::json::object object)
      : object_(std::move(object)) {}

  // The value of `key`; bad_data if it is missing or of another kind.
  [[nodiscard]] tinyphi::result<std::string> string(const char* key) const;
  [[nodiscard]] tinyphi::result<std::vector<std::string>> strings(
      const char* key) const;

 private:
  tinyphi::json::object object_;
};

// Calls `answer` for each line that is not empty, and prints what it gives;
// stops at the first error. Returns the exit status. Lines are at most 64 MiB.
int for_each_json_line(
    const std::function<tinyphi::result<std::string>(const json_line&)>&
        answer);

}  // namespace cli

#endif  // TOOLS_CLI_JSON_LINES_H_
