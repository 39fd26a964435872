// SPDX-License-Identifier: MIT
#include "tinyphi/serve/blake2b.h"

#include "support/test.h"

namespace {

using tinyphi::blake2b_256;
using tinyphi::stable_number;

std::string hex(const tinyphi::blake2b_digest& digest) {
  std::string text;
  for (const std::uint8_t byte : digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

// Byte i is 7 i + n modulo 256.
std::string input(std::size_t n) {
  std::string text;
  for (std::size_t i = 0; i < n; ++i) {
    text += static_cast<char>((i * 7 + n) & 255);
  }
  return text;
}

struct vector {
  std::size_t length;
  std::string digest;
};
// hashlib.blake2b(bytes((7 * i + n) & 255 for i in range(n)), digest_size=32)
const vector vectors[] = {
    {0,
     "0e5751c026e543b2e8ab2eb06099daa1"
     "d1e5df47778f7787faab45cdf12fe3a8"},
    {1,
     "ee155ace9c40292074cb6aff8c9ccdd2"
     "73c81648ff1149ef36bcea6ebb8a3e25"},
    {3,
     "9facd640130c81e7f318a8d5c660bc1b"
     "0f5d03861ffbd4cc1358e0e904593c28"},
    {127,
     "f609ab2904b340cd075920018e0e3c6f"
     "6a90a3dae3edf03d3cccc0634a81ffe3"},
    {128,
     "0702c64922fb7635a1b799668a7e89ba"
     "9c5fe55ed7bd2fdecb001544073afad9"},
    {129,
     "490091b32bad7b3380c9e593d341bce9"
     "b73ff9d4ebcf0091ff932bdff7279897"},
    {255,
     "b579b3e762db9a4a9def50ea22419ca6"
     "69a4875f015a167f52baa86547df7554"},
    {256,
     "3d0cb2693dfbac42af5a6cc960953fea"
     "8714aa39c4bcd054ef61d6b5e98ade4a"},
    {257,
     "080f7f2ee61cc8ffcf2ad907f7a9824a"
     "8445c5e4b194a0106c65f9b9c1ea6787"},
    {1000,
     "a2ae1ecc90361e0bb07dab9789a4b0a7"
     "24ee3cf05623ac6cefa1e6af3da4aae8"},
};

}  // namespace

TEST_CASE("digests are those of Python's hashlib, around the ends of blocks") {
  for (const vector& v : vectors) {
    CAPTURE(v.length);
    CHECK(hex(blake2b_256(input(v.length))) == v.digest);
  }
}

TEST_CASE("a text in pieces has the digest of the whole") {
  for (const std::size_t piece : {1U, 7U, 127U, 128U, 129U}) {
    CAPTURE(piece);
    tinyphi::blake2b h;
    const std::string text = input(1000);
    for (std::size_t i = 0; i < text.size(); i += piece) {
      h.add(std::string_view(text).substr(i, piece));
    }
    CHECK(h.finish() == blake2b_256(text));
  }
}

TEST_CASE("numbers of texts depend on the purpose and on where texts end") {
  CHECK(stable_number("a", {"b", "c"}) == stable_number("a", {"b", "c"}));
  CHECK(stable_number("a", {"b", "c"}) != stable_number("b", {"b", "c"}));
  CHECK(stable_number("a", {"bc"}) != stable_number("a", {"b", "c"}));
  CHECK(stable_number("a", {"bc", ""}) != stable_number("a", {"bc"}));
}
