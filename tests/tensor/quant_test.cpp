// SPDX-License-Identifier: MIT
// Block formats against PyPI's gguf (tools/make_quant_cases.py).
#include "tinyphi/tensor/quant.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "support/test.h"
#include "tinyphi/base/half.h"

namespace tinyphi {
namespace {

constexpr std::size_t case_cols = 256;

std::vector<std::byte> quantized(dtype type, const std::vector<float>& x) {
  std::vector<std::byte> bytes(row_bytes(type, x.size()));
  quantize_row(type, x, bytes);
  return bytes;
}

std::vector<float> round_trip(dtype type, const std::vector<float>& x) {
  std::vector<float> out(x.size());
  dequantize_row(type, quantized(type, x), out);
  return out;
}

// As tools/make_quant_cases.py lists them.
constexpr dtype quantized_types[] = {dtype::q8_0, dtype::q4_0, dtype::q4_1,
                                     dtype::q5_0, dtype::q5_1};

std::vector<char> read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_CASE("quantized rows are bit-equal to gguf's") {
  const auto bytes = read_file(tinyphi_test::data_dir() / "quant_cases.bin");
  const char* p = bytes.data();
  for (int i = 0; i < 40; ++i) {
    std::vector<float> x(case_cols);
    REQUIRE(p + 1024 <= bytes.data() + bytes.size());
    std::memcpy(x.data(), p, 1024);
    p += 1024;
    for (const dtype type : quantized_types) {
      INFO("case " << i << " " << to_string(type));
      std::vector<std::byte> row(row_bytes(type, case_cols));
      REQUIRE(p + row.size() <= bytes.data() + bytes.size());
      std::memcpy(row.data(), p, row.size());
      p += row.size();
      CHECK(quantized(type, x) == row);
    }
  }
  CHECK(p == bytes.data() + bytes.size());
}

// The root mean square error of normal values; bounds 5 % above what was found.
TEST_CASE("searching quantizers come close") {
  std::mt19937 random(17);
  std::normal_distribution<float> normal;
  std::vector<float> x(256 * 64);
  for (float& v : x) v = normal(random);
  const std::pair<dtype, double> most[] = {
      {dtype::q4_k, 0.075}, {dtype::q5_k, 0.0376}, {dtype::q6_k, 0.0182}};
  for (const auto& [type, bound] : most) {
    const auto y = round_trip(type, x);
    double error = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      error += (y[i] - x[i]) * (y[i] - x[i]);
    }
    INFO(to_string(type));
    CHECK(std::sqrt(error / static_cast<double>(x.size())) < bound);
    // Constants and zeros have no error beyond the scales' f16.
    CHECK(round_trip(type, std::vector<float>(256)) == std::vector<float>(256));
    CHECK(round_trip(type, std::vector<float>(256, -2.f))[7] ==
          Approx(-2).epsilon(0.01));
  }
}

// As make_quant_cases.py hashes rows.
std::uint64_t hash_of(const std::vector<float>& row) {
  std::uint64_t hash = 0xCBF29CE484222325;
  for (const float x : row) {
    auto bits = std::bit_cast<std::uint32_t>(x);
    if (std::isnan(x)) bits = 0x7FC00000;
    for (int i = 0; i < 32; i += 8) {
      hash = (hash ^ (bits >> i & 255)) * 0x100000001B3;
    }
  }
  return hash;
}

TEST_CASE("dequantized rows are bit-equal to gguf's") {
  const auto bytes = read_file(tinyphi_test::data_dir() / "dequant_cases.bin");
  const char* p = bytes.data();
  for (const dtype_info& d : dtypes) {
    if (!is_quantized(d.type)) continue;
    for (int i = 0; i < 16; ++i) {
      INFO(d.name << " row " << i);
      std::vector<std::byte> row(row_bytes(d.type, case_cols));
      std::uint64_t hash = 0;
      std::vector<float> x(case_cols);
      REQUIRE(p + row.size() + sizeof hash <= bytes.data() + bytes.size());
      std::memcpy(row.data(), p, row.size());
      std::memcpy(&hash, p + row.size(), sizeof hash);
      p += row.size() + sizeof hash;
      dequantize_row(d.type, row, x);
      CHECK(hash_of(x) == hash);
    }
  }
  CHECK(p == bytes.data() + bytes.size());
}

TEST_CASE("unquantized types round to nearest, ties to even") {
  const std::vector<float> x = {0.f,
                                -1.5f,
                                1.f + 0x1p-8f,        // tie in bf16: down
                                1.f + 3 * 0x1p-8f,    // tie in bf16: up
                                1.f + 0x1p-11f,       // tie in f16: down
                                1.f + 3 * 0x1p-11f};  // tie in f16: up
  CHECK(round_trip(dtype::f32, x) == x);
  const auto h = round_trip(dtype::f16, x);
  CHECK(h[4] == 1.f);
  CHECK(h[5] == 1.f + 0x1p-9f);
  const auto b = round_trip(dtype::bf16, x);
  CHECK(b[1] == -1.5f);
  CHECK(b[2] == 1.f);
  CHECK(b[3] == 1.f + 0x1p-6f);
}

TEST_CASE("NaN and infinity neither trap nor turn into numbers") {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const float bad : {inf, -inf, nan}) {
    std::vector<float> x(32, 1.f);
    x[3] = bad;
    for (const dtype type : {dtype::f32, dtype::f16, dtype::bf16}) {
      const float y = round_trip(type, x)[3];
      CHECK((y == bad || (std::isnan(bad) && std::isnan(y))));
    }
    for (const dtype type : quantized_types) {
      const float y = round_trip(type, x)[3];
      CHECK((std::isnan(bad) || !std::isfinite(y)));
    }
  }
}

TEST_CASE("an empty row is valid") {
  for (const dtype_info& d : dtypes) {
    if (can_quantize(d.type)) CHECK(quantized(d.type, {}).empty());
    dequantize_row(d.type, {}, {});
  }
}

}  // namespace
}  // namespace tinyphi
