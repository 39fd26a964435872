// SPDX-License-Identifier: MIT
// Connects to a server of this machine by its socket in the file system.
#ifndef TINYPHI_PLUGINS_MCP_LOCAL_SOCKET_H_
#define TINYPHI_PLUGINS_MCP_LOCAL_SOCKET_H_

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "plugins/mcp/line_connection.h"
#include "tinyphi/pipeline/diagnostic.h"

TINYPHI_NAMESPACE_BEGIN
namespace mcp {

// What is wrong with the name of a socket; empty: nothing.
[[nodiscard]] inline std::string wrong_socket(
    const std::filesystem::path& path) {
  constexpr std::size_t most = sizeof(sockaddr_un::sun_path) - 1;
  const std::string& name = path.native();
  if (name.find('\0') != std::string::npos) return "a name holds no NUL";
  if (name.size() <= most) return {};
  return "the name has " + std::to_string(name.size()) +
         " bytes, a socket's at most " + std::to_string(most);
}

// Only a server of root or of this user is spoken to.
[[nodiscard]] inline result<line_connection> connect_local(
    const std::filesystem::path& path) {
  const auto failed = [&](error_code code, const std::string& why) {
    return error{code, quote(path.string()) + ": " + why};
  };
  unique_fd fd(
      ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  const std::string& name = path.native();
  if (const auto why = wrong_socket(path); !why.empty()) {
    return failed(error_code::invalid_argument, why);
  }
  std::ranges::copy(name, static_cast<char*>(to.sun_path));
  const auto* address = reinterpret_cast<const sockaddr*>(&to);
  if (fd.get() < 0 || ::connect(fd.get(), address, sizeof to) != 0) {
    return failed(error_code::unavailable,
                  std::generic_category().message(errno));
  }
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 ||
      (peer.uid != 0 && peer.uid != ::geteuid())) {
    return failed(error_code::invalid_argument,
                  "who listens is neither root nor the user that runs this");
  }
  line_connection c;
  c.in = unique_fd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  c.out = std::move(fd);
  return c;
}

}  // namespace mcp
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_MCP_LOCAL_SOCKET_H_
