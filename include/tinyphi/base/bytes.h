// SPDX-License-Identifier: MIT
// Bounds-checked little-endian reading, and size arithmetic that cannot wrap.
// Every parser of foreign bytes goes through these two.
#ifndef TINYPHI_BASE_BYTES_H_
#define TINYPHI_BASE_BYTES_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "tinyphi/base/error.h"

static_assert(std::endian::native == std::endian::little,
              "tinyphi reads little-endian files in place");

TINYPHI_NAMESPACE_BEGIN

// A size that remembers overflow: the only way sizes from files are added and
// multiplied (CVE-2025-53630 and CVE-2026-27940 were the same sum twice).
class checked_size {
 public:
  constexpr checked_size(std::uint64_t value) : value_(value) {}

  constexpr checked_size& operator+=(checked_size other) {
    ok_ = !__builtin_add_overflow(value_, other.value_, &value_) && ok_ &&
          other.ok_;
    return *this;
  }
  constexpr checked_size& operator*=(checked_size other) {
    ok_ = !__builtin_mul_overflow(value_, other.value_, &value_) && ok_ &&
          other.ok_;
    return *this;
  }
  friend constexpr checked_size operator+(checked_size a, checked_size b) {
    return a += b;
  }
  friend constexpr checked_size operator*(checked_size a, checked_size b) {
    return a *= b;
  }

  // The value, or nothing if any step wrapped.
  [[nodiscard]] constexpr std::optional<std::uint64_t> get() const {
    if (!ok_) return std::nullopt;
    return value_;
  }
  // True if no step wrapped and the value is at most `limit`.
  [[nodiscard]] constexpr bool at_most(std::uint64_t limit) const {
    return ok_ && value_ <= limit;
  }

 private:
  std::uint64_t value_;
  bool ok_ = true;
};

// Reads numbers and strings off a span, front to back. A read past the end
// returns nothing and leaves the position where it was.
class byte_reader {
 public:
  explicit byte_reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  [[nodiscard]] std::size_t offset() const { return offset_; }
  [[nodiscard]] std::size_t remaining() const {
    return bytes_.size() - offset_;
  }

  template <class T>
  [[nodiscard]] std::optional<T> read() {
    static_assert(std::is_arithmetic_v<T>);
    if (remaining() < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, bytes_.data() + offset_, sizeof(T));
    offset_ += sizeof(T);
    return value;
  }

  [[nodiscard]] std::optional<std::span<const std::byte>> read_bytes(
      std::uint64_t n) {
    if (n > remaining()) return std::nullopt;
    auto piece = bytes_.subspan(offset_, static_cast<std::size_t>(n));
    offset_ += static_cast<std::size_t>(n);
    return piece;
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t offset_ = 0;
};

[[nodiscard]] inline std::string_view as_text(std::span<const std::byte> b) {
  return {reinterpret_cast<const char*>(b.data()), b.size()};
}
[[nodiscard]] inline std::span<const std::byte> as_bytes(std::string_view s) {
  return {reinterpret_cast<const std::byte*>(s.data()), s.size()};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_BASE_BYTES_H_
