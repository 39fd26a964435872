// SPDX-License-Identifier: MIT
#include "cli/batch_output.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "cli/line_file.h"
#include "tinyphi/base/mapped_file.h"
#include "tinyphi/base/replacement_file.h"
#include "tinyphi/base/utf8.h"

namespace cli {

namespace {

namespace json = tinyphi::json;
using tinyphi::error;
using tinyphi::error_code;
using tinyphi::result;

// How a failure's line begins; its index follows.
constexpr std::string_view index_key = "{\"index\":";

std::string beside(const std::string& path, const char* ending) {
  const std::string_view usual = ".jsonl";
  return (path.ends_with(usual) ? path.substr(0, path.size() - usual.size())
                                : path) +
         ending;
}

// Calls `use` with the beginning of each complete line of the file, and with
// the place behind its end, until it says false.
template <class F>
result<void> each_line(int fd, const std::string& path, F use) {
  constexpr std::size_t longest_beginning = 64;
  std::vector<char> buffer(1 << 16);
  std::string beginning;
  std::uint64_t at = 0;
  for (;;) {
    const ssize_t n =
        ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error(path, errno);
    if (n == 0) return {};
    for (const char c : std::span(buffer).first(static_cast<std::size_t>(n))) {
      ++at;
      if (c != '\n') {
        if (beginning.size() < longest_beginning) beginning += c;
        continue;
      }
      if (!use(std::string_view(beginning), at)) return {};
      beginning.clear();
    }
  }
}

}  // namespace

batch_output::batch_output(const std::string& path)
    : out_{path},
      failures_{beside(path, ".failures.jsonl")},
      sources_path_(beside(path, ".resume.json")) {}

batch_output::batch_output(batch_output&& other) noexcept
    : out_(std::move(other.out_)),
      failures_(std::move(other.failures_)),
      sources_path_(std::move(other.sources_path_)),
      n_done_(other.n_done_),
      n_failed_(other.n_failed_) {
  other.out_.fd = -1;
  other.failures_.fd = -1;
}

batch_output::~batch_output() {
  if (out_.fd >= 0) ::close(out_.fd);
  if (failures_.fd >= 0) ::close(failures_.fd);
}

result<batch_output> batch_output::open(const std::string& path,
                                        const batch_sources& sources,
                                        bool resume) {
  batch_output b(path);
  TINYPHI_CHECK_OK(open_file(b.out_));
  if (::flock(b.out_.fd, LOCK_EX | LOCK_NB) != 0) {
    return error{error_code::unavailable,
                 path + ": another process is writing it"};
  }
  TINYPHI_CHECK_OK(open_file(b.failures_));
  // Sizes count only once nobody else writes.
  struct stat out {
  }, failures{};
  if (::fstat(b.out_.fd, &out) != 0 ||
      ::fstat(b.failures_.fd, &failures) != 0) {
    return system_error(path, errno);
  }
  if (out.st_size == 0 && failures.st_size == 0) {
    TINYPHI_CHECK_OK(b.write_sources(sources));
    return b;
  }
  if (!resume) {
    return error{error_code::invalid_argument,
                 (out.st_size > 0 ? path : b.failures_.path) +
                     ": has results already; --resume goes on behind them, or "
                     "remove it, or name another --out"};
  }
  TINYPHI_CHECK_OK(b.compare(sources));
  TINYPHI_CHECK_OK(b.recover());
  return b;
}

result<void> batch_output::open_file(file& f) {
  f.fd = ::open(f.path.c_str(),
                O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666);
  if (f.fd < 0) return system_error(f.path, errno);
  struct stat status {};
  if (::fstat(f.fd, &status) != 0) return system_error(f.path, errno);
  if (S_ISREG(status.st_mode)) return {};
  return error{error_code::invalid_argument,
               f.path +
                   ": not a regular file; results are written where "
                   "--resume can find them"};
}

result<void> batch_output::write_sources(const batch_sources& sources) const {
  json::object all;
  for (const auto& [what, hash] : sources) all[what] = hash;
  const std::string text =
      json::serialize(json::object{{"made_of", std::move(all)}}) + "\n";
  tinyphi::replacement_file whole(sources_path_);
  TINYPHI_CHECK_OK(whole.create());
  TINYPHI_CHECK_OK(whole.write(std::as_bytes(std::span(text))));
  return whole.commit();
}

result<void> batch_output::compare(const batch_sources& sources) const {
  constexpr std::size_t max_bytes = std::size_t{1} << 20;
  const auto refuse = [&](const std::string& why) {
    return error{error_code::invalid_argument,
                 out_.path + ": " + why +
                     ", so --resume would mix results; remove it and " +
                     failures_.path + ", or name another --out"};
  };
  const auto text = tinyphi::read_file(sources_path_, max_bytes);
  if (!text) {
    return refuse("what it was made of is not known (" + text.error().message +
                  ")");
  }
  const auto parsed = tinyphi::parse_json(*text, sources_path_);
  const json::object* whole = parsed ? parsed->if_object() : nullptr;
  const json::value* before =
      whole == nullptr ? nullptr : whole->if_contains("made_of");
  if (before == nullptr || !before->is_object()) {
    return refuse("what it was made of is not known (" + sources_path_ +
                  " is not as it was written)");
  }
  std::string differs;
  const auto note = [&](std::string_view what) {
    differs += (differs.empty() ? "" : ", ") + std::string(what);
  };
  for (const auto& [what, hash] : sources) {
    const json::value* then = before->get_object().if_contains(what);
    if (then == nullptr || !then->is_string() || then->get_string() != hash) {
      note(what);
    }
  }
  for (const auto& [what, hash] : before->get_object()) {
    if (!sources.contains(std::string(what))) note(what);
  }
  if (differs.empty()) return {};
  return refuse("not the same since it was made: " + differs);
}

result<void> batch_output::recover() {
  std::size_t n_nulls = 0;
  TINYPHI_CHECK_OK(each_line(out_.fd, out_.path,
                             [&](std::string_view line, std::uint64_t end) {
                               ++n_done_;
                               n_nulls += line == "null";
                               out_.size = end;
                               return true;
                             }));
  TINYPHI_CHECK_OK(each_line(
      failures_.fd, failures_.path,
      [&](std::string_view line, std::uint64_t end) {
        std::size_t index = n_done_;
        if (line.starts_with(index_key)) {
          line.remove_prefix(index_key.size());
          std::from_chars(line.data(), line.data() + line.size(), index);
        }
        // Its null was not written any more.
        if (index >= n_done_) return false;
        ++n_failed_;
        failures_.size = end;
        return true;
      }));
  if (n_failed_ != n_nulls) {
    return error{error_code::bad_data,
                 out_.path + ": has " + std::to_string(n_nulls) +
                     " null for failed requests, and " + failures_.path +
                     " tells of " + std::to_string(n_failed_) +
                     ": somebody has changed them; remove both, or name "
                     "another --out"};
  }
  for (const file* f : {&out_, &failures_}) {
    if (::ftruncate(f->fd, static_cast<off_t>(f->size)) != 0) {
      return system_error(f->path, errno);
    }
  }
  return {};
}

result<void> batch_output::write_line(file& f, std::string line) {
  line += '\n';
  ssize_t n = -1;
  do {
    n = ::write(f.fd, line.data(), line.size());
  } while (n < 0 && errno == EINTR);
  if (n == static_cast<ssize_t>(line.size())) {
    f.size += line.size();
    return {};
  }
  const int number = n < 0 ? errno : ENOSPC;
  // What cannot be cut off now is cut off by --resume.
  [[maybe_unused]] const int cut =
      ::ftruncate(f.fd, static_cast<off_t>(f.size));
  return system_error(f.path, number);
}

result<void> batch_output::add(const json::object& outputs) {
  TINYPHI_CHECK_OK(write_line(out_, json::serialize(outputs)));
  ++n_done_;
  return {};
}

result<void> batch_output::add_failure(const error& e) {
  const std::string message = tinyphi::to_valid_utf8(e.message);
  // The index comes first: recover() looks for it there.
  TINYPHI_CHECK_OK(write_line(
      failures_, std::string(index_key) + std::to_string(n_done_) +
                     ",\"code\":\"" + std::string(to_string(e.code)) +
                     "\",\"message\":" +
                     json::serialize(json::string_view(message)) + "}"));
  TINYPHI_CHECK_OK(write_line(out_, "null"));
  ++n_done_;
  ++n_failed_;
  return {};
}

}  // namespace cli
