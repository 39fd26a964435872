// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_LISTENING_SOCKET_IPP_
#define TINYPHI_SERVE_LISTENING_SOCKET_IPP_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tinyphi/serve/listening_socket.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline constexpr int listen_backlog = 4096;

inline error socket_error(const listen_address& a, const char* what) {
  const int e = errno;
  std::string hint;
  if (e == EADDRINUSE) hint = "; another program has it: choose another one";
  if (e == EACCES) hint = "; choose a port above 1023, or another folder";
  return {error_code::io, "listening on " + to_string(a) + ": " + what + ": " +
                              std::strerror(e) + hint};
}

inline result<sockaddr_storage> tcp_address(const listen_address& a,
                                            socklen_t& size) {
  sockaddr_storage out{};
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out);
  if (::inet_pton(AF_INET, a.host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(a.port);
    size = sizeof *v4;
    return out;
  }
  if (::inet_pton(AF_INET6, a.host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(a.port);
    size = sizeof *v6;
    return out;
  }
  return error{error_code::invalid_argument,
               "listening on " + to_string(a) + ": not a numeric address"};
}

inline result<void> listen_tcp(const listen_address& a, listening_socket& s) {
  socklen_t size = 0;
  TINYPHI_TRY(sockaddr_storage at, tcp_address(a, size));
  s.fd = ::socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (s.fd < 0) return socket_error(a, "socket");
  const int on = 1;
  (void)::setsockopt(s.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  auto* address = reinterpret_cast<sockaddr*>(&at);
  if (::bind(s.fd, address, size) != 0) return socket_error(a, "bind");
  if (::listen(s.fd, listen_backlog) != 0) return socket_error(a, "listen");
  if (::getsockname(s.fd, address, &size) != 0) {
    return socket_error(a, "getsockname");
  }
  listen_address bound = a;
  bound.port = ntohs(at.ss_family == AF_INET
                         ? reinterpret_cast<sockaddr_in*>(&at)->sin_port
                         : reinterpret_cast<sockaddr_in6*>(&at)->sin6_port);
  s.name = "http://" + to_string(bound);
  return {};
}

// Whether a program takes connections at `at`.
inline bool somebody_listens(const sockaddr_un& at) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return true;
  const bool ok =
      ::connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0 ||
      errno != ECONNREFUSED;
  ::close(fd);
  return ok;
}

inline result<void> listen_unix(const listen_address& a, listening_socket& s) {
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  const std::string path = a.path.string();
  if (path.size() >= sizeof at.sun_path) {
    return error{error_code::invalid_argument,
                 "listening on " + to_string(a) + ": the path has " +
                     std::to_string(path.size()) + " bytes, at most " +
                     std::to_string(sizeof at.sun_path - 1) + " are allowed"};
  }
  std::memcpy(at.sun_path, path.data(), path.size());
  s.fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (s.fd < 0) return socket_error(a, "socket");
  struct stat st {};
  if (::lstat(path.c_str(), &st) == 0 && S_ISSOCK(st.st_mode) &&
      !somebody_listens(at)) {
    (void)::unlink(path.c_str());  // left behind by a process that was killed
  }
  const mode_t mask = ::umask(0117);  // 0660 from its first moment on
  const int bound =
      ::bind(s.fd, reinterpret_cast<const sockaddr*>(&at), sizeof at);
  const int e = errno;
  ::umask(mask);
  errno = e;
  if (bound != 0) return socket_error(a, "bind");
  if (::listen(s.fd, listen_backlog) != 0) return socket_error(a, "listen");
  if (::lstat(path.c_str(), &st) == 0) {
    s.path = a.path;
    s.device = st.st_dev;
    s.inode = st.st_ino;
  }
  s.name = to_string(a);
  return {};
}

}  // namespace detail

TINYPHI_FUNC listening_socket::~listening_socket() {
  if (path.empty()) return;
  struct stat st {};
  if (::lstat(path.c_str(), &st) == 0 && st.st_dev == device &&
      st.st_ino == inode) {
    (void)::unlink(path.c_str());
  }
}

TINYPHI_FUNC result<socket_name> name_of_socket(int fd) {
  sockaddr_storage at{};
  socklen_t size = sizeof at;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size) != 0) {
    return error{error_code::io,
                 std::string("getsockname: ") + std::strerror(errno)};
  }
  socket_name name;
  if (at.ss_family == AF_UNIX) {
    const auto* u = reinterpret_cast<const sockaddr_un*>(&at);
    name.is_unix = true;
    name.text = "unix:" + std::string(u->sun_path);
    return name;
  }
  listen_address a;
  char host[INET6_ADDRSTRLEN] = {};
  if (at.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&at);
    ::inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
    a.port = ntohs(v4->sin_port);
  } else {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&at);
    ::inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
    a.port = ntohs(v6->sin6_port);
  }
  a.host = name.host = host;
  name.text = "http://" + to_string(a);
  return name;
}

TINYPHI_FUNC result<listening_socket> open_listener(const listen_address& a) {
  listening_socket s;
  auto ok = a.kind == listen_kind::unix_socket ? detail::listen_unix(a, s)
                                               : detail::listen_tcp(a, s);
  if (!ok) {
    if (s.fd >= 0) ::close(s.fd);
    return std::move(ok).error();
  }
  return s;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_LISTENING_SOCKET_IPP_
