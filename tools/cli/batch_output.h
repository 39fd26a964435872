// SPDX-License-Identifier: MIT
// What a batch writes: a line of outputs for each request, in their order,
// beside them the failures, and what all of it was made of.
#ifndef TOOLS_CLI_BATCH_OUTPUT_H_
#define TOOLS_CLI_BATCH_OUTPUT_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "tinyphi/base/error.h"
#include "tinyphi/base/json.h"

namespace cli {

// By what it is called in messages, the hash or the text of each thing that
// decides what a batch gives.
using batch_sources = std::map<std::string, std::string>;

// The files OUT.jsonl, OUT.failures.jsonl and OUT.resume.json. Each line is
// written at once, a failure before the null that stands for it, so that
// whenever the process is killed the complete lines of OUT.jsonl say how far it
// came: a last line without an end is cut off, as is a failure whose null is
// missing. One process at a time has them.
class batch_output {
 public:
  // A new one, or with `resume` one that goes on behind its last complete line
  // if it was made of the same.
  [[nodiscard]] static tinyphi::result<batch_output> open(
      const std::string& path, const batch_sources& sources, bool resume);

  batch_output(batch_output&& other) noexcept;
  batch_output(const batch_output&) = delete;
  batch_output& operator=(const batch_output&) = delete;
  ~batch_output();

  // Lines that are there, those of failures among them.
  [[nodiscard]] std::size_t n_done() const { return n_done_; }
  [[nodiscard]] std::size_t n_failed() const { return n_failed_; }
  [[nodiscard]] const std::string& failures_path() const {
    return failures_.path;
  }

  [[nodiscard]] tinyphi::result<void> add(const tinyphi::json::object& outputs);
  [[nodiscard]] tinyphi::result<void> add_failure(const tinyphi::error& e);

 private:
  struct file {
    std::string path;
    int fd = -1;
    std::uint64_t size = 0;  // of its complete lines
  };

  explicit batch_output(const std::string& path);
  static tinyphi::result<void> open_file(file& f);
  static tinyphi::result<void> write_line(file& f, std::string line);
  tinyphi::result<void> compare(const batch_sources& sources) const;
  tinyphi::result<void> write_sources(const batch_sources& sources) const;
  tinyphi::result<void> recover();

  file out_;
  file failures_;
  std::string sources_path_;
  std::size_t n_done_ = 0;
  std::size_t n_failed_ = 0;
};

}  // namespace cli

#endif  // TOOLS_CLI_BATCH_OUTPUT_H_
