// SPDX-License-Identifier: MIT
// Addresses of the web, and which of them [allow].net lets a stage ask. What is
// read here is what is connected to: there is no second reader to be misled.
#ifndef TINYPHI_PLUGINS_HTTP_FETCH_URL_H_
#define TINYPHI_PLUGINS_HTTP_FETCH_URL_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/http_fetch/public_address.h"
#include "tinyphi/base/ascii.h"
#include "tinyphi/base/error.h"
#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/pipeline/network_host.h"

TINYPHI_NAMESPACE_BEGIN
namespace web {

struct web_url {
  bool is_secure = true;  // https
  network_host host;      // with a port
  std::string target;     // "/path?query"

  [[nodiscard]] std::uint16_t port() const { return *host.port; }
};

inline constexpr std::uint16_t https_port = 443, http_port = 80;

// "https://host:port/path?query" in ASCII. Users, fragments and blanks are
// refused. The error says what is wrong, without the text itself.
[[nodiscard]] inline result<web_url> parse_url(std::string_view text) {
  constexpr std::size_t longest = 8192;
  const auto wrong = [](std::string why) {
    return error{error_code::invalid_argument, std::move(why)};
  };
  if (text.size() > longest) {
    return wrong("it has " + std::to_string(text.size()) + " bytes, at most " +
                 std::to_string(longest) + " are allowed");
  }
  web_url url;
  const std::size_t scheme = text.find("://");
  const std::string name = ascii::lower(text.substr(0, scheme));
  if (scheme == std::string_view::npos || (name != "https" && name != "http")) {
    return wrong("it must begin with https://");
  }
  url.is_secure = name == "https";
  text.remove_prefix(scheme + 3);
  constexpr std::string_view refused = "\\\"<>^`{|}#";
  for (const char c : text) {
    if (c > ' ' && c < '\x7f' && refused.find(c) == std::string_view::npos) {
      continue;
    }
    return wrong(c == '#' ? "a fragment ('#') is for browsers; leave it out"
                          : "blanks, \\ \" < > ^ ` { | } and what is not ASCII "
                            "are written as %XX");
  }
  const std::size_t end = std::min(text.find_first_of("/?"), text.size());
  const std::string_view host = text.substr(0, end);
  if (host.find('@') != std::string_view::npos) {
    return wrong("it must not name a user ('@')");
  }
  TINYPHI_TRY(url.host, parse_network_host(host));
  if (!url.host.port) url.host.port = url.is_secure ? https_port : http_port;
  url.target = text.substr(end);
  if (!url.target.starts_with('/')) url.target.insert(0, "/");
  return url;
}

// Where the connection may lead, once the host's addresses are known.
enum class destination : std::uint8_t { public_only, this_machine };

namespace detail {

inline std::string not_granted(const std::string& host,
                               std::span<const network_host> allowed) {
  constexpr std::size_t few = 8;
  std::string list;
  std::vector<std::string> names;
  for (const network_host& entry : allowed) {
    names.push_back(to_string(entry));
    list += (list.empty() ? "" : ", ") + names.back();
  }
  const std::vector<std::string_view> known(names.begin(), names.end());
  return quote(host) + " is not in [allow].net" +
         (names.empty()         ? ", which names no host"
          : names.size() <= few ? ", which names " + list
                                : did_you_mean(host, known));
}

}  // namespace detail

// Whether [allow].net grants the host: https with the port that it names, else
// 443. This machine is granted by an entry with a port only, and may be asked
// without TLS. Other places that are not public are never granted.
[[nodiscard]] inline result<destination> find_grant(
    const web_url& url, std::span<const network_host> allowed) {
  const auto refused = [](std::string why) {
    return error{error_code::invalid_argument, std::move(why)};
  };
  const network_host& host = url.host;
  const bool is_local = host.is_loopback();
  if (host.address && !is_local && !is_public(*host.address)) {
    return refused(quote(host.name) + " is not a public address");
  }
  const auto grants = [&](const network_host& entry) {
    return entry.name == host.name &&
           (entry.port ? *entry.port == url.port()
                       : !is_local && url.port() == https_port);
  };
  if (std::ranges::none_of(allowed, grants)) {
    network_host wanted = host;
    if (!is_local && url.port() == https_port) wanted.port.reset();
    return refused(
        detail::not_granted(to_string(wanted), allowed) +
        (is_local ? "; a host of this machine is named with its port" : ""));
  }
  if (!url.is_secure && !is_local) {
    return refused("http is for hosts of this machine only; write https://");
  }
  return is_local ? destination::this_machine : destination::public_only;
}

// Those of the grants that let the address be asked.
[[nodiscard]] inline std::vector<network_host> granting(
    const web_url& url, const std::vector<network_host>& grants) {
  std::vector<network_host> all;
  for (const network_host& grant : grants) {
    if (find_grant(url, {&grant, 1})) all.push_back(grant);
  }
  return all;
}

}  // namespace web
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_HTTP_FETCH_URL_H_
