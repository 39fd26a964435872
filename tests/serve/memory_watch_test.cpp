// SPDX-License-Identifier: MIT
#include "tinyphi/serve/memory_watch.h"

#include "support/temp_folder.h"
#include "support/test.h"

using namespace tinyphi;
using namespace std::chrono_literals;
using tinyphi_test::temp_folder;

namespace {

const steady_time start{1h};

// A process in /service/work of a version 2 hierarchy.
struct fake_tree {
  temp_folder root;
  fake_tree() {
    root.write("proc/self/cgroup", "0::/service/work\n");
    root.write("proc/self/mountinfo",
               "30 20 0:25 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  }
  void own(std::string_view file, std::string_view text) const {
    root.write("sys/fs/cgroup/service/work/" + std::string(file), text);
  }
  void parent(std::string_view file, std::string_view text) const {
    root.write("sys/fs/cgroup/service/" + std::string(file), text);
  }
  void pressure(std::uint64_t some, std::uint64_t full) const {
    own("memory.pressure",
        "some avg10=99.00 avg60=0.00 avg300=0.00 total=" +
            std::to_string(some) +
            "\nfull avg10=99.00 avg60=0.00 avg300=0.00 total=" +
            std::to_string(full) + "\n");
  }
  [[nodiscard]] memory_sample read() const {
    return read_memory(start, root.path().string());
  }
};

TEST_CASE("a sample of memory is read from the process's cgroup") {
  const fake_tree t;
  t.own("memory.current", "1000\n");
  t.own("memory.max", "max\n");
  t.parent("memory.max", "5000\n");
  t.parent("memory.current", "4000\n");
  t.parent("memory.pressure", "some total=1\nfull total=1\n");
  t.own("memory.events", "low 1\nhigh 7\nmax 3\noom 2\noom_kill 1\n");
  t.pressure(123, 45);
  t.root.write("proc/self/status", "Name:\tx\nVmRSS:\t     12 kB\n");
  const memory_sample s = t.read();
  CHECK(s.current == 1000u);
  CHECK(s.limit == 5000u);
  CHECK(s.high_events == 7u);
  CHECK(s.oom_kills == 1u);
  CHECK(s.some_us == 123u);
  CHECK(s.full_us == 45u);
  CHECK(s.resident == 12u * 1024);
}

TEST_CASE("the limit of memory is the least of the chain") {
  const fake_tree t;
  t.own("memory.max", "9000\n");
  t.parent("memory.max", "5000\n");
  CHECK(t.read().limit == 5000u);
  t.own("memory.max", "3000\n");
  CHECK(t.read().limit == 3000u);
}

TEST_CASE("files about memory that are missing or nonsense say nothing") {
  const std::string text = GENERATE(
      as<std::string>(), "", "\n", "-1\n", "1.5\n", "99999999999999999999999\n",
      std::string(100000, '9'), std::string("\0\xff\n", 3),
      "some\nfull\nhigh\n", "some total=\nfull total=x\nhigh  \noom_kill -3\n",
      "some total=-5\nfull total=5us\nhigh 1e3\n");
  const fake_tree t;
  for (const char* file :
       {"memory.current", "memory.max", "memory.events", "memory.pressure"}) {
    t.own(file, text);
  }
  t.root.write("proc/self/status", "VmRSS:\t" + text);
  const memory_sample s = t.read();
  CHECK(!s.current);
  CHECK(!s.limit);
  CHECK(!s.high_events);
  CHECK(!s.oom_kills);
  CHECK(!s.some_us);
  CHECK(!s.full_us);
  CHECK(!s.resident);
}

TEST_CASE("a system without cgroups gives an empty sample") {
  const temp_folder root;
  const memory_sample s = read_memory(start, root.path().string());
  CHECK(!s.limit);
  CHECK(!s.some_us);
}

// Samples one second apart, of the given totals of "some" and "full".
std::vector<memory_sample> second_by_second(std::size_t n, double some_rate,
                                            double full_rate) {
  std::vector<memory_sample> out;
  for (std::size_t i = 0; i < n; ++i) {
    memory_sample s{.at = start + std::chrono::seconds(i)};
    const double us = 1e6 * static_cast<double>(i);
    s.some_us = 1000 + static_cast<std::uint64_t>(us * some_rate);
    s.full_us = 1000 + static_cast<std::uint64_t>(us * full_rate);
    out.push_back(s);
  }
  return out;
}

TEST_CASE("pressure of some above 5 % drops the cache and stops batch") {
  const memory_action calm = decide(second_by_second(20, 0.05, 0.01));
  CHECK(calm.some == 0.05);
  CHECK(calm.full == 0.01);
  CHECK(!calm.drop_cache);
  CHECK(!calm.stop_batch);
  CHECK(!calm.not_ready);
  const memory_action tight = decide(second_by_second(20, 0.051, 0.01));
  CHECK(tight.drop_cache);
  CHECK(tight.stop_batch);
  CHECK(!tight.not_ready);
  CHECK(!tight.swap_out_batch);
}

TEST_CASE("pressure of all above 1 % is not ready and swaps batch out") {
  const memory_action a = decide(second_by_second(20, 0.011, 0.011));
  CHECK(a.not_ready);
  CHECK(a.swap_out_batch);
  CHECK(a.drop_cache);
  CHECK(a.stop_batch);
}

TEST_CASE("pressure before the last 10 s is forgotten") {
  std::vector<memory_sample> samples = second_by_second(20, 1, 1);
  for (std::size_t i = 10; i < 20; ++i) {
    samples[i].some_us = samples[9].some_us;
    samples[i].full_us = samples[9].full_us;
  }
  CHECK(decide(samples).some == 0.0);
  CHECK(!decide(samples).not_ready);
}

TEST_CASE("one short wait after the start is no alarm") {
  std::vector<memory_sample> samples = second_by_second(2, 0, 0);
  *samples[1].some_us += 60'000;  // 6 % of a second, 0.6 % of ten
  const memory_action a = decide(samples);
  CHECK(a.some == 0.006);
  CHECK(!a.drop_cache);
}

TEST_CASE("a total of pressure that goes back is no pressure") {
  std::vector<memory_sample> samples = second_by_second(12, 1, 1);
  samples.back().some_us = 0;
  samples.back().full_us = 0;
  CHECK(decide(samples).some == 0.0);
  CHECK(!decide(samples).not_ready);
}

TEST_CASE("no samples, one sample and samples without numbers ask nothing") {
  for (const std::vector<memory_sample>& samples :
       {std::vector<memory_sample>{}, std::vector<memory_sample>(1),
        std::vector<memory_sample>(12)}) {
    const memory_action a = decide(samples);
    CHECK(!a.some);
    CHECK(!a.full);
    CHECK(!a.drop_cache);
    CHECK(!a.not_ready);
    CHECK(!a.shrink_budget);
    CHECK(!a.new_budget);
  }
}

TEST_CASE("being throttled at the high mark shrinks the budget, once") {
  std::vector<memory_sample> samples(3);
  samples[0].high_events = 1;
  samples[1].high_events = 1;
  samples[2].high_events = 2;
  CHECK(decide(samples).shrink_budget);
  samples.push_back(samples.back());
  CHECK(!decide(samples).shrink_budget);
}

TEST_CASE("another limit of the cgroup is a new budget of nine tenths") {
  const fake_tree t;
  memory_watch watch(t.root.path().string());
  t.own("memory.max", "4000\n");
  CHECK(!watch.look(start).new_budget);
  CHECK(!watch.look(start + 1s).new_budget);
  t.own("memory.max", "2000\n");
  CHECK(watch.look(start + 2s).new_budget == 1800u);
  CHECK(!watch.look(start + 3s).new_budget);
  t.own("memory.max", "max\n");
  CHECK(!watch.look(start + 4s).new_budget);
  t.own("memory.max", "18446744073709551615\n");
  CHECK(watch.look(start + 5s).new_budget == 16602069666338596454u);
}

TEST_CASE("a budget follows the cgroup's limit, but not above what was asked") {
  memory_action lower;
  lower.new_budget = 700;
  CHECK(budget_after({}, 1000, 1000) == 1000);
  CHECK(budget_after(lower, 1000, 1000) == 700);
  memory_action higher;
  higher.new_budget = 5000;
  CHECK(budget_after(higher, 700, 1000) == 1000);
  CHECK(budget_after(higher, 700, 0) == 5000);
}

TEST_CASE("a watch over memory keeps what 10 s need, however often it looks") {
  const fake_tree t;
  memory_watch watch(t.root.path().string());
  for (int i = 0; i < 30; ++i) {
    t.pressure(static_cast<std::uint64_t>(i) * 60'000, 0);
    const memory_action a = watch.look(start + std::chrono::seconds(i));
    if (i >= 10) CHECK(a.some == 0.06);
  }
  CHECK(watch.samples().size() == 11);
  for (int i = 0; i < 1000; ++i) (void)watch.look(start + 30s);
  CHECK(watch.samples().size() == 64);
}

}  // namespace
