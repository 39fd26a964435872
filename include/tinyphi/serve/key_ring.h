// SPDX-License-Identifier: MIT
// Who a request is from: by the secret that it brings, or as a user of this
// machine where there are no keys.
#ifndef TINYPHI_SERVE_KEY_RING_H_
#define TINYPHI_SERVE_KEY_RING_H_

#include <sys/types.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "tinyphi/serve/api_error.h"
#include "tinyphi/serve/http_exchange.h"
#include "tinyphi/serve/key_file.h"

TINYPHI_NAMESPACE_BEGIN

// All keys. A reload makes another one; requests hold their caller meanwhile.
class key_ring {
 public:
  // Without keys: only local peers are let in.
  key_ring() = default;
  explicit key_ring(std::vector<key_entry> keys);

  [[nodiscard]] bool empty() const { return keys_.empty(); }
  // Calls f(caller) for each.
  template <class F>
  void for_each(F f) const {
    for (const entry& e : keys_) f(*e.who);
  }
  // Whose secret that is; null if it is nobody's. How long it takes depends on
  // the secret's length and the number of keys only.
  [[nodiscard]] std::shared_ptr<const caller> find(
      std::string_view presented) const;

 private:
  struct entry {
    blake2b_digest digest;
    std::shared_ptr<const caller> who;
  };
  std::vector<entry> keys_;
};

// What stands behind "Authorization: Bearer", or in api-key or x-api-key, in
// this order; empty if there is none.
[[nodiscard]] std::string_view presented_key(const http_request& r);

namespace detail {

// In a time that says nothing of where they differ.
inline bool same_secret(std::string_view a, std::string_view b) {
  unsigned char different = a.size() != b.size();
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    different |= static_cast<unsigned char>(a[i] ^ b[i]);
  }
  return different == 0;
}

}  // namespace detail

// A user of this machine, by a unix socket, or (nothing) whoever came over a
// loopback address. The former is an admin.
[[nodiscard]] std::shared_ptr<const caller> local_caller(
    std::optional<uid_t> uid);

// Who asks, or 401. Where there are keys everybody needs one, also local peers:
// one of them may be a proxy. `local`: the peer came over a unix socket or a
// loopback address.
[[nodiscard]] api_result<std::shared_ptr<const caller>> identify(
    const key_ring& keys, const http_request& r, bool local,
    std::optional<uid_t> uid);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/key_ring.ipp"
#endif

#endif  // TINYPHI_SERVE_KEY_RING_H_
