// SPDX-License-Identifier: MIT
// Sockets that take connections.
#ifndef TINYPHI_SERVE_LISTENING_SOCKET_H_
#define TINYPHI_SERVE_LISTENING_SOCKET_H_

#include <sys/types.h>

#include <string>
#include <utility>

#include "tinyphi/serve/listen_address.h"

TINYPHI_NAMESPACE_BEGIN

// A socket that was opened here. Whoever takes connections from it owns `fd`.
// A unix socket's file is removed when this goes, if it is still the same.
struct listening_socket {
  listening_socket() = default;
  listening_socket(listening_socket&& other) noexcept
      : fd(std::exchange(other.fd, -1)),
        name(std::move(other.name)),
        path(std::exchange(other.path, {})),
        device(other.device),
        inode(other.inode) {}
  listening_socket& operator=(listening_socket&&) = delete;
  ~listening_socket();

  int fd = -1;
  std::string name;  // "http://127.0.0.1:8484", "unix:/run/tinyphi.sock"
  std::filesystem::path path;
  dev_t device = 0;
  ino_t inode = 0;
};

// Where a listening socket stands.
struct socket_name {
  bool is_unix = false;
  std::string host;  // numeric, of TCP
  std::string text;  // as listening_socket::name
};
[[nodiscard]] result<socket_name> name_of_socket(int fd);

// Binds and listens. A file of a unix socket that nobody listens on any more is
// replaced. io, with what to do, if the address is taken.
[[nodiscard]] result<listening_socket> open_listener(const listen_address& a);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/listening_socket.ipp"
#endif

#endif  // TINYPHI_SERVE_LISTENING_SOCKET_H_
