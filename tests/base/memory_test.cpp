// SPDX-License-Identifier: MIT
#include "tinyphi/base/memory.h"

#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "support/temp_folder.h"
#include "support/test.h"

using namespace tinyphi;

TEST_CASE("available_memory lies between this process's need and the machine") {
  const auto total = static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) *
                     static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  CHECK(available_memory() > std::size_t{1} << 20);
  CHECK(available_memory() <= total);
}

TEST_CASE("the tightest memory limit of the process's cgroups counts") {
  using files = std::vector<std::pair<const char*, const char*>>;
  const auto found = [](const files& tree) {
    const tinyphi_test::temp_folder machine;
    for (const auto& [path, text] : tree) machine.write(path, text);
    return available_memory(machine.path().string());
  };
  const auto kb = [](std::size_t n) { return n * 1024; };
  files v2 = {
      {"proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:    8000 kB\n"},
      {"proc/self/mountinfo", "31 24 0:27 / /cg rw - cgroup2 cgroup2 rw\n"},
      {"proc/self/cgroup", "0::/a/b\n"},
      {"cg/a/memory.max", "max\n"},
      {"cg/a/memory.current", "1024\n"}};
  CHECK(found({}) == 0);
  CHECK(found(v2) == kb(8000));
  v2.emplace_back("cg/a/b/memory.max", "4096000\n");
  v2.emplace_back("cg/a/b/memory.current", "3072000\n");
  CHECK(found(v2) == kb(1000));
  v2.emplace_back("cg/a/b/memory.stat", "anon 5\ninactive_file 1024000\n");
  CHECK(found(v2) == kb(2000));
  // Nothing is left: that is not the same as nothing known.
  v2.emplace_back("cg/a/memory.max", "1000\n");
  CHECK(found(v2) == 1);

  CHECK(found({{"proc/meminfo", "MemAvailable: 8000 kB\n"},
               {"proc/self/mountinfo",
                "33 24 0:29 / /cg/memory rw - cgroup cgroup rw,memory\n"},
               {"proc/self/cgroup", "5:memory:/a\n"},
               {"cg/memory/memory.limit_in_bytes", "9223372036854771712\n"},
               {"cg/memory/memory.usage_in_bytes", "1024000\n"},
               {"cg/memory/a/memory.limit_in_bytes", "4096000\n"},
               {"cg/memory/a/memory.usage_in_bytes", "3072000\n"},
               {"cg/memory/a/memory.stat", "total_inactive_file 512000\n"}}) ==
        kb(1500));
}
