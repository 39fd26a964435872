// SPDX-License-Identifier: MIT
// A connection's bytes through a request_reader, in pieces of any size: what
// the tests and the fuzzer look at.
#ifndef TESTS_SUPPORT_READ_REQUESTS_H_
#define TESTS_SUPPORT_READ_REQUESTS_H_

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/serve/request_reader.h"

namespace tinyphi_test {

// What came of the bytes.
struct reading {
  std::vector<tinyphi::http_request> requests;
  unsigned refused = 0;  // the status, or 0
  std::string code = {};
  bool idle = false;
  std::size_t most_held = 0;  // the reader's buffer at its largest

  // All but the buffer's size, random ids and times.
  [[nodiscard]] bool like(const reading& other) const {
    return refused == other.refused && code == other.code &&
           idle == other.idle &&
           std::ranges::equal(
               requests, other.requests, [](const auto& a, const auto& b) {
                 return a.method == b.method && a.path == b.path &&
                        a.query == b.query && a.headers == b.headers &&
                        a.body == b.body;
               });
  }
};

// `next(n)` says how many of the n bytes that are left come next: 1 to n.
template <class Next>
reading read_requests(std::string_view bytes, std::size_t max_body, Next next) {
  using tinyphi::read_state;
  const tinyphi::http_rules rules;
  tinyphi::request_reader reader(rules);
  reading out;
  while (true) {
    const read_state state = reader.advance();
    out.most_held = std::max(out.most_held, reader.held_bytes());
    if (state == read_state::header) {
      reader.read_body(max_body);
    } else if (state == read_state::complete) {
      out.requests.push_back(reader.take());
    } else if (state == read_state::refused) {
      out.refused = reader.refusal().status;
      out.code = reader.refusal().code;
      break;
    } else if (bytes.empty()) {
      break;
    } else {
      const std::size_t n = next(bytes.size());
      reader.push(bytes.substr(0, n));
      out.most_held = std::max(out.most_held, reader.held_bytes());
      bytes.remove_prefix(n);
    }
  }
  out.idle = reader.idle();
  return out;
}

}  // namespace tinyphi_test

#endif  // TESTS_SUPPORT_READ_REQUESTS_H_
