// SPDX-License-Identifier: MIT
#include "tinyphi/model/weights.h"

#include <functional>

#include "files/gguf_builder.h"
#include "support/temp_folder.h"
#include "support/test.h"
#include "tinyphi/model/model.h"

using namespace tinyphi;
using namespace tinyphi_test;
using Catch::Matchers::Contains;

namespace {

constexpr std::size_t hidden = 32, inter = 64, vocab = 40;
constexpr std::size_t q_rows = 32, kv_rows = 16;  // 2 heads of 16, 1 kv head

// Values that no two tensors share.
std::vector<float> made_up(std::size_t n, float phase) {
  std::vector<float> all(n);
  for (std::size_t i = 0; i < n; ++i) {
    all[i] = 0.2f * std::sin(phase + 0.7f * static_cast<float>(i));
  }
  return all;
}

struct matrix {
  std::string name;
  std::size_t rows, cols;
  std::vector<float> values;
};

std::vector<matrix> one_layer_model() {
  std::vector<matrix> all;
  const auto add = [&](const char* name, std::size_t rows, std::size_t cols) {
    all.push_back({name, rows, cols,
                   made_up(rows * cols, static_cast<float>(all.size()))});
  };
  add("token_embd.weight", vocab, hidden);
  add("blk.0.attn_norm.weight", 1, hidden);
  add("blk.0.attn_qkv.weight", q_rows + 2 * kv_rows, hidden);
  add("blk.0.attn_output.weight", hidden, q_rows);
  add("blk.0.ffn_norm.weight", 1, hidden);
  add("blk.0.ffn_up.weight", 2 * inter, hidden);
  add("blk.0.ffn_down.weight", hidden, inter);
  add("output_norm.weight", 1, hidden);
  add("output.weight", vocab, hidden);
  return all;
}

// The model as a GGUF file, after `change`.
result<model> load(const std::function<void(std::vector<matrix>&)>& change,
                   const load_options& options = {.exact = true}) {
  gguf_builder b;
  b.string("general.architecture", "phi3");
  const std::pair<const char*, std::uint32_t> keys[] = {
      {"context_length", 64},
      {"rope.scaling.original_context_length", 64},
      {"embedding_length", hidden},
      {"feed_forward_length", inter},
      {"block_count", 1},
      {"attention.head_count", 2},
      {"attention.head_count_kv", 1},
      {"rope.dimension_count", 16},
      {"attention.sliding_window", 0}};
  for (const auto& [key, n] : keys) b.u32("phi3." + std::string(key), n);
  auto all = one_layer_model();
  change(all);
  for (const matrix& m : all) {
    if (m.rows == 1) {
      b.floats(m.name, {m.cols}, m.values);
    } else {
      b.floats(m.name, {m.cols, m.rows}, m.values);
    }
  }
  const temp_folder folder;
  return model::load(folder.write("m.gguf", b.bytes()), options);
}

std::vector<float> logits(const model& m) {
  kv_pool pool(m.config(), m.kv_type(), std::size_t{1} << 24);
  kv_sequence kv(pool, m.config());
  team threads(1);
  forward_scratch scratch;
  const std::vector<token_id> ids = {1, 2, 3, 4};
  const batch_run run{&kv, ids, false, ids.size()};
  const auto out = m.forward({&run, 1}, threads, scratch);
  REQUIRE_OK(out);
  return {out->begin(), out->end()};
}

matrix& named(std::vector<matrix>& all, const std::string& name) {
  const auto it = std::find_if(all.begin(), all.end(),
                               [&](const matrix& m) { return m.name == name; });
  REQUIRE(it != all.end());
  return *it;
}

}  // namespace

TEST_CASE("split q, k and v load as the fused tensor does") {
  const auto fused = load([](auto&) {});
  REQUIRE_OK(fused);
  const auto split = load([](std::vector<matrix>& all) {
    matrix& qkv = named(all, "blk.0.attn_qkv.weight");
    const std::vector<float> values = qkv.values;
    std::size_t at = 0;
    const auto part = [&](const char* name, std::size_t rows) {
      matrix m{name, rows, hidden, {}};
      m.values.assign(
          values.begin() + static_cast<std::ptrdiff_t>(at * hidden),
          values.begin() + static_cast<std::ptrdiff_t>((at + rows) * hidden));
      at += rows;
      return m;
    };
    qkv = part("blk.0.attn_q.weight", q_rows);
    all.push_back(part("blk.0.attn_k.weight", kv_rows));
    all.push_back(part("blk.0.attn_v.weight", kv_rows));
  });
  REQUIRE_OK(split);
  CHECK(logits(*split) == logits(*fused));
}

TEST_CASE("without an output matrix the embedding is the output") {
  const auto tied = load([](auto& all) { all.pop_back(); });
  const auto copied = load([](std::vector<matrix>& all) {
    named(all, "output.weight").values = named(all, "token_embd.weight").values;
  });
  REQUIRE_OK(tied);
  REQUIRE_OK(copied);
  CHECK(logits(*tied) == logits(*copied));
}

TEST_CASE("a tensor that is missing or of another shape is named") {
  CHECK_THAT(message_of(load([](std::vector<matrix>& all) {
               named(all, "blk.0.ffn_down.weight").name = "blk.0.other";
             })),
             Contains("m.gguf: tensor blk.0.ffn_down.weight is missing"));
  CHECK_THAT(message_of(load([](std::vector<matrix>& all) {
               matrix& m = named(all, "blk.0.attn_output.weight");
               m.rows /= 2;
               m.values.resize(m.rows * m.cols);
             })),
             Contains("tensor blk.0.attn_output.weight is [16][32], its "
                      "configuration asks for [32][32]"));
}

TEST_CASE("loading reports progress to the end and can be stopped") {
  double last = 0;
  load_options options;
  options.progress = [&](double share) {
    CHECK(share >= last);
    last = share;
  };
  const auto loaded = load([](auto&) {}, options);
  REQUIRE_OK(loaded);
  CHECK(last == Approx(1.0));
  options.progress = {};
  options.stop.token.cancel();
  const auto stopped = load([](auto&) {}, options);
  REQUIRE(!stopped);
  CHECK(stopped.error().code == error_code::cancelled);
}

TEST_CASE("weights quantized while loading take less memory") {
  const auto plain = load([](auto&) {});
  const auto quantized =
      load([](auto&) {}, {.exact = true, .quantize = dtype::q8_0});
  REQUIRE_OK(plain);
  REQUIRE_OK(quantized);
  CHECK(quantized->weight_bytes() < plain->weight_bytes() * 2 / 3);
  const auto a = logits(*plain), b = logits(*quantized);
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(std::abs(a[i] - b[i]) < 0.02f);
  }
}
