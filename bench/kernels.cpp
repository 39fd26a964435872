// SPDX-License-Identifier: MIT
// How close the matrix kernels come to what this machine can do:
//   kernels [--json]
// First the yardsticks (read bandwidth, integer dot products, f32 FMA), then
// each kernel as a share of the one that bounds it: few tokens by bandwidth,
// many by arithmetic. Best of several runs; other load still lowers the
// figures, so compare shares rather than speeds.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string_view>
#include <thread>
#include <vector>

#include "measure.h"
#include "tinyphi/kernels/kernels.h"

namespace {

using bench::best_seconds;
using tinyphi::dtype;

constexpr std::size_t matrix_bytes = std::size_t{192} << 20;  // beyond caches
constexpr std::size_t cols = 3072;

// A matrix of about matrix_bytes. Its values do not matter to the speed, but
// scales must be numbers: random bytes would make slow subnormals.
tinyphi::packed_matrix make_matrix(dtype type) {
  const std::size_t strips =
      matrix_bytes / tinyphi::packed_strip_bytes(type, cols);
  auto w = tinyphi::make_packed(type, strips * tinyphi::strip_rows, cols);
  if (!w) {
    std::fprintf(stderr, "%s\n", w.error().message.c_str());
    std::exit(1);
  }
  std::memset(w->storage.data(), 0x3A, w->storage.size());
  return *std::move(w);
}

struct activations {
  explicit activations(std::size_t m)
      : x(m * cols),
        q(m * cols),
        scale(m * cols / 32),
        sum(m * cols / 32),
        half_sum(m * cols / 32) {
    std::mt19937 random(1);
    for (float& v : x) v = static_cast<float>(random() % 255) - 127;
    rounded = {m, cols, q.data(), scale.data(), sum.data(), half_sum.data()};
    for (std::size_t t = 0; t < m; ++t) {
      tinyphi::quantize_q8(x.data() + t * cols, cols, rounded, t, 0);
    }
  }
  std::vector<float> x;
  std::vector<std::int8_t> q;
  std::vector<float> scale;
  std::vector<std::int32_t> sum, half_sum;
  tinyphi::q8_activations rounded;
};

struct measurement {
  double bytes, macs;  // per second
};

measurement measure(const tinyphi::packed_matrix& w, std::size_t m,
                    std::size_t threads) {
  const activations x(m);
  // All of the matrix where bandwidth counts, a part where it does not.
  const std::size_t strips =
      std::min(w.n_strips(), std::max<std::size_t>(24576 / m, 64));
  const std::size_t rows = strips * tinyphi::strip_rows;
  std::vector<float> out(m * rows);
  const double seconds = best_seconds(threads, [&](std::size_t t) {
    const std::size_t begin = strips * t / threads;
    const std::size_t end = strips * (t + 1) / threads;
    for (std::size_t s = begin; s < end; s += 16) {
      const std::size_t stop = std::min(end, s + 16);
      const tinyphi::product_rows to{out.data() + s * tinyphi::strip_rows,
                                     rows};
      if (tinyphi::is_quantized(w.type)) {
        tinyphi::matmul_q8(w, s, stop, x.rounded, to);
      } else {
        tinyphi::matmul_f32(w, s, stop, x.x.data(), cols, m, to);
      }
    }
  });
  return {static_cast<double>(strips * w.strip_bytes()) / seconds,
          static_cast<double>(rows * cols * m) / seconds};
}

}  // namespace

int main(int argc, char** argv) {
  const bool json = argc > 1 && std::string_view(argv[1]) == "--json";
  auto memory = tinyphi::aligned_array<std::byte>::create(matrix_bytes);
  if (!memory) {
    std::fprintf(stderr, "%s\n", memory.error().message.c_str());
    return 1;
  }
  std::memset(memory->data(), 1, memory->size());
  const std::size_t cpus = std::max(1u, std::thread::hardware_concurrency());

  std::printf(json ? "{\"target\": \"%s\", \"results\": [" : "target %s\n",
              tinyphi::kernel_target());
  bool first = true;
  for (std::size_t threads = 1; threads <= std::min<std::size_t>(cpus, 2);
       ++threads) {
    const bench::limits top = bench::limits_of(threads, *memory);
    if (!json) {
      std::printf(
          "%zu thread(s): read %.1f GB/s, int8 %.0f GMAC/s, f32 %.0f GMAC/s\n",
          threads, top.bytes / 1e9, top.dots / 1e9, top.fmas / 1e9);
    }
    for (const dtype type : {dtype::q4_0, dtype::q8_0, dtype::f32}) {
      const tinyphi::packed_matrix w = make_matrix(type);
      for (const std::size_t m : {1u, 4u, 8u, 64u, 512u}) {
        const measurement found = measure(w, m, threads);
        const double peak = type == dtype::f32 ? top.fmas : top.dots;
        const char* format =
            json ? "%s{\"threads\": %zu, \"type\": \"%s\", \"tokens\": %zu, "
                   "\"gb_per_s\": %.2f, \"read_share\": %.3f, "
                   "\"gmac_per_s\": %.1f, \"peak_share\": %.3f}"
                 : "%s  %zu  %-4s  m %3zu  %6.2f GB/s (%.2f of read)  %7.1f "
                   "GMAC/s (%.2f of peak)\n";
        std::printf(format, json && !first ? ", " : "", threads,
                    tinyphi::to_string(type).data(), m, found.bytes / 1e9,
                    found.bytes / top.bytes, found.macs / 1e9,
                    found.macs / peak);
        first = false;
      }
    }
  }
  if (json) std::puts("]}");
}
