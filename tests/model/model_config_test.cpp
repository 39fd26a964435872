// SPDX-License-Identifier: MIT
#include "tinyphi/model/model_config.h"

#include <cmath>
#include <limits>

#include "files/gguf_builder.h"
#include "support/temp_folder.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;
using Catch::Matchers::Contains;
using ids = std::vector<std::int32_t>;

namespace {

result<model_config> read(const std::filesystem::path& path) {
  TINYPHI_TRY(const model_file file, model_file::open(path));
  return read_model_config(file);
}

result<model_config> read_json(std::string_view config,
                               std::string_view generation = {}) {
  const temp_folder folder;
  folder.write("config.json", config);
  if (!generation.empty()) folder.write("generation_config.json", generation);
  return read(folder.path());
}

// A small phi3 config with `more` members in front: parse_json lets the last of
// two equal keys win, so `more` is put behind.
std::string phi3(std::string_view more = {}) {
  return R"({"model_type": "phi3", "vocab_size": 100, "hidden_size": 64,
             "intermediate_size": 128, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2,
             "max_position_embeddings": 64, "eos_token_id": 9)" +
         std::string(more.empty() ? "" : ", ") + std::string(more) + "}";
}
std::string phi3_small(std::string_view more = {}) {
  return R"({"model_type": "phi3small", "vocab_size": 100352,
             "hidden_size": 96, "ff_intermediate_size": 128,
             "num_hidden_layers": 2, "num_attention_heads": 6,
             "num_key_value_heads": 2, "max_position_embeddings": 64,
             "mup_attn_multiplier": 2.0, "mup_use_scaling": true)" +
         std::string(more.empty() ? "" : ", ") + std::string(more) + "}";
}

// Eight factors for a head of 16.
const std::string factors =
    R"("short_factor": [1, 1, 1, 1, 1, 1, 1, 2],
       "long_factor": [2, 2, 2, 2, 2, 2, 2, 9.5])";

// The same model as GGUF; a key that the test sets itself is left out.
gguf_builder phi3_gguf(const std::vector<std::string>& without = {}) {
  gguf_builder b;
  const auto add = [&](std::string key, std::uint32_t v) {
    key.insert(0, "phi3.");
    if (std::find(without.begin(), without.end(), key) == without.end()) {
      b.u32(key, v);
    }
  };
  b.string("general.architecture", "phi3");
  add("context_length", 64);
  add("rope.scaling.original_context_length", 64);
  add("embedding_length", 64);
  add("feed_forward_length", 128);
  add("block_count", 2);
  add("attention.head_count", 4);
  add("attention.head_count_kv", 2);
  add("rope.dimension_count", 16);
  add("attention.sliding_window", 0);
  return b;
}
gguf_builder& with_embedding(gguf_builder& b) {
  return b.floats("token_embd.weight", {64, 100},
                  std::vector<float>(std::size_t{64} * 100));
}
result<model_config> read_gguf(const gguf_builder& b) {
  const temp_folder folder;
  return read(folder.write("m.gguf", b.bytes()));
}

}  // namespace

TEST_CASE("model_config: mini-4k, from the folder and from GGUF") {
  const auto tiny = data_dir() / "tiny" / "mini-4k";
  for (const auto& path : {tiny, tiny / "model-f32.gguf"}) {
    const auto c = read(path);
    REQUIRE_OK(c);
    CHECK(c->arch == architecture::phi3);
    CHECK(c->vocab_size == 320);
    CHECK(c->hidden == 96);
    CHECK(c->intermediate == 256);
    CHECK(c->n_layers == 3);
    CHECK(c->n_heads == 3);
    CHECK(c->n_kv_heads == 3);
    CHECK(c->head_dim == 32);
    CHECK(c->max_context == 64);
    CHECK(c->window == 7);
    CHECK(c->norm_eps == 1e-5f);
    CHECK(c->attention_scale == 1.0f / std::sqrt(32.0f));
    CHECK(!c->tied_embeddings);
    CHECK(c->rope.theta == 10000.0f);
    CHECK(c->rope.rotary_dim == 32);
    CHECK(c->rope.original_context == 64);
    CHECK(!c->rope.is_longrope());
    CHECK(c->rope.long_scale == 1.0f);
    CHECK(c->bos_id == 1);
    CHECK(c->eos_ids == ids{300});
    CHECK(c->masked_ids.empty());
  }
}

TEST_CASE("model_config: longrope, grouped heads, partial rotary, tied") {
  const auto tiny = data_dir() / "tiny" / "phi-4-mini";
  for (const auto& path : {tiny, tiny / "model-f16.gguf"}) {
    const auto c = read(path);
    REQUIRE_OK(c);
    CHECK(c->n_heads == 6);
    CHECK(c->n_groups() == 3);
    CHECK(c->head_dim == 32);
    CHECK(c->rope.rotary_dim == 24);
    CHECK(c->tied_embeddings);
    CHECK(c->window == 0);  // 2048 of 1024: off
    CHECK(c->rope.original_context == 32);
    REQUIRE(c->rope.long_factors.size() == 12);
    CHECK(c->rope.long_factors[11] == 58.263f);
    CHECK(c->rope.short_factors[0] == 1.2634f);
    // sqrt(1 + ln 32 / ln 32)
    CHECK(c->rope.long_scale == Approx(std::sqrt(2.0f)));
    CHECK(c->rope.short_scale == c->rope.long_scale);
  }
}

TEST_CASE("model_config: Phi-4 and Phi-3-small from their folders") {
  const auto phi4 = read(data_dir() / "tiny" / "phi-4");
  REQUIRE_OK(phi4);
  CHECK(phi4->rope.theta == 250000.0f);
  CHECK(phi4->window == 0);

  const auto small = read(data_dir() / "tiny" / "small-128k");
  REQUIRE_OK(small);
  CHECK(small->arch == architecture::phi3_small);
  CHECK(small->intermediate == 128);
  CHECK(small->head_dim == 16);
  CHECK(small->attention_scale == 1.0f / 16);
  CHECK(small->embedding_multiplier == 10.0f);
  CHECK(small->logits_divisor == 8.0f);
  CHECK(small->gegelu_limit == 2.0f);
  CHECK(small->sparse.block == 4);
  CHECK(small->sparse.local_blocks == 2);
  CHECK(small->sparse.vert_stride == 3);
  CHECK(small->sparse.dense_every == 2);
  CHECK(!small->sparse.homo_head_pattern);
  CHECK(small->tied_embeddings);
  CHECK(small->rope.theta == 1e6f);
  CHECK(small->rope.original_context == 32);
  CHECK(small->rope.short_scale == 1.1f);
  CHECK(small->rope.long_scale == 1.25f);
  CHECK(small->rope.long_factors.size() == 8);
  const auto small_8k = read(data_dir() / "tiny" / "small-8k");
  REQUIRE_OK(small_8k);
  CHECK(!small_8k->rope.is_longrope());
}

TEST_CASE("model_config: every model of the test data has one") {
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(data_dir() / "tiny")) {
    if (!entry.is_directory() && entry.path().extension() != ".gguf") continue;
    REQUIRE_OK(read(entry.path()));
  }
}

TEST_CASE("model_config: the form of transformers 5 gives the same") {
  const auto published =
      read_json(phi3(R"("rope_theta": 5000.0, "partial_rotary_factor": 1.0,
              "original_max_position_embeddings": 16,
              "rope_scaling": {"type": "su", )" +
                     factors + "}"));
  const auto newer = read_json(
      phi3(R"("rope_parameters": {"rope_type": "longrope", "rope_theta": 5000.0,
              "partial_rotary_factor": 1.0,
              "original_max_position_embeddings": 16, )" +
           factors + "}"));
  for (const auto& c : {published, newer}) {
    REQUIRE_OK(c);
    CHECK(c->rope.theta == 5000.0f);
    CHECK(c->rope.rotary_dim == 16);
    CHECK(c->rope.original_context == 16);
    CHECK(c->rope.long_factors.back() == 9.5f);
    // scale 4: sqrt(1 + ln 4 / ln 16)
    CHECK(c->rope.short_scale == Approx(std::sqrt(1.5)));
  }
  const auto plain = read_json(phi3(
      R"("rope_parameters": {"rope_type": "default", "rope_theta": 77.0,
         "partial_rotary_factor": 0.5})"));
  REQUIRE_OK(plain);
  CHECK(plain->rope.theta == 77.0f);
  CHECK(plain->rope.rotary_dim == 8);
  CHECK(!plain->rope.is_longrope());
  CHECK(plain->rope.original_context == 64);
}

TEST_CASE("model_config: the attention factor is given, or follows") {
  const auto scales = [](std::string_view more) {
    const auto c = read_json(phi3(R"("max_position_embeddings": 131072,
        "original_max_position_embeddings": 4096, "rope_scaling": {)" +
                                  factors + std::string(more) + "}"));
    REQUIRE_OK(c);
    return std::pair(c->rope.short_scale, c->rope.long_scale);
  };
  const auto formula = scales(R"(, "type": "longrope")");
  CHECK(formula.first == Approx(1.190238));
  CHECK(formula.second == formula.first);
  CHECK(scales(R"(, "type": "yarn")").first ==
        Approx(0.1 * std::log(32.0) + 1));
  CHECK(scales(R"(, "type": "su", "attention_factor": 1.5)") ==
        std::pair(1.5f, 1.5f));
  CHECK(scales(R"(, "type": "su", "short_mscale": 1.25, "long_mscale": 2.0)") ==
        std::pair(1.25f, 2.0f));
}

TEST_CASE("model_config: stop ids of both files, each once") {
  const auto c =
      read_json(phi3(), R"({"eos_token_id": [7, 5, 9], "bos_token_id": 1})");
  REQUIRE_OK(c);
  CHECK(c->eos_ids == ids{7, 5, 9});
  CHECK(!c->bos_id);
  CHECK(read_json(phi3(), R"({"eos_token_id": 3})")->eos_ids == ids{3, 9});
  CHECK(read_json(phi3())->eos_ids == ids{9});
  CHECK_THAT(message_of(read_json(phi3(), R"({"eos_token_id": [7, 100]})")),
             Contains("generation_config.json: eos_token_id: a token id, or a "
                      "list of them, from 0 to 99"));
  CHECK(!read_json(phi3(), R"({"eos_token_id": "7"})"));
  CHECK(!read_json(phi3(), "[]"));
  CHECK(!read_json(phi3(R"("bos_token_id": 100)")));
}

TEST_CASE("model_config: Phi-3-small's own numbers") {
  const auto c = read_json(phi3_small());
  REQUIRE_OK(c);
  CHECK(c->attention_scale == 2.0f / 16);
  CHECK(c->embedding_multiplier == 1.0f);
  CHECK(c->gegelu_limit == std::numeric_limits<float>::max());
  REQUIRE(c->masked_ids.size() == 91);
  CHECK(c->masked_ids.front() == 100256);
  CHECK(c->masked_ids[4] == 100264);
  CHECK(c->masked_ids.back() == 100351);
  const auto other = read_json(phi3_small(
      R"("mup_use_scaling": false, "ff_intermediate_size": null,
         "ff_dim_multiplier": 4, "gegelu_pad_to_256": true,
         "dense_attention_every_n_layers": null)"));
  REQUIRE_OK(other);
  CHECK(other->attention_scale == 0.25f);
  CHECK(other->intermediate == 256);
  CHECK(other->sparse.dense_every == 3);
}

TEST_CASE("model_config: every hyperparameter of a folder has a range") {
  const auto [config, part] = GENERATE(table<std::string, std::string>({
      {phi3(R"("vocab_size": 0)"), "vocab_size: 0 where tinyphi needs"},
      {phi3(R"("vocab_size": "x")"), "vocab_size: a string where"},
      {phi3(R"("hidden_size": 4294967296)"), "hidden_size: 4294967296 where"},
      {phi3(R"("hidden_size": null)"), "hidden_size: missing; tinyphi needs"},
      {phi3(R"("hidden_size": 66)"), "66 is not a multiple of the 4 atten"},
      {phi3(R"("intermediate_size": -1)"), "intermediate_size: -1 where"},
      {phi3(R"("num_hidden_layers": 0)"), "num_hidden_layers: 0 where"},
      {phi3(R"("num_attention_heads": 0)"), "num_attention_heads: 0 where"},
      {phi3(R"("num_key_value_heads": 0)"), "num_key_value_heads: 0 where"},
      {phi3(R"("num_key_value_heads": 3)"),
       "4 attention heads are not a multiple of the 3 key-value heads"},
      {phi3(R"("max_position_embeddings": 0)"), "max_position_embeddings: 0"},
      {phi3(R"("sliding_window": -5)"), "sliding_window: -5 where"},
      {phi3(R"("rms_norm_eps": 0)"), "rms_norm_eps: 0 where tinyphi needs"},
      {phi3(R"("rope_theta": 1e99)"), "rope_theta: 1e+99 where tinyphi"},
      {phi3(R"("head_dim": 2048)"), "head_dim: 2048 where"},
      {phi3(R"("hidden_size": 8192)"), "head size 2048 where tinyphi needs"},
      {phi3(R"("partial_rotary_factor": 0.01)"), "rotary embedding of 0 ele"},
      {phi3(R"("partial_rotary_factor": 0.95)"), "rotary embedding of 15"},
      {phi3(R"("partial_rotary_factor": 1.5)"), "partial_rotary_factor: 1.5"},
      {phi3(R"("attention_bias": true)"), "attention_bias: true; models with"},
      {phi3(R"("hidden_act": "gelu")"), "hidden_act: gelu where tinyphi"},
      {phi3(R"("rope_scaling": 5)"), "rope_scaling: an object or null"},
      {phi3(R"("rope_scaling": {"type": "linear", "factor": 2})"),
       "rope_scaling: rope_type: linear where tinyphi needs default or"},
      {phi3(R"("rope_scaling": {)" + factors + "}"), "rope_type: default"},
      {phi3(R"("rope_scaling": {"type": "yarn", "factor": 2})"),
       "rope_type: yarn where"},
      {phi3(R"("rope_scaling": {"type": "su"})"),
       "rope_scaling: short_factor: an array of 1 to 512 numbers"},
      {phi3(R"("rope_scaling": {"type": "su", "short_factor": [1],
                   "long_factor": [1]})"),
       "1 short and 1 long factors, 8 of each are needed"},
      {phi3(R"("rope_scaling": {"type": "su", "short_factor": [0],
                   "long_factor": [1]})"),
       "short_factor: numbers from 0.001 to 1000000"},
      {phi3(R"("rope_scaling": {"type": "su", "short_factor": ["1"],
                   "long_factor": [1]})"),
       "short_factor: numbers from 0.001"},
      {phi3(R"("rope_scaling": {"type": "su", "attention_factor": 0, )" +
            factors + "}"),
       "attention_factor: 0 where"},
      {phi3(R"("original_max_position_embeddings": 0)"),
       "original_max_position_embeddings: 0 where"},
      {phi3(R"("eos_token_id": 100)"), "config.json: eos_token_id: a token"},
      {phi3_small(R"("hidden_act": "silu")"), "hidden_act: silu where"},
      {phi3_small(R"("blocksparse_vert_stride": 0)"), "vert_stride: 0 where"},
      {phi3_small(R"("blocksparse_block_size": 0)"), "block_size: 0 where"},
      {phi3_small(R"("dense_attention_every_n_layers": 0)"),
       "dense_attention_every_n_layers: 0 where"},
      {phi3_small(R"("mup_width_multiplier": 0)"), "mup_width_multiplier: 0"},
      {phi3_small(R"("rope_position_scale": 0)"), "rope_position_scale: 0"},
      {phi3_small(R"("ff_intermediate_size": null)"),
       "ff_dim_multiplier: missing"},
      {"[]", "config.json: not a JSON object"},
      {"{", "config.json: byte 1: not valid JSON"},
  }));
  INFO(config);
  CHECK_THAT(message_of(read_json(config)), Contains(part));
}

TEST_CASE("model_config: other architectures are refused by name") {
  for (const std::string type :
       {"phi3_v", "phimoe", "phi4mm", "llama", "phi4_multimodal"}) {
    const auto c = read_json(R"({"model_type": ")" + type + "\"}");
    CHECK_THAT(message_of(c), Contains("config.json: model_type: \"" + type +
                                       "\"; tinyphi runs phi3 ("));
    CHECK(c.error().code == error_code::unsupported);
    gguf_builder b;
    b.string("general.architecture", type);
    CHECK_THAT(message_of(read_gguf(b)),
               Contains("general.architecture: \"" + type + "\"; tinyphi"));
  }
  CHECK_THAT(message_of(read_json("{}")), Contains("model_type: \"?\""));
  CHECK_THAT(message_of(read_json(R"({"model_type": "\u001b[2J"})")),
             Contains("model_type: \"?\""));
  CHECK_THAT(message_of(read_gguf(gguf_builder())),
             Contains("general.architecture: \"?\""));
  CHECK_THAT(message_of(read(data_dir() / "tokenizer" / "phi-3")),
             Contains("it holds a tokenizer but no model"));
}

TEST_CASE("model_config: every hyperparameter of a GGUF file has a range") {
  const auto [key, value,
              part] = GENERATE(table<std::string, std::uint32_t, std::string>({
      {"context_length", 0, "context_length: 0 where tinyphi needs"},
      {"embedding_length", 0, "embedding_length: 0 where"},
      {"embedding_length", 66, "66 is not a multiple of the 4"},
      {"feed_forward_length", 0xFFFFFFFF, "feed_forward_length: 4294967295"},
      {"block_count", 0, "block_count: 0 where"},
      {"attention.head_count", 0, "head_count: 0 where"},
      {"attention.head_count_kv", 0, "head_count_kv: 0 where"},
      {"attention.head_count_kv", 3, "not a multiple of the 3 key-value"},
      {"rope.dimension_count", 15, "rotary embedding of 15 elements"},
      {"rope.dimension_count", 18, "rotary embedding of 18 elements"},
      {"rope.scaling.original_context_length", 0, "context_length: 0 where"},
      {"attention.sliding_window", 0x80000000, "window: 2147483648 where"},
  }));
  auto b = phi3_gguf({"phi3." + key});
  b.u32("phi3." + key, value);
  CHECK_THAT(message_of(read_gguf(with_embedding(b))), Contains(part));
  auto missing = phi3_gguf({"phi3.block_count"});
  CHECK_THAT(message_of(read_gguf(with_embedding(missing))),
             Contains("phi3.block_count: missing; tinyphi needs"));
}

TEST_CASE("model_config: floats, ids and vocabulary of a GGUF file") {
  auto good = phi3_gguf();
  good.u32("tokenizer.ggml.eos_token_id", 99);
  good.u32("tokenizer.ggml.eot_token_id", 98);
  good.string("tokenizer.ggml.model", "llama");
  good.strings("tokenizer.ggml.tokens",
               {"a", "<|endoftext|>", "<|assistant|>", "<|end|>"});
  const auto c = read_gguf(with_embedding(good));
  REQUIRE_OK(c);
  CHECK(c->eos_ids == ids{99, 98, 3, 1, 2});
  CHECK(c->tied_embeddings);
  CHECK(c->vocab_size == 100);

  auto byte_level = phi3_gguf();
  byte_level.string("tokenizer.ggml.model", "gpt2");
  byte_level.strings("tokenizer.ggml.tokens", {"<|assistant|>", "<|end|>"});
  CHECK(read_gguf(with_embedding(byte_level))->eos_ids == ids{1});

  const auto with = [](auto add) {
    auto b = phi3_gguf();
    add(b);
    return message_of(read_gguf(with_embedding(b)));
  };
  CHECK_THAT(with([](auto& b) { b.u32("tokenizer.ggml.eos_token_id", 100); }),
             Contains("eos_token_id: 100 where"));
  CHECK_THAT(with([](auto& b) {
               b.strings("tokenizer.ggml.tokens",
                         std::vector<std::string>(101, "x"));
             }),
             Contains("tokens: an array of 101 values of type string where "
                      "tinyphi needs an array of 1 to 100 strings"));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK_THAT(with([&](auto& b) { b.f32("phi3.rope.freq_base", nan); }),
             Contains("freq_base: nan where tinyphi needs a number from 1 to"));
  CHECK_THAT(with([](auto& b) { b.string("phi3.rope.scaling.type", "yarn"); }),
             Contains("rope.scaling.type: neither none nor longrope"));
  CHECK_THAT(message_of(read_gguf(phi3_gguf())),
             Contains("token_embd.weight: 0 rows of vocabulary"));
}

TEST_CASE("model_config: longrope in GGUF has its factors and its scale") {
  const auto file = [](std::size_t n_long, std::size_t n_short, float factor) {
    auto b = phi3_gguf({"phi3.rope.scaling.original_context_length"});
    b.u32("phi3.rope.scaling.original_context_length", 16);
    with_embedding(b);
    if (n_long > 0) {
      b.floats("rope_factors_long.weight", {n_long},
               std::vector<float>(n_long, factor));
    }
    if (n_short > 0) {
      b.floats("rope_factors_short.weight", {n_short},
               std::vector<float>(n_short, 1.0f));
    }
    return b;
  };
  const auto c = read_gguf(file(8, 8, 3.5f));
  REQUIRE_OK(c);
  CHECK(c->rope.long_factors == std::vector<float>(8, 3.5f));
  CHECK(c->rope.long_scale == Approx(std::sqrt(1.5)));
  CHECK_THAT(message_of(read_gguf(file(0, 0, 1))),
             Contains("context_length: 64 tokens, trained for 16, but the file "
                      "has no tensor rope_factors_long.weight"));
  CHECK_THAT(message_of(read_gguf(file(8, 0, 1))),
             Contains("longrope with 0 short and 8 long factors, 8 of each"));
  CHECK_THAT(message_of(read_gguf(file(4, 4, 1))),
             Contains("4 short and 4 long factors, 8 of each"));
  CHECK_THAT(
      message_of(read_gguf(file(600, 600, 1))),
      Contains("F32 [600] where tinyphi needs at most 512 F32 in a row"));
  CHECK_THAT(
      message_of(read_gguf(file(8, 8, 0))),
      Contains("tensor rope_factors_long.weight: 0 where tinyphi needs"));
}

TEST_CASE("model_config: files from before the window key") {
  const auto window = [](std::uint32_t layers, std::uint32_t context) {
    auto b = phi3_gguf({"phi3.attention.sliding_window", "phi3.block_count",
                        "phi3.context_length",
                        "phi3.rope.scaling.original_context_length"});
    b.u32("phi3.block_count", layers).u32("phi3.context_length", context);
    with_embedding(b);
    b.floats("rope_factors_long.weight", {8}, std::vector<float>(8, 2.0f));
    b.floats("rope_factors_short.weight", {8}, std::vector<float>(8, 1.0f));
    return read_gguf(b);
  };
  CHECK(window(32, 4096)->window == 2047);
  CHECK(window(40, 4096)->window == 2047);
  CHECK(window(32, 131072)->window == 0);
  CHECK(window(40, 131072)->window == 0);
  CHECK(window(32, 131072)->rope.long_scale == Approx(1.190238));
  CHECK_THAT(message_of(window(2, 64)),
             Contains("phi3.attention.sliding_window: missing; tinyphi needs"));
}
