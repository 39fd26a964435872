// SPDX-License-Identifier: MIT
// A server of tools, and how the same server is found again.
#ifndef TINYPHI_PLUGINS_MCP_TOOL_SERVER_H_
#define TINYPHI_PLUGINS_MCP_TOOL_SERVER_H_

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "plugins/mcp/client_session.h"
#include "plugins/mcp/pinned_tool.h"
#include "tinyphi/base/cancel.h"

TINYPHI_NAMESPACE_BEGIN
namespace mcp {

// Any number of threads may ask at once; they wait. Errors are of this request
// or of the server, and do not say which server it is.
class tool_server {
 public:
  virtual ~tool_server() = default;

  [[nodiscard]] virtual result<tool_listing> list(
      const stop_condition& stop) = 0;
  // Nothing is called unless the server lists the tool as it is pinned.
  [[nodiscard]] virtual result<call_answer> call(
      const pinned_tool& tool, json::object arguments,
      const stop_condition& stop) = 0;
};

// Why no call happens, if the tool is not as it is pinned.
[[nodiscard]] inline result<void> check_pin(const pinned_tool& tool,
                                            const tool_listing& now) {
  const auto change = find_change(tool, now);
  if (!change) return {};
  return error{error_code::bad_data,
               *change +
                   "; it was not called: look at what it is now, and pin it "
                   "anew (tinyphi inspect --mcp)"};
}

// Servers that are kept as long as somebody has them, by what tells them apart.
class shared_servers {
 public:
  // The same for an equal key; `make` makes one.
  template <class Make>
  [[nodiscard]] std::shared_ptr<tool_server> get(const std::string& key,
                                                 Make make) {
    const std::lock_guard lock(mutex_);
    std::erase_if(all_, [](const entry& e) { return e.server.expired(); });
    const auto it = std::ranges::find(all_, key, &entry::key);
    if (it != all_.end()) {
      if (auto server = it->server.lock()) return server;
    }
    std::shared_ptr<tool_server> made = make();
    all_.push_back({key, made});
    return made;
  }

  [[nodiscard]] static shared_servers& of_process() {
    static shared_servers all;
    return all;
  }

 private:
  struct entry {
    std::string key;
    std::weak_ptr<tool_server> server;
  };
  std::mutex mutex_;
  std::vector<entry> all_;
};

}  // namespace mcp
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_MCP_TOOL_SERVER_H_
