// SPDX-License-Identifier: MIT
// SQLite with the few guarantees the plugins need: errors as values, bound
// parameters, and a database file that can only hold data, not behavior, and
// whose damage is noticed.
#ifndef TINYPHI_PLUGINS_SQLITE_DATABASE_H_
#define TINYPHI_PLUGINS_SQLITE_DATABASE_H_

#include <sqlite3.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "plugins/sqlite/checked_file.h"
#include "tinyphi/base/cancel.h"
#include "tinyphi/base/error.h"

TINYPHI_NAMESPACE_BEGIN
namespace sqlite {

// One prepared statement. Parameters count from 1, columns from 0.
class statement {
 public:
  explicit statement(sqlite3_stmt* s) : handle_(s) {}

  statement& bind(int i, std::int64_t x) {
    sqlite3_bind_int64(handle_.get(), i, x);
    return *this;
  }
  // The text must live until the last step.
  statement& bind(int i, std::string_view x) {
    sqlite3_bind_text64(handle_.get(), i, x.data(), x.size(), SQLITE_STATIC,
                        SQLITE_UTF8);
    return *this;
  }
  statement& bind(int i, double x) {
    sqlite3_bind_double(handle_.get(), i, x);
    return *this;
  }
  // For functions that take a pointer of that kind.
  void bind_pointer(int i, void* p, const char* kind) {
    sqlite3_bind_pointer(handle_.get(), i, p, kind, nullptr);
  }

  // True while there is a row to read.
  [[nodiscard]] result<bool> step();
  // Runs to the end and can then be bound and run again.
  [[nodiscard]] result<void> run();
  // Forgets where it is: it can be bound and run again.
  void reset() { sqlite3_reset(handle_.get()); }

  [[nodiscard]] std::int64_t integer(int column) const {
    return sqlite3_column_int64(handle_.get(), column);
  }
  [[nodiscard]] double number(int column) const {
    return sqlite3_column_double(handle_.get(), column);
  }
  // Of a text, without making it.
  [[nodiscard]] std::size_t bytes(int column) const {
    return static_cast<std::size_t>(
        sqlite3_column_bytes(handle_.get(), column));
  }
  [[nodiscard]] std::string text(int column) const {
    const auto* p = sqlite3_column_text(handle_.get(), column);
    const auto n = sqlite3_column_bytes(handle_.get(), column);
    if (p == nullptr || n <= 0) return {};
    return {reinterpret_cast<const char*>(p), static_cast<std::size_t>(n)};
  }

 private:
  struct finalizer {
    void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
  };
  std::unique_ptr<sqlite3_stmt, finalizer> handle_;
};

// One connection; one thread at a time. Messages name the file.
class database {
 public:
  // update: writes what is there, and repairs what a killed writer left.
  enum class mode : std::uint8_t { read, update, create };

  // Not opened as a URI, not shared, no extensions, no triggers, no views, and
  // functions that a schema names are not trusted. An error if the file is
  // neither empty nor of that kind; it is not touched then.
  [[nodiscard]] static result<database> open(const std::filesystem::path& path,
                                             const file_kind& kind, mode m);

  // Keeps at most so many KiB of pages in memory: what does not fit is read,
  // checked and written again and again. Waits for who writes.
  [[nodiscard]] result<void> keep_pages(int kib) const {
    return execute("PRAGMA cache_size = -" + std::to_string(kib));
  }
  // From now on statements, and their waiting for other writers, end with the
  // error of `stop` when it says so.
  void stop_by(stop_condition stop);
  // A value or row that is longer is the error `limit`, also if it was read.
  void limit_rows(int max_bytes) {
    sqlite3_limit(handle_.get(), SQLITE_LIMIT_LENGTH, max_bytes);
  }

  [[nodiscard]] result<statement> prepare(std::string_view sql) const;
  // Runs one or more statements without results.
  [[nodiscard]] result<void> execute(const std::string& sql) const;
  // SQLite's interface for what is built on full-text search.
  [[nodiscard]] result<fts5_api*> fts5() const;
  // The single integer that a query gives, 0 if it gives no row.
  [[nodiscard]] result<std::int64_t> integer(std::string_view sql) const;

 private:
  struct closer {
    void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
  };
  explicit database(sqlite3* db) : handle_(db) {}
  std::unique_ptr<connection_facts> facts_ =
      std::make_unique<connection_facts>();
  std::unique_ptr<sqlite3, closer> handle_;
};

// Rolls back when it is destroyed before commit().
class transaction {
 public:
  // `how`: "BEGIN" reads until the first write, "BEGIN IMMEDIATE" waits for
  // the right to write at once.
  [[nodiscard]] static result<transaction> begin(const database& db,
                                                 const std::string& how) {
    TINYPHI_CHECK_OK(db.execute(how));
    return transaction(db);
  }
  transaction(transaction&& other) noexcept
      : db_(std::exchange(other.db_, nullptr)) {}
  transaction& operator=(transaction&&) = delete;
  ~transaction() {
    if (db_ != nullptr) static_cast<void>(db_->execute("ROLLBACK"));
  }

  [[nodiscard]] result<void> commit() {
    TINYPHI_CHECK_OK(db_->execute("COMMIT"));
    db_ = nullptr;
    return {};
  }

 private:
  explicit transaction(const database& db) : db_(&db) {}
  const database* db_;
};

namespace detail {

// For files that open() took, which bear the mark of their kind: that is what
// makes it right to advise to delete them.
inline error damaged(const file_kind& kind, const std::string& what) {
  return {error_code::bad_data,
          what + "; this " + std::string(kind.name) +
              " of tinyphi is damaged: " + std::string(kind.when_damaged)};
}

inline error sqlite_error(sqlite3* db) {
  const int code = sqlite3_errcode(db) & 0xFF;
  const char* path = sqlite3_db_filename(db, "main");
  const checked_file* file = file_of(db);
  if (file == nullptr || file->facts == nullptr) {
    return {error_code::internal, sqlite3_errmsg(db)};
  }
  const file_kind& kind = *file->facts->kind;
  const std::string name(kind.name);
  std::string where =
      path != nullptr && *path != '\0' ? std::string(path) + ": " : "";
  if (file->is_damaged) {
    return damaged(kind, where + "the checksum of a page is wrong");
  }
  if ((code == SQLITE_INTERRUPT || code == SQLITE_BUSY) && file->facts->stop) {
    if (auto stopped = file->facts->stop->check(); !stopped) {
      return std::move(stopped).error().within(where + "the " + name);
    }
  }
  switch (code) {
    case SQLITE_FULL:
      return {error_code::io, where + "the disk is full; the " + name +
                                  " is as it was before; free some space and "
                                  "try again"};
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return damaged(kind, where + sqlite3_errmsg(db));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {
          error_code::unavailable,
          where + "another process is writing to the " + name + "; try again"};
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
    case SQLITE_PERM:
    case SQLITE_READONLY: {
      const int system = sqlite3_system_errno(db);
      return {error_code::io,
              where + sqlite3_errmsg(db) +
                  (system != 0
                       ? " (" + std::generic_category().message(system) + ")"
                       : "") +
                  "; check the disk's space and the file's permissions"};
    }
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
      return {error_code::limit, where + sqlite3_errmsg(db)};
    default:
      return {error_code::internal, where + sqlite3_errmsg(db)};
  }
}

}  // namespace detail

inline result<bool> statement::step() {
  const int code = sqlite3_step(handle_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return detail::sqlite_error(sqlite3_db_handle(handle_.get()));
}

inline result<void> statement::run() {
  for (;;) {
    TINYPHI_TRY(const bool more, step());
    if (!more) break;
  }
  sqlite3_reset(handle_.get());
  return {};
}

inline result<database> database::open(const std::filesystem::path& path,
                                       const file_kind& kind, mode m) {
  const int flags = m == mode::read ? SQLITE_OPEN_READONLY
                    : m == mode::update
                        ? SQLITE_OPEN_READWRITE
                        : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  sqlite3* handle = nullptr;
  const char* vfs = checked_vfs_name();
  const int code = vfs != nullptr
                       ? sqlite3_open_v2(path.c_str(), &handle, flags, vfs)
                       : SQLITE_ERROR;
  database db(handle);
  detail::checked_file* file =
      code == SQLITE_OK ? detail::file_of(handle) : nullptr;
  const bool is_other =
      file != nullptr && !file->is_empty && file->mark != kind.application_id;
  if (code == SQLITE_NOTADB || is_other) {
    return error{error_code::bad_data,
                 path.string() + ": not " + std::string(kind.one) +
                     " of tinyphi, and left alone; choose another file for "
                     "the " +
                     std::string(kind.name)};
  }
  if (file == nullptr) {
    return error{
        error_code::io,
        path.string() + ": cannot open the " + std::string(kind.name) + ": " +
            (handle != nullptr ? sqlite3_errmsg(handle) : "out of memory")};
  }
  db.facts_->kind = &kind;
  file->facts = db.facts_.get();
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  for (const int off :
       {SQLITE_DBCONFIG_TRUSTED_SCHEMA, SQLITE_DBCONFIG_ENABLE_TRIGGER,
        SQLITE_DBCONFIG_ENABLE_VIEW, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION}) {
    sqlite3_db_config(handle, off, 0, nullptr);
  }
  sqlite3_busy_timeout(handle, 2000);
  int n_reserved = page_checksum_bytes;
  sqlite3_file_control(handle, "main", SQLITE_FCNTL_RESERVE_BYTES, &n_reserved);
  TINYPHI_CHECK_OK(db.execute("PRAGMA cell_size_check = ON"));
  return db;
}

inline result<fts5_api*> database::fts5() const {
  TINYPHI_TRY(statement s, prepare("SELECT fts5(?)"));
  fts5_api* api = nullptr;
  s.bind_pointer(1, &api, "fts5_api_ptr");
  TINYPHI_CHECK_OK(s.run());
  if (api == nullptr) {
    return error{error_code::unsupported, "this SQLite has no FTS5"};
  }
  return api;
}

inline void database::stop_by(stop_condition stop) {
  facts_->stop = std::move(stop);
  constexpr int steps = 1000;  // of SQLite's machine: far below a millisecond
  const auto must_end = [](void* facts) {
    return static_cast<int>(
        static_cast<connection_facts*>(facts)->stop->reason().has_value());
  };
  // The right to write goes to whoever asks at the right moment, not to who
  // asked first; many writers need some patience.
  const auto wait = [](void* facts, int n_times) {
    constexpr int most_times = 2000;
    if (n_times >= most_times ||
        static_cast<connection_facts*>(facts)->stop->reason()) {
      return 0;
    }
    std::this_thread::sleep_for(
        std::chrono::milliseconds(n_times < 10 ? 1 : 5));
    return 1;
  };
  sqlite3_progress_handler(handle_.get(), steps, must_end, facts_.get());
  sqlite3_busy_handler(handle_.get(), wait, facts_.get());
}

inline result<statement> database::prepare(std::string_view sql) const {
  sqlite3_stmt* s = nullptr;
  const int code = sqlite3_prepare_v2(
      handle_.get(), sql.data(), static_cast<int>(sql.size()), &s, nullptr);
  if (code != SQLITE_OK) return detail::sqlite_error(handle_.get());
  return statement(s);
}

inline result<void> database::execute(const std::string& sql) const {
  const int code =
      sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return detail::sqlite_error(handle_.get());
  return {};
}

inline result<std::int64_t> database::integer(std::string_view sql) const {
  TINYPHI_TRY(statement s, prepare(sql));
  TINYPHI_TRY(const bool found, s.step());
  return found ? s.integer(0) : 0;
}

}  // namespace sqlite
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_SQLITE_DATABASE_H_
