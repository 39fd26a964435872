// SPDX-License-Identifier: MIT
#include "tinyphi/files/hf_folder.h"

#include "files/gguf_builder.h"
#include "support/temp_folder.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;
using Catch::Matchers::Contains;

namespace {

void write_shard(const temp_folder& folder, std::string_view file,
                 std::string name) {
  const std::vector<float> one{1.0f};
  const std::vector<safetensors_output> out{{std::move(name), {1}, one}};
  REQUIRE_OK(write_safetensors(folder.path() / file, out));
}

}  // namespace

TEST_CASE("hf_folder: shards are read through the index") {
  const auto f = hf_folder::open(data_dir() / "tiny" / "medium-4k");
  REQUIRE_OK(f);
  CHECK(f->tensors().size() == 15);
  const tensor_view* w = f->find("model.layers.1.self_attn.qkv_proj.weight");
  REQUIRE(w != nullptr);
  CHECK(w->type == dtype::f16);
  CHECK(w->shape == std::vector<std::size_t>{192, 128});
  f->release(*w);
  REQUIRE_OK(f->text("config.json"));
  CHECK_THAT(**f->text("config.json"), Contains("Phi3ForCausalLM"));
  CHECK(!f->text("tokenizer.json")->has_value());
}

TEST_CASE("hf_folder: a tokenizer without weights opens") {
  const auto f = hf_folder::open(data_dir() / "tokenizer" / "phi-3");
  REQUIRE_OK(f);
  CHECK(f->tensors().empty());
  CHECK(f->file("tokenizer.json").has_value());
  CHECK(!f->file("config.json").has_value());
  const temp_folder tiktoken;
  tiktoken.write("b.tiktoken", "");
  tiktoken.write("a.tiktoken", "");
  const auto t = hf_folder::open(tiktoken.path());
  REQUIRE_OK(t);
  CHECK(t->file_ending_in(".tiktoken") == tiktoken.path() / "a.tiktoken");
}

TEST_CASE("hf_folder: other folders are refused") {
  const temp_folder folder;
  folder.write("pytorch_model.bin", "");
  CHECK_THAT(message_of(hf_folder::open(folder.path())),
             Contains("no config.json in this folder, nor a tokenizer"));
  CHECK(!hf_folder::open(folder.path() / "none"));
}

TEST_CASE("hf_folder: an index names files of the folder and what they hold") {
  const temp_folder folder;
  folder.write("config.json", "{}");
  write_shard(folder, "a.safetensors", "x");
  const auto refusal = [&](std::string_view index) {
    folder.write("model.safetensors.index.json", index);
    return message_of(hf_folder::open(folder.path()));
  };
  CHECK(refusal(R"({"weight_map": {"x": "a.safetensors"}})") == "(no error)");
  for (const std::string_view shard :
       {"\"../a.safetensors\"", "\"/etc/passwd\"", "\"..\"", "\"sub/a\"",
        "\"\"", "5", "\"a\\u0000b\""}) {
    CHECK_THAT(
        refusal(R"({"weight_map": {"x": )" + std::string(shard) + "}}"),
        Contains("weight_map: an entry that does not name a file of this"));
  }
  CHECK_THAT(refusal(R"({"weight_map": {"x": "b.safetensors"}})"),
             Contains("b.safetensors: this shard is missing"));
  CHECK_THAT(refusal(R"({"weight_map": {"y": "a.safetensors"}})"),
             Contains("weight_map: tensor y is not in a.safetensors"));
  CHECK_THAT(refusal("[]"),
             Contains("weight_map: an object from tensor names"));
  CHECK_THAT(refusal("{"), Contains("index.json: byte 1: not valid JSON"));
  write_shard(folder, "b.safetensors", "x");
  CHECK_THAT(
      refusal(
          R"({"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}})"),
      Contains(
          "b.safetensors: tensor x: another shard holds a tensor of this"));
}
