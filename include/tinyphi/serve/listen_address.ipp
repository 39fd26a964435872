// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_LISTEN_ADDRESS_IPP_
#define TINYPHI_SERVE_LISTEN_ADDRESS_IPP_

#include <arpa/inet.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/serve/listen_address.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// The bytes of an IPv6 address, or of an IPv4 one as IPv6 writes it.
inline std::optional<std::array<std::uint8_t, 16>> address_bytes(
    std::string_view host) {
  // inet_pton would not see what follows a zero byte.
  if (host.find('\0') != std::string_view::npos) return std::nullopt;
  std::array<std::uint8_t, 16> bytes{};
  const std::string text(host);
  if (::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) return bytes;
  bytes.fill(0);
  bytes[10] = bytes[11] = 0xFF;
  if (::inet_pton(AF_INET, text.c_str(), bytes.data() + 12) == 1) return bytes;
  return std::nullopt;
}

}  // namespace detail

TINYPHI_FUNC result<listen_address> parse_listen(std::string_view text) {
  const auto refuse = [&](std::string why) {
    return error{
        error_code::invalid_argument,
        quote(text) + " is no address to listen on: " + std::move(why)};
  };
  listen_address a;
  constexpr std::string_view unix_prefix = "unix:";
  if (text == "systemd") {
    a.kind = listen_kind::systemd;
    return a;
  }
  if (text.starts_with(unix_prefix)) {
    const std::string_view path = text.substr(unix_prefix.size());
    // What the system has room for, with a zero at the end.
    constexpr std::size_t longest = sizeof(::sockaddr_un::sun_path) - 1;
    if (path.empty() || path.size() > longest ||
        path.find('\0') != std::string_view::npos) {
      return refuse("behind unix: stands a path of at most " +
                    std::to_string(longest) + " bytes");
    }
    a.kind = listen_kind::unix_socket;
    a.path = std::filesystem::path(path);
    return a;
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return refuse("give 127.0.0.1:PORT, [::1]:PORT, unix:PATH or systemd");
  }
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const bool in_brackets = host.starts_with('[') && host.ends_with(']');
  if (in_brackets) host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  const bool is_ipv6 = host.find(':') != std::string_view::npos;
  if (!detail::address_bytes(host) || in_brackets != is_ipv6) {
    return refuse(
        "the address must be numeric, IPv6 in brackets; 0.0.0.0 and [::] are "
        "all of this machine");
  }
  const auto [end, ec] =
      std::from_chars(port.data(), port.data() + port.size(), a.port);
  if (ec != std::errc() || end != port.data() + port.size()) {
    return refuse("the port must be 0 to 65535");
  }
  a.host = std::string(host);
  return a;
}

TINYPHI_FUNC std::string to_string(const listen_address& a) {
  if (a.kind == listen_kind::systemd) return "systemd";
  if (a.kind == listen_kind::unix_socket) return "unix:" + a.path.string();
  const bool is_ipv6 = a.host.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + a.host + "]" : a.host) + ":" + std::to_string(a.port);
}

TINYPHI_FUNC bool is_address(std::string_view host) {
  return detail::address_bytes(host).has_value();
}

TINYPHI_FUNC bool is_loopback(std::string_view host) {
  const auto bytes = detail::address_bytes(host);
  if (!bytes) return false;
  std::array<std::uint8_t, 16> one{};
  one[15] = 1;
  if (*bytes == one) return true;
  const bool is_ipv4 = std::all_of(bytes->begin(), bytes->begin() + 10,
                                   [](std::uint8_t b) { return b == 0; }) &&
                       (*bytes)[10] == 0xFF && (*bytes)[11] == 0xFF;
  return is_ipv4 && (*bytes)[12] == 127;
}

TINYPHI_FUNC result<void> check_exposure(std::string_view host, bool has_keys,
                                         bool plain_http_known) {
  if (is_loopback(host)) return {};
  if (!has_keys) {
    return error{error_code::invalid_argument,
                 std::string(host) +
                     " is reached from other machines, so keys must be set; or "
                     "listen on 127.0.0.1 or a unix socket"};
  }
  if (!plain_http_known) {
    return error{
        error_code::invalid_argument,
        std::string(host) +
            " is reached from other machines, and there is no encryption: put "
            "a proxy with TLS before a unix socket, or say plain_http = \"I "
            "know\""};
  }
  return {};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_LISTEN_ADDRESS_IPP_
