// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_SYSTEMD_IPP_
#define TINYPHI_SERVE_SYSTEMD_IPP_

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "tinyphi/serve/systemd.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline constexpr int first_passed_fd = 3;
inline constexpr int max_passed_fds = 64;

inline std::optional<long long> number_from(const environment& env,
                                            const char* name) {
  const auto text = env(name);
  if (!text) return std::nullopt;
  long long n = 0;
  const char* end = text->data() + text->size();
  const auto read = std::from_chars(text->data(), end, n);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return n;
}

}  // namespace detail

TINYPHI_FUNC service_notes::service_notes(const environment& env) {
  address_ = env("NOTIFY_SOCKET").value_or(std::string());
  if (address_.size() >= 2 && address_.size() < sizeof sockaddr_un::sun_path &&
      (address_[0] == '/' || address_[0] == '@')) {
    fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  }
  const auto pid = detail::number_from(env, "WATCHDOG_PID");
  const auto usec = detail::number_from(env, "WATCHDOG_USEC");
  if (usec && *usec > 0 && (!pid || *pid == ::getpid())) {
    watchdog_ = std::chrono::microseconds(*usec);
  }
}

TINYPHI_FUNC service_notes::~service_notes() {
  if (fd_ >= 0) ::close(fd_);
}

TINYPHI_FUNC void service_notes::status(std::string_view text) const {
  std::string line = "STATUS=" + std::string(text);
  std::replace(line.begin(), line.end(), '\n', ' ');
  send(line);
}

TINYPHI_FUNC void service_notes::reloading() const {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  send("RELOADING=1\nMONOTONIC_USEC=" +
       std::to_string(static_cast<long long>(now.tv_sec) * 1'000'000 +
                      now.tv_nsec / 1000));
}

TINYPHI_FUNC void service_notes::send(const std::string& text) const {
  if (fd_ < 0) return;
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, address_.data(), address_.size());
  if (address_[0] == '@') to.sun_path[0] = '\0';  // an abstract name
  const auto size =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  (void)::sendto(fd_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                 reinterpret_cast<const sockaddr*>(&to), size);
}

TINYPHI_FUNC result<std::vector<int>> passed_sockets(const environment& env) {
  std::vector<int> sockets;
  const auto pid = detail::number_from(env, "LISTEN_PID");
  const auto n = detail::number_from(env, "LISTEN_FDS");
  if (!n || !pid || *pid != ::getpid()) return sockets;
  if (*n < 0 || *n > detail::max_passed_fds) {
    return error{error_code::bad_data,
                 "LISTEN_FDS is " + std::to_string(*n) + ", allowed are 0 to " +
                     std::to_string(detail::max_passed_fds)};
  }
  for (int fd = detail::first_passed_fd;
       fd < detail::first_passed_fd + static_cast<int>(*n); ++fd) {
    int listens = 0, type = 0;
    socklen_t size = sizeof listens;
    const bool ok =
        ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 &&
        ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
        listens == 1 && type == SOCK_STREAM;
    if (!ok) {
      return error{error_code::bad_data,
                   "descriptor " + std::to_string(fd) +
                       " was passed by systemd, but is not a listening stream "
                       "socket; look at the .socket unit"};
    }
    (void)::fcntl(fd, F_SETFD, FD_CLOEXEC);
    (void)::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    sockets.push_back(fd);
  }
  return sockets;
}

TINYPHI_FUNC std::string socket_unit() {
  return "[Unit]\n"
         "Description=Sockets of tinyphi\n"
         "\n"
         "[Socket]\n"
         "ListenStream=/run/tinyphi.sock\n"
         "ListenStream=127.0.0.1:8484\n"
         "SocketMode=0660\n"
         "Backlog=4096\n"
         "\n"
         "[Install]\n"
         "WantedBy=sockets.target\n";
}

TINYPHI_FUNC std::string service_unit(const unit_options& o) {
  return "[Unit]\n"
         "Description=tinyphi, language models on this machine\n"
         "Requires=tinyphi.socket\n"
         "After=tinyphi.socket\n"
         "\n"
         "[Service]\n"
         "Type=notify\n"
         "ExecStart=" +
         o.program + " serve " + o.config +
         "\n"
         "ExecReload=/bin/kill -HUP $MAINPID\n"
         "WatchdogSec=30s\n"
         "TimeoutStartSec=5min\n"
         "TimeoutStopSec=90s\n"
         "Restart=on-failure\n"
         "# A configuration that cannot be does not get better by itself.\n"
         "RestartPreventExitStatus=78\n"
         "LoadCredential=keys:" +
         o.keys +
         "\n"
         "\n"
         "# No user, no privilege, no file but these.\n"
         "DynamicUser=yes\n"
         "StateDirectory=tinyphi\n"
         "CacheDirectory=tinyphi\n"
         "UMask=0077\n"
         "ProtectSystem=strict\n"
         "ProtectHome=yes\n"
         "PrivateTmp=yes\n"
         "PrivateDevices=yes\n"
         "PrivateUsers=yes\n"
         "ProtectProc=invisible\n"
         "ProtectKernelTunables=yes\n"
         "ProtectKernelModules=yes\n"
         "ProtectKernelLogs=yes\n"
         "ProtectControlGroups=yes\n"
         "ProtectClock=yes\n"
         "ProtectHostname=yes\n"
         "NoNewPrivileges=yes\n"
         "RestrictSUIDSGID=yes\n"
         "RestrictNamespaces=yes\n"
         "RestrictRealtime=yes\n"
         "LockPersonality=yes\n"
         "CapabilityBoundingSet=\n"
         "MemoryDenyWriteExecute=yes\n"
         "SystemCallArchitectures=native\n"
         "SystemCallFilter=@system-service\n"
         "SystemCallFilter=~@privileged @mount @obsolete\n"
         "\n"
         "# No network of its own: the sockets come from tinyphi.socket.\n"
         "PrivateNetwork=yes\n"
         "RestrictAddressFamilies=AF_UNIX\n"
         "IPAddressDeny=any\n"
         "\n"
         "MemoryMax=" +
         o.memory_max +
         "\n"
         "MemorySwapMax=0\n"
         "TasksMax=128\n"
         "LimitNOFILE=16384\n"
         "LimitCORE=0\n"
         "OOMPolicy=stop\n"
         "\n"
         "[Install]\n"
         "WantedBy=multi-user.target\n";
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_SYSTEMD_IPP_
