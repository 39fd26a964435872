// SPDX-License-Identifier: MIT
// The messages in a body of text/event-stream.
#ifndef TINYPHI_PLUGINS_MCP_EVENT_LINES_H_
#define TINYPHI_PLUGINS_MCP_EVENT_LINES_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN
namespace mcp {

// Reads a body that grows. An event's data is a message; its other fields say
// nothing here.
class event_lines {
 public:
  // The next whole event that has data.
  [[nodiscard]] std::optional<std::string> next(std::string_view body) {
    while (true) {
      const std::size_t end = body.find_first_of("\r\n", at_);
      if (end == std::string_view::npos) return std::nullopt;
      // "\r" may be half of an end.
      if (body[end] == '\r' && end + 1 == body.size()) return std::nullopt;
      const std::string_view line = body.substr(at_, end - at_);
      at_ = end + (body.substr(end).starts_with("\r\n") ? 2 : 1);
      if (line.empty()) {
        const bool has_data = has_data_;
        has_data_ = false;
        if (has_data) return std::move(data_);
      } else if (line.starts_with("data:")) {
        if (has_data_) {
          data_ += '\n';
        } else {
          data_.clear();
        }
        has_data_ = true;
        data_ += line.substr(line.starts_with("data: ") ? 6 : 5);
      }
    }
  }

 private:
  std::size_t at_ = 0;
  bool has_data_ = false;
  std::string data_;
};

}  // namespace mcp
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_MCP_EVENT_LINES_H_
