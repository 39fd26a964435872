// SPDX-License-Identifier: MIT
// Any bytes as what a server answers to http.fetch: in pieces it is the answer
// that it is in one, and never longer than allowed. The first line is an
// address, too, which is read again as it is written.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "plugins/http_fetch/client.h"

namespace {

using namespace tinyphi;

void require(bool holds) {
  if (!holds) std::abort();
}

constexpr std::size_t max_bytes = 256;

// Nothing where it is no answer.
std::optional<web::web_answer> read(std::string_view bytes, std::size_t piece) {
  web::answer_reader reader(max_bytes);
  while (!bytes.empty()) {
    const auto whole = reader.take(bytes.substr(0, piece));
    if (!whole) return std::nullopt;
    if (*whole) break;
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  if (bytes.empty() && !reader.end()) return std::nullopt;
  const auto answer = reader.answer();
  return answer ? std::optional(*answer) : std::nullopt;
}

void check_url(std::string_view text) {
  const auto url = web::parse_url(text);
  if (!url) return;
  const auto again = web::parse_url((url->is_secure ? "https://" : "http://") +
                                    to_string(url->host) + url->target);
  require(again && again->host == url->host && again->target == url->target);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_url(text.substr(0, text.find('\n')));
  const auto whole = read(text, std::max<std::size_t>(size, 1));
  for (const std::size_t piece : {1, 7}) {
    const auto parts = read(text, piece);
    require(!whole || !parts ||
            (whole->status == parts->status && whole->text == parts->text));
    require(!parts || parts->text.size() <= max_bytes);
  }
  return 0;
}
