// SPDX-License-Identifier: MIT
#include "tinyphi/serve/request_reader.h"

#include <string>
#include <vector>

#include "support/test.h"

using namespace tinyphi;

namespace {

// What came of a connection's bytes: bodies, and the status of a refusal.
struct reading {
  std::vector<std::string> bodies;
  unsigned refused = 0;
  bool idle = false;
  friend bool operator==(const reading&, const reading&) = default;
};

reading read(const std::string& bytes, std::size_t step,
             std::size_t max_body = 100) {
  const http_rules rules;
  request_reader reader(rules);
  reading out;
  for (std::size_t at = 0; at <= bytes.size(); at += step) {
    reader.push(std::string_view(bytes).substr(at, step));
    for (bool more = true; more;) {
      switch (reader.advance()) {
        case read_state::need_more:
          more = false;
          break;
        case read_state::header:
          reader.read_body(max_body);
          break;
        case read_state::complete:
          out.bodies.push_back(reader.take().body);
          more = !reader.idle();
          break;
        case read_state::refused:
          out.refused = reader.refusal().status;
          return out;
      }
    }
  }
  out.idle = reader.idle();
  return out;
}

std::string post(const std::string& framing, const std::string& body) {
  return "POST /x HTTP/1.1\r\nHost: localhost\r\n" + framing + "\r\n\r\n" +
         body;
}

// The same bytes whole, one by one and in pieces of 7 must read alike.
reading read_all_ways(const std::string& bytes, std::size_t max_body = 100) {
  const reading whole = read(bytes, bytes.size() + 1, max_body);
  CHECK(read(bytes, 1, max_body) == whole);
  CHECK(read(bytes, 7, max_body) == whole);
  return whole;
}

using bodies = std::vector<std::string>;

}  // namespace

TEST_CASE("requests that come in one go are read one after the other") {
  const reading r = read_all_ways(
      post("Content-Length: 5", "first") +
      "GET /y HTTP/1.1\r\nHost: localhost\r\n\r\n" +
      post("Transfer-Encoding: chunked", "3\r\nsec\r\n3\r\nond\r\n0\r\n\r\n"));
  CHECK(r.bodies == bodies{"first", "", "second"});
  CHECK(r.refused == 0);
  CHECK(r.idle);
}

TEST_CASE("half a request is neither read nor idle") {
  for (const char* bytes : {"P", "POST /x HTTP/1.1\r\nHost: local",
                            "POST /x HTTP/1.1\r\nHost: "
                            "localhost\r\nContent-Length: 5\r\n\r\nfou"}) {
    const reading r = read_all_ways(bytes);
    CHECK(r.bodies.empty());
    CHECK(r.refused == 0);
    CHECK_FALSE(r.idle);
  }
}

TEST_CASE("a body at its limit is taken, one byte more is a 413") {
  const std::string at(100, 'a'), over(101, 'a');
  CHECK(read_all_ways(post("Content-Length: 100", at)).bodies == bodies{at});
  CHECK(read_all_ways(post("Content-Length: 101", over)).refused == 413);
  CHECK(read_all_ways(
            post("Transfer-Encoding: chunked", "64\r\n" + at + "\r\n0\r\n\r\n"))
            .bodies == bodies{at});
  CHECK(read_all_ways(post("Transfer-Encoding: chunked",
                           "64\r\n" + at + "\r\n1\r\na\r\n0\r\n\r\n"))
            .refused == 413);
}

TEST_CASE("a header at its limit is taken, one byte more is a 431") {
  const std::string head = "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: ";
  const std::size_t left = (16 << 10) - head.size() - 4;
  CHECK(read(head + std::string(left, 'a') + "\r\n\r\n", 1000).bodies.size() ==
        1);
  CHECK(read(head + std::string(left + 1, 'a') + "\r\n\r\n", 1000).refused ==
        431);
  // Also one that never ends.
  CHECK(read(head + std::string(1 << 20, 'a'), 4096).refused == 431);
}

TEST_CASE("chunks with extensions, trailers and broken sizes are refused") {
  const auto chunked = [](const std::string& body) {
    return read_all_ways(post("Transfer-Encoding: chunked", body)).refused;
  };
  CHECK(chunked("1;a=b\r\nx\r\n0\r\n\r\n") == 400);
  CHECK(chunked("1\r\nx\r\n0\r\nX-Trailer: 1\r\n\r\n") == 400);
  CHECK(chunked("1\r\nxy\r\n0\r\n\r\n") == 400);
  CHECK(chunked("g\r\n") == 400);
  CHECK(chunked("-1\r\n") == 400);
  CHECK(read_all_ways(post("Transfer-Encoding: chunked", "1\nx\n0\n\n"))
            .bodies.empty());
  CHECK(chunked("ffffffffffffffffff\r\n") == 400);
  CHECK(chunked(std::string(40000, '0') + "1\r\nx\r\n0\r\n\r\n") == 400);
}

TEST_CASE("what a refused header says is refused before its body comes") {
  CHECK(read_all_ways("POST /x HTTP/1.1\r\nHost: localhost\r\n"
                      "Content-Length: 5\r\nContent-Encoding: br\r\n\r\n")
            .refused == 415);
}

TEST_CASE("a client that waits for leave to send its body is recognized") {
  const http_rules rules;
  request_reader reader(rules);
  reader.push(post("Content-Length: 5\r\nExpect: 100-continue", ""));
  REQUIRE(reader.advance() == read_state::header);
  CHECK(reader.expects_continue());
}
