// SPDX-License-Identifier: MIT
// What a service and systemd tell each other: readiness, the watchdog, sockets
// that were opened before the program began (sd_notify(3), sd_listen_fds(3)).
#ifndef TINYPHI_SERVE_SYSTEMD_H_
#define TINYPHI_SERVE_SYSTEMD_H_

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/error.h"

TINYPHI_NAMESPACE_BEGIN

// The value of a name of the environment.
using environment =
    std::function<std::optional<std::string>(const std::string& name)>;

// Sends notes to the service manager; without one it does nothing. Notes that
// cannot be sent are lost: nobody's answer may depend on them.
class service_notes {
 public:
  // Opens its socket at once: a sandbox may allow no new ones later.
  explicit service_notes(const environment& env);
  service_notes(const service_notes&) = delete;
  service_notes& operator=(const service_notes&) = delete;
  ~service_notes();

  void ready() const { send("READY=1"); }
  // One line of text for `systemctl status`.
  void status(std::string_view text) const;
  void stopping() const { send("STOPPING=1"); }
  void reloading() const;
  void alive() const { send("WATCHDOG=1"); }
  // How often alive() is expected at least; nothing: never.
  [[nodiscard]] std::optional<std::chrono::microseconds> watchdog() const {
    return watchdog_;
  }

 private:
  void send(const std::string& text) const;

  std::string address_;  // of the manager's socket
  int fd_ = -1;          // none without a manager
  std::optional<std::chrono::microseconds> watchdog_;
};

// The listening sockets that the process was started with: descriptors from 3
// on. bad_data if there is one that is not a listening stream socket; an empty
// list if they are meant for another process, or there are none.
[[nodiscard]] result<std::vector<int>> passed_sockets(const environment& env);

// Text for /etc/systemd/system/tinyphi.service: no network but the sockets that
// tinyphi.socket passes, no file but its own, no privilege.
struct unit_options {
  std::string program = "/usr/bin/tinyphi";
  std::string config = "/etc/tinyphi/serve.toml";
  std::string keys = "/etc/tinyphi/keys.toml";
  std::string memory_max = "6G";
};
[[nodiscard]] std::string service_unit(const unit_options& o);
[[nodiscard]] std::string socket_unit();

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/systemd.ipp"
#endif

#endif  // TINYPHI_SERVE_SYSTEMD_H_
