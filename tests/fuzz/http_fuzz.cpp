// SPDX-License-Identifier: MIT
// Any bytes as what a client sends over a connection: the same requests come
// out however the bytes are cut, none of them can be read in two ways, and a
// second, simpler reading of the accepted ones finds the same bodies in the
// same places.
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "../support/read_requests.h"
#include "tinyphi/serve/trace_context.h"

namespace {

using tinyphi::http_request;
using tinyphi_test::read_requests;
using tinyphi_test::reading;

constexpr std::size_t max_body = 4096;

void require(bool holds) {
  if (!holds) std::abort();
}

std::size_t count(const http_request& r, std::string_view name) {
  return static_cast<std::size_t>(std::ranges::count_if(
      r.headers, [&](const auto& h) { return h.first == name; }));
}

bool printable(unsigned char c) { return c >= 0x20 && c != 0x7f; }

void check_request(const http_request& r) {
  constexpr std::string_view methods =
      " GET HEAD POST DELETE OPTIONS PUT PATCH QUERY TRACE ";
  require(methods.find(" " + r.method + " ") != std::string_view::npos);
  require(r.path.starts_with('/'));
  for (const unsigned char c : r.path + r.query) {
    require(c > 0x20 && c < 0x7f && c != '#');
  }
  require(count(r, "host") == 1 && r.headers.size() <= 65);
  const std::size_t lengths = count(r, "content-length");
  const std::size_t codings = count(r, "transfer-encoding");
  require(lengths + codings <= 1);
  require(r.method != "POST" || lengths + codings == 1);
  require(r.method == "POST" || codings == 0);
  require(codings == 0 || r.header("transfer-encoding") == "chunked");
  require(r.body.size() <= max_body);
  require(count(r, "origin") <= 1);
  for (const auto& [name, value] : r.headers) {
    require(!name.empty());
    require(std::ranges::none_of(name, [](unsigned char c) {
      return !printable(c) || c >= 0x80 || (c >= 'A' && c <= 'Z') || c == ' ' ||
             c == ':';
    }));
    require(std::ranges::all_of(
        value, [](unsigned char c) { return c == '\t' || printable(c); }));
  }
  require(!r.id.empty() && r.id.size() <= 64);
  (void)tinyphi::trace_of(r);
  if (const auto decoded = tinyphi::percent_decode(r.path)) {
    require(std::ranges::all_of(*decoded, printable));
  }
}

// Takes n bytes off the front of what must be at least that long.
std::string_view take(std::string_view& bytes, std::size_t n) {
  require(n <= bytes.size());
  const std::string_view out = bytes.substr(0, n);
  bytes.remove_prefix(n);
  return out;
}

std::size_t number(std::string_view digits, int base) {
  std::size_t n = 0;
  const auto end =
      std::from_chars(digits.data(), digits.data() + digits.size(), n, base);
  require(end.ec == std::errc() && end.ptr == digits.data() + digits.size());
  return n;
}

// The strictest reading of a request that was accepted; the bytes behind it.
void read_again(const http_request& r, std::string_view& bytes) {
  const std::size_t head = bytes.find("\r\n\r\n");
  require(head != std::string_view::npos);
  require(bytes.starts_with(r.method + " " + r.path));
  take(bytes, head + 4);
  std::string body;
  if (const auto length = r.header("content-length"); !length.empty()) {
    body = take(bytes, number(length, 10));
  } else if (!r.header("transfer-encoding").empty()) {
    for (std::size_t size = 1; size > 0;) {
      const std::size_t line = bytes.find("\r\n");
      require(line != std::string_view::npos);
      size = number(take(bytes, line), 16);
      take(bytes, 2);
      body += take(bytes, size);
      require(take(bytes, 2) == "\r\n");
    }
  }
  require(body == r.body);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const reading whole =
      read_requests(bytes, max_body, [](std::size_t n) { return n; });
  std::string_view rest = bytes;
  for (const http_request& r : whole.requests) {
    check_request(r);
    read_again(r, rest);
  }
  require(!whole.idle || (rest.empty() && whole.refused == 0));
  require(whole.refused == 0 || (whole.refused >= 400 && whole.refused < 600));
  require(read_requests(bytes, max_body, [](std::size_t) {
            return std::size_t{1};
          }).like(whole));
  // Cuts that depend on the bytes, as a socket would make them.
  constexpr std::size_t longest = 1024;
  std::uint64_t state = size;
  for (const char c : bytes.substr(0, longest)) {
    state = (state ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  const reading cut = read_requests(bytes, max_body, [&](std::size_t n) {
    state = state * 6364136223846793005 + 1442695040888963407;
    return std::min<std::size_t>(n, 1 + (state >> 33) % longest);
  });
  require(cut.like(whole));
  // A header and a piece, doubled as strings grow.
  require(cut.most_held <= 2 * ((std::size_t{16} << 10) + longest));
  return 0;
}
