// SPDX-License-Identifier: MIT
#include "tinyphi/serve/access_log.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <thread>

#include "support/temp_folder.h"
#include "support/test.h"
#include "tinyphi/base/json.h"
#include "tinyphi/serve/http_exchange.h"

using namespace tinyphi;
using namespace std::chrono_literals;

namespace {

struct pipe_ends {
  int read = -1, write = -1;
  pipe_ends() {
    int both[2];
    REQUIRE(::pipe(both) == 0);
    read = both[0], write = both[1];
  }
  ~pipe_ends() {
    close_read();
    ::close(write);
  }
  pipe_ends(const pipe_ends&) = delete;
  pipe_ends& operator=(const pipe_ends&) = delete;
  void close_read() {
    if (read >= 0) ::close(read);
    read = -1;
  }
  // Fills it until a write would wait.
  void fill() const {
    const int flags = ::fcntl(write, F_GETFL);
    ::fcntl(write, F_SETFL, flags | O_NONBLOCK);
    const std::string block(4096, '.');
    while (::write(write, block.data(), block.size()) > 0) continue;
    ::fcntl(write, F_SETFL, flags);
  }
};

// What there is to read within 2 s, until `n` line ends.
std::string read_lines(int file, std::size_t n) {
  std::string text;
  const auto until = std::chrono::steady_clock::now() + 2s;
  ::fcntl(file, F_SETFL, ::fcntl(file, F_GETFL) | O_NONBLOCK);
  while (std::chrono::steady_clock::now() < until &&
         static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) <
             n) {
    char piece[4096];
    const ssize_t got = ::read(file, piece, sizeof piece);
    if (got > 0) {
      text.append(piece, static_cast<std::size_t>(got));
    } else {
      std::this_thread::sleep_for(1ms);
    }
  }
  return text;
}

bool becomes(const access_log& log, std::uint64_t dropped) {
  for (int i = 0; i < 2000 && log.dropped() < dropped; ++i) {
    std::this_thread::sleep_for(1ms);
  }
  return log.dropped() == dropped;
}

access_record record(const request_report& report, std::string id = "r1") {
  return {.at = std::chrono::system_clock::time_point(1764151200123ms),
          .id = std::move(id),
          .report = &report};
}

TEST_CASE("a line of the access log has every field of a request") {
  request_report report{.status = 200, .model = "phi", .prompt_tokens = 30};
  report.cached_tokens = 20;
  report.first_token_ms = 12.345;
  access_record r = record(report);
  r.key = "alice";
  r.energy_j = 1.23456;
  const json::object line = json::parse(access_line(r)).as_object();
  CHECK(line.at("ts") == "2025-11-26T10:00:00.123Z");
  CHECK(line.at("key") == "alice");
  CHECK(line.at("prompt_tokens") == 30);
  CHECK(line.at("cached") == 20);
  CHECK(line.at("ttft_ms") == 12.3);
  CHECK(line.at("energy_j") == 1.235);
  CHECK(!line.contains("dropped_before"));
  for (const char* key :
       {"id", "trace", "route", "model", "generation", "status", "code",
        "bytes_in", "bytes_out", "generated", "drafts", "queue_ms", "total_ms",
        "itl_p99_ms", "cancelled_in"}) {
    CHECK(line.contains(key));
  }
}

TEST_CASE("hostile ids make one line of JSON, cut at 128 bytes") {
  request_report report{.code = "a\x1b[31m\r\n{\"", .model = "\xff\xfe"};
  report.total_ms = std::nan("");
  const std::string euros = [] {
    std::string s;
    for (int i = 0; i < 1000; ++i) s += "\xe2\x82\xac";
    return s;
  }();
  const std::string text = access_line(record(report, euros));
  for (const char c : text) CHECK(static_cast<unsigned char>(c) >= 0x20);
  const json::value line = json::parse(text);
  CHECK(line.at("id").as_string() == euros.substr(0, 126));
  CHECK(line.at("code") == "a\x1b[31m\r\n{\"");
  CHECK(line.at("model") == "\xef\xbf\xbd\xef\xbf\xbd");
  CHECK(line.at("total_ms").is_null());
}

TEST_CASE("bytes that grow when they are replaced do not pass the limit") {
  const request_report report;
  const json::value line =
      json::parse(access_line(record(report, std::string(200, '\xff'))));
  CHECK(line.at("id").as_string().size() == 126);
}

TEST_CASE("lines arrive in a pipe, a socket and a file in their order") {
  const request_report report;
  const auto write_three = [&](int file) {
    auto log = access_log::open(file);
    REQUIRE_OK(log);
    for (int i = 0; i < 3; ++i) log->add(record(report, std::to_string(i)));
  };
  std::string expected;
  for (int i = 0; i < 3; ++i) {
    expected += access_line(record(report, std::to_string(i))) + '\n';
  }
  pipe_ends p;
  write_three(p.write);
  CHECK(read_lines(p.read, 3) == expected);
  int s[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
  write_three(s[0]);
  CHECK(read_lines(s[1], 3) == expected);
  ::close(s[0]);
  ::close(s[1]);
  const tinyphi_test::temp_folder folder;
  const auto path = folder.write("log", "");
  const int file = ::open(path.c_str(), O_RDWR);
  write_three(file);
  ::lseek(file, 0, SEEK_SET);
  CHECK(read_lines(file, 3) == expected);
  ::close(file);
}

TEST_CASE("a reader that does not read delays nobody, and lines are dropped") {
  pipe_ends p;
  p.fill();
  const request_report report;
  auto log = access_log::open(p.write, {.lines = 4, .grace = 50ms});
  REQUIRE_OK(log);
  const auto begin = std::chrono::steady_clock::now();
  // Up to four wait in the queue and one in the writer's hand.
  for (int i = 0; i < 1000; ++i) log->add(record(report));
  CHECK(std::chrono::steady_clock::now() - begin < 500ms);
  const std::uint64_t dropped = log->dropped();
  CHECK(dropped >= 995);
  CHECK(dropped <= 996);

  // Once it reads again, every missing line is told of, once. (The writer may
  // have made room in between, so that an earlier line told of some.)
  std::string text = read_lines(p.read, 1000 - dropped);
  log->add(record(report, "after"));
  text += read_lines(p.read, 1);
  std::uint64_t told = 0;
  std::istringstream lines(text.substr(text.find('{')));
  std::size_t n = 0;
  for (std::string line; std::getline(lines, line); ++n) {
    const json::object o = json::parse(line).as_object();
    if (o.contains("dropped_before"))
      told += o.at("dropped_before").to_number<std::uint64_t>();
  }
  CHECK(n == 1001 - dropped);
  CHECK(told == dropped);
  log->add(record(report, "later"));
  CHECK(!json::parse(read_lines(p.read, 1))
             .as_object()
             .contains("dropped_before"));
}

TEST_CASE("the queue of lines is bounded by bytes too") {
  pipe_ends p;
  p.fill();
  const request_report report;
  const std::size_t line = access_line(record(report)).size() + 1;
  auto log = access_log::open(p.write, {.bytes = 2 * line + 1, .grace = 50ms});
  REQUIRE_OK(log);
  for (int i = 0; i < 10; ++i) log->add(record(report));
  CHECK(log->dropped() >= 7);
  CHECK(log->dropped() <= 8);
}

TEST_CASE("the end of the log waits for a blocked reader for its grace only") {
  pipe_ends p;
  p.fill();
  const request_report report;
  const auto begin = std::chrono::steady_clock::now();
  {
    auto log = access_log::open(p.write, {.grace = 100ms});
    REQUIRE_OK(log);
    for (int i = 0; i < 100; ++i) log->add(record(report));
  }
  const auto took = std::chrono::steady_clock::now() - begin;
  CHECK(took >= 100ms);
  CHECK(took < 1s);
}

TEST_CASE("a reader that has left ends the log, not the process") {
  pipe_ends p;
  p.close_read();
  const request_report report;
  auto log = access_log::open(p.write);
  REQUIRE_OK(log);
  log->add(record(report));
  CHECK(becomes(*log, 1));
  log->add(record(report));
  CHECK(becomes(*log, 2));
}

TEST_CASE("lines that a full disk takes are counted, and told once there is room") {
  const tinyphi_test::temp_folder folder;
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  REQUIRE(full >= 0);
  const int file = ::open((folder.path() / "log").c_str(),
                          O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  REQUIRE(file >= 0);
  {
    const request_report report;
    auto log = access_log::open(full);
    REQUIRE_OK(log);
    log->add(record(report));
    CHECK(becomes(*log, 1));
    log->add(record(report));  // says that one is missing, in vain
    CHECK(becomes(*log, 2));
    REQUIRE(::dup2(file, full) == full);
    log->add(record(report));
  }
  ::lseek(file, 0, SEEK_SET);
  const auto line = json::parse(read_lines(file, 1));
  CHECK(line.at("dropped_before").to_number<int>() == 2);
  ::close(file);
  ::close(full);
}

TEST_CASE("a line that found room for its beginning does not spoil the next") {
  const tinyphi_test::temp_folder folder;
  const int file = ::open((folder.path() / "log").c_str(),
                          O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  REQUIRE(file >= 0);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  {
    const request_report report;
    auto log = access_log::open(file);
    REQUIRE_OK(log);
    const rlimit little{100, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &little) == 0);
    log->add(record(report));
    CHECK(becomes(*log, 1));
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
    log->add(record(report));
  }
  ::lseek(file, 0, SEEK_SET);
  const std::string text = read_lines(file, 2);
  CHECK(text.find('\n') == 100);
  const auto line = json::parse(text.substr(101));
  CHECK(line.at("dropped_before").to_number<int>() == 1);
  ::close(file);
}

TEST_CASE("a descriptor that is none drops every line") {
  const request_report report;
  auto log = access_log::open(1 << 20);
  REQUIRE_OK(log);
  log->add(record(report));
  CHECK(becomes(*log, 1));
}

}  // namespace
