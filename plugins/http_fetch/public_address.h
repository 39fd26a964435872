// SPDX-License-Identifier: MIT
// Which addresses are of the public internet. All others lead to this machine,
// to its neighbours, or nowhere (IANA's special-purpose address registries).
#ifndef TINYPHI_PLUGINS_HTTP_FETCH_PUBLIC_ADDRESS_H_
#define TINYPHI_PLUGINS_HTTP_FETCH_PUBLIC_ADDRESS_H_

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <cstddef>
#include <cstdint>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN
namespace web {
namespace detail {

struct v4_range {
  std::uint32_t first;
  int prefix;
};
constexpr std::uint32_t v4(unsigned a, unsigned b, unsigned c = 0) {
  return a << 24 | b << 16 | c << 8;
}
inline constexpr v4_range closed_v4[] = {
    {v4(0, 0), 8},           // this network
    {v4(10, 0), 8},          // private
    {v4(100, 64), 10},       // shared by customers of a provider (CGNAT)
    {v4(127, 0), 8},         // loopback
    {v4(169, 254), 16},      // link-local, where clouds keep their keys
    {v4(172, 16), 12},       // private
    {v4(192, 0, 0), 24},     // protocol assignments
    {v4(192, 0, 2), 24},     // documentation
    {v4(192, 88, 99), 24},   // relays of 6to4
    {v4(192, 168), 16},      // private
    {v4(198, 18), 15},       // benchmarks
    {v4(198, 51, 100), 24},  // documentation
    {v4(203, 0, 113), 24},   // documentation
    {v4(224, 0), 3},         // multicast, reserved, broadcast
};

struct v6_range {
  std::uint32_t first;  // 32 bits
  int prefix;
};
inline constexpr v6_range closed_v6[] = {
    {0x20010000, 23},  // protocol assignments, Teredo
    {0x20010db8, 32},  // documentation
    {0x20020000, 16},  // 6to4, which wraps any address of version 4
    {0x3fff0000, 20},  // documentation
};

constexpr bool is_within(std::uint32_t address, std::uint32_t first,
                         int prefix) {
  return (address ^ first) >> (32 - prefix) == 0;
}

}  // namespace detail

[[nodiscard]] inline bool is_public(const boost::asio::ip::address_v4& a) {
  return std::ranges::none_of(detail::closed_v4,
                              [n = a.to_uint()](const detail::v4_range& r) {
                                return detail::is_within(n, r.first, r.prefix);
                              });
}

// An address of version 4 in the clothes of version 6 (mapped, or translated by
// NAT64) is judged as what it is.
[[nodiscard]] inline bool is_public(const boost::asio::ip::address_v6& a) {
  const auto bytes = a.to_bytes();
  const auto word = [&](std::size_t i) {
    return std::uint32_t{bytes[4 * i]} << 24 |
           std::uint32_t{bytes[4 * i + 1]} << 16 |
           std::uint32_t{bytes[4 * i + 2]} << 8 | bytes[4 * i + 3];
  };
  constexpr std::uint32_t mapped = 0xffff, nat64 = 0x64ff9b;
  const bool is_mapped = word(0) == 0 && word(1) == 0 && word(2) == mapped;
  const bool is_nat64 = word(0) == nat64 && word(1) == 0 && word(2) == 0;
  if (is_mapped || is_nat64) {
    return is_public(boost::asio::ip::address_v4(word(3)));
  }
  // Of all others only 2000::/3 is given out; ::1, fc00::/7, fe80::/10 and
  // ff00::/8 are not in it.
  return detail::is_within(word(0), 0x20000000, 3) &&
         std::ranges::none_of(detail::closed_v6,
                              [n = word(0)](const detail::v6_range& r) {
                                return detail::is_within(n, r.first, r.prefix);
                              });
}

[[nodiscard]] inline bool is_public(const boost::asio::ip::address& a) {
  return a.is_v4() ? is_public(a.to_v4()) : is_public(a.to_v6());
}

}  // namespace web
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_HTTP_FETCH_PUBLIC_ADDRESS_H_
