// SPDX-License-Identifier: MIT
// Each rule of the GGUF reader, with a file that breaks it.
#include "tinyphi/files/gguf.h"

#include <cmath>
#include <limits>

#include "files/gguf_builder.h"
#include "support/effort.h"
#include "support/foreign_locale.h"
#include "support/temp_folder.h"
#include "support/test.h"
#include "tinyphi/base/bytes.h"

using namespace tinyphi;
using namespace tinyphi_test;
using Catch::Matchers::Contains;

namespace {

constexpr std::uint64_t huge = std::numeric_limits<std::uint64_t>::max();

std::string refusal(const std::string& bytes) {
  return message_of(gguf_file::parse(as_bytes(bytes), "m.gguf"));
}
std::string refusal(const gguf_builder& b) { return refusal(b.bytes()); }

gguf_builder with_tensor(const std::vector<std::uint64_t>& dims,
                         std::uint32_t type = 0, std::uint64_t offset = 0) {
  gguf_builder b;
  b.tensor("t", dims, type, offset).data(256);
  return b;
}

}  // namespace

TEST_CASE("GGUF: a right file gives its values and tensors") {
  gguf_builder b;
  b.u32("n", 7).f32("x", 0.5f).flag("yes", true).string("s", "text");
  b.value<std::int8_t>("small", gguf_type::i8, -3);
  b.value<std::uint64_t>("wide", gguf_type::u64, huge);
  b.strings("words", {"a", "", "\xE2\x96\x81"});
  b.array<std::int32_t>("types", gguf_type::i32, {1, -2, 3});
  b.array<float>("scores", gguf_type::f32, {0.0f, -1.5f});
  b.floats("w", {3, 2}, {0, 1, 2, 3, 4, 5});
  for (const std::uint32_t version : {2u, 3u}) {
    b.version = version;
    const std::string bytes = b.bytes();
    const auto f = gguf_file::parse(as_bytes(bytes), "m");
    REQUIRE_OK(f);
    CHECK(f->version() == version);
    CHECK(**f->integer("n", 0, 7) == 7);
    CHECK(**f->integer("small", -3, 3) == -3);
    CHECK(**f->number("x") == 0.5);
    CHECK(**f->number("n") == 7.0);
    CHECK(**f->boolean("yes"));
    CHECK(**f->string("s") == "text");
    CHECK((**f->strings("words", 3, 3))[2] == "\xE2\x96\x81");
    CHECK(**f->integers("types", 1, 9) == std::vector<std::int64_t>{1, -2, 3});
    CHECK(**f->floats("scores", 2, 2) == std::vector<float>{0.0f, -1.5f});
    CHECK(!f->integer("absent", 0, 1)->has_value());
    CHECK(!f->strings("absent", 0, 1)->has_value());
    REQUIRE(f->tensors().size() == 1);
    const tensor_view* w = f->find("w");
    REQUIRE(w != nullptr);
    CHECK(w->shape == std::vector<std::size_t>{2, 3});
    float last = 0;
    std::memcpy(&last, w->row(1).data() + 8, 4);
    CHECK(last == 5.0f);
    CHECK(f->find("v") == nullptr);
  }
}

TEST_CASE("GGUF: getters name file, key, what was found and what is allowed") {
  gguf_builder b;
  b.u32("n", 7).string("s", "text").flag("yes", true);
  b.value<std::uint64_t>("wide", gguf_type::u64, huge);
  b.strings("words", {"a", "b"});
  b.array<float>("scores", gguf_type::f32, {1});
  b.array<std::uint64_t>("wides", gguf_type::u64, {huge});
  const std::string bytes = b.bytes();
  const auto f = gguf_file::parse(as_bytes(bytes), "m");
  REQUIRE_OK(f);
  CHECK(message_of(f->integer("n", 8, 9)) ==
        "m: n: 7 where tinyphi needs an integer from 8 to 9");
  CHECK(message_of(f->integer("s", 8, 9)) ==
        "m: s: a value of type string where tinyphi needs an integer from 8 to "
        "9");
  CHECK(message_of(f->integer("wide", 0, 9)) ==
        "m: wide: a value of type u64 where tinyphi needs an integer from 0 to "
        "9");
  CHECK(message_of(f->number("words")) ==
        "m: words: an array of 2 values of type string where tinyphi needs a "
        "number");
  CHECK(message_of(f->boolean("n")) ==
        "m: n: a value of type u32 where tinyphi needs true or false");
  CHECK(message_of(f->string("yes")) ==
        "m: yes: a value of type bool where tinyphi needs a string");
  // The element type and the length of an array, before anything is read.
  CHECK(message_of(f->strings("words", 3, 3)) ==
        "m: words: an array of 2 values of type string where tinyphi needs an "
        "array of 3 strings");
  CHECK(message_of(f->floats("words", 1, 9)) ==
        "m: words: an array of 2 values of type string where tinyphi needs an "
        "array of 1 to 9 floats");
  CHECK(!f->integers("scores", 1, 1));
  CHECK(!f->strings("s", 1, 9));
  CHECK_THAT(message_of(f->integers("wides", 1, 1)), Contains("63 bits"));
}

TEST_CASE("GGUF: a file cut anywhere is refused") {
  gguf_builder b;
  b.u32("n", 7).strings("words", {"a", "bc"}).string("s", "text");
  b.floats("w", {3, 2}, {0, 1, 2, 3, 4, 5});
  const std::string bytes = b.bytes();
  REQUIRE(refusal(bytes) == "(no error)");
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    // Its own allocation, so that a sanitizer sees a read past the end.
    const std::vector<char> cut(bytes.begin(),
                                bytes.begin() + static_cast<std::ptrdiff_t>(n));
    INFO(n);
    CHECK(!gguf_file::parse(as_bytes(std::string_view(cut.data(), n)), "m"));
  }
  CHECK(refusal("GGUF") ==
        "m.gguf: byte 4: the file ends inside the version; it is cut short or "
        "broken");
}

TEST_CASE("GGUF: other files, versions and byte orders are told apart") {
  gguf_builder b;
  b.magic = 0x04034b50;
  CHECK(refusal(b) ==
        "m.gguf: byte 0: not a GGUF file: it does not begin with \"GGUF\"");
  b.magic = 0x46554747;
  b.version = 1;
  CHECK_THAT(refusal(b), Contains("byte 4: GGUF version 1, versions 2 and 3"));
  b.version = 4;
  CHECK_THAT(refusal(b), Contains("GGUF version 4"));
  b.version = 0x03000000;
  CHECK_THAT(refusal(b), Contains("a big-endian GGUF file"));
}

TEST_CASE("GGUF: counts are bounded by the bytes that are left") {
  gguf_builder tensors;
  tensors.extra_tensors = huge / 33;
  CHECK_THAT(refusal(tensors),
             Contains("byte 8: 558992244657865200 tensors do not fit in the 8 "
                      "bytes that are left"));
  gguf_builder values;
  values.extra_values = huge;
  CHECK_THAT(refusal(values), Contains("byte 16: 18446744073709551615 metadata "
                                       "values do not fit in the 0 bytes"));
  for (const std::uint32_t element : {0u, 8u, 12u}) {
    gguf_builder array;
    byte_string record;
    record.text("a").number<std::uint32_t>(9).number(element);
    array.raw_value(record.number<std::uint64_t>(huge / 4));
    CHECK_THAT(refusal(array), Contains("elements of a do not fit in the 0"));
  }
}

TEST_CASE("GGUF: string lengths are bounded") {
  const auto with_length = [](std::uint64_t n) {
    gguf_builder b;
    byte_string record;
    b.raw_value(record.text("k").number<std::uint32_t>(8).number(n));
    return refusal(b);
  };
  CHECK_THAT(with_length(huge), Contains("k of 18446744073709551615 bytes, at "
                                         "most 16777216 are allowed"));
  CHECK_THAT(with_length(1000), Contains("the file ends inside k"));
  gguf_builder long_key;
  long_key.u32(std::string(70000, 'k'), 1);
  CHECK_THAT(refusal(long_key), Contains("at most 65535 are allowed"));
  gguf_builder long_name;
  long_name.tensor(std::string(300, 't'), {1}, 0, 0).data(4);
  CHECK_THAT(refusal(long_name), Contains("the name of a tensor of 300 bytes"));
}

TEST_CASE("GGUF: names that a terminal could obey are refused") {
  for (const std::string key : {"", "a b", "a\x1B[2J", "\xC3\xA4"}) {
    gguf_builder b;
    b.u32(key, 1).data(8);
    CHECK_THAT(refusal(b), Contains("a metadata key is empty or holds other"));
    gguf_builder t;
    t.tensor(key, {1}, 0, 0).data(8);
    CHECK_THAT(refusal(t), Contains("the name of a tensor is empty or holds"));
  }
}

TEST_CASE("GGUF: unknown value types and nested arrays are refused") {
  gguf_builder b;
  byte_string record;
  b.raw_value(record.text("key").number<std::uint32_t>(13).number<int>(0));
  CHECK_THAT(refusal(b),
             Contains("key: metadata type 13, 0 to 12 are allowed"));
  gguf_builder nested;
  byte_string array;
  array.text("key").number<std::uint32_t>(9).number<std::uint32_t>(9);
  nested.raw_value(array.number<std::uint64_t>(0));
  CHECK_THAT(refusal(nested), Contains("key: an array of arrays"));
}

TEST_CASE("GGUF: a key or tensor that comes twice is refused") {
  gguf_builder keys;
  keys.u32("k", 1).u32("k", 2);
  CHECK_THAT(refusal(keys), Contains("k: this metadata key comes twice"));
  gguf_builder tensors;
  tensors.tensor("t", {1}, 0, 0).tensor("t", {1}, 0, 0).data(4);
  CHECK_THAT(refusal(tensors), Contains("tensor t: this name comes twice"));
}

TEST_CASE("GGUF: the alignment is a power of two up to 4096") {
  for (const std::uint32_t bad : {0u, 3u, 48u, 8192u, 0x80000000u}) {
    gguf_builder b;
    b.u32("general.alignment", bad);
    INFO(bad);
    CHECK_THAT(refusal(b), Contains("m.gguf: general.alignment: " +
                                    std::to_string(bad) + " where"));
  }
  gguf_builder text;
  text.string("general.alignment", "32");
  CHECK_THAT(refusal(text), Contains("general.alignment: a value of type"));
  for (const std::uint32_t good : {1u, 8u, 4096u}) {
    gguf_builder b;
    b.alignment = good;
    b.u32("general.alignment", good).floats("t", {2}, {1, 2});
    CHECK(refusal(b) == "(no error)");
  }
}

TEST_CASE("GGUF: shapes are checked before they are multiplied") {
  CHECK_THAT(refusal(with_tensor({})),
             Contains("tensor t: 0 dimensions, 1 to 4 are allowed"));
  CHECK_THAT(refusal(with_tensor({1, 1, 1, 1, 1})),
             Contains("tensor t: 5 dimensions, 1 to 4 are allowed"));
  CHECK_THAT(refusal(with_tensor({4, 0})),
             Contains("tensor t: a dimension of 0 elements"));
  // The product wraps to 0, and to a small number.
  const std::uint64_t half = std::uint64_t{1} << 32;
  CHECK_THAT(refusal(with_tensor({half, half})),
             Contains("is larger than any file"));
  CHECK_THAT(refusal(with_tensor({half, half, 2, 2})),
             Contains("is larger than any file"));
  CHECK_THAT(refusal(with_tensor({(huge >> 2) + 2})),
             Contains("is larger than any file"));
  CHECK_THAT(refusal(with_tensor({16}, 8)),
             Contains("tensor t: rows of 16 elements, Q8_0 needs a multiple of "
                      "32"));
}

TEST_CASE("GGUF: tensors lie inside the file") {
  CHECK(refusal(with_tensor({64})) == "(no error)");
  CHECK_THAT(refusal(with_tensor({65})),
             Contains("m.gguf: tensor t: F32 [65] needs 260 bytes at offset 0, "
                      "the file holds 256 bytes of tensors"));
  CHECK_THAT(refusal(with_tensor({64}, 0, 32)), Contains("at offset 32"));
  CHECK_THAT(refusal(with_tensor({64}, 0, huge - 31)),
             Contains("at offset 18446744073709551584"));
  CHECK_THAT(refusal(with_tensor({1}, 0, 4)),
             Contains("tensor t: offset 4 is not a multiple of the alignment "
                      "32"));
}

TEST_CASE("GGUF: tensors share no bytes") {
  const auto second_at = [](std::uint64_t offset) {
    gguf_builder b;
    b.tensor("a", {16}, 0, 64).tensor("b", {16}, 0, offset).data(192);
    return refusal(b);
  };
  CHECK(second_at(0) == "(no error)");
  CHECK(second_at(128) == "(no error)");
  CHECK(second_at(32) == "m.gguf: tensor a: begins inside another tensor");
  CHECK(second_at(96) == "m.gguf: tensor b: begins inside another tensor");
  CHECK_THAT(second_at(64), Contains(": begins inside another tensor"));
}

TEST_CASE("GGUF: element types that tinyphi cannot read are named") {
  CHECK_THAT(
      refusal(with_tensor({256}, 16)),
      Contains("tensor t: type IQ2_XXS where tinyphi needs one of F32, F16, "
               "BF16, Q8_0, Q4_0, Q4_1, Q5_0"));
  CHECK_THAT(refusal(with_tensor({256}, 4)), Contains("type id 4 where"));
  CHECK_THAT(refusal(with_tensor({256}, 4000000000u)),
             Contains("type id 4000000000 where"));
  const std::string bytes = with_tensor({256}, 16).bytes();
  CHECK(gguf_file::parse(as_bytes(bytes), "m").error().code ==
        error_code::unsupported);
}

TEST_CASE("GGUF: one part of a split file is refused") {
  gguf_builder b;
  b.value<std::uint16_t>("split.count", gguf_type::u16, 3);
  CHECK_THAT(refusal(b), Contains("split.count: one of 3 parts; join them"));
}

TEST_CASE("GGUF: files are mapped; folders and missing files are refused") {
  const temp_folder folder;
  gguf_builder b;
  b.floats("w", {3, 2}, {0, 1, 2, 3, 4, 5});
  const auto path = folder.write("m.gguf", b.bytes());
  auto f = gguf_file::open(path);
  REQUIRE_OK(f);
  const gguf_file moved = *std::move(f);
  CHECK(moved.find("w")->bytes.size() == 24);
  moved.release(*moved.find("w"));
  CHECK(moved.find("w")->bytes[4] == std::byte{0});
  CHECK(gguf_file::open(folder.path() / "none").error().code ==
        error_code::not_found);
  CHECK(!gguf_file::open(folder.path()));
  CHECK_THAT(message_of(gguf_file::open(folder.write("empty", ""))),
             Contains("byte 0: the file ends inside the magic number"));
}

TEST_CASE("GGUF: metadata is shown without control characters, in any locale") {
  gguf_builder b;
  b.u32("n", 7)
      .f32("x", 0.5f)
      .flag("yes", true)
      .string("s",
              "a\x1B"
              "bcdef");
  b.strings("words", {"a", "b"});
  const std::string bytes = b.bytes();
  const auto f = gguf_file::parse(as_bytes(bytes), "m");
  REQUIRE_OK(f);
  CHECK(describe(f->metadata().at("n")) == "7");
  CHECK(describe(f->metadata().at("x")) == "0.5");
  {
    const foreign_locale german;
    REQUIRE(german.holds());
    CHECK(describe(f->metadata().at("x")) == "0.5");
  }
  CHECK(describe(f->metadata().at("yes")) == "true");
  CHECK(describe(f->metadata().at("s"), 4) == "\"a.bc...\"");
  CHECK(describe(f->metadata().at("words")) == "[2 string]");
}

TEST_CASE("GGUF: a vocabulary of 200000 strings opens in less than 0.2 s") {
  gguf_builder b;
  std::vector<std::string> words(200000);
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = std::to_string(i);
  b.strings("words", words).strings("merges", words);
  const std::string bytes = b.bytes();
  const double begin = cpu_seconds();
  const auto f = gguf_file::parse(as_bytes(bytes), "m");
  REQUIRE_OK(f);
  const auto all = f->strings("words", 200000, 200000);
  const double took = cpu_seconds() - begin;
  REQUIRE_OK(all);
  CHECK((**all)[199999] == "199999");
  CHECK(took < effort(0.2, 1.0));  // some milliseconds
}
