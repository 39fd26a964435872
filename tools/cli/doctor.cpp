// SPDX-License-Identifier: MIT
// tinyphi doctor: what this machine offers, and what limits speed on it.
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cli/command.h"
#include "cli/machine.h"
#include "cli/terminal.h"
#include "exit_code.h"
#include "plugins/process/launch.h"
#include "tinyphi/base/json.h"
#include "tinyphi/base/memory.h"
#include "tinyphi/base/parallel.h"
#include "tinyphi/kernels/kernels.h"
#include "tinyphi/version.h"

namespace cli {

namespace {

namespace json = tinyphi::json;

// Tries it: what a kernel has may be hidden from this process.
std::string sandbox_of_programs() {
  const int abi = tinyphi::landlock::abi();
  if (const auto held = tinyphi::process::probe_sandbox(); !held) {
    return held.error().message;
  }
  std::string lacks;
  if (abi < 6) lacks += "; signals by seccomp only";
  if (abi < 3) lacks += "; no truncate()";
  if (::geteuid() == 0) lacks += "; root is not held to a number of processes";
  return "holds: Landlock ABI " + std::to_string(abi) +
         ", seccomp, limits of each process" + lacks;
}

int doctor(bool as_json) {
  const int n_threads = tinyphi::available_threads();
  const machine_limits limits = measure_limits(n_threads);
  const std::vector<std::pair<const char*, std::string>> rows = {
      {"tinyphi", TINYPHI_VERSION},
      {"packages", TINYPHI_PACKAGES},
      {"cpu", cpu_name()},
      {"simd", tinyphi::kernel_target()},
      {"threads", std::to_string(n_threads) + " of " +
                      std::to_string(std::thread::hardware_concurrency()) +
                      " CPUs (affinity and cgroup quota)"},
      {"memory", human_bytes(tinyphi::available_memory()) + " available"},
      {"huge pages", huge_pages(n_threads)},
      {"memory read", fixed(limits.read_bytes_per_second / 1e9, 1) + " GB/s"},
      {"int8 dot", fixed(limits.int8_macs_per_second / 1e9, 1) + " GMAC/s"},
      {"f32 fma", fixed(limits.f32_macs_per_second / 1e9, 1) + " GMAC/s"},
      {"sandbox", sandbox_of_programs()},
  };
  if (as_json) {
    json::object out;
    for (const auto& [key, value] : rows) out[key] = value;
    print_line(json::serialize(out));
    return exit_done;
  }
  for (const auto& [key, value] : rows) {
    print_line(padded(key, 14) + value);
  }
  return exit_done;
}

}  // namespace

void add_doctor(CLI::App& app, action& run) {
  CLI::App* command =
      add_command(app, "doctor", "show this machine's capabilities",
                  "tinyphi doctor --json");
  auto as_json = std::make_shared<bool>(false);
  command->add_flag("--json", *as_json, "as one JSON object");
  command->final_callback(
      [as_json, &run] { run = [as_json] { return doctor(*as_json); }; });
}

}  // namespace cli
