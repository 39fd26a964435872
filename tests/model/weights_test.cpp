// SPDX-License-Identifier: MIT
#include "tinyphi/model/weights.h"

#include <filesystem>
#include <fstream>
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
std::string gguf(const std::function<void(std::vector<matrix>&)>& change) {
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
  return b.bytes();
}

result<model> load(const std::function<void(std::vector<matrix>&)>& change,
                   const load_options& options = {.exact = true}) {
  const temp_folder folder;
  return model::load(folder.write("m.gguf", gguf(change)), options);
}

std::vector<float> logits(const model& m) {
  kv_pool pool(m.config(), m.default_kv_type(), std::size_t{1} << 24);
  kv_sequence kv(pool, m.config());
  team threads(1);
  forward_scratch scratch;
  const std::vector<token_id> ids = {1, 2, 3, 4};
  const batch_run run{&kv, ids, false, ids.size()};
  const auto out = m.forward({&run, 1}, threads, scratch);
  REQUIRE_OK(out);
  return {out->logits.begin(), out->logits.end()};
}

model_weights weights(const std::filesystem::path& path,
                      const load_options& options) {
  model_weights w;
  w.path = path;
  auto file = model_file::open(path);
  REQUIRE_OK(file);
  w.file.emplace(*std::move(file));
  auto config = read_model_config(*w.file);
  REQUIRE_OK(config);
  w.config = *std::move(config);
  const auto loaded = load_weights(w, options);
  REQUIRE_OK(loaded);
  return w;
}

// Of the packed matrices.
std::vector<std::string> strips(const model_weights& w) {
  std::vector<std::string> all;
  for (const layer_weights& l : w.layers) {
    for (const linear* m :
         {&l.qkv, &l.attention_out, &l.gate_up, &l.ffn_down}) {
      all.emplace_back(as_text(m->w.data));
    }
  }
  all.emplace_back(as_text(w.lm_head.w.data));
  return all;
}

// Kilobytes, of /proc/self/status; 0 where there is no such file.
[[maybe_unused]] std::size_t memory(const std::string& what) {
  std::ifstream file("/proc/self/status");
  std::string word;
  std::size_t n = 0;
  while (file >> word) {
    if (word == what + ":" && file >> n) return n;
  }
  return 0;
}

matrix& named(std::vector<matrix>& all, const std::string& name) {
  const auto it = std::find_if(all.begin(), all.end(),
                               [&](const matrix& m) { return m.name == name; });
  REQUIRE(it != all.end());
  return *it;
}

}  // namespace

TEST_CASE("weights are taken from the budget while the model lives") {
  const auto path = data_dir() / "tiny" / "mini-4k";
  const memory_budget counting(0);
  std::size_t bytes = 0;
  {
    const auto m = model::load(path, {.budget = counting});
    REQUIRE_OK(m);
    bytes = counting.usage().of(memory_use::weights);
    CHECK(bytes >= m->weight_bytes());
    CHECK(bytes < m->weight_bytes() + 64 * 100);  // begins of cache lines
    const model copy = *m;
    CHECK(counting.usage().total() == bytes);
    model_config c = m->config();
    const auto made_up = model::random(c, dtype::f32, 1, {.budget = counting});
    REQUIRE_OK(made_up);
    CHECK(counting.usage().total() - bytes == made_up->weight_bytes());
  }
  CHECK(counting.usage().total() == 0);

  const memory_budget small(bytes - 1);
  const auto refused = model::load(path, {.budget = small});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == error_code::limit);
  CHECK_THAT(refused.error().message,
             Contains(std::to_string(bytes) +
                      " bytes more for the weights of " + path.string()));
  CHECK(small.usage().total() == 0);
  CHECK(model::load(path, {.budget = memory_budget(bytes)}));
}

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

TEST_CASE("a model goes on when its file is cut short after loading") {
  const auto plain = [](std::vector<matrix>&) {};
  const auto tied = [](std::vector<matrix>& all) { all.pop_back(); };
  const auto all_pages = [](std::vector<matrix>& all) {
    all.back().rows = named(all, "token_embd.weight").rows = 4000;
    for (const char* name : {"output.weight", "token_embd.weight"}) {
      named(all, name).values = made_up(4000 * hidden, 1);
    }
  };
  for (const std::function<void(std::vector<matrix>&)>& change :
       {std::function<void(std::vector<matrix>&)>(plain),
        {tied},
        {all_pages}}) {
    for (const bool keep : {false, true}) {
      const temp_folder folder;
      const auto path = folder.write("m.gguf", gguf(change));
      auto loaded = model::load(path, {.cache_repacked = keep});
      REQUIRE_OK(loaded);
      const auto expected = logits(*loaded);
      if (keep) {
        loaded = model::load(path, {.cache_repacked = keep});
        REQUIRE_OK(loaded);
      }
      std::filesystem::resize_file(path, 0);
      CHECK(logits(*loaded) == expected);
    }
  }
}

TEST_CASE("a model outlives the bytes in memory that it was loaded from") {
  for (const bool tied : {false, true}) {
    const auto change = [&](std::vector<matrix>& all) {
      if (tied) all.pop_back();
    };
    const auto expected = load(change);
    REQUIRE_OK(expected);
    auto bytes = std::make_unique<std::string>(gguf(change));
    auto file = gguf_file::parse(as_bytes(*bytes), "in memory");
    REQUIRE_OK(file);
    const auto loaded =
        model::load(model_file(*std::move(file)), {.exact = true});
    REQUIRE_OK(loaded);
    bytes->assign(bytes->size(), '\xFF');
    bytes.reset();
    CHECK(logits(*loaded) == logits(*expected));
  }
}

TEST_CASE("rows of an embedding that the head packs are the stored ones") {
  for (const auto quantize : {std::optional<dtype>(), {dtype::q8_0}}) {
    const temp_folder folder;
    const auto path =
        folder.write("m.gguf", gguf([](auto& all) { all.pop_back(); }));
    const auto w = weights(path, {.quantize = quantize});
    CHECK(w.embedding_in_head == !quantize);
    CHECK(w.embedding.bytes.empty() == !quantize);
    std::vector<float> found(hidden), scratch(hidden);
    for (std::size_t id = 0; id < vocab; ++id) {
      w.embed(static_cast<token_id>(id), found, scratch);
      const auto stored = one_layer_model()[0].values;
      REQUIRE(
          std::equal(found.begin(), found.end(), stored.begin() + id * hidden));
    }
  }
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

TEST_CASE("types of 256 columns fall back for shorter rows, or are refused") {
  const auto size = [](dtype type) {
    const auto m = load([](auto&) {}, {.exact = true, .quantize = type});
    REQUIRE_OK(m);
    return m->weight_bytes();
  };
  CHECK(size(dtype::q4_k) == size(dtype::q5_0));
  CHECK(size(dtype::q5_k) == size(dtype::q5_1));
  CHECK(size(dtype::q6_k) == size(dtype::q8_0));
  const auto refused = load([](auto&) {}, {.quantize = dtype::q2_k});
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().message,
             Contains("cannot be quantized to Q2_K") && Contains("Q4_K"));
}

TEST_CASE("packed weights that were kept load as they were packed") {
  const temp_folder folder;
  const auto path = folder.write("m.gguf", gguf([](auto&) {}));
  const load_options keep{.cache_repacked = true};
  const auto packed = strips(weights(path, {}));
  const auto first = weights(path, keep);
  CHECK(!first.repacked);
  CHECK(strips(first) == packed);
  const auto second = weights(path, keep);
  CHECK(second.repacked);
  CHECK(strips(second) == packed);
  CHECK(!weights(path, {}).repacked);  // only when asked for

  // Quantized ones are others, and have a file of their own.
  load_options quantize = keep;
  quantize.quantize = dtype::q8_0;
  const auto smaller = strips(weights(path, quantize));
  CHECK(smaller != packed);
  const auto kept = weights(path, quantize);
  CHECK(kept.repacked);
  CHECK(strips(kept) == smaller);
  CHECK(weights(path, keep).repacked);
}

TEST_CASE("kept weights of another model are packed again") {
  const temp_folder folder;
  const auto path = folder.write("m.gguf", gguf([](auto&) {}));
  const auto kept_path = folder.path() / "m.gguf.r16";
  const load_options keep{.cache_repacked = true};
  const auto packed = strips(weights(path, keep));
  const auto time = std::filesystem::last_write_time(path);

  // The same size and time: only the values tell.
  folder.write("m.gguf", gguf([](std::vector<matrix>& all) {
                 named(all, "blk.0.ffn_up.weight").values[7] += 1;
               }));
  std::filesystem::last_write_time(path, time);
  const auto changed = weights(path, keep);
  CHECK(!changed.repacked);
  CHECK(strips(changed) != packed);
  CHECK(weights(path, keep).repacked);

  // Any damage between the head and the end.
  const std::string right = *read_file(kept_path, 1 << 20);
  for (std::size_t i = 4096; i < right.size(); i += 997) {
    std::string wrong = right;
    wrong[i] = static_cast<char>(~wrong[i]);
    folder.write("m.gguf.r16", wrong);
    const auto mended = weights(path, keep);
    REQUIRE(!mended.repacked);
    REQUIRE(strips(mended) == strips(changed));
  }
  CHECK(weights(path, keep).repacked);
}

TEST_CASE("kept weights of an unchanged model are not read") {
  const temp_folder folder;
  const auto path = folder.path() / "m";
  const auto kept_path = path / "tinyphi.r16";
  const load_options keep{.cache_repacked = true};
  // The test's own files are older than two seconds.
  std::filesystem::create_directory(path);
  for (const auto& file :
       std::filesystem::directory_iterator(data_dir() / "tiny" / "small-8k")) {
    std::filesystem::create_symlink(file.path(), path / file.path().filename());
  }
  const auto packed = strips(weights(path, keep));
  std::string bytes = *read_file(kept_path, 1 << 24);
  const auto time = std::filesystem::last_write_time(kept_path);
  bytes.back() = static_cast<char>(~bytes.back());
  folder.write("m/tinyphi.r16", bytes);
  std::filesystem::last_write_time(kept_path, time);
  const auto believed = weights(path, keep);
  CHECK(believed.repacked);
  CHECK(strips(believed) != packed);

  // Of a copy, which holds the same, all is read once.
  bytes.back() = static_cast<char>(~bytes.back());
  folder.write("m/tinyphi.r16", bytes);
  const auto copied = weights(path, keep);
  CHECK(copied.repacked);
  CHECK(strips(copied) == packed);
  CHECK(std::filesystem::last_write_time(kept_path) == time);
}

TEST_CASE("weights that cannot be kept are loaded all the same") {
  const temp_folder folder;
  const auto path = folder.write("m.gguf", gguf([](auto&) {}));
  std::filesystem::create_directory(folder.path() / "m.gguf.r16");
  std::string warning;
  double share = 0;
  load_options options{.cache_repacked = true};
  options.warn = [&](const error& e) { warning = e.message; };
  options.progress = [&](double x) { share = x; };
  CHECK(strips(weights(path, options)) == strips(weights(path, {})));
  CHECK_THAT(warning, Contains("m.gguf.r16: not a regular file"));
  CHECK(share == 1);
}

TEST_CASE("a Hugging Face folder keeps its packed weights inside") {
  const temp_folder folder;
  const auto path = folder.path() / "m";
  std::filesystem::copy(data_dir() / "tiny" / "small-8k", path);
  const load_options keep{.cache_repacked = true};
  const auto packed = strips(weights(path, keep));
  CHECK(std::filesystem::exists(path / "tinyphi.r16"));
  const auto kept = weights(path, keep);
  CHECK(kept.repacked);
  CHECK(strips(kept) == packed);
}

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)
TEST_CASE("loading takes the file's size and one tensor at most") {
  constexpr std::size_t n = 256, wide = 1024, n_layers = 10;
  gguf_builder b;
  b.string("general.architecture", "phi3");
  const std::pair<const char*, std::size_t> keys[] = {
      {"context_length", 64},
      {"rope.scaling.original_context_length", 64},
      {"embedding_length", n},
      {"feed_forward_length", wide},
      {"block_count", n_layers},
      {"attention.head_count", 4},
      {"attention.head_count_kv", 4},
      {"rope.dimension_count", 64},
      {"attention.sliding_window", 0}};
  for (const auto& [key, value] : keys) {
    b.u32("phi3." + std::string(key), static_cast<std::uint32_t>(value));
  }
  const auto add = [&](const std::string& name, std::size_t cols,
                       std::size_t rows) {
    const std::vector<float> values(rows * cols, 0.01f);
    rows == 1 ? b.floats(name + ".weight", {cols}, values)
              : b.floats(name + ".weight", {cols, rows}, values);
  };
  add("token_embd", n, vocab);
  for (std::size_t i = 0; i < n_layers; ++i) {
    const std::string layer = "blk." + std::to_string(i) + ".";
    add(layer + "attn_norm", n, 1);
    add(layer + "attn_qkv", n, 3 * n);
    add(layer + "attn_output", n, n);
    add(layer + "ffn_norm", n, 1);
    add(layer + "ffn_up", n, 2 * wide);
    add(layer + "ffn_down", wide, n);
  }
  add("output_norm", n, 1);
  add("output", n, vocab);
  const temp_folder folder;
  const auto path = folder.write("m.gguf", b.bytes());
  const std::size_t file_kb = std::filesystem::file_size(path) / 1024;
  constexpr std::size_t tensor_kb = 2 * wide * n * 4 / 1024, slack_kb = 4096;

  // Sets the peak back to what is in use.
  std::ofstream("/proc/self/clear_refs") << "5";
  const std::size_t before = memory("VmHWM");
  if (before > memory("VmRSS") + slack_kb) {
    SKIP_CASE("the peak of memory cannot be set back here");
  }
  const auto loaded = model::load(path, {.n_threads = 1});
  REQUIRE_OK(loaded);
  CHECK(memory("VmHWM") - before < file_kb + tensor_kb + slack_kb);
  CHECK(memory("VmHWM") - before > file_kb / 2);  // it was measured
}
#endif
