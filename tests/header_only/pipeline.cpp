// SPDX-License-Identifier: MIT
// Pipelines, header-only: a file that is empty is refused with a place.
#include <tinyphi/pipeline.h>

#include <cstdio>

int main() {
  const auto checked =
      tinyphi::check_pipeline_text("", "empty.toml", tinyphi::registry());
  const std::string faults = to_string(checked.faults, "empty.toml");
  std::printf("%s\n", faults.c_str());
  return faults.starts_with("empty.toml:") ? 0 : 1;
}
