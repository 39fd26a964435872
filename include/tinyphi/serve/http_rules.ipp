// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_HTTP_RULES_IPP_
#define TINYPHI_SERVE_HTTP_RULES_IPP_

#include <algorithm>
#include <array>

#include "tinyphi/base/ascii.h"
#include "tinyphi/base/utf8.h"
#include "tinyphi/serve/hex_text.h"
#include "tinyphi/serve/http_rules.h"
#include "tinyphi/serve/random_bits.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline api_error refuse_header(unsigned status, std::string code,
                               std::string message) {
  api_error e;
  e.status = status;
  e.code = std::move(code);
  e.message = std::move(message);
  return e;
}

inline api_error malformed(std::string message) {
  return refuse_header(400, "malformed_request", std::move(message));
}

// A character of a method or a field's name (RFC 9110, 5.6.2).
inline bool is_token_char(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
         (c >= 'A' && c <= 'Z') ||
         std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) !=
             std::string_view::npos;
}

// Takes a line that ends in CR LF off the front; nothing if there is none, or
// if it holds another control character than a tab.
inline std::optional<std::string_view> take_line(std::string_view& block) {
  const std::size_t end = block.find("\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = block.substr(0, end);
  block.remove_prefix(end + 2);
  const bool clean = std::ranges::all_of(line, [](unsigned char c) {
    return c == '\t' || (c >= 0x20 && c != 0x7f);
  });
  if (!clean) return std::nullopt;
  return line;
}

inline api_result<http_request> check_request_line(std::string_view line) {
  const std::size_t a = line.find(' ');
  const std::size_t b = line.rfind(' ');
  if (a == std::string_view::npos || a == b) {
    return malformed("the first line is not METHOD PATH VERSION");
  }
  http_request r;
  r.method = line.substr(0, a);
  const std::string_view target = line.substr(a + 1, b - a - 1);
  const std::string_view version = line.substr(b + 1);
  // Those that no route has are known, too, so that the answer can name those
  // that it has.
  constexpr std::array<std::string_view, 9> methods = {
      "GET", "HEAD",  "POST",  "DELETE", "OPTIONS",
      "PUT", "PATCH", "QUERY", "TRACE"};
  if (std::ranges::find(methods, r.method) == methods.end()) {
    return refuse_header(405, "method_not_allowed",
                         "allowed methods are GET, HEAD, POST, DELETE and "
                         "OPTIONS, in capitals");
  }
  const bool old = version == "HTTP/1.0";
  if (version != "HTTP/1.1" &&
      !(old && (r.method == "GET" || r.method == "HEAD"))) {
    return refuse_header(505, "http_version_not_supported",
                         "allowed are HTTP/1.1, and HTTP/1.0 for GET and HEAD");
  }
  const bool plain = std::ranges::all_of(
      target, [](unsigned char c) { return c > 0x20 && c < 0x7f && c != '#'; });
  if (!target.starts_with('/') || !plain) {
    return malformed(
        "the target is not a path, which begins with '/' and has "
        "neither blanks, '#', nor bytes above 126");
  }
  const std::size_t query = std::min(target.find('?'), target.size());
  r.path = target.substr(0, query);
  if (query < target.size()) r.query = target.substr(query + 1);
  if (old) r.headers.emplace_back("connection", "close");
  return r;
}

inline std::optional<api_error> check_fields(std::string_view block,
                                             const http_rules& rules,
                                             http_request& r) {
  std::size_t n = 0;
  while (block != "\r\n") {
    const auto line = take_line(block);
    if (!line) {
      return malformed(
          "a header line holds a control character, or does not "
          "end in CR LF");
    }
    if (++n > rules.max_fields) {
      return refuse_header(
          431, "too_many_headers",
          "more than " + std::to_string(rules.max_fields) + " header fields");
    }
    const std::size_t colon = line->find(':');
    const std::string_view name = line->substr(0, colon);
    if (colon == std::string_view::npos || name.empty() ||
        !std::ranges::all_of(name, is_token_char)) {
      return malformed("a header line is not NAME: VALUE, or is folded");
    }
    std::string_view value = line->substr(colon + 1);
    const auto blank = [](char c) { return c == ' ' || c == '\t'; };
    while (!value.empty() && blank(value.front())) value.remove_prefix(1);
    while (!value.empty() && blank(value.back())) value.remove_suffix(1);
    r.headers.emplace_back(ascii::lower(name), value);
  }
  return std::nullopt;
}

inline std::size_t count_of(const http_request& r, std::string_view name) {
  return static_cast<std::size_t>(std::ranges::count_if(
      r.headers, [&](const auto& h) { return h.first == name; }));
}

// Every header of that name has that value; a second one must not hide behind
// the first.
inline bool all_are(const http_request& r, std::string_view name,
                    std::string_view value) {
  return std::ranges::all_of(r.headers, [&](const auto& h) {
    return h.first != name || ascii::lower(h.second) == value;
  });
}

inline bool is_listed(const std::vector<std::string>& list,
                      std::string_view wanted) {
  return std::ranges::any_of(list, [&](const std::string& one) {
    return ascii::lower(one) == wanted;
  });
}

inline std::optional<api_error> check_framing(const http_request& r) {
  const std::size_t lengths = count_of(r, "content-length");
  const std::size_t codings = count_of(r, "transfer-encoding");
  if (lengths + codings > 1) {
    return malformed("content-length and transfer-encoding together, or twice");
  }
  const std::string_view length = r.header("content-length");
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (lengths == 1 && (length.empty() || length.size() > 18 ||
                       !std::ranges::all_of(length, digit))) {
    return malformed("content-length is not a number");
  }
  if (codings == 1 && r.header("transfer-encoding") != "chunked") {
    return malformed("transfer-encoding is not exactly 'chunked'");
  }
  // A body with a length that no route takes is refused by the route, which
  // may be another method's.
  if (codings == 1 && r.method != "POST") {
    return malformed("a " + r.method + " request has no body in chunks");
  }
  if (r.method == "POST" && lengths + codings == 0) {
    return refuse_header(411, "length_required",
                         "a POST request says how long its body is");
  }
  if (!all_are(r, "content-encoding", "identity")) {
    return refuse_header(415, "unsupported_content_encoding",
                         "bodies are taken as they are: no content-encoding");
  }
  if (!all_are(r, "expect", "100-continue")) {
    return refuse_header(417, "expectation_failed",
                         "the only expectation is 100-continue");
  }
  return std::nullopt;
}

inline std::optional<api_error> check_place(const http_request& r,
                                            const http_rules& rules) {
  if (count_of(r, "host") != 1) {
    return malformed("there is not exactly one Host header");
  }
  std::string host = ascii::lower(r.header("host"));
  const std::size_t port = host.rfind(':');
  if (port != std::string::npos && host.find(']', port) == std::string::npos) {
    const std::string digits = host.substr(port + 1);
    if (digits.empty() || digits.size() > 5 ||
        digits.find_first_not_of("0123456789") != std::string::npos) {
      return malformed("the Host header's port is not a number");
    }
    host.resize(port);
  }
  if (!rules.any_host && !is_listed(rules.hosts, host)) {
    return refuse_header(421, "wrong_host",
                         "this server is not called so; its names are those of "
                         "[serve] hosts");
  }
  const std::size_t origins = count_of(r, "origin");
  if (origins > 1) return malformed("more than one Origin");
  const std::string_view origin = r.header("origin");
  // Behind a proxy that has TLS, our own pages are https.
  const std::string own = "://" + ascii::lower(r.header("host"));
  if (origins == 1 && !is_listed(rules.origins, origin) &&
      origin != "http" + own && origin != "https" + own) {
    return refuse_header(403, "wrong_origin",
                         "pages of this origin may not call; those of [serve] "
                         "origins may");
  }
  return std::nullopt;
}

}  // namespace detail

TINYPHI_FUNC api_result<http_request> check_header(std::string_view block,
                                                   const http_rules& rules) {
  const auto line = detail::take_line(block);
  if (!line) {
    return detail::malformed("the first line holds a control character");
  }
  auto r = detail::check_request_line(*line);
  if (!r) return r;
  if (auto e = detail::check_fields(block, rules, *r)) return *std::move(e);
  if (auto e = detail::check_framing(*r)) return *std::move(e);
  if (auto e = detail::check_place(*r, rules)) return *std::move(e);
  r->id = request_id(r->header("x-request-id"));
  return r;
}

TINYPHI_FUNC bool keeps_alive(const http_request& r) {
  for (const auto& [name, value] : r.headers) {
    if (name == "connection" &&
        ascii::lower(value).find("close") != std::string::npos) {
      return false;
    }
  }
  return true;
}

TINYPHI_FUNC http_headers cors_headers(const http_request& r,
                                       const http_rules& rules) {
  if (rules.origins.empty()) return {};
  http_headers out = {{"vary", "origin"}};
  const std::string_view origin = r.header("origin");
  if (detail::is_listed(rules.origins, origin)) {
    out.emplace_back("access-control-allow-origin", origin);
    out.emplace_back("access-control-expose-headers", "*");
  }
  return out;
}

TINYPHI_FUNC bool is_preflight(const http_request& r, const http_rules& rules) {
  return r.method == "OPTIONS" &&
         !r.header("access-control-request-method").empty() &&
         detail::is_listed(rules.origins, r.header("origin"));
}

TINYPHI_FUNC http_response preflight_answer() {
  http_response r;
  r.status = 204;
  // The asterisk stands for any header but authorization.
  r.headers = {{"access-control-allow-methods", "GET, HEAD, POST, DELETE"},
               {"access-control-allow-headers", "authorization, *"},
               {"access-control-max-age", "600"}};
  return r;
}

TINYPHI_FUNC std::optional<std::string> percent_decode(std::string_view text) {
  auto out = ascii::percent_decoded(text);
  if (!out) return std::nullopt;
  const bool plain = std::ranges::all_of(
      *out, [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
  if (!plain || find_invalid_utf8(*out) != std::string_view::npos) {
    return std::nullopt;
  }
  return out;
}

TINYPHI_FUNC std::string request_id(std::string_view given) {
  const bool fit = !given.empty() && given.size() <= 64 &&
                   std::ranges::all_of(given, [](unsigned char c) {
                     return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                            (c >= 'A' && c <= 'Z') || c == '.' || c == '_' ||
                            c == '-';
                   });
  return fit ? std::string(given) : random_id();
}

TINYPHI_FUNC std::string random_id() {
  return hex_text(random_bits<std::array<std::uint8_t, 16>>());
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_HTTP_RULES_IPP_
