// SPDX-License-Identifier: MIT
// The turns of conversations in one SQLite file: what was saved is there after
// a crash, and any number of processes and threads may load and save at once.
#ifndef TINYPHI_PLUGINS_MEMORY_CONVERSATIONS_H_
#define TINYPHI_PLUGINS_MEMORY_CONVERSATIONS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "plugins/sqlite/database.h"
#include "tinyphi/base/cancel.h"
#include "tinyphi/base/error.h"
#include "tinyphi/base/utf8.h"

TINYPHI_NAMESPACE_BEGIN
namespace conversations {

inline constexpr std::size_t max_key_bytes = 256;
inline constexpr std::size_t max_text_bytes = std::size_t{1} << 20;

// Marks a database as one of conversations: "tpcn".
inline constexpr sqlite::file_kind memory_kind{
    0x7470636e, "memory", "a memory of conversations",
    "put a copy from before in its place, or delete it with all conversations "
    "in it"};

// What somebody said, and what was answered.
struct turn {
  std::string user;
  std::string reply;

  friend bool operator==(const turn&, const turn&) = default;
};

struct load_limits {
  std::size_t max_turns = 20;
  std::size_t max_bytes = 65536;  // of their texts
};
struct save_limits {
  std::size_t keep = 1000;  // turns of the conversation; older ones go
  std::uint64_t max_file_bytes = std::uint64_t{256} << 20;
};

// The newest turns of a conversation, oldest first: as many as there are, and
// as fit. None if there is no such conversation, or no file yet. The texts are
// UTF-8; whoever wrote the file has chosen them.
[[nodiscard]] inline result<std::vector<turn>> load(
    const std::filesystem::path& file, std::string_view conversation,
    const load_limits& limits = {}, const stop_condition& stop = {});

// Adds a turn, and says how many the conversation has then. When that is told,
// the turn is on the disk; after an error the file is as it was before. What is
// no longer kept is overwritten.
[[nodiscard]] inline result<std::int64_t> save(
    const std::filesystem::path& file, std::string_view conversation,
    const turn& added, const save_limits& limits = {},
    const stop_condition& stop = {});

namespace detail {

using sqlite::database;
using sqlite::statement;
using sqlite::transaction;

inline constexpr std::int64_t schema_version = 1;
inline constexpr std::int64_t max_turn_id = std::int64_t{1} << 62;
// As SQLite keeps it, in this order. A file has exactly that.
inline constexpr std::string_view schema[] = {
    "CREATE TABLE turn (id INTEGER PRIMARY KEY, conversation TEXT NOT NULL, "
    "user TEXT NOT NULL, reply TEXT NOT NULL)",
    "CREATE INDEX turn_of_conversation ON turn (conversation, id)"};

inline result<void> check_key(std::string_view conversation) {
  if (!conversation.empty() && conversation.size() <= max_key_bytes) return {};
  return error{error_code::invalid_argument,
               "the name of the conversation has " +
                   std::to_string(conversation.size()) +
                   " bytes, allowed are 1 to " + std::to_string(max_key_bytes)};
}

inline result<database> open(const std::filesystem::path& file,
                             database::mode mode, const stop_condition& stop) {
  TINYPHI_CHECK_OK(stop.check());
  std::error_code ignored;
  const auto status = std::filesystem::status(file, ignored);
  if (exists(status) && !is_regular_file(status)) {
    return error{error_code::invalid_argument,
                 file.string() + ": not a regular file"};
  }
  TINYPHI_TRY(database db, database::open(file, memory_kind, mode));
  db.stop_by(stop);
  db.limit_rows(static_cast<int>(4 * max_text_bytes));
  return db;
}

inline result<void> create_schema(const database& db) {
  std::string sql =
      "PRAGMA application_id = " + std::to_string(memory_kind.application_id) +
      "; PRAGMA user_version = " + std::to_string(schema_version);
  for (const std::string_view one : schema) sql += "; " + std::string(one);
  return db.execute(sql);
}

// Errors unless the file holds what this version makes, and nothing that acts
// when it is read or written.
inline result<void> check_schema(const database& db, const std::string& path) {
  TINYPHI_TRY(const std::int64_t id, db.integer("PRAGMA application_id"));
  TINYPHI_TRY(const std::int64_t version, db.integer("PRAGMA user_version"));
  if (id == memory_kind.application_id && version != schema_version) {
    return error{error_code::unsupported,
                 path + ": memory version " + std::to_string(version) +
                     ", this program reads " + std::to_string(schema_version) +
                     "; choose another file, or the program that made it"};
  }
  TINYPHI_TRY(statement rows,
              db.prepare("SELECT sql FROM sqlite_schema ORDER BY rowid"));
  bool same = id == memory_kind.application_id;
  for (const std::string_view one : schema) {
    TINYPHI_TRY(const bool more, rows.step());
    same = same && more && rows.text(0) == one;
  }
  TINYPHI_TRY(const bool more, rows.step());
  if (same && !more) return {};
  return error{error_code::bad_data,
               path +
                   ": the tables are not those of a memory; choose another "
                   "file"};
}

// How much of the file is in use.
inline result<std::uint64_t> used_bytes(const database& db) {
  TINYPHI_TRY(const std::int64_t pages, db.integer("PRAGMA page_count"));
  TINYPHI_TRY(const std::int64_t unused, db.integer("PRAGMA freelist_count"));
  TINYPHI_TRY(const std::int64_t bytes, db.integer("PRAGMA page_size"));
  const std::int64_t used = std::max<std::int64_t>(pages - unused, 0) * bytes;
  return static_cast<std::uint64_t>(used);
}

inline result<void> check_room(const database& db, const std::string& path,
                               const turn& added, std::uint64_t most) {
  // Pages that are partly filled, and the index's.
  constexpr std::uint64_t beside = 65536;
  TINYPHI_TRY(const std::uint64_t used, used_bytes(db));
  const std::uint64_t texts = added.user.size() + added.reply.size();
  const std::uint64_t needed = used + texts + texts / 128 + beside;
  if (needed <= most) return {};
  return error{error_code::limit,
               path + ": " + std::to_string(used) + " bytes are in use, and " +
                   std::to_string(texts) + " more may need more than the " +
                   std::to_string(most) +
                   " of max_file_bytes; keep fewer turns, or allow more"};
}

inline result<std::int64_t> count_turns(const database& db,
                                        std::string_view conversation) {
  TINYPHI_TRY(statement count, db.prepare("SELECT count(*) FROM turn"
                                          " WHERE conversation = ?"));
  TINYPHI_CHECK_OK(count.bind(1, conversation).step());
  return count.integer(0);
}

// All but the newest `left` of a conversation.
inline result<void> remove_old(const database& db,
                               std::string_view conversation,
                               std::size_t left) {
  TINYPHI_TRY(statement remove,
              db.prepare("DELETE FROM turn WHERE conversation = ?1 AND id <="
                         " (SELECT id FROM turn WHERE conversation = ?1"
                         " ORDER BY id DESC LIMIT 1 OFFSET ?2)"));
  return remove.bind(1, conversation)
      .bind(2, static_cast<std::int64_t>(left))
      .run();
}

inline result<void> insert(const database& db, const std::string& path,
                           std::string_view conversation, const turn& added) {
  TINYPHI_TRY(const std::int64_t last, db.integer("SELECT max(id) FROM turn"));
  if (last < 0 || last >= max_turn_id) {
    return error{error_code::bad_data, path + ": holds turn " +
                                           std::to_string(last) +
                                           ", which nobody saves; choose "
                                           "another file"};
  }
  TINYPHI_TRY(statement row,
              db.prepare("INSERT INTO turn VALUES (?, ?, ?, ?)"));
  row.bind(1, last + 1).bind(2, conversation);
  row.bind(3, std::string_view(added.user));
  return row.bind(4, std::string_view(added.reply)).run();
}

inline result<std::string> read_text(const statement& row, int column,
                                     const std::string& path) {
  std::string text = row.text(column);
  if (find_invalid_utf8(text) == std::string_view::npos) return text;
  return error{error_code::bad_data,
               path + ": a saved text is not UTF-8; choose another file"};
}

}  // namespace detail

inline result<std::vector<turn>> load(const std::filesystem::path& file,
                                      std::string_view conversation,
                                      const load_limits& limits,
                                      const stop_condition& stop) {
  using detail::database;
  TINYPHI_CHECK_OK(detail::check_key(conversation));
  std::vector<turn> turns;
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return turns;
  TINYPHI_TRY(const database db,
              detail::open(file, database::mode::update, stop));
  TINYPHI_TRY(const auto view, detail::transaction::begin(db, "BEGIN"));
  TINYPHI_TRY(const auto n_tables,
              db.integer("SELECT count(*) FROM sqlite_schema"));
  if (n_tables == 0) return turns;  // nobody has saved yet
  TINYPHI_CHECK_OK(detail::check_schema(db, file.string()));
  TINYPHI_TRY(auto rows, db.prepare("SELECT user, reply FROM turn"
                                    " WHERE conversation = ?"
                                    " ORDER BY id DESC LIMIT ?"));
  rows.bind(1, conversation);
  rows.bind(2, static_cast<std::int64_t>(limits.max_turns));
  for (std::size_t left = limits.max_bytes;;) {
    TINYPHI_TRY(const bool more, rows.step());
    if (!more || rows.bytes(0) > left || rows.bytes(1) > left - rows.bytes(0)) {
      break;
    }
    left -= rows.bytes(0) + rows.bytes(1);
    TINYPHI_TRY(std::string user, detail::read_text(rows, 0, file.string()));
    TINYPHI_TRY(std::string reply, detail::read_text(rows, 1, file.string()));
    turns.push_back({std::move(user), std::move(reply)});
  }
  std::reverse(turns.begin(), turns.end());
  return turns;
}

inline result<std::int64_t> save(const std::filesystem::path& file,
                                 std::string_view conversation,
                                 const turn& added, const save_limits& limits,
                                 const stop_condition& stop) {
  using detail::database;
  TINYPHI_CHECK_OK(detail::check_key(conversation));
  for (const std::string* text : {&added.user, &added.reply}) {
    if (text->size() <= max_text_bytes) continue;
    return error{error_code::limit,
                 "a text of the turn has " + std::to_string(text->size()) +
                     " bytes, allowed are " + std::to_string(max_text_bytes)};
  }
  const std::string path = file.string();
  TINYPHI_TRY(const database db,
              detail::open(file, database::mode::create, stop));
  // EXTRA: that the journal is gone is on the disk, too, when this returns.
  TINYPHI_CHECK_OK(
      db.execute("PRAGMA secure_delete = ON; PRAGMA synchronous = EXTRA"));
  TINYPHI_TRY(auto change, detail::transaction::begin(db, "BEGIN IMMEDIATE"));
  TINYPHI_TRY(const auto n_tables,
              db.integer("SELECT count(*) FROM sqlite_schema"));
  if (n_tables == 0) TINYPHI_CHECK_OK(detail::create_schema(db));
  TINYPHI_CHECK_OK(detail::check_schema(db, path));
  TINYPHI_CHECK_OK(detail::remove_old(db, conversation, limits.keep - 1));
  TINYPHI_CHECK_OK(detail::check_room(db, path, added, limits.max_file_bytes));
  TINYPHI_CHECK_OK(detail::insert(db, path, conversation, added));
  TINYPHI_TRY(const std::int64_t n, detail::count_turns(db, conversation));
  TINYPHI_CHECK_OK(change.commit());
  return n;
}

}  // namespace conversations
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_MEMORY_CONVERSATIONS_H_
