// SPDX-License-Identifier: MIT
// The choice of targets, and the probes.
#include <algorithm>
#include <string>

#include "kernels/kernel_test.h"

namespace tinyphi {
namespace {

TEST_CASE("every target can be forced, and the best comes back") {
  const std::string best = kernel_target();
  const auto targets = kernel_targets();
  REQUIRE_FALSE(targets.empty());
  std::vector<std::string> names;
  tinyphi_test::on_every_target([&] { names.push_back(kernel_target()); });
  std::sort(names.begin(), names.end());
  CHECK(std::unique(names.begin(), names.end()) == names.end());
  CHECK(std::count(names.begin(), names.end(), best) == 1);
  CHECK(kernel_target() == best);
}

TEST_CASE("probes do the work that they report") {
  std::vector<std::uint64_t> data(4096, 0);
  const auto* bytes = reinterpret_cast<const std::byte*>(data.data());
  tinyphi_test::on_every_target([&] {
    for (const read_order order : all_read_orders) {
      CHECK(probe_read(bytes, data.size() * 8, order) == 0);
      for (std::size_t i = 0; i < data.size(); i += 61) {
        data[i] = 5;
        CHECK(probe_read(bytes, data.size() * 8, order) != 0);
        data[i] = 0;
      }
    }
    std::int32_t integers = 0x01010101;
    CHECK(probe_dot_product(100, &integers) >= 100);
    CHECK(integers != 0x01010101);
    float sink = 0.5f;
    CHECK(probe_fma(100, &sink) >= 100);
    CHECK(sink != 0.5f);
  });
}

}  // namespace
}  // namespace tinyphi
