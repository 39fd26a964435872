// SPDX-License-Identifier: MIT
// Any bytes as a file of cached pages: refused, or loaded into a small pool
// from which a sequence can then go on. The first byte says which hashes of the
// rest are made right first, since nobody guesses those; the file follows.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tinyphi/base/content_hash.h"
#include "tinyphi/generate/prefix_file.h"

namespace {

using namespace tinyphi;

model_config small_config() {
  model_config c;
  c.n_layers = c.n_heads = c.n_kv_heads = 1;
  c.head_dim = 4;
  c.window = 100;
  c.vocab_size = 50;
  c.max_context = 1000;
  return c;
}

prefix_key small_key(const model_config& c) {
  prefix_key key;
  key.made_from = "fuzz";
  key.type = kv_type::int8;
  key.n_heads = 1;
  key.head_dim = c.head_dim;
  key.window = c.window;
  key.max_tokens = c.max_context;
  key.vocab_size = c.vocab_size;
  key.has_long_factors = true;
  return key;
}

// Makes the hashes of pages and header right, if the numbers before them lie
// within the file.
void mend_hashes(std::string& file, bool of_pages, std::size_t page_bytes) {
  constexpr std::size_t start = 4 + 4 + 8 + 4;  // "TPKV", version, size, "fuzz"
  if (file.size() < start + 40) return;
  std::uint64_t n_tokens, first_page;
  std::memcpy(&n_tokens, file.data() + start + 24, 8);
  std::memcpy(&first_page, file.data() + start + 32, 8);
  if (n_tokens > 1000 || first_page > n_pages(n_tokens)) return;
  const std::size_t pages = n_pages(n_tokens) - first_page;
  const std::size_t hashes = start + 40 + 4 * n_tokens;
  const std::size_t end = hashes + 8 * pages;
  if (end + 8 > file.size()) return;
  const auto hash = [&](std::size_t from, std::size_t n) {
    return content_hash_of(std::as_bytes(std::span(file).subspan(from, n)));
  };
  for (std::size_t i = 0; of_pages && i < pages; ++i) {
    const std::size_t page = (end + 8 + 4095) / 4096 * 4096 + i * page_bytes;
    if (page + page_bytes > file.size()) break;
    const std::uint64_t h = hash(page, page_bytes);
    std::memcpy(file.data() + hashes + 8 * i, &h, 8);
  }
  const std::uint64_t h = hash(0, end);
  std::memcpy(file.data() + end, &h, 8);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  if (size == 0) return 0;
  const model_config config = small_config();
  const prefix_key key = small_key(config);
  kv_pool pool(config, key.type, 8 * kv_head_bytes(key.type, config.head_dim));
  prefix_cache cache(config.window, 64);
  pool.set_reclaim([&] { return cache.evict(); });
  std::string file(reinterpret_cast<const char*>(data) + 1, size - 1);
  if ((data[0] & 1) != 0) {
    mend_hashes(file, (data[0] & 2) != 0, pool.page_bytes());
  }
  // Two texts that are there already.
  for (const token_id id : {0, 1}) {
    kv_sequence s(pool, config);
    if (!s.reserve(100)) std::abort();
    s.commit(100);
    cache.insert({}, 0, std::vector<token_id>(100, id), s.pages());
  }
  const int fd = ::memfd_create("fuzz", MFD_CLOEXEC);
  if (fd < 0) return 0;
  if (::write(fd, file.data(), file.size()) !=
      static_cast<::ssize_t>(file.size())) {
    std::abort();
  }
  if (const auto h = detail::read_prefix_header(fd, file.size(), key)) {
    const auto loaded = detail::load_prefix_pages(fd, *h, key, cache, pool, 3);
    if (loaded && *loaded > 3) std::abort();
    const prefix_match match = cache.find({h->long_factors}, h->domain, h->ids);
    if (loaded && match.length != h->ids.size()) std::abort();
    kv_sequence s(pool, config);
    if (match.length > 0) s.adopt(match.pages, match.length);
    if (s.reserve(match.length + 1)) s.commit(match.length + 1);
  }
  ::close(fd);
  while (cache.evict()) {
  }
  if (pool.pages_in_use() != 0) std::abort();
  return 0;
}
