// SPDX-License-Identifier: MIT
#include "tinyphi/serve/request_reader.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "support/read_requests.h"
#include "support/test.h"

using namespace tinyphi;
using tinyphi_test::read_requests;
using tinyphi_test::reading;

namespace {

std::string post(const std::string& framing, const std::string& body) {
  return "POST /x HTTP/1.1\r\nHost: localhost\r\n" + framing + "\r\n\r\n" +
         body;
}

reading read_whole(std::string_view bytes, std::size_t max_body = 100) {
  return read_requests(bytes, max_body, [](std::size_t n) { return n; });
}

// The same bytes whole, one by one and in random pieces must read alike.
reading read_all_ways(std::string_view bytes, std::size_t max_body = 100) {
  reading whole = read_whole(bytes, max_body);
  CHECK(read_requests(bytes, max_body, [](std::size_t) {
          return std::size_t{1};
        }).like(whole));
  std::minstd_rand random(7);
  for (const std::size_t longest : {7, 60, 5000}) {
    CHECK(read_requests(bytes, max_body, [&](std::size_t n) {
            return std::min(n, 1 + random() % longest);
          }).like(whole));
  }
  return whole;
}

using bodies = std::vector<std::string>;

bodies bodies_of(const reading& r) {
  bodies out;
  for (const http_request& one : r.requests) out.push_back(one.body);
  return out;
}

}  // namespace

// Files of tests/fuzz/corpus/http are named aN-rM-...: N requests are accepted,
// and then M is the status of the refusal, or 0.
TEST_CASE("raw requests are accepted or refused alike however they come") {
  std::size_t n_files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(
           tinyphi_test::data_dir() / "../fuzz/corpus/http")) {
    const std::string name = entry.path().filename().string();
    const std::size_t r = name.find("-r");
    if (!name.starts_with('a') || r == std::string::npos) continue;
    INFO(name);
    ++n_files;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    const reading got = read_all_ways(bytes, 4096);
    CHECK(got.requests.size() == std::strtoul(name.c_str() + 1, nullptr, 10));
    CHECK(got.refused == std::strtoul(name.c_str() + r + 2, nullptr, 10));
  }
  CHECK(n_files >= 110);
}

TEST_CASE("requests that come in one go are read one after the other") {
  const reading r = read_all_ways(
      post("Content-Length: 5", "first") +
      "GET /y HTTP/1.1\r\nHost: localhost\r\n\r\n" +
      post("Transfer-Encoding: chunked", "3\r\nsec\r\n3\r\nond\r\n0\r\n\r\n"));
  CHECK(bodies_of(r) == bodies{"first", "", "second"});
  CHECK(r.requests[1].path == "/y");
  CHECK(r.refused == 0);
  CHECK(r.idle);
}

TEST_CASE("half a request is neither read nor idle") {
  for (const char* bytes : {"P", "POST /x HTTP/1.1\r\nHost: local",
                            "POST /x HTTP/1.1\r\nHost: "
                            "localhost\r\nContent-Length: 5\r\n\r\nfou"}) {
    const reading r = read_all_ways(bytes);
    CHECK(r.requests.empty());
    CHECK(r.refused == 0);
    CHECK_FALSE(r.idle);
  }
}

TEST_CASE("a body at its limit is taken, one byte more is a 413") {
  const std::string at(100, 'a'), over(101, 'a');
  CHECK(bodies_of(read_all_ways(post("Content-Length: 100", at))) ==
        bodies{at});
  CHECK(read_all_ways(post("Content-Length: 101", over)).refused == 413);
  CHECK(bodies_of(read_all_ways(post("Transfer-Encoding: chunked",
                                     "64\r\n" + at + "\r\n0\r\n\r\n"))) ==
        bodies{at});
  CHECK(read_all_ways(post("Transfer-Encoding: chunked",
                           "64\r\n" + at + "\r\n1\r\na\r\n0\r\n\r\n"))
            .refused == 413);
  // Nothing is a body too.
  CHECK(read_all_ways(post("Content-Length: 0", ""), 0).requests.size() == 1);
  CHECK(read_all_ways(post("Content-Length: 1", "a"), 0).refused == 413);
}

TEST_CASE("a body that is too long is refused before it comes") {
  CHECK(read_all_ways(post("Content-Length: 101", "")).refused == 413);
  CHECK(read_all_ways(post("Transfer-Encoding: chunked", "65\r\na")).refused ==
        413);
}

TEST_CASE("a header at its limit is taken, one byte more is a 431") {
  const std::string head = "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: ";
  const std::size_t left = (16 << 10) - head.size() - 4;
  CHECK(read_all_ways(head + std::string(left, 'a') + "\r\n\r\n")
            .requests.size() == 1);
  CHECK(read_all_ways(head + std::string(left + 1, 'a') + "\r\n\r\n").refused ==
        431);
  // Also one that never ends.
  CHECK(read_all_ways(head + std::string(30'000, 'a')).refused == 431);
}

TEST_CASE("chunks' heads and trailers have an end at 4096 bytes") {
  const auto padded = [](std::size_t zeros) {
    return read_all_ways(post("Transfer-Encoding: chunked",
                              std::string(zeros, '0') + "1\r\nx\r\n0\r\n\r\n"));
  };
  CHECK(bodies_of(padded(4093)) == bodies{"x"});
  CHECK(padded(4094).refused == 400);
  CHECK(read_all_ways(post("Transfer-Encoding: chunked",
                           "0\r\nX: " + std::string(5000, 'a')))
            .refused == 400);
  CHECK(read_all_ways(
            post("Transfer-Encoding: chunked", std::string(40'000, '0')))
            .refused == 400);
}

TEST_CASE("chunks of one byte hold no more memory than they must") {
  std::string chunks;
  for (int i = 0; i < 5000; ++i) chunks += "1\r\nx\r\n";
  const std::string bytes =
      post("Transfer-Encoding: chunked", chunks + "0\r\n\r\n");
  const reading r = read_requests(bytes, 5000, [](std::size_t n) {
    return std::min<std::size_t>(n, 1000);
  });
  CHECK(bodies_of(r) == bodies{std::string(5000, 'x')});
  CHECK(r.most_held <= 2 * (4096 + 1000));
}

TEST_CASE("between requests, and after a refusal, no memory is held") {
  const std::size_t nothing = std::string().capacity();
  const http_rules rules;
  request_reader reader(rules);
  reader.push(post("Content-Length: 5000", std::string(5000, 'a')));
  REQUIRE(reader.advance() == read_state::header);
  CHECK(reader.held_bytes() >= 5000);
  reader.read_body(5000);
  REQUIRE(reader.advance() == read_state::complete);
  CHECK(reader.take().body.size() == 5000);
  CHECK(reader.idle());
  CHECK(reader.held_bytes() == nothing);
  reader.push("GET / HTTP/1.1\r\n\r\n" + std::string(5000, 'a'));
  REQUIRE(reader.advance() == read_state::refused);
  CHECK(reader.held_bytes() == nothing);
  reader.push(std::string(5000, 'a'));
  CHECK(reader.held_bytes() == nothing);
  CHECK(reader.advance() == read_state::refused);
  CHECK_FALSE(reader.idle());
}

TEST_CASE("a client that waits for leave to send its body is recognized") {
  const http_rules rules;
  request_reader reader(rules);
  reader.push(post("Content-Length: 5\r\nExpect: 100-continue", ""));
  REQUIRE(reader.advance() == read_state::header);
  CHECK(reader.expects_continue());
}
