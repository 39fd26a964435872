// SPDX-License-Identifier: MIT
// What the readers of the two kinds of files share: the table of limits, the
// checks between numbers, and the choice of the reader.
#ifndef TINYPHI_MODEL_MODEL_CONFIG_IPP_
#define TINYPHI_MODEL_MODEL_CONFIG_IPP_

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "tinyphi/base/plain_text.h"
#include "tinyphi/model/model_config.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

template <class T>
struct closed_range {
  T min;
  T max;
};
using natural_range = closed_range<std::int64_t>;
using real_range = closed_range<double>;

// Every hyperparameter is in its range before anything is computed with it.
// The upper ends are well above any published model and keep all products of
// two of them in 63 bits.
namespace config_limits {
inline constexpr natural_range vocab_size{1, 1 << 20};
inline constexpr natural_range hidden{1, 1 << 16};
inline constexpr natural_range intermediate{1, 1 << 18};
inline constexpr natural_range n_layers{1, 1024};
inline constexpr natural_range n_heads{1, 1024};
inline constexpr natural_range head_dim{2, 1024};
inline constexpr natural_range context{1, 1 << 24};
inline constexpr natural_range window{0, 0x7FFFFFFF};
inline constexpr natural_range sparse_block{1, 1 << 16};
inline constexpr real_range norm_eps{1e-12, 1.0};
inline constexpr real_range rope_theta{1.0, 1e9};
inline constexpr real_range rope_factor{1e-3, 1e6};
inline constexpr real_range attention_factor{1e-3, 100.0};
inline constexpr real_range multiplier{1e-6, 1e6};
}  // namespace config_limits

// json_reader and gguf_file read numbers through the same getters; these add
// what a hyperparameter needs.
template <class Source>
result<std::uint32_t> read_natural(const Source& in, std::string_view key,
                                   natural_range range,
                                   std::optional<std::uint32_t> fallback = {}) {
  TINYPHI_TRY(const auto found, in.integer(key, range.min, range.max));
  if (found) return static_cast<std::uint32_t>(*found);
  if (fallback) return *fallback;
  return in.fault(key, "missing; tinyphi needs an integer from " +
                           std::to_string(range.min) + " to " +
                           std::to_string(range.max));
}

template <class Source>
result<std::optional<float>> read_real(const Source& in, std::string_view key,
                                       real_range range) {
  TINYPHI_TRY(const auto found, in.number(key));
  if (!found) return std::optional<float>();
  if (!(*found >= range.min && *found <= range.max)) {  // NaN is out as well
    return in.fault(
        key, plain_number(*found) + " where tinyphi needs a number from " +
                 plain_number(range.min) + " to " + plain_number(range.max));
  }
  return std::optional<float>(static_cast<float>(*found));
}

inline error config_fault(std::string_view origin, std::string_view what) {
  return {error_code::bad_data, std::string(origin) + ": " + std::string(what)};
}

inline error unsupported_architecture(std::string_view origin,
                                      std::string_view key,
                                      std::string_view found) {
  return {error_code::unsupported,
          std::string(origin) + ": " + std::string(key) + ": \"" +
              (is_plain_name(found) ? std::string(found) : "?") +
              "\"; tinyphi runs phi3 (Phi-3 mini and medium, Phi-3.5-mini, "
              "Phi-4, Phi-4-mini) and, from a Hugging Face folder, phi3small"};
}

// Longrope's factor for cos and sin (transformers' modeling_rope_utils.py).
inline float longrope_attention_factor(std::uint32_t context,
                                       std::uint32_t original, bool yarn) {
  const double scale = static_cast<double>(context) / original;
  if (scale <= 1.0 || original < 2) return 1.0f;
  return static_cast<float>(
      yarn ? 0.1 * std::log(scale) + 1.0
           : std::sqrt(1.0 + std::log(scale) / std::log(original)));
}

inline result<std::uint32_t> default_head_dim(const model_config& c,
                                              std::string_view origin) {
  if (c.hidden % c.n_heads != 0) {
    return config_fault(origin, "hidden size " + std::to_string(c.hidden) +
                                    " is not a multiple of the " +
                                    std::to_string(c.n_heads) +
                                    " attention heads");
  }
  return c.hidden / c.n_heads;
}

inline result<void> check_token_ids(const model_config& c,
                                    std::string_view origin) {
  std::vector<std::int32_t> ids = c.eos_ids;
  if (c.bos_id) ids.push_back(*c.bos_id);
  for (const std::int32_t id : ids) {
    if (static_cast<std::uint32_t>(id) >= c.vocab_size) {
      return config_fault(origin, "token id " + std::to_string(id) +
                                      " for begin or end of text, the "
                                      "vocabulary has " +
                                      std::to_string(c.vocab_size) + " rows");
    }
  }
  return {};
}

inline result<void> check_rope(const rope_config& r, std::uint32_t head_dim,
                               std::string_view origin) {
  if (r.rotary_dim < 2 || r.rotary_dim % 2 != 0 || r.rotary_dim > head_dim) {
    return config_fault(
        origin, "rotary embedding of " + std::to_string(r.rotary_dim) +
                    " elements, an even number from 2 to the head size " +
                    std::to_string(head_dim) + " is needed");
  }
  const std::size_t n = r.rotary_dim / 2;
  if (r.long_factors.size() != r.short_factors.size() ||
      (r.is_longrope() && r.long_factors.size() != n)) {
    return config_fault(
        origin, "longrope with " + std::to_string(r.short_factors.size()) +
                    " short and " + std::to_string(r.long_factors.size()) +
                    " long factors, " + std::to_string(n) +
                    " of each are needed (half of the rotated elements)");
  }
  return {};
}

// Readers checked what they read; this is for sizes that follow from others,
// and for configurations that a program made.
inline result<void> check_sizes(const model_config& c,
                                std::string_view origin) {
  namespace limits = config_limits;
  const struct {
    const char* name;
    std::uint32_t value;
    natural_range range;
  } sizes[] = {
      {"vocabulary", c.vocab_size, limits::vocab_size},
      {"hidden size", c.hidden, limits::hidden},
      {"intermediate size", c.intermediate, limits::intermediate},
      {"number of layers", c.n_layers, limits::n_layers},
      {"number of heads", c.n_heads, limits::n_heads},
      {"number of key-value heads", c.n_kv_heads, limits::n_heads},
      {"head size", c.head_dim, limits::head_dim},
      {"context", c.max_context, limits::context},
      {"window", c.window, limits::window},
      {"sparse block", c.sparse.block, limits::sparse_block},
      {"number of local blocks", c.sparse.local_blocks, limits::sparse_block},
      {"vertical stride", c.sparse.vert_stride, limits::sparse_block},
      {"distance of dense layers", c.sparse.dense_every, limits::sparse_block},
  };
  for (const auto& s : sizes) {
    if (s.value < s.range.min || s.value > s.range.max) {
      return config_fault(
          origin, std::string(s.name) + " " + std::to_string(s.value) +
                      " where tinyphi needs " + std::to_string(s.range.min) +
                      " to " + std::to_string(s.range.max));
    }
  }
  return {};
}

// The checks that look at more than one number, and the values that follow
// from others.
inline result<model_config> finish_config(model_config c,
                                          std::string_view origin) {
  TINYPHI_CHECK_OK(check_sizes(c, origin));
  if (c.n_heads % c.n_kv_heads != 0) {
    return config_fault(origin, std::to_string(c.n_heads) +
                                    " attention heads are not a multiple of "
                                    "the " +
                                    std::to_string(c.n_kv_heads) +
                                    " key-value heads");
  }
  TINYPHI_CHECK_OK(check_rope(c.rope, c.head_dim, origin));
  TINYPHI_CHECK_OK(check_token_ids(c, origin));
  if (c.attention_scale == 0) {
    c.attention_scale = 1.0f / std::sqrt(static_cast<float>(c.head_dim));
  }
  if (c.window >= c.max_context) c.window = 0;
  return c;
}

inline void add_eos(model_config& c, std::int64_t id) {
  const auto value = static_cast<std::int32_t>(id);
  if (std::find(c.eos_ids.begin(), c.eos_ids.end(), value) == c.eos_ids.end()) {
    c.eos_ids.push_back(value);
  }
}

}  // namespace detail

TINYPHI_FUNC std::string_view to_string(architecture a) {
  return a == architecture::phi3 ? "phi3" : "phi3small";
}

TINYPHI_FUNC result<model_config> read_model_config(const model_file& file) {
  if (file.gguf() != nullptr) return read_model_config(*file.gguf());
  return read_model_config(*file.hf());
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_MODEL_MODEL_CONFIG_IPP_
