// SPDX-License-Identifier: MIT
// The program's way to talk: results on stdout, everything else on stderr,
// Ctrl-C as a cancel token.
#ifndef TOOLS_CLI_TERMINAL_H_
#define TOOLS_CLI_TERMINAL_H_

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "tinyphi/base/cancel.h"
#include "tinyphi/base/error.h"

namespace cli {

// "tinyphi: <message>" on stderr; returns the error's exit status.
int fail(const tinyphi::error& e);
int fail_usage(std::string message);
void note(std::string_view message);

// Writes to stdout, at once: to a file or pipe the bytes, to a terminal what of
// them is printable(), so that no document, name or model steers it. A broken
// stdout is found by finish_output.
void print(std::string_view text);
void print_line(std::string_view text);
// `status`, or the exit status of a result that could not be written.
int finish_output(int status);

[[nodiscard]] bool stdin_is_terminal();
[[nodiscard]] bool stderr_is_terminal();

// All of standard input, at most `max_bytes`.
[[nodiscard]] tinyphi::result<std::string> read_stdin(std::size_t max_bytes);

// While one lives, Ctrl-C (SIGINT), SIGTERM and SIGHUP cancel its token, those
// that the process was not started to ignore; once that has happened the next
// one ends the process. One at a time.
class interrupt_guard {
 public:
  interrupt_guard();
  interrupt_guard(const interrupt_guard&) = delete;
  interrupt_guard& operator=(const interrupt_guard&) = delete;
  ~interrupt_guard();
  [[nodiscard]] const tinyphi::cancel_token& token() const { return token_; }
  // Whether it was SIGTERM or SIGHUP: not the answer is to end, the process is.
  [[nodiscard]] bool must_end() const;

 private:
  tinyphi::cancel_token token_;
};

// One line of standard input without its end, without waiting for more; nothing
// at the end of the input, or once a guard's token is cancelled.
[[nodiscard]] std::optional<std::string> read_line(
    const interrupt_guard& interrupt);

// A bar on stderr, only on a terminal and only once a second has passed.
class progress_bar {
 public:
  explicit progress_bar(std::string_view what);
  progress_bar(const progress_bar&) = delete;
  progress_bar& operator=(const progress_bar&) = delete;
  ~progress_bar();
  void show(double share);

 private:
  std::string what_;
  std::chrono::steady_clock::time_point start_ =
      std::chrono::steady_clock::now();
  int shown_percent_ = -1;
};

// `text` with what a terminal would obey as dots: control characters in any of
// their forms, marks that turn the direction of text, bytes that are no UTF-8.
// Line ends and tabs stay.
[[nodiscard]] std::string printable(std::string_view text);
// At least `width` characters, with blanks behind.
[[nodiscard]] std::string padded(std::string_view text, std::size_t width);
// "7.7 MiB", "512 bytes".
[[nodiscard]] std::string human_bytes(std::size_t bytes);
// "3.25", "12.0": with `digits` after the point.
[[nodiscard]] std::string fixed(double value, int digits);

}  // namespace cli

#endif  // TOOLS_CLI_TERMINAL_H_
