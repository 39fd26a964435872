// SPDX-License-Identifier: MIT
#include "tinyphi/serve/energy.h"

#include <unistd.h>

#include <limits>

#include "support/temp_folder.h"
#include "support/test.h"

using namespace tinyphi;
using tinyphi_test::message_of;
using tinyphi_test::temp_folder;

namespace {

void zone(const temp_folder& root, const std::string& name,
          const std::string& kind, const std::string& energy,
          const std::string& range = "1000000000\n") {
  const std::string folder = "sys/class/powercap/" + name + "/";
  root.write(folder + "name", kind + "\n");
  root.write(folder + "energy_uj", energy);
  root.write(folder + "max_energy_range_uj", range);
}

TEST_CASE("energy is that of all packages, and of nothing twice") {
  const temp_folder root;
  zone(root, "intel-rapl:0", "package-0", "1000000\n");
  zone(root, "intel-rapl:1", "package-1", "0\n");
  zone(root, "intel-rapl:0:0", "package-0", "0\n");
  zone(root, "intel-rapl:2", "psys", "0\n");
  zone(root, "intel-rapl-mmio:0", "package-0", "0\n");
  auto meter = energy_meter::open(root.path().string());
  REQUIRE_OK(meter);
  CHECK(meter->read() == 0);
  zone(root, "intel-rapl:0", "package-0", "3500000\n");
  zone(root, "intel-rapl:1", "package-1", "250000\n");
  zone(root, "intel-rapl:0:0", "package-0", "9000000\n");
  zone(root, "intel-rapl:2", "psys", "9000000\n");
  zone(root, "intel-rapl-mmio:0", "package-0", "9000000\n");
  CHECK(meter->read() == 2.75);
  CHECK(meter->read() == 0);
  CHECK(meter->joules() == 2.75);
}

TEST_CASE("a counter of energy that wraps goes on") {
  const temp_folder root;
  zone(root, "intel-rapl:0", "package-0", "999500000\n");
  auto meter = energy_meter::open(root.path().string());
  REQUIRE_OK(meter);
  zone(root, "intel-rapl:0", "package-0", "500000\n");
  CHECK(meter->read() == 1.0);
}

TEST_CASE("a counter that goes back without a range adds nothing") {
  const temp_folder root;
  const std::string range =
      GENERATE(as<std::string>(), "", "-5", "junk", "10");
  zone(root, "intel-rapl:0", "package-0", "5000000", range);
  auto meter = energy_meter::open(root.path().string());
  REQUIRE_OK(meter);
  zone(root, "intel-rapl:0", "package-0", "1000000", range);
  CHECK(meter->read() == 0);
  zone(root, "intel-rapl:0", "package-0", "2000000", range);
  CHECK(meter->read() == 1.0);
}

TEST_CASE("what a counter said while it was not readable is added later") {
  const temp_folder root;
  zone(root, "intel-rapl:0", "package-0", "0\n");
  auto meter = energy_meter::open(root.path().string());
  REQUIRE_OK(meter);
  const std::string nonsense =
      GENERATE(as<std::string>(), "", "\n", "-1", "1e6", "0x10",
               "99999999999999999999999999999",
               "1111111111111111111111111111111111111111");
  zone(root, "intel-rapl:0", "package-0", nonsense);
  CHECK(meter->read() == 0);
  zone(root, "intel-rapl:0", "package-0", "3000000\n");
  CHECK(meter->read() == 3.0);
}

TEST_CASE("a machine without counters of energy says so") {
  const temp_folder root;
  const auto none = energy_meter::open(root.path().string());
  REQUIRE(!none);
  CHECK(none.error().code == error_code::unavailable);
  zone(root, "intel-rapl:0", "package-0", "junk");
  CHECK(energy_meter::open(root.path().string()).error().code ==
        error_code::unavailable);
}

TEST_CASE("counters of energy that are root's alone say what to do") {
  if (::geteuid() == 0) SKIP_CASE("root may read every file");
  const temp_folder root;
  zone(root, "intel-rapl:0", "package-0", "0\n");
  std::filesystem::permissions(
      root.path() / "sys/class/powercap/intel-rapl:0/energy_uj",
      std::filesystem::perms::none);
  const auto refused = energy_meter::open(root.path().string());
  REQUIRE(!refused);
  CHECK(refused.error().code == error_code::io);
  CHECK(message_of(refused).find("tmpfiles") != std::string::npos);
}

TEST_CASE("joules are split by charged milliseconds") {
  CHECK(split_energy(8, std::vector<double>{1, 3}) ==
        std::vector<double>{2, 6});
  CHECK(split_energy(8, std::vector<double>{0, 0}) ==
        std::vector<double>{0, 0});
  CHECK(split_energy(8, {}).empty());
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  constexpr double inf = std::numeric_limits<double>::infinity();
  CHECK(split_energy(8, std::vector<double>{-1, nan, inf, 4}) ==
        std::vector<double>{0, 0, 0, 8});
}

TEST_CASE("a kilowatt-hour costs what it is said to") {
  CHECK(energy_cost(3.6e6, 0.30) == 0.30);
}

}  // namespace
