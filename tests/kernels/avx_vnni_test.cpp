// SPDX-License-Identifier: MIT
// AVX2 with AVX-VNNI and without. Few CPUs have it: avx_vnni_test runs this on
// those with AVX-512, too.
#include <fstream>
#include <map>
#include <string>

#include "kernels/kernel_test.h"

namespace tinyphi {
namespace {

using tinyphi_test::on_every_target;

TEST_CASE("AVX-VNNI is used where the system knows of it") {
  bool has_avx2 = false, has_vnni = false;
  on_every_target([&] {
    has_avx2 |= std::string(kernel_target()) == "AVX2";
    has_vnni |= std::string(kernel_target()) == "AVX2+VNNI";
  });
  bool known = false;
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string flag; cpuinfo >> flag;) known |= flag == "avx_vnni";
  CHECK(has_vnni >= (known && has_avx2));
  CHECK(has_avx2 >= has_vnni);
}

TEST_CASE("AVX-VNNI changes no bit of AVX2's products") {
  for (const dtype type :
       {dtype::q4_0, dtype::q8_0, dtype::q4_k, dtype::q6_k, dtype::iq4_xs}) {
    for (const std::size_t m : {1u, 2u, 15u}) {
      const auto w = tinyphi_test::random_matrix(type, 70, 512, 1);
      const auto x = tinyphi_test::random_floats(m * 512, 2);
      std::map<std::string, std::vector<float>> results;
      on_every_target([&] {
        tinyphi_test::q8_buffers rounded(m, 512);
        tinyphi_test::quantize_rows(quantize_q8, x, 512, 0, m, rounded.view);
        std::vector<float> out(m * 70);
        matmul_q8(w, 0, w.n_strips(), rounded.view, {out.data(), 70});
        results[kernel_target()] = out;
      });
      if (results.count("AVX2+VNNI") == 0) SKIP_CASE("no AVX-VNNI here");
      INFO(to_string(type) << " m " << m);
      CHECK(tinyphi_test::same_bits(results["AVX2"], results["AVX2+VNNI"]));
    }
  }
}

}  // namespace
}  // namespace tinyphi
