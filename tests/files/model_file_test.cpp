// SPDX-License-Identifier: MIT
#include "tinyphi/files/model_file.h"

#include "files/gguf_builder.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;
using Catch::Matchers::Contains;

TEST_CASE("model_file: a GGUF file and a folder offer the same") {
  const auto tiny = data_dir() / "tiny" / "mini-4k";
  const auto gguf = model_file::open(tiny / "model-f32.gguf");
  const auto hf = model_file::open(tiny);
  REQUIRE_OK(gguf);
  REQUIRE_OK(hf);
  CHECK((gguf->gguf() != nullptr && gguf->hf() == nullptr));
  CHECK((hf->hf() != nullptr && hf->gguf() == nullptr));
  CHECK(gguf->tensors().size() == 21);
  CHECK(hf->tensors().size() == 21);
  const tensor_view* a = gguf->find("blk.2.attn_qkv.weight");
  const tensor_view* b = hf->find("model.layers.2.self_attn.qkv_proj.weight");
  REQUIRE((a != nullptr && b != nullptr));
  CHECK(a->shape == b->shape);
  CHECK(std::equal(a->bytes.begin(), a->bytes.end(), b->bytes.begin(),
                   b->bytes.end()));
  gguf->release(*a);
  hf->release(*b);
  CHECK(a->bytes[0] == b->bytes[0]);
}

TEST_CASE("model_file: every model of the test data opens") {
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(data_dir() / "tiny")) {
    if (!entry.is_directory() && entry.path().extension() != ".gguf") continue;
    const auto m = model_file::open(entry.path());
    REQUIRE_OK(m);
    CHECK(m->tensors().size() > 10);
  }
}

TEST_CASE("model_file: a vocabulary alone opens, a part of a folder does not") {
  const auto m = model_file::open(data_dir() / "tokenizer/phi-3-vocab.gguf");
  REQUIRE_OK(m);
  CHECK(m->tensors().empty());
  CHECK_THAT(message_of(model_file::open(data_dir() /
                                         "tiny/mini-4k/model.safetensors")),
             Contains("give the folder that it is in"));
  CHECK(model_file::open("/nonexistent").error().code == error_code::not_found);
  CHECK(!model_file::open("/dev/zero"));
}
