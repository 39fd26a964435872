// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_KEY_RING_IPP_
#define TINYPHI_SERVE_KEY_RING_IPP_

#include <string>

#include "tinyphi/base/ascii.h"
#include "tinyphi/serve/key_ring.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// All bytes are looked at, whatever is found: 0 if equal.
inline std::uint8_t difference(const blake2b_digest& a,
                               const blake2b_digest& b) {
  std::uint8_t all = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    all = static_cast<std::uint8_t>(all | (a[i] ^ b[i]));
  }
  return all;
}

inline std::string_view trim_blanks(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// What follows "Bearer ", in any case (RFC 9110, 11.1).
inline std::string_view bearer(std::string_view header) {
  constexpr std::string_view scheme = "bearer";
  if (header.size() <= scheme.size() ||
      (header[scheme.size()] != ' ' && header[scheme.size()] != '\t')) {
    return {};
  }
  for (std::size_t i = 0; i < scheme.size(); ++i) {
    if (ascii::lower(header[i]) != scheme[i]) return {};
  }
  return trim_blanks(header.substr(scheme.size()));
}

}  // namespace detail

TINYPHI_FUNC key_ring::key_ring(std::vector<key_entry> keys) {
  keys_.reserve(keys.size());
  for (key_entry& key : keys) {
    keys_.push_back(
        {key.digest, std::make_shared<const caller>(std::move(key.who))});
  }
}

TINYPHI_FUNC std::shared_ptr<const caller> key_ring::find(
    std::string_view presented) const {
  if (presented.empty()) return nullptr;
  const blake2b_digest digest = blake2b_256(presented);
  // The place behind the key's; 0: none. Digests are all different.
  std::size_t found = 0;
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    const std::size_t differs = detail::difference(digest, keys_[i].digest);
    // All ones if nothing differs, else 0, without a branch.
    const std::size_t equal = ((differs + 255) >> 8) - 1;
    found |= equal & (i + 1);
  }
  return found == 0 ? nullptr : keys_[found - 1].who;
}

TINYPHI_FUNC std::string_view presented_key(const http_request& r) {
  if (const auto key = detail::bearer(r.header("authorization"));
      !key.empty()) {
    return key;
  }
  for (const std::string_view name : {"api-key", "x-api-key"}) {
    const std::string_view key = detail::trim_blanks(r.header(name));
    if (!key.empty()) return key;
  }
  return {};
}

TINYPHI_FUNC std::shared_ptr<const caller> local_caller(
    std::optional<uid_t> uid) {
  caller who;
  const std::string number = uid ? std::to_string(*uid) : std::string();
  who.name = uid ? "uid " + number : "local";
  who.tenant = stable_number("tenant of uid", {number});
  who.domain = stable_number("domain of uid", {number});
  who.best_class = priority_class::interactive;
  who.admin = uid.has_value();
  return std::make_shared<const caller>(std::move(who));
}

TINYPHI_FUNC api_result<std::shared_ptr<const caller>> identify(
    const key_ring& keys, const http_request& r, bool local,
    std::optional<uid_t> uid) {
  const auto refuse = [](std::string message) {
    return api_error{.status = 401,
                     .type = "authentication_error",
                     .code = "invalid_api_key",
                     .message = std::move(message)};
  };
  if (keys.empty()) {
    if (local) return local_caller(uid);
    return refuse("this server has no keys, so it answers only its machine");
  }
  const std::string_view secret = presented_key(r);
  if (secret.empty()) {
    return refuse(
        "no API key was given; send it as 'Authorization: Bearer "
        "KEY'");
  }
  if (auto who = keys.find(secret)) return who;
  return refuse("the API key is not one of this server's");
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_KEY_RING_IPP_
