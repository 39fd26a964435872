// SPDX-License-Identifier: MIT
// BLAKE2b-256 (RFC 7693) without a key: what the key file has of secrets, and
// numbers for names.
#ifndef TINYPHI_SERVE_BLAKE2B_H_
#define TINYPHI_SERVE_BLAKE2B_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

using blake2b_digest = std::array<std::uint8_t, 32>;

// Takes a text in pieces.
class blake2b {
 public:
  blake2b();
  void add(std::string_view piece);
  // Once.
  [[nodiscard]] blake2b_digest finish();

 private:
  void compress(bool last);

  std::array<std::uint64_t, 8> state_;
  std::array<std::uint8_t, 128> block_{};
  std::size_t filled_ = 0;    // bytes of block_
  std::uint64_t length_ = 0;  // of all blocks that were compressed
};

// Of the whole text, as `b2sum -l 256` prints it.
[[nodiscard]] blake2b_digest blake2b_256(std::string_view text);

// A number for a list of texts that is the same on every machine and after
// every restart, and that nobody finds other texts for. `purpose` keeps the
// numbers of different things apart. Neither 0 nor all ones.
[[nodiscard]] std::uint64_t stable_number(
    std::string_view purpose, std::initializer_list<std::string_view> texts);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/blake2b.ipp"
#endif

#endif  // TINYPHI_SERVE_BLAKE2B_H_
