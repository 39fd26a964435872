// SPDX-License-Identifier: MIT
// One SQLite file with the passages of a folder of documents and an FTS5 index
// over them. update_index() brings it up to date; search.h reads it.
#ifndef TINYPHI_PLUGINS_FTS_INDEX_H_
#define TINYPHI_PLUGINS_FTS_INDEX_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "plugins/fts/chunks.h"
#include "plugins/fts/folder.h"
#include "plugins/sqlite/database.h"
#include "tinyphi/base/cancel.h"
#include "tinyphi/base/error.h"

TINYPHI_NAMESPACE_BEGIN
namespace fts {

using sqlite::database;
using sqlite::statement;
using sqlite::transaction;

// Marks a database as an index: "tphi".
inline constexpr sqlite::file_kind index_kind{
    0x74706869, "index", "an index",
    "delete the file, the next ingestion builds it again"};

struct index_options {
  std::size_t chunk_bytes = 1200;  // see split_chunks
  std::uint64_t max_file_bytes = std::uint64_t{8} << 20;
  folder_limits folder;
  stop_condition stop;
};

struct index_report {
  std::size_t n_files = 0;    // in the index now
  std::size_t n_read = 0;     // new or changed, read this time
  std::size_t n_removed = 0;  // gone from the folder, or no longer readable
  std::size_t n_chunks = 0;   // in the index now
  std::vector<std::string> notes;  // "path: why", for each file that was left
                                   // out or repaired
};

// Makes the index hold exactly the documents of `folder`. A file is read again
// only if its size or time of change differs, and indexed again only if its
// bytes do. One transaction: after an error, a crash or a full disk the index
// is what it was before, and a file that did not exist does not exist. A file
// at `index` that is not an index of tinyphi is left alone and is an error.
[[nodiscard]] inline result<index_report> update_index(
    const std::filesystem::path& folder, const std::filesystem::path& index,
    const index_options& options = {});

namespace detail {

// 2: pages have checksums; 3: which are made of words, not bytes
constexpr std::int64_t schema_version = 3;
// How words are made of texts; another way is another schema_version.
constexpr const char* word_maker[] = {"porter", "unicode61",
                                      "remove_diacritics", "2"};
// Passage ids: the file's id in the upper bits, the passage's number below.
constexpr int chunk_bits = 24;
constexpr std::int64_t max_file_id = std::int64_t{1} << 38;

// Errors unless `db` is an index that this version can read.
inline result<void> check_schema(const database& db, std::string_view path) {
  TINYPHI_TRY(const std::int64_t id, db.integer("PRAGMA application_id"));
  if (id != index_kind.application_id) {
    return error{error_code::bad_data, std::string(path) +
                                           ": an empty database; an ingest "
                                           "stage fills it"};
  }
  TINYPHI_TRY(const std::int64_t version, db.integer("PRAGMA user_version"));
  if (version != schema_version) {
    return error{error_code::unsupported,
                 std::string(path) + ": index version " +
                     std::to_string(version) + ", this program reads " +
                     std::to_string(schema_version) +
                     "; delete the file, it will be built again"};
  }
  return {};
}

}  // namespace detail

}  // namespace fts
TINYPHI_NAMESPACE_END

#include "plugins/fts/index.ipp"

#endif  // TINYPHI_PLUGINS_FTS_INDEX_H_
