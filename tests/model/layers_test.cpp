// SPDX-License-Identifier: MIT
// Steps of the forward pass that spread a product over threads and go on with
// it, against the same kernels run one after the other on whole matrices.
#include "tinyphi/model/layers.h"

#include <cstring>
#include <random>

#include "support/test.h"

using namespace tinyphi;

namespace {

struct layers_case {
  architecture arch;
  dtype type;
  std::uint32_t intermediate;
  bool fast = false;
};

// Of one layer, with biases.
model_weights random_layer(const layers_case& k) {
  model_weights w;
  model_config& c = w.config;
  c.arch = k.arch;
  c.vocab_size = c.hidden = 64;
  c.intermediate = k.intermediate;
  c.n_layers = c.n_heads = c.n_kv_heads = 1;
  c.head_dim = 32;
  c.rope.rotary_dim = 32;
  c.max_context = 1000;
  c.gegelu_limit = 2;
  const auto made = randomize_weights(w, k.type, 1, {});
  REQUIRE_OK(made);
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  for (linear* l : {&w.layers[0].gate_up, &w.layers[0].ffn_down}) {
    l->bias.resize(l->w.rows);
    for (float& x : l->bias) x = normal(random);
  }
  w.fast_prefill = k.fast;
  w.has_f32_products = true;
  w.has_integer_products = is_quantized(k.type);
  return w;
}

// All rows of l times all tokens.
std::vector<float> product(const model_weights& w, const linear& l,
                           const activations& in) {
  std::vector<float> out(in.rows() * l.w.rows);
  const product_rows to{out.data(), l.w.rows, l.bias.data()};
  if (w.in_integers(l)) {
    matmul_q8(l.w, 0, l.w.n_strips(), in.rounded(), to);
  } else {
    matmul_f32(l.w, 0, l.w.n_strips(), in.f32().row(0), in.f32().cols(),
               in.rows(), to);
  }
  return out;
}

std::vector<float> values(const matrix_buffer& m) {
  return {m.values().begin(), m.values().end()};
}

}  // namespace

TEST_CASE("the feed-forward steps are their kernels, in any number of tasks") {
  const auto phi3 = architecture::phi3, small = architecture::phi3_small;
  // Ups that begin inside a strip; columns that end inside a block.
  for (const layers_case& k :
       {layers_case{phi3, dtype::f32, 100}, layers_case{phi3, dtype::f32, 24},
        layers_case{phi3, dtype::q8_0, 96}, layers_case{phi3, dtype::q4_0, 672},
        layers_case{small, dtype::f32, 100},
        layers_case{small, dtype::q8_0, 224},
        layers_case{phi3, dtype::q4_0, 672, true},
        layers_case{small, dtype::q8_0, 224, true}}) {
    const model_weights w = random_layer(k);
    const layer_weights& layer = w.layers[0];
    const std::size_t n = k.intermediate;
    for (const std::size_t m : {1u, 13u, 200u}) {
      for (const int n_threads : {1, 2, 3}) {
        INFO(to_string(k.arch)
             << " " << to_string(k.type) << " " << n << ", tokens " << m
             << ", threads " << n_threads);
        team threads(n_threads);
        layer_buffers b;
        const stop_condition stop;
        layer_ops f(w, threads, b, stop);
        for (std::size_t t = 0; t < m; ++t) {
          b.tokens.push_back(
              {static_cast<token_id>(t % 64), t, nullptr, false});
        }
        const auto prepared = f.prepare();
        REQUIRE_OK(prepared);
        f.embed();
        f.norm(layer.ffn_norm, b.x, b.normed);
        f.gate(layer.gate_up, b.normed, b.gated);

        const auto gate_up = product(w, layer.gate_up, b.normed);
        std::vector<float> gated(m * n);
        for (std::size_t t = 0; t < m; ++t) {
          const float* row = gate_up.data() + t * 2 * n;
          if (k.arch == small) {
            gegelu(row, 2, n, {gated.data() + t * n});
          } else {
            swiglu(row, row + n, n, {gated.data() + t * n});
          }
        }
        REQUIRE(values(b.gated.f32()) == gated);
        if (w.has_integer_products) {
          activations again;
          const auto sized = again.resize(m, n, true, true, k.fast);
          REQUIRE_OK(sized);
          std::memcpy(again.f32_row(0), gated.data(), m * n * sizeof(float));
          for (std::size_t t = 0; t < m; ++t) again.round(t, 0, n);
          const q8_activations &a = again.rounded(), &found = b.gated.rounded();
          CHECK(std::memcmp(found.q, a.q, m * n) == 0);
          CHECK(std::memcmp(found.scale, a.scale, m * n / 32 * 4) == 0);
          CHECK(std::memcmp(found.sum, a.sum, m * n / 32 * 4) == 0);
        }

        std::vector<float> sum = values(b.x);
        const auto down = product(w, layer.ffn_down, b.gated);
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += down[i];
        f.add_matmul(layer.ffn_down, b.gated, b.x);
        CHECK(values(b.x) == sum);
      }
    }
  }
}

TEST_CASE("activations have the forms that are asked for, where they can be") {
  activations a;
  for (const std::size_t m : {63u, 64u}) {
    for (const bool fast : {false, true}) {
      const auto sized = a.resize(m, 160, false, true, fast);
      REQUIRE_OK(sized);
      CHECK(a.rounded().scale_cols == (fast && m == 64 ? 128 : 32));
    }
  }
  const auto rounded = a.resize(3, 64, false, true);
  REQUIRE_OK(rounded);
  CHECK(a.at(1, 32).f32 == nullptr);
  CHECK(a.at(1, 32).q8 == &a.rounded());
  CHECK(a.at(1, 32).token == 1);
  CHECK(a.at(1, 32).column == 32);
  CHECK(a.rounded().m == 3);
  // No whole groups of columns: nothing to round.
  const auto both = a.resize(2, 40, true, true);
  REQUIRE_OK(both);
  CHECK(a.at(1, 0).q8 == nullptr);
  CHECK(a.at(1, 8).f32 == a.f32_row(1) + 8);
  a.round(0, 0, 40);
}
