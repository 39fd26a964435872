// SPDX-License-Identifier: MIT
#include "tinyphi/base/bytes.h"

#include <cstdint>
#include <limits>

#include "support/test.h"

using namespace tinyphi;

constexpr auto max64 = std::numeric_limits<std::uint64_t>::max();

TEST_CASE("checked_size computes what fits") {
  CHECK(*(checked_size(6) * 7 + 8).get() == 50);
  CHECK(checked_size(50).at_most(50));
  CHECK(!checked_size(51).at_most(50));
}

TEST_CASE("checked_size remembers that a step wrapped") {
  CHECK(!(checked_size(max64) + 1).get());
  CHECK(!(checked_size(max64) * 2).get());
  CHECK(!(checked_size(max64) + 1).at_most(max64));
  // Back in range, but by way of a wrapped value, on either side.
  CHECK(!(checked_size(max64) * 2 * 0).get());
  CHECK(!(checked_size(0) + checked_size(max64) * 2).get());
}

TEST_CASE("byte_reader reads little-endian numbers front to back") {
  byte_reader r(as_bytes(std::string_view("\x01\x02\x03\x04\x05", 5)));
  CHECK(r.read<std::uint16_t>() == 0x0201);
  CHECK(r.read<std::uint8_t>() == 3);
  CHECK(r.offset() == 3);
  CHECK(r.remaining() == 2);
}

TEST_CASE("byte_reader refuses to read past the end and stays where it was") {
  byte_reader r(as_bytes("abc"));
  CHECK(!r.read<std::uint32_t>());
  CHECK(!r.read_bytes(4));
  CHECK(!r.read_bytes(max64));
  CHECK(r.offset() == 0);
  CHECK(as_text(*r.read_bytes(3)) == "abc");
  CHECK(!r.read<std::uint8_t>());
}
