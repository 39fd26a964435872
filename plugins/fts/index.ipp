// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PLUGINS_FTS_INDEX_IPP_
#define TINYPHI_PLUGINS_FTS_INDEX_IPP_

#include "plugins/fts/index.h"

TINYPHI_NAMESPACE_BEGIN
namespace fts {
namespace detail {

inline result<void> create_schema(const database& db) {
  std::string words;
  for (const char* word : word_maker) words += " " + std::string(word);
  return db.execute(
      "PRAGMA application_id = " + std::to_string(index_kind.application_id) +
      "; PRAGMA user_version = " + std::to_string(schema_version) +
      ";"
      "CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);"
      "CREATE TABLE file (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE,"
      " size INTEGER NOT NULL, mtime INTEGER NOT NULL, hash INTEGER NOT NULL,"
      " taken INTEGER NOT NULL, note TEXT NOT NULL);"
      "CREATE VIRTUAL TABLE chunk USING fts5(title, heading, body,"
      " line UNINDEXED, tokenize = '" +
      words +
      "');"
      // What is new is sorted in memory, in parts of so many bytes: the larger
      // they are, the less is merged.
      "INSERT INTO chunk(chunk, rank) VALUES('hashsize', 16777216)");
}

// FNV-1a: tells a changed file from one that was only touched.
inline std::int64_t content_hash(std::string_view text) {
  std::uint64_t h = 14695981039346656037u;
  for (const char c : text) {
    h = (h ^ static_cast<unsigned char>(c)) * 1099511628211u;
  }
  return static_cast<std::int64_t>(h);
}

class index_update {
 public:
  index_update(const database& db, const index_options& options,
               index_report& report)
      : db_(db), options_(options), report_(report) {}

  result<void> run(const std::filesystem::path& folder) {
    TINYPHI_CHECK_OK(load_known());
    TINYPHI_CHECK_OK(walk_folder(
        folder, options_.folder,
        [this](const source_file& f) { return take(f); },
        [this](std::string_view path, std::string_view why) {
          note(path, why);
        }));
    for (const auto& [path, file] : known_) {
      if (file.seen) continue;
      TINYPHI_CHECK_OK(remove(file.id));
      ++report_.n_removed;
    }
    TINYPHI_TRY(const auto n_files, db_.integer("SELECT count(*) FROM file"
                                                " WHERE taken"));
    // Of `chunk` itself all texts would be read.
    TINYPHI_TRY(const auto n_chunks,
                db_.integer("SELECT count(*) FROM chunk_docsize"));
    report_.n_files = static_cast<std::size_t>(n_files);
    report_.n_chunks = static_cast<std::size_t>(n_chunks);
    return {};
  }

 private:
  struct known_file {
    std::int64_t id = 0, size = 0, mtime = 0, hash = 0;
    bool taken = true;  // false: it was read, and left out because of `note`
    std::string note;
    bool seen = false;
  };
  struct content {
    std::string text;
    std::int64_t hash = 0;
    bool taken = true;
    std::string note;
  };

  void note(std::string_view path, std::string_view why) {
    if (!why.empty()) {
      report_.notes.push_back(std::string(path) + ": " + std::string(why));
    }
  }

  // What is there; nothing, if it was made under other options.
  result<void> load_known() {
    const std::string options =
        "chunk_bytes " + std::to_string(options_.chunk_bytes) +
        ", max_file_bytes " + std::to_string(options_.max_file_bytes);
    TINYPHI_TRY(auto made_under, db_.prepare("SELECT value FROM setting"
                                             " WHERE name = 'options'"));
    TINYPHI_TRY(const bool has_options, made_under.step());
    if (!has_options || made_under.text(0) != options) {
      made_under = statement(nullptr);
      TINYPHI_CHECK_OK(db_.execute("DELETE FROM chunk; DELETE FROM file"));
      TINYPHI_TRY(auto set, db_.prepare("INSERT OR REPLACE INTO setting"
                                        " VALUES ('options', ?)"));
      return set.bind(1, std::string_view(options)).run();
    }
    TINYPHI_TRY(auto rows, db_.prepare("SELECT path, id, size, mtime, hash,"
                                       " taken, note FROM file"));
    for (;;) {
      TINYPHI_TRY(const bool more, rows.step());
      if (!more) return {};
      const std::int64_t id = rows.integer(1);
      if (id < 1 || id > max_file_id) {
        return error{error_code::bad_data,
                     "the index holds file id " + std::to_string(id) +
                         ", which no update makes; delete the file, it can be "
                         "built again"};
      }
      known_[rows.text(0)] = {id,
                              rows.integer(2),
                              rows.integer(3),
                              rows.integer(4),
                              rows.integer(5) != 0,
                              rows.text(6),
                              false};
      last_id_ = std::max(last_id_, id);
    }
  }

  result<void> take(const source_file& f) {
    TINYPHI_CHECK_OK(options_.stop.check());
    const auto it = known_.find(f.path);
    known_file* old = it == known_.end() ? nullptr : &it->second;
    const auto size = static_cast<std::int64_t>(f.size);
    if (old != nullptr && old->size == size && old->mtime == f.mtime) {
      old->seen = true;
      note(f.path, old->note);
      return {};
    }
    result<content> read = read_content(f);
    if (!read) {
      note(f.path, read.error().message);
      return {};
    }
    note(f.path, read->note);
    known_file now{0, size, f.mtime, read->hash, read->taken, read->note, true};
    if (old == nullptr) {
      now.id = ++last_id_;
    } else {
      now.id = old->id;
      const bool same = old->hash == now.hash && old->taken == now.taken;
      *old = now;
      if (same) return save_file(f.path, now);
      TINYPHI_CHECK_OK(remove(now.id));
    }
    TINYPHI_CHECK_OK(save_file(f.path, now));
    if (!now.taken) return {};
    ++report_.n_read;
    return save_chunks(now.id, f.path, read->text);
  }

  result<content> read_content(const source_file& f) const {
    if (f.size > options_.max_file_bytes) {
      return content{{},
                     0,
                     false,
                     "skipped: " + std::to_string(f.size) + " bytes, at most " +
                         std::to_string(options_.max_file_bytes) +
                         " are allowed"};
    }
    TINYPHI_TRY(std::string text, read_all(f, options_.max_file_bytes));
    const std::int64_t hash = content_hash(text);
    if (const std::size_t zero = text.find('\0'); zero != std::string::npos) {
      return content{
          {},
          hash,
          false,
          "skipped: binary (NUL at byte " + std::to_string(zero) + ")"};
    }
    const std::size_t bad = find_invalid_utf8(text);
    if (bad == std::string::npos)
      return content{std::move(text), hash, true, {}};
    return content{to_valid_utf8(text), hash, true,
                   "not UTF-8 at byte " + std::to_string(bad) +
                       "; such bytes are replaced by U+FFFD"};
  }

  result<void> save_file(const std::string& path, const known_file& f) {
    TINYPHI_TRY(auto insert, db_.prepare("INSERT OR REPLACE INTO file"
                                         " VALUES (?, ?, ?, ?, ?, ?, ?)"));
    insert.bind(1, f.id).bind(2, std::string_view(path)).bind(3, f.size);
    insert.bind(4, f.mtime).bind(5, f.hash);
    insert.bind(6, std::int64_t{f.taken}).bind(7, std::string_view(f.note));
    return insert.run();
  }

  result<void> save_chunks(std::int64_t id, std::string_view path,
                           std::string_view text) {
    const std::string name = std::filesystem::path(path).stem().string();
    const auto chunks =
        split_chunks(text, name, options_.chunk_bytes, !path.ends_with(".txt"));
    TINYPHI_TRY(auto insert,
                db_.prepare("INSERT INTO chunk(rowid, title, heading, body,"
                            " line) VALUES (?, ?, ?, ?, ?)"));
    std::int64_t row = id << chunk_bits;
    for (const chunk& c : chunks) {
      TINYPHI_CHECK_OK(options_.stop.check());
      insert.bind(1, ++row).bind(2, std::string_view(c.title));
      insert.bind(3, std::string_view(c.heading));
      insert.bind(4, std::string_view(c.text));
      TINYPHI_CHECK_OK(insert.bind(5, static_cast<std::int64_t>(c.line)).run());
    }
    return {};
  }

  result<void> remove(std::int64_t id) {
    TINYPHI_TRY(auto chunks, db_.prepare("DELETE FROM chunk"
                                         " WHERE rowid BETWEEN ? AND ?"));
    chunks.bind(1, id << chunk_bits).bind(2, ((id + 1) << chunk_bits) - 1);
    TINYPHI_CHECK_OK(chunks.run());
    TINYPHI_TRY(auto file, db_.prepare("DELETE FROM file WHERE id = ?"));
    return file.bind(1, id).run();
  }

  const database& db_;
  const index_options& options_;
  index_report& report_;
  std::unordered_map<std::string, known_file> known_;
  std::int64_t last_id_ = 0;
};

inline result<index_report> update_database(const std::filesystem::path& folder,
                                            const std::filesystem::path& index,
                                            const index_options& options,
                                            const std::string& how_to_begin) {
  TINYPHI_TRY(const database db,
              database::open(index, index_kind, database::mode::create));
  TINYPHI_CHECK_OK(db.keep_pages(32 << 10));
  TINYPHI_TRY(transaction change, transaction::begin(db, how_to_begin));
  TINYPHI_TRY(const auto n_tables,
              db.integer("SELECT count(*) FROM sqlite_schema"));
  if (n_tables == 0) TINYPHI_CHECK_OK(create_schema(db));
  TINYPHI_CHECK_OK(check_schema(db, index.string()));
  index_report report;
  TINYPHI_CHECK_OK(index_update(db, options, report).run(folder));
  TINYPHI_CHECK_OK(change.commit());
  return report;
}

}  // namespace detail

inline result<index_report> update_index(const std::filesystem::path& folder,
                                         const std::filesystem::path& index,
                                         const index_options& options) {
  std::error_code ignored;
  const bool existed = std::filesystem::exists(index, ignored);
  auto report = detail::update_database(folder, index, options, "BEGIN");
  if (!report && report.error().code == error_code::unavailable) {
    report = detail::update_database(folder, index, options, "BEGIN IMMEDIATE");
  }
  if (!report && !existed) std::filesystem::remove(index, ignored);
  return report;
}

}  // namespace fts
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_FTS_INDEX_IPP_
