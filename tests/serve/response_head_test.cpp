// SPDX-License-Identifier: MIT
#include "tinyphi/serve/response_head.h"

#include "support/test.h"

using namespace tinyphi;

namespace {

TEST_CASE("a response's head says how long it is and whether to go on") {
  const http_response r{.status = 429,
                        .content_type = "application/json",
                        .body = "{}",
                        .headers = {{"retry-after", "2"}}};
  CHECK(response_head(r, 2, false, "id1") ==
        "HTTP/1.1 429 Too Many Requests\r\n"
        "content-type: application/json\r\n"
        "x-request-id: id1\r\n"
        "x-content-type-options: nosniff\r\n"
        "retry-after: 2\r\n"
        "connection: close\r\n"
        "content-length: 2\r\n\r\n");
}

TEST_CASE("a value with a line break does not become a header") {
  const http_response r{.headers = {{"x-a", "1\r\nset-cookie: b"}}};
  CHECK(response_head(r, 0, true, "id").find("cookie") == std::string::npos);
}

TEST_CASE("no content has neither a type nor a length") {
  const std::string head = response_head({.status = 204}, 0, true, "id");
  CHECK(head.find("content-type:") == std::string::npos);
  CHECK(head.find("content-length:") == std::string::npos);
}

TEST_CASE("a stream comes in chunks that no proxy keeps") {
  const std::string head = stream_head("text/event-stream", {}, true, "i");
  CHECK(head.find("\r\ntransfer-encoding: chunked\r\n") != std::string::npos);
  CHECK(head.find("\r\ncache-control: no-store\r\n") != std::string::npos);
  CHECK(head.find("content-length") == std::string::npos);
  CHECK(stream_chunk(std::string(26, 'a')) ==
        "1a\r\n" + std::string(26, 'a') + "\r\n");
}

}  // namespace
