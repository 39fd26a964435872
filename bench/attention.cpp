// SPDX-License-Identifier: MIT
// How close attention comes to what this machine can do, in Phi-3-mini's shape:
//   attention [--json]
// For each type of cache, the last token of 4096 and 16384 positions as a share
// of the read bandwidth, and the last 256, as a prompt's, as a multiple of the
// f32 peak. Best of several runs; compare shares rather than speeds.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>
#include <vector>

#include "measure.h"
#include "tinyphi/kernels/kernels.h"

namespace {

using bench::best_seconds;
using tinyphi::kv_type;

constexpr std::size_t heads = 32, head_dim = 96;
constexpr std::size_t prompt = 256, rows_at_once = 32;
constexpr float scale = 0.1f;

tinyphi::aligned_array<std::byte> make_bytes(std::size_t n) {
  auto bytes = tinyphi::aligned_array<std::byte>::create(n);
  if (!bytes) {
    std::fprintf(stderr, "attention: %s\n", bytes.error().message.c_str());
    std::exit(1);
  }
  // Its values do not matter to the speed, but scales must be numbers: random
  // bytes would make slow subnormals.
  std::memset(bytes->data(), 0x3A, bytes->size());
  return *std::move(bytes);
}

// Pages as the engine has them: [layer][head] in each.
struct cache {
  cache(kv_type t, std::size_t n_positions, std::size_t n_layers)
      : type(t), positions(n_positions), layers(n_layers) {
    for (std::size_t p = 0; p < positions; p += tinyphi::page_tokens) {
      storage.push_back(make_bytes(layers * heads * part()));
      pages.push_back(storage.back().data());
    }
  }
  [[nodiscard]] std::size_t part() const {
    return tinyphi::kv_head_bytes(type, head_dim);
  }
  [[nodiscard]] double bytes() const {
    return static_cast<double>(pages.size() * layers * heads * part());
  }
  [[nodiscard]] tinyphi::kv_view view(std::size_t layer,
                                      std::size_t head) const {
    return {pages.data(), (layer * heads + head) * part(), head_dim, type};
  }
  kv_type type;
  std::size_t positions, layers;
  std::vector<tinyphi::aligned_array<std::byte>> storage;
  std::vector<std::byte*> pages;
};

// Queries at positions [begin, begin + n) of one head.
void attend(const tinyphi::kv_view& kv, std::size_t begin, std::size_t n) {
  std::vector<float> q(n * head_dim, 0.5f), out(n * head_dim);
  std::vector<tinyphi::key_range> ranges(n);
  std::vector<tinyphi::attention_row> rows(n);
  for (std::size_t r = 0; r < n; ++r) {
    ranges[r] = {0, static_cast<std::uint32_t>(begin + r + 1)};
    rows[r] = {q.data() + r * head_dim, out.data() + r * head_dim, &ranges[r],
               1};
  }
  tinyphi::attend(kv, scale, rows.data(), n);
}

// Bytes per second of one token after another, layer by layer.
double decode_speed(const cache& c, std::size_t threads) {
  const double seconds = best_seconds(threads, [&](std::size_t thread) {
    for (std::size_t task = thread; task < c.layers * heads; task += threads) {
      attend(c.view(task / heads, task % heads), c.positions - 1, 1);
    }
  });
  return c.bytes() / seconds;
}

// Multiply-adds per second of the prompt's last tokens.
double prefill_speed(const cache& c, std::size_t threads) {
  constexpr std::size_t tiles = prompt / rows_at_once;
  const double seconds = best_seconds(threads, [&](std::size_t thread) {
    for (std::size_t task = thread; task < heads * tiles; task += threads) {
      attend(c.view(0, task % heads),
             c.positions - prompt + task / heads * rows_at_once, rows_at_once);
    }
  });
  const double seen = static_cast<double>(c.positions) - prompt / 2.0;
  return 2.0 * head_dim * heads * prompt * seen / seconds;
}

}  // namespace

int main(int argc, char** argv) {
  const bool json = argc > 1 && std::string_view(argv[1]) == "--json";
  const std::size_t cpus = std::max(1u, std::thread::hardware_concurrency());
  std::printf(json ? "{\"target\": \"%s\", \"results\": [" : "target %s\n",
              tinyphi::kernel_target());
  const auto memory = make_bytes(std::size_t{256} << 20);
  bool first = true;
  for (std::size_t threads = 1; threads <= std::min<std::size_t>(cpus, 2);
       ++threads) {
    const bench::limits top = bench::limits_of(threads, memory);
    if (!json) {
      std::printf("%zu thread(s): read %.1f GB/s, f32 %.0f GMAC/s\n", threads,
                  top.bytes / 1e9, top.fmas / 1e9);
    }
    for (const kv_type type : tinyphi::kv_types) {
      for (const std::size_t positions : {4096u, 16384u}) {
        const cache c(type, positions, 16384 / positions);
        const double decode = decode_speed(c, threads);
        const double prefill = prefill_speed(c, threads);
        const char* format =
            json ? "%s{\"threads\": %zu, \"cache\": \"%s\", \"positions\": "
                   "%zu, \"gb_per_s\": %.2f, \"read_share\": %.3f, "
                   "\"gmac_per_s\": %.1f, \"f32_peak_share\": %.3f}"
                 : "%s  %zu  %-4s  %5zu positions: decode %6.2f GB/s (%.2f of "
                   "read), prefill %6.1f GMAC/s (%.2f of f32 peak)\n";
        std::printf(format, json && !first ? ", " : "", threads,
                    tinyphi::to_string(type).data(), positions, decode / 1e9,
                    decode / top.bytes, prefill / 1e9, prefill / top.fmas);
        first = false;
      }
    }
  }
  if (json) std::puts("]}");
}
