// SPDX-License-Identifier: MIT
// Where a daemon takes connections, and who could reach it there.
#ifndef TINYPHI_SERVE_LISTEN_ADDRESS_H_
#define TINYPHI_SERVE_LISTEN_ADDRESS_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "tinyphi/base/error.h"

TINYPHI_NAMESPACE_BEGIN

enum class listen_kind : std::uint8_t {
  tcp,  // host and port
  unix_socket,
  systemd,  // the sockets that the process was started with
};

struct listen_address {
  listen_kind kind = listen_kind::tcp;
  std::string host = {};            // numeric, without brackets
  std::uint16_t port = 0;           // 0: the system chooses
  std::filesystem::path path = {};  // of a unix socket

  friend bool operator==(const listen_address&,
                         const listen_address&) = default;
};

// "127.0.0.1:8484", "[::1]:8484", "localhost:8484", "unix:PATH" or "systemd".
// Names of machines are not looked up.
[[nodiscard]] result<listen_address> parse_listen(std::string_view text);
[[nodiscard]] std::string to_string(const listen_address& a);

// Whether that is a numeric address, without brackets.
[[nodiscard]] bool is_address(std::string_view host);
// Whether a numeric address without brackets is reached from this machine only.
[[nodiscard]] bool is_loopback(std::string_view host);

// The rule for addresses that others reach: such a daemon has keys, and whoever
// set it up knows that they travel unencrypted. To be asked for every address
// that is listened on, those of sockets from systemd too.
[[nodiscard]] result<void> check_exposure(std::string_view host, bool has_keys,
                                          bool plain_http_known);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/listen_address.ipp"
#endif

#endif  // TINYPHI_SERVE_LISTEN_ADDRESS_H_
