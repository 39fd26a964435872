// SPDX-License-Identifier: MIT
// Any bytes as what a client of the Model Context Protocol sends: the same
// messages come out however the bytes are cut, all of them are JSON of one line
// and no longer than allowed, and each call is answered at most once.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/serve/mcp_session.h"

namespace {

using namespace tinyphi;

void require(bool holds) {
  if (!holds) std::abort();
}

// Small, so that short inputs reach them.
mcp_limits small_limits() {
  mcp_limits limits;
  limits.max_line = 8192;
  limits.max_calls = 3;
  limits.max_batch = 4;
  limits.max_id_bytes = 64;
  limits.max_page = 1;
  return limits;
}

// A client whose calls end in turn, every second one at once.
class client {
 public:
  void take(std::string_view bytes) { note(session_.take(bytes)); }
  void end() {
    note(session_.end());
    while (!running_.empty()) finish(*running_.begin());
    require(session_.n_running() == 0);
  }
  [[nodiscard]] const std::vector<std::string>& lines() const { return lines_; }

 private:
  static std::vector<json::object> tools() {
    return {{{"name", "a"}, {"inputSchema", {{"type", "object"}}}},
            {{"name", "b"}, {"inputSchema", {{"type", "object"}}}}};
  }

  void note(mcp_step step) {
    for (std::string& line : step.lines) add(std::move(line));
    for (const mcp_call& c : step.calls) {
      require(c.tool == "a" || c.tool == "b");
      require(begun_.insert(c.number).second);
      running_.insert(c.number);
      if (auto told = session_.progress(c.number, 1, 2, "half")) {
        require(c.wants_progress);
        add(*std::move(told));
      }
      if (c.number % 2 == 0) finish(c.number);
    }
    require(session_.n_running() <= small_limits().max_calls);
    for (const std::uint64_t n : step.cancelled) require(begun_.contains(n));
  }

  void finish(std::uint64_t n) {
    running_.erase(n);
    const mcp_result r{.texts = {std::string(n % 3 == 0 ? 9000 : 9, 'x')}};
    if (auto line = session_.finish(n, r)) add(*std::move(line));
    require(!session_.finish(n, r));
  }

  void add(std::string line) {
    require(line.size() <= small_limits().max_line);
    require(line.find('\n') == std::string::npos);
    const auto message = parse_json(line, "line");
    require(message.has_value());
    const json::value& first =
        message->is_array() ? message->get_array().at(0) : *message;
    require(first.at("jsonrpc") == "2.0");
    lines_.push_back(std::move(line));
  }

  mcp_session session_{"1", tools(), small_limits()};
  std::set<std::uint64_t> begun_, running_;
  std::vector<std::string> lines_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  client whole;
  // Line by line: what ends between two lines is then the same.
  for (std::size_t at = 0; at < size;) {
    const std::size_t end = std::min(bytes.find('\n', at), size - 1) + 1;
    whole.take(bytes.substr(at, end - at));
    at = end;
  }
  whole.end();
  client cut;
  std::uint64_t state = size;
  for (std::size_t at = 0; at < size;) {
    state = state * 6364136223846793005 + 1442695040888963407;
    std::size_t n = std::min<std::size_t>(1 + (state >> 33) % 64, size - at);
    n = std::min(n, std::min(bytes.find('\n', at), size - 1) + 1 - at);
    cut.take(bytes.substr(at, n));
    at += n;
  }
  cut.end();
  require(cut.lines() == whole.lines());
  return 0;
}
