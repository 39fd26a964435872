// SPDX-License-Identifier: MIT
// The forward pass against Hugging Face's logits and hidden states, in one
// batch and split through the cache at every point.
#include "tinyphi/model/model.h"

#include <cmath>
#include <cstring>
#include <optional>

#include "support/effort.h"
#include "support/golden.h"
#include "support/models.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;
using Catch::Matchers::Contains;

namespace {

constexpr float bound = 2e-4f;

model load_exact(const std::filesystem::path& path) {
  auto m = model::load(path, {.exact = true});
  REQUIRE_OK(m);
  return *m;
}

// One sequence of `m` and what runs it.
struct runner {
  explicit runner(const model& model_to_run, int n_threads = 1,
                  std::optional<kv_type> type = {})
      : m(model_to_run),
        pool(m.config(), type.value_or(m.default_kv_type()),
             std::size_t{1} << 28),
        kv(pool, m.config()),
        threads(n_threads) {}

  // Logits after each of `ids`, behind what ran before.
  std::vector<float> run(std::span<const token_id> ids, bool long_factors) {
    const batch_run one{&kv, ids, long_factors, ids.size()};
    const auto logits = m.forward({&one, 1}, threads, scratch);
    REQUIRE_OK(logits);
    kv.commit(kv.length() + ids.size());
    return {logits->logits.begin(), logits->logits.end()};
  }

  const model& m;
  kv_pool pool;
  kv_sequence kv;
  team threads;
  forward_scratch scratch;
};

// KL divergence of softmax(b) from softmax(a), mean over rows of n.
double mean_kl(std::span<const float> a, std::span<const float> b,
               std::size_t n) {
  const auto log_sum = [n](std::span<const float> row) {
    double sum = 0;
    for (const float x : row.first(n)) sum += std::exp(double{x});
    return std::log(sum);
  };
  double kl = 0;
  for (std::size_t i = 0; i < a.size(); i += n) {
    const double shift = log_sum(b.subspan(i)) - log_sum(a.subspan(i));
    for (std::size_t k = i; k < i + n; ++k) {
      const double p = std::exp(a[k] - log_sum(a.subspan(i)));
      kl += p * (double{a[k]} - b[k] + shift);
    }
  }
  return kl / static_cast<double>(a.size() / n);
}

std::vector<token_id> longest_prompt(const golden_file& golden) {
  std::vector<token_id> longest;
  for (std::size_t k = 0; k < golden.prompts(); ++k) {
    auto ids = golden.prompt(k);
    if (ids.size() > longest.size()) longest = std::move(ids);
  }
  return longest;
}

}  // namespace

TEST_CASE("exact logits equal Hugging Face's over all 805 positions") {
  std::size_t positions = 0;
  for (const std::string& name : tiny_models) {
    const auto folder = data_dir() / "tiny" / name;
    const golden_file golden(folder / "golden.safetensors");
    const model m = load_exact(folder);
    for (std::size_t k = 0; k < golden.prompts(); ++k) {
      INFO(name << " prompt " << k);
      const auto ids = golden.prompt(k);
      const auto expected = golden.logits(k);
      const std::size_t vocab = m.config().vocab_size;
      runner r(m);
      const auto logits = r.run(ids, m.needs_long_factors(ids.size()));
      CHECK(max_difference(logits, expected) <= bound);
      for (std::size_t i = 0; i < ids.size(); ++i) {
        CHECK(arg_max(std::span(logits).subspan(i * vocab, vocab)) ==
              arg_max(std::span(expected).subspan(i * vocab, vocab)));
      }
      positions += ids.size();
    }
  }
  CHECK(positions == 805);
}

// Files of llama.cpp's llama-quantize; expected is what numpy finds with the
// weights as PyPI's gguf dequantizes them (tools/make_mixed_cases.py).
TEST_CASE("files that mix types, from a foreign tool, give the same logits") {
  for (const std::string name : {"q4_k_m", "q2_k", "iq4_xs"}) {
    INFO(name);
    const auto path = data_dir() / "mixed" / (name + ".gguf");
    auto bytes = read_file(data_dir() / "mixed" / (name + ".bin"), 1 << 20);
    REQUIRE_OK(bytes);
    std::uint32_t n = 0;
    std::memcpy(&n, bytes->data(), sizeof n);
    std::vector<token_id> ids(n);
    std::memcpy(ids.data(), bytes->data() + 4, 4 * n);
    std::vector<float> expected((bytes->size() - 4) / 4 - n);
    std::memcpy(expected.data(), bytes->data() + 4 + 4 * n,
                expected.size() * 4);

    const model exact = load_exact(path);
    CHECK(max_difference(runner(exact).run(ids, false), expected) <= bound);
    auto integer = model::load(path);
    REQUIRE_OK(integer);
    const auto found = runner(*integer).run(ids, false);
    const double kl = mean_kl(expected, found, expected.size() / n);
    INFO("KL " << kl);
    CHECK(kl <= 1e-3);
  }
}

TEST_CASE("GGUF files of the same models give the same logits") {
  for (const auto& [name, file] : {std::pair{"mini-4k", "model-f32.gguf"},
                                   {"mini-128k", "model-bf16.gguf"},
                                   {"medium-4k", "model-f16.gguf"},
                                   {"phi-4-mini", "model-f16.gguf"}}) {
    INFO(name << " " << file);
    const auto folder = data_dir() / "tiny" / name;
    const golden_file golden(folder / "golden.safetensors");
    const model m = load_exact(folder / file);
    for (std::size_t k = 0; k < golden.prompts(); ++k) {
      const auto ids = golden.prompt(k);
      runner r(m);
      CHECK(max_difference(r.run(ids, m.needs_long_factors(ids.size())),
                           golden.logits(k)) <= bound);
    }
  }
}

TEST_CASE("hidden states equal Hugging Face's layer by layer") {
  for (const std::string& name : tiny_models) {
    const auto folder = data_dir() / "tiny" / name;
    const golden_file golden(folder / "golden.safetensors");
    const model m = load_exact(folder);
    const auto ids = golden.ids("ids.0");
    runner r(m);
    std::size_t seen = 0;
    r.scratch.trace = [&](std::size_t layer, std::span<const float> hidden) {
      // Hugging Face's last one is behind the last norm, so not in the file.
      if (layer >= golden.layers()) return;
      const std::string key = "hidden.0." + std::to_string(layer);
      INFO(name << " " << key);
      CHECK(max_difference(hidden, golden.floats(key)) <= bound);
      ++seen;
    };
    (void)r.run(ids, m.needs_long_factors(ids.size()));
    CHECK(seen == golden.layers());
  }
}

TEST_CASE("a prompt split through the cache at any point gives the same bits") {
  for (const std::string& name : tiny_models) {
    const auto folder = data_dir() / "tiny" / name;
    const golden_file golden(folder / "golden.safetensors");
    for (const bool exact : {true, false}) {
      const auto m = model::load(folder, {.exact = exact});
      REQUIRE_OK(m);
      const auto ids = longest_prompt(golden);
      const bool long_factors = m->needs_long_factors(ids.size());
      runner whole(*m);
      const auto expected = whole.run(ids, long_factors);
      for (std::size_t n = 1; n < ids.size(); n += effort(1, 20)) {
        INFO(name << " exact " << exact << " split after " << n);
        runner r(*m, 2);
        auto logits = r.run(std::span(ids).first(n), long_factors);
        for (std::size_t i = n; i < ids.size(); ++i) {
          const auto one = r.run(std::span(ids).subspan(i, 1), long_factors);
          logits.insert(logits.end(), one.begin(), one.end());
        }
        REQUIRE(logits.size() == expected.size());
        CHECK(std::memcmp(logits.data(), expected.data(),
                          logits.size() * sizeof(float)) == 0);
      }
    }
  }
}

// Logits after 1100 tokens, whatever the number of threads and the split.
void check_long_context(const model& m, kv_type type) {
  std::vector<token_id> ids(1100);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ids[i] = static_cast<token_id>(i * i % 61);
  }
  const auto logits_of_end = [&](int n_threads, std::size_t prefill) {
    runner r(m, n_threads, type);
    (void)r.run(std::span(ids).first(prefill), false);
    std::vector<float> last;
    for (std::size_t i = prefill; i < ids.size();) {
      const std::size_t n = i < 1090 ? 1090 - i : 1;
      last = r.run(std::span(ids).subspan(i, n), false);
      i += n;
    }
    return last;
  };
  const std::vector<float> expected = logits_of_end(1, 1090);
  for (const int n_threads : {1, 2, 3}) {
    for (const std::size_t prefill : {37u, 1090u, 1099u}) {
      const unsigned only = n_threads == 1 ? 0 : n_threads == 2 ? 1099 : 37;
      if (slow_build && prefill != only) continue;
      INFO(to_string(type) << ", window " << m.config().window << ", threads "
                           << n_threads << ", prefill " << prefill);
      CHECK(logits_of_end(n_threads, prefill) == expected);
    }
  }
}

TEST_CASE("threads and splits leave every bit of a long context as it is") {
  // One key/value head: fewer than threads, so that spans are attended apart.
  model_config c;
  c.vocab_size = c.hidden = 64;
  c.intermediate = 96;
  c.n_layers = 2;
  c.n_heads = 3;
  c.n_kv_heads = 1;
  c.head_dim = 20;
  c.max_context = 1200;
  c.attention_scale = 0.3f;
  c.rope.rotary_dim = 20;
  c.rope.original_context = 1200;
  for (const std::uint32_t window : {0u, 700u}) {
    c.window = window;
    const auto m = model::random(c, dtype::f32, 1);
    REQUIRE_OK(m);
    for (const kv_type type : kv_types) {
      check_long_context(*m, type);
    }
  }
  // Heads that are rounded: one by one, or together since alone they are no
  // whole groups of columns.
  for (const std::uint32_t head_dim : {32u, 24u}) {
    c.n_heads = 4;
    c.n_kv_heads = 2;
    c.head_dim = head_dim;
    const auto m = model::random(c, dtype::q8_0, 1);
    REQUIRE_OK(m);
    check_long_context(*m, kv_type::int8);
  }
}

TEST_CASE("block-sparse queries may see no more than their own block") {
  model_config c;
  c.arch = architecture::phi3_small;
  c.vocab_size = c.hidden = 64;
  c.intermediate = 96;
  c.n_layers = 2;
  c.n_heads = c.n_kv_heads = 2;
  c.head_dim = 20;
  c.max_context = 100;
  c.attention_scale = 0.3f;
  c.rope.rotary_dim = 20;
  c.sparse.block = 16;
  c.sparse.local_blocks = 1;
  const auto m = model::random(c, dtype::f32, 1);
  REQUIRE_OK(m);
  const std::vector<token_id> ids = made_up_prompt(50, 3, 64);
  runner whole(*m), alone(*m);
  std::vector<float> expected;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto row = alone.run(std::span(ids).subspan(i, 1), false);
    expected.insert(expected.end(), row.begin(), row.end());
  }
  for (const float x : expected) CHECK(std::isfinite(x));
  CHECK(whole.run(ids, false) == expected);
}

TEST_CASE("several sequences in one batch give what each gives alone") {
  const auto folder = data_dir() / "tiny" / "mini-4k";
  const golden_file golden(folder / "golden.safetensors");
  for (const char* file : {"model-q8_0.gguf", "model-f32.gguf"}) {
    const auto m = model::load(folder / file);
    REQUIRE_OK(m);
    std::vector<std::vector<token_id>> prompts;
    for (std::size_t k = 0; k < golden.prompts(); ++k) {
      prompts.push_back(golden.prompt(k));
    }
    kv_pool pool(m->config(), m->default_kv_type(), std::size_t{1} << 28);
    std::vector<kv_sequence> sequences;
    for (std::size_t k = 0; k < prompts.size(); ++k) {
      sequences.emplace_back(pool, m->config());
    }
    std::vector<batch_run> runs;
    for (std::size_t k = 0; k < prompts.size(); ++k) {
      runs.push_back({&sequences[k], prompts[k], false, 1});
    }
    team threads(2);
    forward_scratch scratch;
    const auto logits = m->forward(runs, threads, scratch);
    REQUIRE_OK(logits);
    const std::size_t vocab = m->config().vocab_size;
    for (std::size_t k = 0; k < prompts.size(); ++k) {
      runner alone(*m);
      const auto expected = alone.run(prompts[k], false);
      CHECK(std::memcmp(logits->logits.data() + k * vocab,
                        expected.data() + expected.size() - vocab,
                        vocab * sizeof(float)) == 0);
    }
  }
}

TEST_CASE("the integer path stays close to f32 on the same quantized file") {
  for (const char* name : {"mini-4k", "phi-4-mini"}) {
    const auto folder = data_dir() / "tiny" / name;
    const golden_file golden(folder / "golden.safetensors");
    const auto integer = model::load(folder / "model-q8_0.gguf");
    REQUIRE_OK(integer);
    const model exact = load_exact(folder / "model-q8_0.gguf");
    const auto ids = longest_prompt(golden);
    const bool long_factors = exact.needs_long_factors(ids.size());
    runner a(*integer), b(exact);
    const auto p = b.run(ids, long_factors), q = a.run(ids, long_factors);
    const std::size_t vocab = exact.config().vocab_size;
    double kl = 0;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const auto log_sum = [&](const std::vector<float>& x) {
        double sum = 0;
        for (std::size_t j = 0; j < vocab; ++j)
          sum += std::exp(x[i * vocab + j]);
        return std::log(sum);
      };
      const double lp = log_sum(p), lq = log_sum(q);
      for (std::size_t j = i * vocab; j < (i + 1) * vocab; ++j) {
        kl += std::exp(p[j] - lp) * ((p[j] - lp) - (q[j] - lq));
      }
    }
    kl /= static_cast<double>(ids.size());
    INFO(name << ": mean KL per token " << kl);
    CHECK(kl >= 0);
    // Random weights of width 96 forgive less than trained ones.
    CHECK(kl <= 5e-3);
  }
}

TEST_CASE(
    "fast prefill is for many tokens of models that ask for it, and adds at "
    "most 1.6 % of the KL of int4 weights") {
  const auto folder = data_dir() / "tiny" / "mini-128k";
  const auto ids = longest_prompt(golden_file(folder / "golden.safetensors"));
  REQUIRE(ids.size() >= 64);
  const auto run = [&](const load_options& options, std::size_t n,
                       int n_threads = 1) {
    const auto m = model::load(folder, options);
    REQUIRE_OK(m);
    return runner(*m, n_threads, kv_type::f32)
        .run(std::span(ids).first(n), m->needs_long_factors(ids.size()));
  };
  const auto int4 = dtype::q4_0;
  const load_options exact{.exact = true, .quantize = int4};
  const load_options plain{.quantize = int4};
  const load_options fast{.fast_prefill = true, .quantize = int4};
  const auto found = run(fast, ids.size());
  const auto without = run(plain, ids.size());
  CHECK(found != without);
  CHECK(found == run(fast, ids.size(), 2));
  CHECK(found == run(fast, ids.size(), 3));
  CHECK(run(fast, 63) == run(plain, 63));
  const auto expected = run(exact, ids.size());
  CHECK(expected == run({.exact = true, .fast_prefill = true, .quantize = int4},
                        ids.size()));

  const std::size_t vocab = found.size() / ids.size();
  const double added =
      mean_kl(expected, found, vocab) - mean_kl(expected, without, vocab);
  const double weights =
      mean_kl(run({.exact = true}, ids.size()), expected, vocab);
  INFO(added << " of " << weights);
  CHECK(added <= 0.016 * weights);
}

TEST_CASE("float weights can be quantized while loading") {
  const auto folder = data_dir() / "tiny" / "mini-4k";
  const golden_file golden(folder / "golden.safetensors");
  const auto ids = golden.ids("ids.2");
  const auto a = model::load(folder, {.exact = true, .quantize = dtype::q8_0});
  REQUIRE_OK(a);
  const model b = load_exact(folder / "model-q8_0.gguf");
  runner ra(*a), rb(b);
  // Norms and embedding of the folder stay f32, the file's are Q8_0 too.
  CHECK(max_difference(ra.run(ids, false), rb.run(ids, false)) < 0.1f);
}

TEST_CASE("forward refuses ids and lengths that do not exist") {
  const model m = load_exact(data_dir() / "tiny" / "mini-4k");
  runner r(m);
  const auto try_run = [&](std::vector<token_id> ids) {
    const batch_run one{&r.kv, ids, false, 1};
    return message_of(m.forward({&one, 1}, r.threads, r.scratch));
  };
  CHECK(try_run({320}) == "token id 320 is not in the vocabulary of 320");
  CHECK(try_run({-1}) == "token id -1 is not in the vocabulary of 320");
  CHECK(try_run(std::vector<token_id>(65, 5)) ==
        "65 tokens do not fit the context of 64");
  CHECK(r.kv.length() == 0);
}

TEST_CASE("forward refuses runs that make no sense, and does none for none") {
  const model m = load_exact(data_dir() / "tiny" / "mini-4k");
  runner r(m);
  const std::vector<token_id> ids = {5, 6};
  const auto try_run = [&](const batch_run& one) {
    return message_of(m.forward({&one, 1}, r.threads, r.scratch));
  };
  CHECK(try_run({.kv = &r.kv, .tokens = {}, .n_rows = 0}) ==
        "a run of 0 tokens that asks for 0 rows of output; a run has at least "
        "one token, and at most a row for each");
  CHECK(try_run({.kv = &r.kv, .tokens = ids, .n_rows = 3}) ==
        "a run of 2 tokens that asks for 3 rows of output; a run has at least "
        "one token, and at most a row for each");
  CHECK(try_run({.kv = &r.kv, .tokens = ids, .long_factors = true}) ==
        "a run asks for long rotary factors, the model has none");
  CHECK(r.kv.length() == 0);
  const auto nothing = m.forward({}, r.threads, r.scratch);
  REQUIRE_OK(nothing);
  CHECK(nothing->logits.empty());
}

TEST_CASE("a cancelled or late forward pass leaves the sequence as it was") {
  const model m = load_exact(data_dir() / "tiny" / "mini-4k");
  runner r(m);
  const std::vector<token_id> ids = {5, 6, 7};
  const auto before = r.run(ids, false);
  const batch_run more{&r.kv, ids, false, 1};
  stop_condition stop;
  stop.token.cancel();
  const auto cancelled = m.forward({&more, 1}, r.threads, r.scratch, stop);
  REQUIRE(!cancelled);
  CHECK(cancelled.error().code == error_code::cancelled);
  stop_condition late;
  late.deadline = std::chrono::steady_clock::now();
  const auto expired = m.forward({&more, 1}, r.threads, r.scratch, late);
  REQUIRE(!expired);
  CHECK(expired.error().code == error_code::deadline);
  CHECK(r.kv.length() == 3);
}

TEST_CASE("random models of every architecture run and repeat") {
  for (const char* name : {"mini-4k", "small-8k"}) {
    const model shape = load_exact(data_dir() / "tiny" / name);
    for (const dtype type :
         {dtype::f32, dtype::bf16, dtype::q8_0, dtype::q4_0}) {
      const auto a = model::random(shape.config(), type, 7);
      const auto b = model::random(shape.config(), type, 7, {.n_threads = 1});
      REQUIRE_OK(a);
      REQUIRE_OK(b);
      CHECK(a->tokenizer() == nullptr);
      const std::vector<token_id> ids = {1, 2, 3};
      runner ra(*a), rb(*b);
      const auto logits = ra.run(ids, false);
      CHECK(logits == rb.run(ids, false));
      for (const float x : logits) CHECK(std::isfinite(x));
    }
  }
}

TEST_CASE("random weights of an impossible shape are refused") {
  const model_config right =
      load_exact(data_dir() / "tiny" / "mini-4k").config();
  const auto refusal = [&](auto change) {
    model_config wrong = right;
    change(wrong);
    return message_of(model::random(wrong, dtype::f32, 1));
  };
  CHECK_THAT(message_of(model::random({}, dtype::f32, 1)),
             Contains("vocabulary 0 where tinyphi needs 1 to 1048576"));
  CHECK_THAT(refusal([](auto& c) { c.n_kv_heads = 0; }),
             Contains("number of key-value heads 0 where tinyphi needs 1"));
  CHECK_THAT(refusal([](auto& c) { c.n_heads = 4, c.n_kv_heads = 3; }),
             Contains("not a multiple"));
  CHECK_THAT(refusal([](auto& c) { c.head_dim = 1025; }),
             Contains("head size 1025"));
  CHECK_THAT(refusal([](auto& c) { c.rope.rotary_dim = 0; }),
             Contains("rotary embedding of 0"));
  CHECK_THAT(refusal([](auto& c) { c.sparse.vert_stride = 0; }),
             Contains("vertical stride 0"));
  CHECK_THAT(refusal([](auto& c) { c.window = 1u << 31; }),
             Contains("window 2147483648"));
}

TEST_CASE("a pass that is stopped in the middle ends soon and says why") {
  const model shape = load_exact(data_dir() / "tiny" / "mini-4k");
  model_config config = shape.config();
  config.n_layers = 1;  // nothing to poll between
  config.max_context = 1 << 16;
  const auto m = model::random(config, dtype::f32, 1);
  REQUIRE_OK(m);
  runner r(*m);
  const std::vector<token_id> ids(8192, 5);
  const batch_run one{&r.kv, ids, false, 0};
  stop_condition stop;
  r.scratch.trace = [&](std::size_t, std::span<const float>) {
    stop.token.cancel();  // after the embedding
  };
  const auto begin = std::chrono::steady_clock::now();
  const auto stopped = m->forward({&one, 1}, r.threads, r.scratch, stop);
  REQUIRE(!stopped);
  CHECK(stopped.error().code == error_code::cancelled);
  CHECK(r.kv.length() == 0);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(2));
}
