// SPDX-License-Identifier: MIT
// Pipelines, header-only and behind the engine: a program adds a stage of its
// own, and a file that is empty is refused with a place.
#include <tinyphi/tinyphi.h>

#include <tinyphi/pipeline.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <tuple>

namespace {

struct repeat {
  static constexpr tinyphi::stage_info info{.id = "repeat",
                                            .summary = "Repeats a text"};
  struct config {};
  struct inputs {
    std::string_view text;
  };
  struct outputs {
    std::string text;
  };
  static constexpr auto params() { return std::tuple{}; }
  static constexpr auto in_ports() {
    return std::tuple{tinyphi::port("text", &inputs::text)};
  }
  static constexpr auto out_ports() {
    return std::tuple{tinyphi::port("text", &outputs::text)};
  }
  repeat(config, tinyphi::host&) {}
  tinyphi::task<outputs> run(tinyphi::run_context&, inputs in) const {
    co_return outputs{std::string(in.text)};
  }
};

}  // namespace

int main() {
  tinyphi::registry stages;
  stages.add<repeat>();
  const auto checked = tinyphi::check_pipeline_text("", "empty.toml", stages);
  const std::string faults = to_string(checked.faults, "empty.toml");
  std::printf("%s\n", faults.c_str());
  return faults.starts_with("empty.toml:") ? 0 : 1;
}
