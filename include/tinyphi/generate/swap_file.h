// SPDX-License-Identifier: MIT
// Pages of requests that gave way, in a file without a name: nobody else can
// open it, and it is gone with the process.
#ifndef TINYPHI_GENERATE_SWAP_FILE_H_
#define TINYPHI_GENERATE_SWAP_FILE_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/model/kv_cache.h"

TINYPHI_NAMESPACE_BEGIN

// Whole pages, each in a slot of its own. The disk's space is claimed slot by
// slot, before it is written to. Move-only, not thread-safe: the engine's
// driver owns it.
class swap_file {
 public:
  using slot = std::uint32_t;

  // In `folder`, for as many pages of page_bytes as max_bytes hold. Errors: the
  // system refuses to make a file there.
  [[nodiscard]] static result<swap_file> create(
      const std::filesystem::path& folder, std::size_t page_bytes,
      std::size_t max_bytes);
  swap_file(swap_file&& other) noexcept { *this = std::move(other); }
  swap_file& operator=(swap_file&& other) noexcept;
  ~swap_file();

  // Where the page is now, until it is released; nothing if no slot is left or
  // the disk has no room.
  [[nodiscard]] std::optional<slot> write(const kv_page& page);
  // Fills the page, which nobody else may hold. io, or bad_data if the disk
  // gives back other bytes than it was given; the page's are undefined then.
  [[nodiscard]] result<void> read(slot s, kv_page& page) const;
  // The slot may be written to again.
  void release(slot s) { free_.push_back(s); }

  [[nodiscard]] std::size_t slots_in_use() const {
    return hashes_.size() - free_.size();
  }
  [[nodiscard]] std::size_t max_slots() const { return max_slots_; }
  // As measured, bytes per second, newer transfers weighing more; 0: not yet.
  [[nodiscard]] double write_speed() const { return write_speed_; }
  [[nodiscard]] double read_speed() const { return read_speed_; }

 private:
  swap_file() = default;
  std::filesystem::path folder_;
  int fd_ = -1;
  std::size_t page_bytes_ = 0, max_slots_ = 0;
  std::vector<std::uint64_t> hashes_;  // of what is in each slot
  std::vector<slot> free_;
  double write_speed_ = 0;
  mutable double read_speed_ = 0;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/generate/swap_file.ipp"
#endif

#endif  // TINYPHI_GENERATE_SWAP_FILE_H_
