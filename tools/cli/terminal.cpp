// SPDX-License-Identifier: MIT
#include "cli/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <system_error>
#include <utility>
#include <vector>

#include "exit_code.h"
#include "tinyphi/base/utf8.h"

namespace cli {

namespace {

std::atomic<const tinyphi::cancel_token*> interrupted{nullptr};
static_assert(std::atomic<const tinyphi::cancel_token*>::is_always_lock_free);
// A signal that ends the process came. It stands, so that one between two
// guards is not lost.
std::atomic<bool> terminated{false};

constexpr std::array guarded_signals = {SIGINT, SIGTERM, SIGHUP};

// A pipe that has a byte once a signal came, whichever thread took it; waiting
// for it and for input at once misses none.
struct wake_pipe {
  int read_end = -1, write_end = -1;
  wake_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return;
    read_end = ends[0];
    write_end = ends[1];
  }
  void drain() const {
    char byte;
    while (::read(read_end, &byte, 1) > 0) {
    }
  }
};
const wake_pipe wake;

extern "C" void on_interrupt(int signal_number) {
  const int before = errno;
  if (signal_number != SIGINT) terminated.store(true);
  if (const auto* token = interrupted.load()) token->cancel();
  for (const int number : guarded_signals) {
    struct sigaction action = {};
    ::sigaction(number, nullptr, &action);
    if (action.sa_handler == on_interrupt) ::signal(number, SIG_DFL);
  }
  [[maybe_unused]] const auto written = ::write(wake.write_end, "", 1);
  errno = before;
}

// Whether there are bytes to read, or the input's end; false once the token is
// cancelled.
bool wait_for_input(const tinyphi::cancel_token& token) {
  std::array<pollfd, 2> files = {pollfd{STDIN_FILENO, POLLIN, 0},
                                 pollfd{wake.read_end, POLLIN, 0}};
  while (!token.cancelled()) {
    const int n = ::poll(files.data(), files.size(), -1);
    if (n < 0 && errno != EINTR) return true;
    if (n > 0 && files[1].revents == 0) return true;
    if (n > 0) wake.drain();  // what cancelled the token wrote afterwards
  }
  return false;
}

int output_error = 0;   // errno of the first write to stdout that failed
std::string held_back;  // the beginning of a character, for a terminal

void write_out(std::string_view text) {
  if (output_error != 0) return;
  errno = 0;
  const bool ok =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
      std::fflush(stdout) == 0;
  if (!ok) output_error = errno;
}

// Marks from which on text is shown in another order than it stands; those of
// one place, which right-to-left scripts need, are not among them.
bool turns_text(char32_t c) {
  return (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

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
  static const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  if (!terminal) return write_out(text);
  // What was cut inside a character is one when the rest comes.
  held_back += text;
  const std::size_t whole = tinyphi::complete_utf8_length(held_back);
  write_out(printable(std::string_view(held_back).substr(0, whole)));
  held_back.erase(0, whole);
}

void print_line(std::string_view text) {
  std::string line(text);
  line.push_back('\n');
  print(line);
}

int finish_output(int status) {
  write_out(printable(held_back));
  held_back.clear();
  if (output_error == 0) return status;
  return fail(
      {tinyphi::error_code::io,
       "standard output: " + std::generic_category().message(output_error)});
}

bool stdin_is_terminal() { return ::isatty(STDIN_FILENO) == 1; }
bool stderr_is_terminal() { return ::isatty(STDERR_FILENO) == 1; }

tinyphi::result<std::string> read_stdin(std::size_t max_bytes) {
  std::string text;
  std::vector<char> buffer(1 << 16);
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

interrupt_guard::interrupt_guard() {
  wake.drain();
  interrupted.store(&token_);
  for (const int number : guarded_signals) {
    struct sigaction action = {};
    ::sigaction(number, nullptr, &action);
    if (action.sa_handler == SIG_IGN) continue;
    action = {};
    action.sa_handler = on_interrupt;
    sigemptyset(&action.sa_mask);
    ::sigaction(number, &action, nullptr);
  }
  if (terminated) token_.cancel();
}

interrupt_guard::~interrupt_guard() {
  for (const int number : guarded_signals) {
    struct sigaction action = {};
    ::sigaction(number, nullptr, &action);
    if (action.sa_handler == on_interrupt) ::signal(number, SIG_DFL);
  }
  interrupted.store(nullptr);
}

bool interrupt_guard::must_end() const {
  return terminated.load();
}

std::optional<std::string> read_line(const interrupt_guard& interrupt) {
  static std::string ahead;  // read already, without a line's end in it
  static bool at_end = false;
  std::array<char, 4096> buffer;
  std::size_t looked_at = 0;
  for (;;) {
    const std::size_t end = ahead.find('\n', looked_at);
    if (end != std::string::npos) {
      std::string line = ahead.substr(0, end);
      ahead.erase(0, end + 1);
      return line;
    }
    looked_at = ahead.size();
    if (at_end || !wait_for_input(interrupt.token())) break;
    const ssize_t n = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n <= 0) {
      at_end = true;
    } else {
      ahead.append(buffer.data(), static_cast<std::size_t>(n));
    }
  }
  if (ahead.empty() || interrupt.token().cancelled()) return std::nullopt;
  return std::exchange(ahead, {});
}

progress_bar::progress_bar(std::string_view what) : what_(printable(what)) {}

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
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const tinyphi::utf8_char c = tinyphi::decode_utf8(text);
    const bool control =
        c.code_point < 0x20 || (c.code_point >= 0x7F && c.code_point < 0xA0);
    const bool stays = c.code_point == '\n' || c.code_point == '\t';
    if (stays || (c.valid && !control && !turns_text(c.code_point))) {
      out.append(text.substr(0, c.length));
    } else {
      out.push_back('.');
    }
    text.remove_prefix(c.length);
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
  std::array<char, 400> text;  // the largest double has 309 digits
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value,
                                 std::chars_format::fixed, digits);
  return {text.data(), end.ptr};
}

}  // namespace cli
