// SPDX-License-Identifier: MIT
// Each rule of the safetensors reader, with a file that breaks it; and the
// writer, also on a full disk.
#include "tinyphi/files/safetensors.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>

#include "files/gguf_builder.h"
#include "support/temp_folder.h"
#include "support/test.h"
#include "tinyphi/base/bytes.h"

using namespace tinyphi;
using namespace tinyphi_test;
using Catch::Matchers::Contains;

namespace {

std::string file_of(std::string_view header, std::size_t data_bytes) {
  return byte_string().text(header).bytes() + std::string(data_bytes, '\0');
}
std::string refusal(std::string_view header, std::size_t data_bytes) {
  const std::string bytes = file_of(header, data_bytes);
  return message_of(safetensors_file::parse(as_bytes(bytes), "f"));
}
std::size_t files_in(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator(folder), {}));
}

}  // namespace

TEST_CASE(
    "safetensors: entries of every type, views of what tinyphi computes") {
  const std::string bytes = file_of(
      R"({"__metadata__": {"format": "pt"},
          "a": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]},
          "n": {"dtype": "I64", "shape": [1], "data_offsets": [12, 20]},
          "e": {"dtype": "F32", "shape": [0, 4], "data_offsets": [20, 20]},
          "s": {"dtype": "F32", "shape": [], "data_offsets": [20, 24]}}  )",
      24);
  const auto f = safetensors_file::parse(as_bytes(bytes), "f");
  REQUIRE_OK(f);
  REQUIRE(f->entries().size() == 4);
  const auto view = f->view(*f->find("a"));
  REQUIRE_OK(view);
  CHECK(view->type == dtype::bf16);
  CHECK(view->shape == std::vector<std::size_t>{2, 3});
  CHECK(f->find("n")->bytes.size() == 8);
  CHECK(message_of(f->view(*f->find("n"))) ==
        "f: tensor n: type I64 where tinyphi needs one of F32, F16, BF16");
  CHECK(message_of(f->view(*f->find("e"))) ==
        "f: tensor e: shape [0][4] has no elements");
  CHECK(f->view(*f->find("s"))->cols() == 1);
  CHECK(f->find("b") == nullptr);
}

TEST_CASE("safetensors: the header lies in the file and is a JSON object") {
  for (const std::string_view bytes :
       {std::string_view(""), std::string_view("\x02\0\0\0", 4),
        std::string_view("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF{}", 10),
        std::string_view("\x03\0\0\0\0\0\0\0{}", 10)}) {
    CHECK_THAT(message_of(safetensors_file::parse(as_bytes(bytes), "f")),
               Contains("f: byte 0: ") && Contains("not a safetensors file"));
  }
  CHECK_THAT(refusal("{\"a\": ", 0), Contains("f: header: byte 6"));
  CHECK_THAT(refusal("[]", 0), Contains("the header is not a JSON object"));
  CHECK_THAT(refusal(R"({"a": [[[[[1]]]]]})", 0), Contains("f: header: byte"));
  CHECK_THAT(refusal(R"({"a": 5})", 0), Contains("tensor a: its entry in the"));
  CHECK_THAT(refusal("{\"a\\u001b\": {}}", 0),
             Contains("other than printable ASCII"));
}

TEST_CASE("safetensors: type, shape and place of a tensor are checked") {
  const auto entry = [](std::string_view type, std::string_view shape,
                        std::string_view offsets) {
    return refusal(R"({"t": {"dtype": )" + std::string(type) +
                       ", \"shape\": " + std::string(shape) +
                       ", \"data_offsets\": " + std::string(offsets) + "}}",
                   16);
  };
  CHECK(entry("\"F32\"", "[4]", "[0, 16]") == "(no error)");
  CHECK(entry("\"F31\"", "[4]", "[0, 16]") ==
        "f: tensor t: dtype: unknown type F31");
  CHECK_THAT(entry("null", "[4]", "[0, 16]"), Contains("tensor t: dtype: "));
  CHECK_THAT(entry("\"\\u001b\"", "[4]", "[0, 16]"),
             Contains("the name of an"));
  for (const std::string_view shape :
       {"4", "[-4]", "[4.5]", "[\"4\"]", "[1,1,1,1,1,1,1,1,4]", "null"}) {
    CHECK_THAT(entry("\"F32\"", shape, "[0, 16]"),
               Contains("tensor t: shape: an array of 0 to 8 natural numbers"));
  }
  for (const std::string_view offsets : {"[0]", "[0, 16, 16]", "[-1, 16]"}) {
    CHECK_THAT(entry("\"F32\"", "[4]", offsets), Contains("data_offsets: an"));
  }
  CHECK(entry("\"F32\"", "[5]", "[0, 20]") ==
        "f: tensor t: data_offsets: 0 to 20, the file holds 16 bytes of "
        "tensors; it is cut short or broken");
  CHECK_THAT(entry("\"F32\"", "[4]", "[16, 0]"), Contains("16 to 0, the file"));
  CHECK(entry("\"F32\"", "[5]", "[0, 16]") ==
        "f: tensor t: data_offsets: F32 [5] needs 20 bytes, 16 are given");
  // 2^62 * 4 wraps to 0.
  CHECK_THAT(entry("\"F32\"", "[4611686018427387904]", "[0, 0]"),
             Contains("needs too many bytes, 0 are given"));
}

TEST_CASE("safetensors: tensors share no bytes") {
  const auto second_at = [](std::string_view offsets) {
    return refusal(
        R"({"a": {"dtype": "U8", "shape": [8], "data_offsets": [4, 12]},)"
        R"( "b": {"dtype": "U8", "shape": [4], "data_offsets": )" +
            std::string(offsets) + "}}",
        16);
  };
  CHECK(second_at("[0, 4]") == "(no error)");
  CHECK(second_at("[12, 16]") == "(no error)");
  CHECK(second_at("[8, 12]") == "f: tensor b: begins inside another tensor");
  CHECK(second_at("[2, 6]") == "f: tensor a: begins inside another tensor");
}

TEST_CASE("safetensors: what is written is read again") {
  const temp_folder folder;
  const std::vector<float> logits{1.5f, -2, 3, 4, 5, 6};
  const std::vector<std::int64_t> ids{7, -8};
  const std::vector<safetensors_output> out{{"logits", {2, 3}, logits},
                                            {"ids", {2}, ids}};
  const auto path = folder.write("x.safetensors", "old");
  REQUIRE_OK(write_safetensors(path, out));
  const auto f = safetensors_file::open(path);
  REQUIRE_OK(f);
  CHECK(f->find("logits")->type == "F32");
  CHECK(f->find("logits")->shape == std::vector<std::size_t>{2, 3});
  CHECK(std::memcmp(f->find("logits")->bytes.data(), logits.data(), 24) == 0);
  CHECK(f->find("ids")->type == "I64");
  CHECK(std::memcmp(f->find("ids")->bytes.data(), ids.data(), 16) == 0);
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("safetensors: a write that fails leaves what was there") {
  const temp_folder folder;
  const std::vector<float> big(100000);
  const auto path = folder.write("x.safetensors", "old");
  const std::vector<safetensors_output> wrong{{"t", {5}, big}};
  CHECK_THAT(message_of(write_safetensors(path, wrong)),
             Contains("tensor t: 400000 bytes for shape [5]"));
  const std::vector<safetensors_output> right{{"t", {100000}, big}};
  CHECK(write_safetensors(folder.path() / "none" / "x", right).error().code ==
        error_code::not_found);

  // A limit on the size of files stands for the full disk.
  ::rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const ::rlimit small{4096, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const auto full = write_safetensors(path, right);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, handler);
  CHECK(full.error().code == error_code::io);
  CHECK_THAT(message_of(full), Contains(path.string()));
  CHECK(files_in(folder.path()) == 1);
  CHECK(*read_file(path, 99) == "old");
}

TEST_CASE("safetensors: values that come bit by bit are the same file") {
  const temp_folder folder;
  const std::vector<float> values{1.5f, -2, 3, 4, 5, 6};
  const auto bytes = std::as_bytes(std::span(values));
  const safetensors_writer::entry entry{"t", "F32", 4, {3, 2}};
  const auto path = folder.path() / "x";
  {
    auto w = safetensors_writer::create(path, {&entry, 1});
    REQUIRE_OK(w);
    const auto most = w->append(bytes.first(20));
    REQUIRE_OK(most);
    CHECK_THAT(message_of(w->commit()), Contains("4 bytes less"));
    CHECK_THAT(message_of(w->append(bytes.first(8))), Contains("4 bytes more"));
    CHECK(!std::filesystem::exists(path));
    const auto rest = w->append(bytes.last(4));
    REQUIRE_OK(rest);
    const auto committed = w->commit();
    REQUIRE_OK(committed);
  }
  const auto whole = folder.path() / "y";
  const std::vector<safetensors_output> at_once{{"t", {3, 2}, values}};
  REQUIRE_OK(write_safetensors(whole, at_once));
  CHECK(*read_file(path, 999) == *read_file(whole, 999));

  // One that is given up leaves nothing.
  const auto other = folder.path() / "z";
  const auto given_up = [&] {
    auto w = safetensors_writer::create(other, {&entry, 1});
    REQUIRE_OK(w);
    return message_of(w->append(bytes.first(8)));
  };
  CHECK(given_up() == "(no error)");
  CHECK(files_in(folder.path()) == 2);
}

TEST_CASE("safetensors: entries that cannot be are refused") {
  const temp_folder folder;
  const auto create = [&](std::vector<safetensors_writer::entry> entries) {
    return message_of(safetensors_writer::create(folder.path() / "x", entries));
  };
  const std::size_t many = std::size_t{1} << 32;
  CHECK_THAT(create({{"t", "F32", 4, {many, many}}}), Contains("tensor t"));
  CHECK_THAT(create({{"a", "F32", 4, {1}}, {"a", "F32", 4, {1}}}),
             Contains("twice"));
  CHECK(files_in(folder.path()) == 0);
}

TEST_CASE("safetensors: a device is not replaced by a file") {
  const temp_folder folder;
  const auto pipe = folder.path() / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  const std::vector<float> one(1);
  const std::vector<safetensors_output> output{{"t", {1}, one}};
  CHECK(message_of(write_safetensors(pipe, output)) ==
        pipe.string() + ": not a regular file");
  CHECK(std::filesystem::is_fifo(pipe));
}
