// SPDX-License-Identifier: MIT
// A layer below SQLite (a VFS) that puts a checksum on each page of a database
// and tells whose file it is before SQLite touches it. SQLite itself notices
// damage to its trees, but not to the texts and numbers in them.
#ifndef TINYPHI_PLUGINS_SQLITE_CHECKED_FILE_H_
#define TINYPHI_PLUGINS_SQLITE_CHECKED_FILE_H_

#include <sqlite3.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <optional>
#include <string_view>

#include "tinyphi/base/cancel.h"
#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN
namespace sqlite {

// A kind of database that tinyphi makes, and how messages speak of one. It
// outlives the connections to such files.
struct file_kind {
  std::uint32_t application_id;   // its mark: PRAGMA application_id
  std::string_view name;          // "index"
  std::string_view one;           // "an index"
  std::string_view when_damaged;  // what to do then
};

// What a connection is for, and when it must end. Not changed while it works.
struct connection_facts {
  const file_kind* kind = nullptr;
  std::optional<stop_condition> stop;
};

// The VFS's name for sqlite3_open_v2; null if SQLite cannot register it. A
// database that is made with it needs page_checksum_bytes of reserved space on
// each page (SQLITE_FCNTL_RESERVE_BYTES). Opening a file that is neither empty
// nor a database gives SQLITE_NOTADB, reading a page whose checksum is wrong
// SQLITE_IOERR_DATA.
[[nodiscard]] inline const char* checked_vfs_name();
inline constexpr int page_checksum_bytes = 8;

namespace detail {

// In memory the file of the layer below follows it.
struct checked_file : sqlite3_file {
  bool is_damaged = false;  // a page with a wrong checksum was read
  bool is_empty = false;    // when it was opened
  std::uint32_t mark = 0;   // the application_id it had then
  const connection_facts* facts = nullptr;

  [[nodiscard]] sqlite3_file* below() {
    return reinterpret_cast<sqlite3_file*>(this + 1);
  }
};
static_assert(sizeof(checked_file) % alignof(sqlite3_int64) == 0);

inline sqlite3_file* below(sqlite3_file* f) {
  return static_cast<checked_file*>(f)->below();
}

// SQLite also reads and writes parts of its header; pages are 512 bytes or
// more, and a power of two.
inline bool is_page(int n_bytes) {
  return n_bytes >= 512 && (n_bytes & (n_bytes - 1)) == 0;
}

// As FNV-1a, but of eight bytes at a time, over the place and the content of a
// page: a page that was copied to another place is wrong there.
inline std::uint64_t page_checksum(std::string_view content,
                                   sqlite3_int64 offset) {
  constexpr std::uint64_t prime = 1099511628211u;
  std::uint64_t h = 14695981039346656037u ^ static_cast<std::uint64_t>(offset);
  for (; content.size() >= sizeof(h); content.remove_prefix(sizeof(h))) {
    std::uint64_t word = 0;
    std::memcpy(&word, content.data(), sizeof(word));
    h = (h ^ word) * prime;
    h ^= h >> 32;  // a product tells nothing of the upper bytes below
  }
  for (const char c : content) h = (h ^ static_cast<unsigned char>(c)) * prime;
  return h;
}

inline std::array<char, page_checksum_bytes> checksum_of(const char* page,
                                                         int n_bytes,
                                                         sqlite3_int64 offset) {
  const auto n = static_cast<std::size_t>(n_bytes - page_checksum_bytes);
  const std::uint64_t h = page_checksum({page, n}, offset);
  std::array<char, page_checksum_bytes> bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(h >> (8 * i));
  }
  return bytes;
}

inline int checked_read(sqlite3_file* f, void* to, int n_bytes,
                        sqlite3_int64 offset) {
  const int code = below(f)->pMethods->xRead(below(f), to, n_bytes, offset);
  if (code != SQLITE_OK || !is_page(n_bytes)) return code;
  const char* page = static_cast<const char*>(to);
  const auto right = checksum_of(page, n_bytes, offset);
  const char* found = page + n_bytes - page_checksum_bytes;
  const bool same = std::memcmp(right.data(), found, right.size()) == 0;
  if (same) return SQLITE_OK;
  static_cast<checked_file*>(f)->is_damaged = true;
  return SQLITE_IOERR_DATA;
}

inline int checked_write(sqlite3_file* f, const void* from, int n_bytes,
                         sqlite3_int64 offset) {
  if (is_page(n_bytes)) {
    // The reserved end of a page in SQLite's cache is for this layer alone.
    char* page = static_cast<char*>(const_cast<void*>(from));
    const auto sum = checksum_of(page, n_bytes, offset);
    std::memcpy(page + n_bytes - page_checksum_bytes, sum.data(), sum.size());
  }
  return below(f)->pMethods->xWrite(below(f), from, n_bytes, offset);
}

inline const sqlite3_io_methods* checked_methods() {
  static const sqlite3_io_methods methods = [] {
    sqlite3_io_methods m{};
    m.iVersion = 1;  // no write-ahead log, no mapping
    m.xClose = [](sqlite3_file* f) {
      return below(f)->pMethods->xClose(below(f));
    };
    m.xRead = checked_read;
    m.xWrite = checked_write;
    m.xTruncate = [](sqlite3_file* f, sqlite3_int64 size) {
      return below(f)->pMethods->xTruncate(below(f), size);
    };
    m.xSync = [](sqlite3_file* f, int flags) {
      return below(f)->pMethods->xSync(below(f), flags);
    };
    m.xFileSize = [](sqlite3_file* f, sqlite3_int64* size) {
      return below(f)->pMethods->xFileSize(below(f), size);
    };
    m.xLock = [](sqlite3_file* f, int level) {
      return below(f)->pMethods->xLock(below(f), level);
    };
    m.xUnlock = [](sqlite3_file* f, int level) {
      return below(f)->pMethods->xUnlock(below(f), level);
    };
    m.xCheckReservedLock = [](sqlite3_file* f, int* reserved) {
      return below(f)->pMethods->xCheckReservedLock(below(f), reserved);
    };
    m.xFileControl = [](sqlite3_file* f, int what, void* argument) {
      return below(f)->pMethods->xFileControl(below(f), what, argument);
    };
    m.xSectorSize = [](sqlite3_file* f) {
      return below(f)->pMethods->xSectorSize(below(f));
    };
    m.xDeviceCharacteristics = [](sqlite3_file* f) {
      // SQLITE_IOCAP_SUBPAGE_READ, which older headers do not have: it would
      // let SQLite read parts of pages, whose checksums cannot be checked.
      constexpr int subpage_reads = 0x8000;
      return below(f)->pMethods->xDeviceCharacteristics(below(f)) &
             ~subpage_reads;
    };
    return m;
  }();
  return &methods;
}

// SQLITE_NOTADB unless the file is empty or has the header of a database, whose
// mark it takes. Reads through SQLite's own descriptor: to close another one
// would drop the locks that this process holds.
inline int read_header(checked_file& file) {
  sqlite3_file* const f = file.below();
  std::array<unsigned char, 100> header;
  const auto read = [&](int n_bytes) {
    return f->pMethods->xRead(f, header.data(), n_bytes, 0);
  };
  // Not xFileSize, which gives 0 for a file of one byte.
  if (read(1) == SQLITE_IOERR_SHORT_READ) {
    file.is_empty = true;
    return SQLITE_OK;
  }
  const int code = read(static_cast<int>(header.size()));
  if (code == SQLITE_IOERR_SHORT_READ) return SQLITE_NOTADB;
  if (code != SQLITE_OK) return code;
  for (std::size_t i = 68; i < 72; ++i) file.mark = file.mark << 8 | header[i];
  const std::string_view magic("SQLite format 3\0", 16);
  const bool is_database = std::memcmp(header.data(), magic.data(), 16) == 0;
  return is_database ? SQLITE_OK : SQLITE_NOTADB;
}

// The VFS below is SQLite's default; journals and other files are its own.
inline int checked_open(sqlite3_vfs* vfs, const char* name, sqlite3_file* f,
                        int flags, int* flags_out) {
  auto* system = static_cast<sqlite3_vfs*>(vfs->pAppData);
  if ((flags & SQLITE_OPEN_MAIN_DB) == 0) {
    return system->xOpen(system, name, f, flags, flags_out);
  }
  auto* file = new (f) checked_file{};
  int code = system->xOpen(system, name, file->below(), flags, flags_out);
  if (code == SQLITE_OK) code = read_header(*file);
  if (code == SQLITE_OK) {
    file->pMethods = checked_methods();
  } else if (file->below()->pMethods != nullptr) {
    file->below()->pMethods->xClose(file->below());
  }
  return code;
}

// The file of a connection of this VFS; null if it has none.
inline checked_file* file_of(sqlite3* db) {
  sqlite3_file* file = nullptr;
  sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  const bool is_ours = file != nullptr && file->pMethods == checked_methods();
  return is_ours ? static_cast<checked_file*>(file) : nullptr;
}

}  // namespace detail

inline const char* checked_vfs_name() {
  static constexpr const char* name = "tinyphi-checked";
  static const bool registered = [] {
    sqlite3_vfs* system = sqlite3_vfs_find(nullptr);
    if (system == nullptr) return false;
    static sqlite3_vfs vfs{};
    vfs.iVersion = 1;
    vfs.szOsFile =
        static_cast<int>(sizeof(detail::checked_file)) + system->szOsFile;
    vfs.mxPathname = system->mxPathname;
    vfs.zName = name;
    vfs.pAppData = system;
    vfs.xOpen = detail::checked_open;
    static const auto below = [](sqlite3_vfs* v) {
      return static_cast<sqlite3_vfs*>(v->pAppData);
    };
    vfs.xDelete = [](sqlite3_vfs* v, const char* path, int sync) {
      return below(v)->xDelete(below(v), path, sync);
    };
    vfs.xAccess = [](sqlite3_vfs* v, const char* path, int flags, int* out) {
      return below(v)->xAccess(below(v), path, flags, out);
    };
    vfs.xFullPathname = [](sqlite3_vfs* v, const char* path, int n, char* out) {
      return below(v)->xFullPathname(below(v), path, n, out);
    };
    vfs.xRandomness = [](sqlite3_vfs* v, int n, char* out) {
      return below(v)->xRandomness(below(v), n, out);
    };
    vfs.xSleep = [](sqlite3_vfs* v, int microseconds) {
      return below(v)->xSleep(below(v), microseconds);
    };
    vfs.xCurrentTime = [](sqlite3_vfs* v, double* out) {
      return below(v)->xCurrentTime(below(v), out);
    };
    vfs.xGetLastError = [](sqlite3_vfs* v, int n, char* out) {
      return below(v)->xGetLastError(below(v), n, out);
    };
    return sqlite3_vfs_register(&vfs, 0) == SQLITE_OK;
  }();
  return registered ? name : nullptr;
}

}  // namespace sqlite
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_SQLITE_CHECKED_FILE_H_
