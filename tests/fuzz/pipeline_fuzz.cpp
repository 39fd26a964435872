// SPDX-License-Identifier: MIT
// Any bytes as a pipeline file: refused with places inside it, or proved; and
// what is proved is described and, if its stages can be created, run.
#include <cstdint>
#include <cstdlib>

#include "../pipeline/fakes.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  using namespace tinyphi;
  static const registry plugins = tinyphi_test::fakes();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto lines = static_cast<std::size_t>(std::ranges::count(text, '\n'));
  const pipeline_check checked =
      check_pipeline_text(text, "fuzz.toml", plugins);
  if (has_errors(checked.faults) == (checked.proved != nullptr)) std::abort();
  for (const diagnostic& d : checked.faults) {
    if (d.message.empty()) std::abort();
    if (d.file.empty() && d.at.line > lines + 1) std::abort();
  }
  (void)to_json(checked.faults, "fuzz.toml");
  if (!checked.proved) return 0;
  (void)describe(*checked.proved, graph_format::text);
  (void)describe(*checked.proved, graph_format::dot);
  (void)describe(*checked.proved, graph_format::svg);
  (void)plan_text(*checked.proved);
  host_options options;
  options.pool_threads = 1;
  const auto p = pipeline::compile_text(text, "fuzz.toml", plugins, options);
  if (!p) return 0;
  input_values inputs;
  for (const input_spec& input : p->graph().inputs) {
    if (input.type.is(type_kind::text)) inputs[input.name] = std::string("x");
  }
  stop_condition stop;
  stop.deadline =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
  (void)p->run(std::move(inputs), stop);
  return 0;
}
