// SPDX-License-Identifier: MIT
// One file: its header, its pages.
#ifndef TINYPHI_GENERATE_PREFIX_FILE_IPP_
#define TINYPHI_GENERATE_PREFIX_FILE_IPP_

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "tinyphi/base/bytes.h"
#include "tinyphi/base/content_hash.h"
#include "tinyphi/generate/prefix_file.h"
#include "tinyphi/version.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC prefix_key prefix_key_of(const model& m, kv_type type,
                                      team& threads) {
  const model_config& c = m.config();
  prefix_key key;
  key.type = type;
  key.n_heads = std::size_t{c.n_layers} * c.n_kv_heads;
  key.head_dim = c.head_dim;
  key.window = c.window;
  key.max_tokens = c.max_context;
  key.vocab_size = c.vocab_size;
  key.has_long_factors = c.rope.is_longrope();
  // Vectors of another width round differently.
  key.made_from =
      "tinyphi " TINYPHI_VERSION "\nmodel " +
      std::to_string(m.content_hash(threads)) + "\narithmetic " +
      (m.exact()          ? "exact"
       : m.fast_prefill() ? "fast"
                          : "integer") +
      " " + kernel_target() + "\ncache " + std::string(to_string(type)) + " " +
      std::to_string(page_tokens) + " x " + std::to_string(c.n_layers) + " x " +
      std::to_string(c.n_kv_heads) + " x " + std::to_string(c.head_dim) + "\n";
  return key;
}

namespace detail {

inline constexpr std::size_t prefix_page_align = 4096;
inline constexpr std::size_t n_prefix_numbers = 5;

inline std::size_t prefix_page_bytes(const prefix_key& key) {
  return key.n_heads * kv_head_bytes(key.type, key.head_dim);
}

template <class T>
void append_raw(std::string& to, const T* values, std::size_t n) {
  to.append(reinterpret_cast<const char*>(values), n * sizeof(T));
}

// What every file of this key begins with.
inline std::string prefix_file_start(const prefix_key& key) {
  std::string s = "TPKV";
  const std::uint32_t version = 1;
  const std::uint64_t size = key.made_from.size();
  append_raw(s, &version, 1);
  append_raw(s, &size, 1);
  return s + key.made_from;
}

// Bytes of a header without the zeros at its end.
inline std::size_t prefix_header_bytes(const prefix_key& key,
                                       std::size_t n_tokens,
                                       std::size_t pages) {
  return prefix_file_start(key).size() + 8 * n_prefix_numbers + 4 * n_tokens +
         8 * pages + 8;
}

TINYPHI_FUNC std::string encode_prefix_header(const prefix_header& h,
                                              const prefix_key& key) {
  std::string s = prefix_file_start(key);
  const std::uint64_t numbers[n_prefix_numbers] = {
      h.domain, h.n_shared, std::uint64_t{h.long_factors}, h.ids.size(),
      h.first_page};
  append_raw(s, numbers, n_prefix_numbers);
  append_raw(s, h.ids.data(), h.ids.size());
  append_raw(s, h.page_hashes.data(), h.page_hashes.size());
  const std::uint64_t hash = content_hash_of(as_bytes(s));
  append_raw(s, &hash, 1);
  s.resize(round_up(s.size(), prefix_page_align), '\0');
  return s;
}

// True if `n` bytes from `offset` on could be read.
inline bool read_at(int fd, std::uint64_t offset, std::byte* to,
                    std::size_t n) {
  while (n > 0) {
    const ::ssize_t got = ::pread(fd, to, n, static_cast<::off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    to += got;
    offset += static_cast<std::uint64_t>(got);
    n -= static_cast<std::size_t>(got);
  }
  return true;
}

// The five numbers behind the key, checked against what the key allows.
inline result<void> check_prefix_numbers(const std::uint64_t* numbers,
                                         const prefix_key& key) {
  const auto [domain, n_shared, long_factors, n_tokens, first_page] =
      std::array<std::uint64_t, n_prefix_numbers>{
          numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]};
  const auto refused = [](const char* what, std::uint64_t found,
                          std::uint64_t most) -> error {
    return {error_code::bad_data,
            std::string(what) + " is " + std::to_string(found) +
                ", allowed is at most " + std::to_string(most)};
  };
  if (n_tokens == 0) {
    return error{error_code::bad_data, "it has no tokens"};
  }
  if (n_tokens > key.max_tokens) {
    return refused("its number of tokens", n_tokens, key.max_tokens);
  }
  const std::uint64_t last_page = n_pages(n_tokens) - 1;
  if (first_page > last_page) {
    return refused("its first page", first_page, last_page);
  }
  if (n_shared > n_tokens) {
    return refused("its number of shared tokens", n_shared, n_tokens);
  }
  if ((domain == shared_domain) != (n_shared == n_tokens) ||
      (n_shared < n_tokens && n_shared % page_tokens != 0)) {
    return error{error_code::bad_data, "its domain is not that of its tokens"};
  }
  if (long_factors > key.has_long_factors) {
    return refused("its set of rotary factors", long_factors,
                   key.has_long_factors);
  }
  return {};
}

TINYPHI_FUNC result<prefix_header> read_prefix_header(int fd,
                                                      std::uint64_t size,
                                                      const prefix_key& key) {
  const std::string start = prefix_file_start(key);
  std::string bytes(start.size() + 8 * n_prefix_numbers, '\0');
  const auto writable = [&] {
    return reinterpret_cast<std::byte*>(bytes.data());
  };
  if (size < bytes.size() || !read_at(fd, 0, writable(), bytes.size())) {
    return error{error_code::unsupported, "it is shorter than a header"};
  }
  if (!bytes.starts_with(start)) {
    return error{error_code::unsupported,
                 "it is of another model, of other settings, or of another "
                 "version or processor"};
  }
  std::uint64_t numbers[n_prefix_numbers];
  std::memcpy(numbers, bytes.data() + start.size(), sizeof numbers);
  TINYPHI_CHECK_OK(check_prefix_numbers(numbers, key));
  const auto n_tokens = static_cast<std::size_t>(numbers[3]);
  const auto first_page = static_cast<std::size_t>(numbers[4]);
  const std::size_t pages = n_pages(n_tokens) - first_page;
  const std::size_t header_bytes =
      round_up(prefix_header_bytes(key, n_tokens, pages), prefix_page_align);
  const std::uint64_t expected =
      header_bytes + std::uint64_t{pages} * prefix_page_bytes(key);
  if (size != expected) {
    return error{error_code::bad_data, "it has " + std::to_string(size) +
                                           " bytes, of its tokens there are " +
                                           std::to_string(expected)};
  }
  bytes.resize(header_bytes);
  if (!read_at(fd, 0, writable(), header_bytes)) {
    return error{error_code::bad_data, "its header cannot be read"};
  }
  prefix_header h;
  h.domain = numbers[0];
  h.n_shared = numbers[1];
  h.long_factors = numbers[2] == 1;
  h.first_page = first_page;
  h.ids.resize(n_tokens);
  h.page_hashes.resize(pages);
  const char* at = bytes.data() + start.size() + sizeof numbers;
  std::memcpy(h.ids.data(), at, 4 * n_tokens);
  std::memcpy(h.page_hashes.data(), at + 4 * n_tokens, 8 * pages);
  // With that, all of the header has been looked at, zeros included.
  if (bytes != encode_prefix_header(h, key)) {
    return error{error_code::bad_data, "its header is damaged"};
  }
  for (const token_id id : h.ids) {
    if (id >= 0 && static_cast<std::size_t>(id) < key.vocab_size) continue;
    return error{error_code::bad_data, "it has a token " + std::to_string(id) +
                                           ", allowed are ids from 0 to " +
                                           std::to_string(key.vocab_size - 1)};
  }
  return h;
}

// Calls f(offset, bytes of one position, distance from one to the next, how
// often) for each array of a page that has a place for every position.
template <class F>
void for_each_position_array(const prefix_key& key, F&& f) {
  const std::size_t padded = kv_padded(key.head_dim);
  const std::size_t paired = kv_paired(key.head_dim);
  for (std::size_t i = 0; i < key.n_heads; ++i) {
    const std::size_t begin = i * kv_head_bytes(key.type, key.head_dim);
    const std::size_t values = begin + kv_key_bytes(key.type, key.head_dim);
    if (!has_int8_keys(key.type)) {
      const std::size_t size = key.type == kv_type::f32 ? 4 : 2;
      for (std::size_t c = 0; c < key.head_dim; ++c) {
        f(begin + c * page_tokens * size, size, page_tokens);
      }
      f(values, padded * size, page_tokens);
      continue;
    }
    for (std::size_t c = 0; c < padded / 4; ++c) {
      f(begin + c * page_tokens * 4, std::size_t{4}, page_tokens);
    }
    const std::size_t scales = begin + padded * page_tokens;
    f(scales, std::size_t{4}, page_tokens);
    f(scales + 4 * page_tokens, std::size_t{4}, page_tokens);
    // Four positions side by side: taken as one of four times the bytes.
    const std::size_t row = key.type == kv_type::int8 ? padded : paired;
    f(values, row * 4, page_tokens / 4);
  }
}

TINYPHI_FUNC void clear_positions(const prefix_key& key, std::size_t from,
                                  std::byte* page) {
  for_each_position_array(
      key, [&](std::size_t offset, std::size_t bytes, std::size_t n) {
        std::byte* array = page + offset;
        if (n == page_tokens) {
          std::memset(array + from * bytes, 0, (page_tokens - from) * bytes);
          return;
        }
        for (std::size_t p = from; p < page_tokens; ++p) {
          std::byte* four = array + p / 4 * bytes + p % 4;
          for (std::size_t c = 0; c < bytes; c += 4) four[c] = std::byte{0};
        }
      });
}

// Exponents of all ones are infinities and NaNs.
template <class Bits>
bool all_finite(const std::byte* at, std::size_t n, Bits exponent) {
  bool finite = true;
  for (std::size_t i = 0; i < n; ++i) {
    Bits x;
    std::memcpy(&x, at + i * sizeof x, sizeof x);
    finite = finite && (x & exponent) != exponent;
  }
  return finite;
}

TINYPHI_FUNC bool page_is_finite(const prefix_key& key, const std::byte* page) {
  constexpr std::uint32_t exponent32 = 0x7F80'0000u;
  constexpr std::uint16_t exponent16 = 0x7C00u;
  const std::size_t all = prefix_page_bytes(key);
  if (key.type == kv_type::f32) return all_finite(page, all / 4, exponent32);
  if (key.type == kv_type::f16) return all_finite(page, all / 2, exponent16);
  for (std::size_t i = 0; i < key.n_heads; ++i) {
    const std::byte* scales = page + i * kv_head_bytes(key.type, key.head_dim) +
                              kv_padded(key.head_dim) * page_tokens;
    if (!all_finite(scales, 2 * page_tokens, exponent32)) return false;
  }
  return true;
}

TINYPHI_FUNC result<std::size_t> load_prefix_pages(
    int fd, const prefix_header& h, const prefix_key& key, prefix_cache& cache,
    kv_pool& pool, std::size_t max_pages) {
  const prefix_root root{h.long_factors};
  const std::size_t n = n_pages(h.ids.size());
  // What the cache has of the text, other files' pages among them.
  prefix_match known = cache.find(root, h.domain, h.ids);
  std::vector<kv_page> pages = std::move(known.pages);
  pages.resize(std::min(pages.size(), known.length / page_tokens));
  pages.resize(n);
  if (known.length == h.ids.size()) return std::size_t{0};
  const std::size_t seen = first_page_seen(h.ids.size(), key.window);
  std::size_t missing = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (pages[i]) continue;
    if (i >= h.first_page) {
      ++missing;
    } else if (i >= seen) {
      return error{error_code::not_found,
                   "its text goes on from another's, which is not there"};
    }
  }
  if (missing > max_pages || missing > pool.free_pages()) {
    return error{error_code::limit, "there is no room for its pages"};
  }
  const std::size_t page_bytes = prefix_page_bytes(key);
  const std::uint64_t begin =
      round_up(prefix_header_bytes(key, h.ids.size(), n - h.first_page),
               prefix_page_align);
  for (std::size_t i = h.first_page; i < n; ++i) {
    if (pages[i]) continue;
    TINYPHI_TRY(pages[i], pool.acquire());
    const std::size_t k = i - h.first_page;
    const std::span to(pages[i].data(), page_bytes);
    if (!read_at(fd, begin + k * page_bytes, to.data(), page_bytes) ||
        content_hash_of(to) != h.page_hashes[k]) {
      return error{error_code::bad_data,
                   "its page " + std::to_string(i) + " is damaged"};
    }
    if (!page_is_finite(key, to.data())) {
      return error{
          error_code::bad_data,
          "its page " + std::to_string(i) + " has numbers that are not finite"};
    }
  }
  const std::span<const token_id> ids(h.ids);
  const std::size_t n_shared = h.domain == shared_domain ? 0 : h.n_shared;
  if (n_shared > 0) {
    cache.insert(root, shared_domain, ids.first(n_shared),
                 std::span(pages).first(n_pages(n_shared)));
  }
  cache.insert(root, h.domain, ids, pages);
  return missing;
}

}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_PREFIX_FILE_IPP_
