// SPDX-License-Identifier: MIT
// Keeps the pages of cached texts in a folder, so that they outlive the
// process: one file for each branch of the tree, believed only after checks.
#ifndef TINYPHI_GENERATE_PREFIX_FILE_H_
#define TINYPHI_GENERATE_PREFIX_FILE_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/base/parallel.h"
#include "tinyphi/generate/prefix_cache.h"
#include "tinyphi/model/kv_cache.h"
#include "tinyphi/model/model.h"

TINYPHI_NAMESPACE_BEGIN

// A file, little-endian:
//
//   "TPKV", u32 version 1, u64 size of made_from, made_from
//   u64 domain, n_shared (tokens in front that all domains see),
//       1 for long rotary factors or 0, n_tokens, first_page
//   n_tokens x i32 ids
//   (pages of n_tokens - first_page) x u64 hash of a page
//   u64 hash of all before; zeros up to a multiple of 4096
//   the pages from first_page on, positions without a token being zeros
//
// Pages before first_page are behind the window or in another file, which was
// used later than this one.

// What a file must fit to be believed. Nothing in a file is taken as a size
// that is not compared with what follows from this.
struct prefix_key {
  // All that the numbers in a page depend on besides tokens and rotary factors,
  // and the shape of pages; compared byte for byte.
  std::string made_from;
  kv_type type = kv_type::f32;
  std::size_t n_heads = 0;  // of keys and values, in all layers
  std::size_t head_dim = 0;
  std::size_t window = 0;
  std::size_t max_tokens = 0;  // of one text
  std::size_t vocab_size = 0;
  bool has_long_factors = false;
};

// Hashes the model (model::content_hash).
[[nodiscard]] prefix_key prefix_key_of(const model& m, kv_type type,
                                       team& threads);

struct prefix_folder {
  std::filesystem::path path;
  // Of all its files together; those that were used longest ago go first.
  std::size_t max_bytes = std::size_t{1} << 30;
  // Nothing more is written where less than this share of the disk is free.
  double keep_free = 0.1;
  // Whose texts are kept; nothing: everybody's. What such a text shares with
  // all domains is kept in any case.
  std::function<bool(domain_id)> keeps = {};
};

struct prefix_report {
  std::size_t n_tokens = 0;  // whose pages were loaded, or are kept
  std::size_t n_files = 0;   // loaded, or kept
  std::size_t n_ignored = 0;
  std::string note;  // one line about what was ignored and why, or empty
};

// Writes the cache's texts, most recently used first, as far as there is room;
// makes the folder (0700) if it is not there. What is there already is not
// written again. Each file (0600) is written whole or not at all. Errors: the
// folder is not this user's alone to write to, or the system refuses.
[[nodiscard]] result<prefix_report> save_prefixes(const prefix_folder& folder,
                                                  const prefix_key& key,
                                                  const prefix_cache& cache);

// Brings texts back into the cache, at most max_pages pages and no more than
// are free. Files that do not fit are ignored, and removed where they are of
// this model but damaged. A file that was forged by who may write there can
// give wrong text, nothing worse. Errors: as above; a folder that is not there
// is none.
[[nodiscard]] result<prefix_report> load_prefixes(const prefix_folder& folder,
                                                  const prefix_key& key,
                                                  prefix_cache& cache,
                                                  kv_pool& pool,
                                                  std::size_t max_pages);

namespace detail {

// The header of one file. Numbers are those of the file.
struct prefix_header {
  domain_id domain = 0;
  std::uint64_t n_shared = 0;
  bool long_factors = false;
  std::uint64_t first_page = 0;
  std::vector<token_id> ids;
  std::vector<std::uint64_t> page_hashes;
};
[[nodiscard]] std::string encode_prefix_header(const prefix_header& h,
                                               const prefix_key& key);
// Reads and checks the header of an open file of `size` bytes. bad_data: it is
// of this model but damaged; unsupported: it is something else.
[[nodiscard]] result<prefix_header> read_prefix_header(int fd,
                                                       std::uint64_t size,
                                                       const prefix_key& key);
// Puts the file's pages into the cache, at most max_pages; how many.
[[nodiscard]] result<std::size_t> load_prefix_pages(
    int fd, const prefix_header& h, const prefix_key& key, prefix_cache& cache,
    kv_pool& pool, std::size_t max_pages);
// Zeros at the page's positions from `from` on, which may hold anything.
void clear_positions(const prefix_key& key, std::size_t from, std::byte* page);
// True if every number of the page is finite: floats, or int8's scales.
[[nodiscard]] bool page_is_finite(const prefix_key& key, const std::byte* page);

}  // namespace detail

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/generate/prefix_file.ipp"
#include "tinyphi/generate/prefix_folder.ipp"
#endif

#endif  // TINYPHI_GENERATE_PREFIX_FILE_H_
