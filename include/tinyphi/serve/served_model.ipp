// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_SERVED_MODEL_IPP_
#define TINYPHI_SERVE_SERVED_MODEL_IPP_

#include <algorithm>
#include <array>

#include "tinyphi/base/parallel.h"
#include "tinyphi/serve/served_model.h"
#include "tinyphi/version.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// "b0.1.0-3f2a9c0112345678-int8-AVX2": begins with b, which llama-server's
// tests ask of a fingerprint.
inline std::string make_fingerprint(const engine& e) {
  team threads(e.options().n_threads);
  std::array<char, 17> hash{};
  std::uint64_t h = e.model().content_hash(threads);
  for (std::size_t i = 16; i-- > 0; h >>= 4)
    hash[i] = "0123456789abcdef"[h & 15];
  return "b" TINYPHI_VERSION "-" + std::string(hash.data(), 16) + "-" +
         std::string(to_string(*e.options().cache_type)) + "-" +
         model::simd_target();
}

}  // namespace detail

TINYPHI_FUNC served_model::served_model(std::string id,
                                        std::vector<std::string> aliases,
                                        tinyphi::engine e, std::int64_t created,
                                        std::optional<std::uint64_t> seed)
    : id_(std::move(id)),
      aliases_(std::move(aliases)),
      engine_(std::move(e)),
      created_(created),
      seed_(seed),
      fingerprint_(detail::make_fingerprint(engine_)),
      driver_([this] { (void)engine_.drive(stop_); }) {}

TINYPHI_FUNC void served_model::stop() {
  stop_.token.cancel();
  engine_.wake();
  if (driver_.joinable()) driver_.join();
}

TINYPHI_FUNC bool served_model::is_named(std::string_view name) const {
  return name == id_ || std::ranges::find(aliases_, name) != aliases_.end();
}
TINYPHI_FUNC bool served_model::answers_to(std::string_view name) const {
  return is_named(name) || is_named("*");
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_SERVED_MODEL_IPP_
