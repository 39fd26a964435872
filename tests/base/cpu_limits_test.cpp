// SPDX-License-Identifier: MIT
#include "tinyphi/base/cpu_limits.h"

#include <utility>
#include <vector>

#include "support/temp_folder.h"
#include "support/test.h"
#include "tinyphi/base/cgroup.h"

using namespace tinyphi;
using tinyphi_test::temp_folder;

namespace {

using files = std::vector<std::pair<const char*, const char*>>;

// What read_cpu_limits finds on a machine with these files.
double quota_of(const files& tree) {
  const temp_folder machine;
  for (const auto& [path, text] : tree) machine.write(path, text);
  return read_cpu_limits(machine.path().string()).quota;
}

// Fedora, Debian 12: one hierarchy, version 2.
constexpr const char* v2_mount =
    "24 1 252:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
    "31 24 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n";

}  // namespace

TEST_CASE("version 2: the least quota from the process's cgroup to the top") {
  const files service = {
      {"proc/self/mountinfo", v2_mount},
      {"proc/self/cgroup", "0::/system.slice/app.service/worker\n"},
      {"sys/fs/cgroup/cgroup.controllers", "cpu memory\n"},
      {"sys/fs/cgroup/system.slice/cpu.max", "max 100000\n"},
      {"sys/fs/cgroup/system.slice/app.service/cpu.max", "150000 100000\n"},
      {"sys/fs/cgroup/system.slice/app.service/worker/cpu.max",
       "400000 100000\n"},
      {"sys/fs/cgroup/other/cpu.max", "1000 100000\n"}};
  CHECK(quota_of(service) == 1.5);
  files tighter = service;
  tighter.emplace_back("sys/fs/cgroup/system.slice/cpu.max", "5000 20000\n");
  CHECK(quota_of(tighter) == 0.25);
  CHECK(quota_of({service.begin(), service.begin() + 4}) == 0);
}

TEST_CASE("version 2 in a container that sees its own part only") {
  CHECK(quota_of({{"proc/self/mountinfo", v2_mount},
                  {"proc/self/cgroup", "0::/\n"},
                  {"sys/fs/cgroup/cpu.max", "200000 100000\n"}}) == 2);
  // Joined from outside: the path leads out of what is mounted.
  CHECK(quota_of({{"proc/self/mountinfo", v2_mount},
                  {"proc/self/cgroup", "0::/../../user.slice\n"},
                  {"sys/fs/cgroup/cpu.max", "200000 100000\n"},
                  {"user.slice/cpu.max", "1000 100000\n"}}) == 2);
  // The host's path, of which a part is mounted.
  CHECK(quota_of({{"proc/self/mountinfo",
                   "41 30 0:27 /pods/a /sys/fs/cgroup ro - cgroup2 cg rw\n"},
                  {"proc/self/cgroup", "0::/pods/a/task\n"},
                  {"sys/fs/cgroup/cpu.max", "300000 100000\n"},
                  {"sys/fs/cgroup/task/cpu.max", "max 100000\n"}}) == 3);
}

TEST_CASE("version 1: quota and period are files of their own") {
  const char* mounts =
      "25 24 0:22 / /sys/fs/cgroup ro shared:8 - tmpfs tmpfs ro,mode=755\n"
      "33 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup "
      "rw,cpu,cpuacct\n"
      "34 25 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n";
  const files user = {
      {"proc/self/mountinfo", mounts},
      {"proc/self/cgroup",
       "9:cpuset:/elsewhere\n4:cpu,cpuacct:/user/1000\n1:name=systemd:/user\n"},
      {"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"},
      {"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"},
      {"sys/fs/cgroup/cpu,cpuacct/user/cpu.cfs_quota_us", "250000\n"},
      {"sys/fs/cgroup/cpu,cpuacct/user/cpu.cfs_period_us", "50000\n"},
      {"sys/fs/cgroup/cpu,cpuacct/user/1000/cpu.cfs_quota_us", "-1\n"},
      {"sys/fs/cgroup/cpu,cpuacct/user/1000/cpu.cfs_period_us", "100000\n"},
      {"sys/fs/cgroup/cpuset/elsewhere/cpu.cfs_quota_us", "1000\n"},
      {"sys/fs/cgroup/cpuset/elsewhere/cpu.cfs_period_us", "100000\n"}};
  CHECK(quota_of(user) == 5);
  // Docker without a namespace of its own: the host's path, its part mounted.
  CHECK(quota_of(
            {{"proc/self/mountinfo",
              "50 40 0:29 /docker/f00 /sys/fs/cgroup/cpu ro - cgroup cg cpu\n"},
             {"proc/self/cgroup", "4:cpu:/docker/f00\n"},
             {"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n"},
             {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}}) == 0.5);
}

TEST_CASE("both versions at once: every limit binds") {
  files hybrid = {
      {"proc/self/mountinfo",
       "32 25 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
       "33 25 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"},
      {"proc/self/cgroup", "1:cpu:/a\n0::/b\n"},
      {"sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "400000\n"},
      {"sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n"}};
  CHECK(quota_of(hybrid) == 4);
  hybrid.emplace_back("sys/fs/cgroup/unified/b/cpu.max", "300000 100000");
  CHECK(quota_of(hybrid) == 3);
}

TEST_CASE("folders with blanks and backslashes") {
  CHECK(quota_of({{"proc/self/mountinfo",
                   "31 24 0:27 / /my\\040cg\\134x rw - cgroup2 c rw\n"},
                  {"proc/self/cgroup", "0::/a b:c\n"},
                  {"my cg\\x/a b:c/cpu.max", "70000 100000\n"}}) == 0.7);
}

TEST_CASE("files that make no sense limit nothing") {
  CHECK(quota_of({}) == 0);
  for (const char* text :
       {"", "max", "max max", "-5 100000", "0 100000", "100000 0", "100000 -1",
        "100000", "nan 100000", "inf 1", "1e400 1", "a b", "\xff\xfe\x00"}) {
    INFO(text);
    CHECK(quota_of({{"proc/self/mountinfo", v2_mount},
                    {"proc/self/cgroup", "0::/\n"},
                    {"sys/fs/cgroup/cpu.max", text},
                    {"sys/fs/cgroup/cpu.cfs_quota_us", text},
                    {"sys/fs/cgroup/cpu.cfs_period_us", "x"}}) == 0);
  }
  for (const char* line :
       {"", "0", "0:", ":", "::", "0:cpu", "0::", "\n\n", "0::no/slash"}) {
    INFO(line);
    CHECK(quota_of({{"proc/self/mountinfo", v2_mount},
                    {"proc/self/cgroup", line}}) == 0);
  }
  for (const char* line :
       {"", "31", "31 24 0:27 / /sys/fs/cgroup", "- cgroup2 - -",
        "31 24 0:27 / /sys\\0 rw - cgroup2 c rw", "- - - - - - - -"}) {
    INFO(line);
    CHECK(quota_of({{"proc/self/mountinfo", line},
                    {"proc/self/cgroup", "0::/a\n"},
                    {"sys/fs/cgroup/a/cpu.max", "1000 1000\n"}}) == 0);
  }
}

TEST_CASE("hyperthreads of one core count once") {
  const temp_folder machine;
  const auto siblings = [&](int cpu, const char* list) {
    machine.write("sys/devices/system/cpu/cpu" + std::to_string(cpu) +
                      "/topology/thread_siblings_list",
                  list);
  };
  siblings(0, "0,4\n");
  siblings(4, "0,4\n");
  siblings(1, "1,5\n");
  siblings(5, "1,5\n");
  const std::string root = machine.path().string();
  const auto cores = [&](std::vector<int> cpus) {
    return count_cores(cpus, root);
  };
  CHECK(cores({0, 1, 4, 5}) == 2);
  CHECK(cores({0, 4}) == 1);
  CHECK(cores({0, 5}) == 2);
  CHECK(cores({4, 7, 8}) == 3);  // unknown ones are cores of their own
  CHECK(cores({}) == 1);
}

TEST_CASE("a quota rounds down unless that gives away more than a tenth") {
  const auto threads = [](int cores, double quota) {
    return cpu_limits{.cores = cores, .quota = quota, .cpus = cores}.threads();
  };
  CHECK(threads(8, 0) == 8);
  CHECK(threads(8, 100) == 8);
  CHECK(threads(2, 1.5) == 2);
  CHECK(threads(8, 1.1) == 1);
  CHECK(threads(8, 1.2) == 2);
  CHECK(threads(8, 7.65) == 7);
  CHECK(threads(8, 0.3) == 1);
  CHECK(threads(8, 3) == 3);
  CHECK(threads(1, 1.5) == 1);
}

TEST_CASE("more threads than CPUs or quota only wait for each other") {
  const auto most = [](int cores, int cpus, double quota) {
    return cpu_limits{.cores = cores, .quota = quota, .cpus = cpus}
        .most_threads();
  };
  CHECK(most(2, 2, 0) == 2);
  CHECK(most(4, 8, 0) == 8);  // two hyperthreads each
  CHECK(most(4, 8, 100) == 8);
  CHECK(most(4, 8, 2) == 2);
  CHECK(most(4, 8, 2.1) == 3);
  CHECK(most(4, 8, 0.3) == 1);
  CHECK(most(1, 1, 1.5) == 1);
}

TEST_CASE("this machine gives at least one thread") {
  CHECK(available_threads() >= 1);
  CHECK(read_cpu_limits().cores >= available_threads());
  CHECK(read_cpu_limits().cpus >= read_cpu_limits().cores);
}
