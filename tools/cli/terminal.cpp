// SPDX-License-Identifier: MIT
#include "cli/terminal.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "exit_code.h"

namespace cli {

namespace {

std::atomic<const tinyphi::cancel_token*> interrupted{nullptr};
static_assert(std::atomic<const tinyphi::cancel_token*>::is_always_lock_free);

extern "C" void on_interrupt(int signal_number) {
  if (const auto* token = interrupted.load()) token->cancel();
  ::signal(signal_number, SIG_DFL);
}

// Without SA_RESTART, so that a blocking read ends.
void set_handler(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  for (const int number : {SIGINT, SIGTERM}) {
    ::sigaction(number, &action, nullptr);
  }
}

int output_error = 0;  // errno of the first write to stdout that failed

}  // namespace

int fail(const tinyphi::error& e) {
  note(e.message);
  return exit_code_of(e.code);
}

int fail_usage(std::string message) {
  return fail({tinyphi::error_code::invalid_argument, std::move(message)});
}

void note(std::string_view message) {
  const std::string line = "tinyphi: " + printable(message) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

void print(std::string_view text) {
  if (output_error != 0) return;
  errno = 0;
  const bool ok =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
      std::fflush(stdout) == 0;
  if (!ok) output_error = errno;
}

void print_line(std::string_view text) {
  std::string line(text);
  line.push_back('\n');
  print(line);
}

int finish_output(int status) {
  if (output_error == 0) return status;
  return fail(
      {tinyphi::error_code::io,
       "standard output: " + std::generic_category().message(output_error)});
}

bool stdin_is_terminal() { return ::isatty(STDIN_FILENO) == 1; }
bool stderr_is_terminal() { return ::isatty(STDERR_FILENO) == 1; }

tinyphi::result<std::string> read_stdin(std::size_t max_bytes) {
  std::string text;
  std::array<char, 1 << 16> buffer;
  for (;;) {
    const ssize_t n = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (n < 0) {
      return tinyphi::error{
          tinyphi::error_code::io,
          "standard input: " + std::generic_category().message(errno)};
    }
    if (n == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(n));
    if (text.size() > max_bytes) {
      return tinyphi::error{tinyphi::error_code::limit,
                            "standard input: longer than " +
                                std::to_string(max_bytes) + " bytes"};
    }
  }
}

std::optional<input_line> read_line() {
  input_line line;
  for (;;) {
    errno = 0;
    const int c = std::fgetc(stdin);
    if (c == '\n') return line;
    if (c != EOF) {
      line.text.push_back(static_cast<char>(c));
      continue;
    }
    if (errno == EINTR) {
      std::clearerr(stdin);
      return input_line{.text = {}, .interrupted = true};
    }
    if (line.text.empty()) return std::nullopt;
    return line;
  }
}

interrupt_guard::interrupt_guard() {
  interrupted.store(&token_);
  set_handler(on_interrupt);
}

interrupt_guard::~interrupt_guard() {
  set_handler(SIG_DFL);
  interrupted.store(nullptr);
}

progress_bar::~progress_bar() {
  if (shown_percent_ >= 0) std::fputs("\r\x1b[K", stderr);
}

void progress_bar::show(double share) {
  constexpr int width = 30;
  const int percent = static_cast<int>(share * 100);
  const auto age = std::chrono::steady_clock::now() - start_;
  if (percent == shown_percent_ || age < std::chrono::seconds(1) ||
      !stderr_is_terminal()) {
    return;
  }
  shown_percent_ = percent;
  const auto full = static_cast<std::size_t>(percent * width / 100);
  const std::string bar =
      std::string(full, '#') + std::string(width - full, '.');
  std::fprintf(stderr, "\r%s [%s] %3d %%", what_.c_str(), bar.c_str(), percent);
}

std::string printable(std::string_view text) {
  std::string out(text);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const char c = out[i];
    const bool control = (c >= 0 && c < 0x20) || c == 0x7F;
    if (control && c != '\n') out[i] = '.';
    // U+0080 to U+009F: a terminal may obey them as it does ESC and a letter.
    if (c == '\xC2' && i + 1 < out.size() && (out[i + 1] & '\xE0') == '\x80') {
      out.replace(i, 2, ".");
    }
  }
  return out;
}

std::string padded(std::string_view text, std::size_t width) {
  std::string out(text);
  out.resize(std::max(width, out.size()), ' ');
  return out;
}

std::string human_bytes(std::size_t bytes) {
  constexpr std::array units = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return std::to_string(bytes) + " bytes";
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < units.size()) {
    value /= 1024;
    ++unit;
  }
  return fixed(value, value < 10 ? 2 : 1) + " " + units[unit];
}

std::string fixed(double value, int digits) {
  std::array<char, 64> text;
  const int n = std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return {text.data(), static_cast<std::size_t>(n)};
}

}  // namespace cli
