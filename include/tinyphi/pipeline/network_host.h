// SPDX-License-Identifier: MIT
// Hosts of a network as [allow].net and addresses of the web name them, in one
// spelling, so that two names of one host are equal texts.
#ifndef TINYPHI_PIPELINE_NETWORK_HOST_H_
#define TINYPHI_PIPELINE_NETWORK_HOST_H_

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "tinyphi/base/ascii.h"
#include "tinyphi/base/error.h"

TINYPHI_NAMESPACE_BEGIN

struct network_host {
  // A name in lower case, or an address as Asio writes it, without brackets.
  std::string name;
  std::optional<std::uint16_t> port;
  // The address that the name is; nothing: it must be looked up.
  std::optional<boost::asio::ip::address> address = {};

  // Whether only this machine can be meant.
  [[nodiscard]] bool is_loopback() const {
    return address ? address->is_loopback() : name == "localhost";
  }

  friend bool operator==(const network_host&, const network_host&) = default;
};

namespace detail {

// What is wrong with a name that is no address; empty: nothing.
inline std::string_view wrong_host_name(std::string_view name) {
  constexpr std::size_t longest = 253, longest_label = 63;
  if (name.empty() || name.size() > longest) {
    return "a host's name has 1 to 253 characters";
  }
  std::string_view label;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('.', begin), name.size());
    label = name.substr(begin, end - begin);
    const auto allowed = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    };
    if (label.empty() || label.size() > longest_label || label.front() == '-' ||
        label.back() == '-' || !std::ranges::all_of(label, allowed)) {
      return "a host's name is letters, digits and '-' between dots";
    }
    begin = end + 1;
  }
  // Resolvers read 127.1, 0x7f.1 and 2130706433 as addresses, too.
  if (label.front() >= '0' && label.front() <= '9') {
    return "an address is four numbers, such as 192.0.2.1, or [2001:db8::1]";
  }
  return {};
}

}  // namespace detail

// "pager.example", "pager.example:8443", "192.0.2.1:80", "[2001:db8::1]:80".
// The error says what is wrong, without the text itself.
[[nodiscard]] inline result<network_host> parse_network_host(
    std::string_view text) {
  const auto wrong = [](std::string_view why) {
    return error{error_code::invalid_argument, std::string(why)};
  };
  network_host host;
  std::string_view rest;
  boost::system::error_code failed;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    const std::string inner(
        text.substr(1, end == std::string_view::npos ? 0 : end - 1));
    const auto address = boost::asio::ip::make_address_v6(inner, failed);
    if (failed || inner.find('%') != std::string::npos) {
      return wrong("in brackets stands an address, such as [2001:db8::1]");
    }
    host.address = address;
    rest = text.substr(end + 1);
  } else {
    const std::size_t end = std::min(text.find(':'), text.size());
    host.name = ascii::lower(text.substr(0, end));
    rest = text.substr(end);
    const auto address = boost::asio::ip::make_address_v4(host.name, failed);
    if (!failed) {
      host.address = address;
    } else if (const auto why = detail::wrong_host_name(host.name);
               !why.empty()) {
      return wrong(why);
    }
  }
  if (host.address) host.name = host.address->to_string();
  if (rest.empty()) return host;
  std::uint16_t port = 0;
  const char* const end = rest.data() + rest.size();
  const auto [stop, bad] = std::from_chars(rest.data() + 1, end, port);
  if (rest.front() != ':' || bad != std::errc() || stop != end || port == 0) {
    return wrong("behind the host stands ':' and a port from 1 to 65535");
  }
  host.port = port;
  return host;
}

// "pager.example:8443", with brackets around an address that has colons.
[[nodiscard]] inline std::string to_string(const network_host& host) {
  const bool has_colons = host.name.find(':') != std::string::npos;
  return (has_colons ? "[" + host.name + "]" : host.name) +
         (host.port ? ":" + std::to_string(*host.port) : "");
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_NETWORK_HOST_H_
