// SPDX-License-Identifier: MIT
// Any bytes as what a server of the Model Context Protocol sends: the same
// comes of them however they are cut, each call is answered at most once, what
// is sent is JSON of one line, and errors can be shown in one line of a
// terminal.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/mcp/client_session.h"
#include "tinyphi/base/utf8.h"

namespace {

using namespace tinyphi;

void require(bool holds) {
  if (!holds) std::abort();
}

void check_error(const error& e) {
  const auto is_control = [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return u < 0x20 || u == 0x7f;
  };
  require(e.code != error_code::internal && !e.message.empty());
  require(e.message.size() <= 2000);
  require(std::ranges::none_of(e.message, is_control));
  require(find_invalid_utf8(e.message) == std::string::npos);
}

// Small, so that short inputs reach them.
mcp::session_limits small_limits() {
  mcp::session_limits limits;
  limits.max_line = 8192;
  limits.max_open = 3;
  limits.max_batch = 4;
  limits.max_pages = 2;
  limits.max_tools = 3;
  limits.max_stray = 2;
  return limits;
}

// Lists and calls as soon as it may.
class client {
 public:
  explicit client(bool probes)
      : session_("1",
                 probes ? std::nullopt : std::optional(newest_mcp_handshake),
                 small_limits()) {
    note(session_.begin());
  }
  void take(std::string_view bytes) { note(session_.take(bytes)); }
  [[nodiscard]] const std::vector<std::string>& log() const { return log_; }

 private:
  void note(const mcp::session_step& s) {
    require(!has_ended_ || (s.messages.empty() && s.answers.empty() &&
                            !s.listing && !s.failed));
    for (const mcp::outgoing& m : s.messages) send(m);
    for (const auto& [number, answer] : s.answers) {
      require(open_.erase(number) == 1);
      if (!answer) check_error(answer.error());
      log_.push_back(answer ? answer->text : answer.error().message);
    }
    if (s.listing && *s.listing) {
      require((*s.listing)->tools.size() <= small_limits().max_tools);
    } else if (s.listing) {
      check_error(s.listing->error());
    }
    if (s.listing) log_.emplace_back("listed");
    if (s.failed) {
      check_error(*s.failed);
      log_.push_back(s.failed->message);
      has_ended_ = true;
    }
  }

  void send(const mcp::outgoing& m) {
    require(m.text.find('\n') == std::string::npos);
    require(m.text.size() <= 2 * small_limits().max_line);
    require(parse_json(m.text, "sent").has_value());
    log_.push_back(m.text);
  }

 public:
  // Between lines only, so that it does not depend on how bytes are cut.
  void ask() {
    if (!session_.is_ready()) return;
    if (!session_.is_listing()) note(session_.list());
    if (const auto m = session_.call("t", {{"a", 1}})) {
      require(open_.insert(m->number).second);
      send(*m);
      if (m->number % 3 == 0) {
        open_.erase(m->number);
        require(session_.cancel(m->number, "test").has_value());
      }
    }
  }

 private:
  mcp::client_session session_;
  std::set<std::uint64_t> open_;
  std::vector<std::string> log_;
  bool has_ended_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  for (const bool probes : {true, false}) {
    client by_lines(probes), by_pieces(probes);
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t end = std::min(bytes.find('\n', at), bytes.size() - 1);
      const std::string_view line(bytes.data() + at, end + 1 - at);
      by_lines.take(line);
      for (std::size_t i = 0; i < line.size(); i += 7) {
        by_pieces.take(line.substr(i, 7));
      }
      by_lines.ask();
      by_pieces.ask();
      at = end + 1;
    }
    require(by_lines.log() == by_pieces.log());
  }
  return 0;
}
