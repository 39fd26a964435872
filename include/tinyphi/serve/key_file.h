// SPDX-License-Identifier: MIT
// The key file: who may ask, and how much. It has digests of secrets only.
//
//   [key.alice]
//   blake2b = "<64 hexadecimal digits>"  # printf %s "$SECRET" | b2sum -l 256
//   weight = 2                     # of its fair share, 0.01 to 100
//   class = "normal"               # the best that it may ask for
//   concurrency = 4                # requests that run at once
//   queue = 16                     # further ones that wait
//   requests_per_minute = 60
//   tokens_per_minute = 100000
//   models = ["phi", "pipeline:docs"]
//   share_cache_with = ["bob"]     # for both, and for whom bob shares with
//   admin = false
#ifndef TINYPHI_SERVE_KEY_FILE_H_
#define TINYPHI_SERVE_KEY_FILE_H_

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/serve/blake2b.h"
#include "tinyphi/serve/caller.h"

TINYPHI_NAMESPACE_BEGIN

struct key_entry {
  caller who;
  blake2b_digest digest;  // of the secret
};

struct key_file_limits {
  static constexpr std::size_t max_bytes = std::size_t{1} << 20;
  static constexpr std::size_t max_keys = 1024;
  static constexpr std::size_t max_name_bytes = 64;
};

// Reads a key file's text. All that is wrong is added to `faults`; nothing if
// anything is, so that no key is let in with half of its limits.
// Keys that share a cache, in either direction and over others, are one
// isolation domain. Tenants and domains are numbers of names, so caches on disk
// outlive a restart and an exchange of secrets; a domain also depends on who is
// in it: whoever joins finds nothing from before, and whoever leaves takes
// nothing along.
[[nodiscard]] std::optional<std::vector<key_entry>> read_keys(
    std::string_view text, std::vector<diagnostic>& faults);

// The text of the file at `path`, which must be a regular file of this user or
// of root that only they and its group may read, and only they may write.
[[nodiscard]] result<std::string> read_key_text(
    const std::filesystem::path& path);

// Both: bad_data has all faults, one a line.
[[nodiscard]] result<std::vector<key_entry>> load_keys(
    const std::filesystem::path& path);

// Where a configuration's `keys` leads: "credential:NAME" is the file NAME in
// the folder that systemd gives the service ($CREDENTIALS_DIRECTORY, empty: it
// gave none), all else a path. not_found says how to pass a credential.
[[nodiscard]] result<std::filesystem::path> resolve_key_file(
    const std::string& keys, const std::string& credentials_directory);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/key_file.ipp"
#endif

#endif  // TINYPHI_SERVE_KEY_FILE_H_
