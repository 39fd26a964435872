// SPDX-License-Identifier: MIT
// What an evaluation found: a row for each case, their means, and what has
// changed since an earlier one.
#ifndef TOOLS_CLI_EVAL_REPORT_H_
#define TOOLS_CLI_EVAL_REPORT_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "cli/answer_score.h"
#include "tinyphi/base/error.h"

namespace cli {

struct case_report {
  std::size_t line = 0;  // of the cases, from 1
  double score = 0;
  std::optional<answer_score> answer;  // of a case that has one
  bool failed = false;                 // the request did
  std::size_t tokens = 0;
  double seconds = 0;
  std::vector<std::string> problems;  // why the score is 0
};

struct eval_report {
  std::string file;
  std::string by;          // what the score of an answer is
  std::string cases_hash;  // tells whether two reports are of the same cases
  std::vector<case_report> cases;

  // The mean; there is at least one case.
  [[nodiscard]] double score() const;
  // Of the cases that have an answer; nothing if none has.
  [[nodiscard]] std::optional<answer_score> answers() const;
};

// One JSON object. `before` may be null.
[[nodiscard]] std::string to_json(const eval_report& r,
                                  const eval_report* before);
// A table, a line for each case; `cases` is the name of their file.
[[nodiscard]] std::string to_text(const eval_report& r,
                                  const std::string& cases,
                                  const eval_report* before);

// What to_json has written, as far as comparing needs it.
[[nodiscard]] tinyphi::result<eval_report> read_report(const std::string& path,
                                                       std::size_t max_bytes);

}  // namespace cli

#endif  // TOOLS_CLI_EVAL_REPORT_H_
