// SPDX-License-Identifier: MIT
#include "cli/line_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <system_error>
#include <utility>

#include "cli/terminal.h"
#include "exit_code.h"
#include "tinyphi/base/content_hash.h"

namespace cli {

namespace {

namespace json = tinyphi::json;
using tinyphi::error;
using tinyphi::error_code;
using tinyphi::result;

// Of all lines so far, from that of those before and the last one.
std::uint64_t with_line(std::uint64_t before, std::string_view line) {
  std::string text(sizeof before, '\0');
  std::memcpy(text.data(), &before, sizeof before);
  text += line;
  return tinyphi::content_hash_of(std::as_bytes(std::span(text)));
}

}  // namespace

error system_error(const std::string& path, int number) {
  return {number == ENOENT ? error_code::not_found : error_code::io,
          path + ": " + std::generic_category().message(number)};
}

result<line_file> line_file::open(const std::string& path) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat status {};
  if (fd < 0 || ::fstat(fd, &status) != 0) {
    const int number = errno;
    if (fd >= 0) ::close(fd);
    return system_error(path, number);
  }
  if (!S_ISREG(status.st_mode)) {
    ::close(fd);
    return error{error_code::invalid_argument,
                 path + (S_ISDIR(status.st_mode)
                             ? ": a folder where a file is needed"
                             : ": not a regular file, and it is read twice; "
                               "write what it gives into a file first")};
  }
  std::FILE* in = ::fdopen(fd, "rb");
  if (in == nullptr) {
    ::close(fd);
    return error{error_code::unavailable, path + ": out of memory"};
  }
  return line_file(path, in);
}

line_file::end line_file::read_line() {
  line_.clear();
  bool too_long = false;
  int c = std::getc(in_.get());
  if (c == EOF) return end::file;
  for (; c != EOF && c != '\n'; c = std::getc(in_.get())) {
    if (line_.size() < max_line_bytes) {
      line_ += static_cast<char>(c);
    } else {
      too_long = true;
    }
  }
  ++read_.n_lines;
  read_.hash = with_line(read_.hash, line_);
  return too_long ? end::too_long : end::line;
}

result<std::optional<json::object>> line_file::next(std::string_view what) {
  const auto wrong = [](std::string message) {
    return error{error_code::bad_data, std::move(message)};
  };
  switch (read_line()) {
    case end::file:
      return std::optional<json::object>();
    case end::too_long:
      return wrong("longer than 1 MiB");
    case end::line:
      break;
  }
  if (line_.find_first_not_of(" \t\r") == std::string::npos) {
    return wrong("empty; each line is " + std::string(what) + ", so remove it");
  }
  auto parsed = tinyphi::parse_json(line_, what);
  if (!parsed) return std::move(parsed).error();
  if (!parsed->is_object()) {
    return wrong(std::string(what) + " is an object such as {\"NAME\": ...}");
  }
  return std::optional(std::move(parsed->as_object()));
}

result<line_summary> line_file::check_all(
    std::string_view what,
    const std::function<result<void>(const json::object&)>& check,
    std::vector<tinyphi::diagnostic>& faults) {
  std::size_t n_faults = 0;
  for (;;) {
    auto object = next(what);
    if (object && !*object) break;
    const auto checked =
        object ? check(**object) : result<void>(std::move(object).error());
    if (checked) continue;
    if (++n_faults > max_faults) continue;
    faults.push_back(
        {tinyphi::fault::bad_case, {number(), 0}, checked.error().message});
  }
  if (std::ferror(in_.get()) != 0) {
    return error{error_code::io, path_ + ": cannot be read to its end"};
  }
  if (n_faults > max_faults) {
    faults.push_back({tinyphi::fault::bad_case,
                      {},
                      std::to_string(n_faults - max_faults) +
                          " more lines cannot be, either"});
  }
  std::rewind(in_.get());
  return std::exchange(read_, {});
}

result<void> line_file::skip(std::size_t n_lines) {
  for (std::size_t n = 0; n < n_lines; ++n) {
    if (read_line() == end::file) {
      return error{error_code::bad_data, path_ + ": has become shorter"};
    }
  }
  return {};
}

int fail_lines(const std::vector<tinyphi::diagnostic>& faults,
               const std::string& file, bool as_json) {
  if (as_json) {
    print_line(to_json(faults, file));
  } else {
    const std::string text = printable(to_string(faults, file)) + "\n";
    std::fwrite(text.data(), 1, text.size(), stderr);
  }
  return exit_bad_data;
}

}  // namespace cli
