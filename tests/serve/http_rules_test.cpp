// SPDX-License-Identifier: MIT
#include "tinyphi/serve/http_rules.h"

#include <string>

#include "support/test.h"

using namespace tinyphi;

namespace {

// A header block of these lines, behind a request line.
std::string block(const std::string& lines,
                  const std::string& first = "GET /v1/models HTTP/1.1") {
  std::string out = first + "\r\n";
  for (const char c : lines) out += c == '\n' ? "\r\n" : std::string(1, c);
  return out + "\r\n";
}

unsigned status_of(const std::string& bytes, const http_rules& rules = {}) {
  const auto r = check_header(bytes, rules);
  return r ? 200 : r.error().status;
}

struct raw_case {
  const char* name;
  std::string bytes;
  unsigned status;
};

}  // namespace

TEST_CASE("a header is taken apart, with names in lower case") {
  const auto r = check_header(
      block("Host: localhost:8484\nX-Request-Id: a.b-c_1\nX-Empty:\n"
            "x-blanks: \t a b \t\n",
            "GET /v1/models/phi?limit=2&a=%20 HTTP/1.1"),
      {});
  REQUIRE(r.has_value());
  CHECK(r->method == "GET");
  CHECK(r->path == "/v1/models/phi");
  CHECK(r->query == "limit=2&a=%20");
  CHECK(r->header("host") == "localhost:8484");
  CHECK(r->header("x-empty").empty());
  CHECK(r->header("x-blanks") == "a b");
  CHECK(r->id == "a.b-c_1");
  CHECK(keeps_alive(*r));
}

TEST_CASE("forms that programs read differently are refused") {
  const std::string host = "Host: localhost\n";
  const std::string post = "POST /v1/completions HTTP/1.1";
  const raw_case cases[] = {
      {"plain", block(host), 200},
      {"old version, GET", block(host, "GET / HTTP/1.0"), 200},
      {"old version, POST",
       block(host + "Content-Length: 1\n", "POST / HTTP/1.0"), 505},
      {"version 2", block(host, "GET / HTTP/2.0"), 505},
      {"version 1.2", block(host, "GET / HTTP/1.2"), 505},
      {"no version", block(host, "GET /"), 400},
      {"two blanks", block(host, "GET  / HTTP/1.1"), 400},
      {"lower-case method", block(host, "get / HTTP/1.1"), 405},
      {"another method", block(host, "BREW / HTTP/1.1"), 405},
      {"a method that some route might have", block(host, "PATCH / HTTP/1.1"),
       200},
      {"CONNECT", block(host, "CONNECT localhost:80 HTTP/1.1"), 405},
      {"absolute target", block(host, "GET http://localhost/ HTTP/1.1"), 400},
      {"asterisk", block(host, "OPTIONS * HTTP/1.1"), 400},
      {"fragment", block(host, "GET /#a HTTP/1.1"), 400},
      {"raw byte in the target", block(host, "GET /\xc3\xa4 HTTP/1.1"), 400},
      {"tab in the target", block(host, "GET /a\tb HTTP/1.1"), 400},
      {"no Host", block("X-A: 1\n"), 400},
      {"two Hosts", block(host + host), 400},
      {"another Host", block("Host: evil.example\n"), 421},
      {"a Host that ends in ours", block("Host: xlocalhost\n"), 421},
      {"IPv6 Host", block("Host: [::1]:8484\n"), 200},
      {"upper-case Host", block("HOST: LOCALHOST\n"), 200},
      {"a port that is none", block("Host: localhost:a\n"), 400},
      {"an empty port", block("Host: localhost:\n"), 400},
      {"folded line", block(host + "X-A: 1\n  2\n"), 400},
      {"blank before the colon", block(host + "X-A : 1\n"), 400},
      {"no colon", block(host + "X-A\n"), 400},
      {"no name", block(host + ": 1\n"), 400},
      {"name with a blank", block(host + "X A: 1\n"), 400},
      {"NUL", block(host + "X-A: " + std::string(1, '\0') + "\n"), 400},
      {"escape", block(host + "X-A: \x1b[31m\n"), 400},
      {"bare LF", "GET / HTTP/1.1\r\nHost: localhost\nX-A: 1\r\n\r\n", 400},
      {"bare CR", "GET / HTTP/1.1\r\nHost: localhost\rX-A: 1\r\n\r\n", 400},
      {"length", block(host + "Content-Length: 12\n", post), 200},
      {"plus sign", block(host + "Content-Length: +5\n", post), 400},
      {"hex", block(host + "Content-Length: 0x5\n", post), 400},
      {"list of lengths", block(host + "Content-Length: 5, 5\n", post), 400},
      {"two lengths",
       block(host + "Content-Length: 5\nContent-Length: 5\n", post), 400},
      {"empty length", block(host + "Content-Length:\n", post), 400},
      {"a length of 19 digits",
       block(host + "Content-Length: 1000000000000000000\n", post), 400},
      {"no length", block(host, post), 411},
      {"chunked", block(host + "Transfer-Encoding: chunked\n", post), 200},
      {"Chunked", block(host + "Transfer-Encoding: Chunked\n", post), 400},
      {"gzip", block(host + "Transfer-Encoding: gzip\n", post), 400},
      {"xchunked", block(host + "Transfer-Encoding: xchunked\n", post), 400},
      {"chunked, gzip",
       block(host + "Transfer-Encoding: chunked, gzip\n", post), 400},
      {"gzip, chunked",
       block(host + "Transfer-Encoding: gzip, chunked\n", post), 400},
      {"two codings",
       block(host + "Transfer-Encoding: chunked\nTransfer-Encoding: chunked\n",
             post),
       400},
      {"both",
       block(host + "Content-Length: 5\nTransfer-Encoding: chunked\n", post),
       400},
      {"both, the other way",
       block(host + "Transfer-Encoding: chunked\nContent-Length: 5\n", post),
       400},
      {"GET with a body", block(host + "Content-Length: 5\n"), 200},
      {"GET with no bytes", block(host + "Content-Length: 0\n"), 200},
      {"GET in chunks", block(host + "Transfer-Encoding: chunked\n"), 400},
      {"zipped body",
       block(host + "Content-Length: 5\nContent-Encoding: gzip\n", post), 415},
      {"plain body, told",
       block(host + "Content-Length: 5\nContent-Encoding: identity\n", post),
       200},
      {"zipped body, told second",
       block(host + "Content-Length: 5\nContent-Encoding: identity\n"
                    "Content-Encoding: gzip\n",
             post),
       415},
      {"another expectation, told second",
       block(host + "Content-Length: 5\nExpect: 100-continue\nExpect: tea\n",
             post),
       417},
      {"expectation",
       block(host + "Content-Length: 5\nExpect: 100-continue\n", post), 200},
      {"another expectation",
       block(host + "Content-Length: 5\nExpect: tea\n", post), 417},
      {"own origin", block(host + "Origin: http://localhost\n"), 200},
      {"own origin, behind a proxy with TLS",
       block(host + "Origin: https://localhost\n"), 200},
      {"an origin without a word", block(host + "Origin:\n"), 403},
      {"own name, another port", block(host + "Origin: http://localhost:1\n"),
       403},
      {"another origin", block(host + "Origin: http://evil.example\n"), 403},
      {"no origin to speak of", block(host + "Origin: null\n"), 403},
      {"two origins",
       block(host + "Origin: http://localhost\nOrigin: http://localhost\n"),
       400},
  };
  for (const raw_case& c : cases) {
    INFO(c.name);
    CHECK(status_of(c.bytes) == c.status);
  }
}

TEST_CASE("64 fields are taken, 65 are not") {
  std::string lines = "Host: localhost\n";
  for (int i = 1; i < 64; ++i) lines += "X-" + std::to_string(i) + ": 1\n";
  CHECK(status_of(block(lines)) == 200);
  CHECK(status_of(block(lines + "X-64: 1\n")) == 431);
}

TEST_CASE("names and origins of the configuration are let in") {
  http_rules rules;
  rules.hosts = {"ai.example"};
  rules.origins = {"https://chat.example"};
  CHECK(status_of(block("Host: ai.example\nOrigin: https://chat.example\n"),
                  rules) == 200);
  CHECK(status_of(block("Host: localhost\n"), rules) == 421);
  rules.hosts.clear();  // none is not any
  CHECK(status_of(block("Host: localhost\n"), rules) == 421);
  rules.any_host = true;
  CHECK(status_of(block("Host: anything\n"), rules) == 200);
}

TEST_CASE("names of the configuration may be written in capitals") {
  http_rules rules;
  rules.hosts = {"AI.Example"};
  rules.origins = {"https://Chat.Example"};
  CHECK(status_of(block("Host: ai.example\nOrigin: https://chat.example\n"),
                  rules) == 200);
}

TEST_CASE("browsers are told that pages of listed origins may ask and read") {
  http_rules rules;
  const auto from = [&](const std::string& first, const std::string& lines) {
    const auto r =
        check_header(block("Host: localhost\n" + lines, first), rules);
    REQUIRE(r.has_value());
    return *r;
  };
  const auto value = [](const http_headers& all, std::string_view name) {
    for (const auto& [key, text] : all) {
      if (key == name) return text;
    }
    return std::string("none");
  };
  const std::string allow = "access-control-allow-origin";
  const std::string get = "GET / HTTP/1.1", ask = "OPTIONS / HTTP/1.1";
  CHECK(cors_headers(from(get, ""), rules).empty());
  rules.origins = {"https://chat.example"};
  const std::string listed = "Origin: https://chat.example\n";
  const std::string own = "Origin: http://localhost\n";
  CHECK(value(cors_headers(from(get, listed), rules), allow) ==
        "https://chat.example");
  CHECK(value(cors_headers(from(get, own), rules), allow) == "none");
  CHECK(value(cors_headers(from(get, ""), rules), allow) == "none");
  // Caches keep what they get for one origin from others.
  CHECK(value(cors_headers(from(get, ""), rules), "vary") == "origin");

  const std::string method = "Access-Control-Request-Method: POST\n";
  CHECK(is_preflight(from(ask, listed + method), rules));
  CHECK_FALSE(is_preflight(from(ask, listed), rules));
  CHECK_FALSE(is_preflight(from(ask, own + method), rules));
  CHECK_FALSE(is_preflight(from(ask, method), rules));
  CHECK_FALSE(is_preflight(from(get, listed + method), rules));
  const http_response answer = preflight_answer();
  CHECK(answer.status == 204);
  CHECK(value(answer.headers, "access-control-allow-headers") ==
        "authorization, *");
  CHECK(value(answer.headers, "access-control-allow-credentials") == "none");
}

TEST_CASE("percent signs are decoded strictly") {
  CHECK(percent_decode("") == "");
  CHECK(percent_decode("pipeline%3Adocs+a") == "pipeline:docs+a");
  CHECK(percent_decode("a%2Fb%2fc%25") == "a/b/c%");
  CHECK(percent_decode("%c3%A4") == "\xc3\xa4");
  CHECK(percent_decode("%2541") == "%41");  // once only
  for (const char* text : {"%", "%4", "a%4", "%g1", "%1g", "%%41", "%00", "%0a",
                           "%7F", "%c3", "%ff", "%c0%af"}) {
    INFO(text);
    CHECK_FALSE(percent_decode(text).has_value());
  }
}

TEST_CASE("an id that is unfit, or none, is replaced by a random one") {
  CHECK(request_id(std::string(64, 'a')) == std::string(64, 'a'));
  for (const std::string& given :
       {std::string(), std::string(65, 'a'), std::string("a b"),
        std::string("a\"b"), std::string("\xc3\xa4")}) {
    const std::string id = request_id(given);
    CHECK(id.size() == 32);
    CHECK(id.find_first_not_of("0123456789abcdef") == std::string::npos);
    CHECK(id != request_id(given));
  }
}
