// SPDX-License-Identifier: MIT
// Any bytes as a trace: refused with a line of it, or read; what was read can
// be written and read again, and a graph takes of it what fits.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "../pipeline/fakes.h"
#include "tinyphi/pipeline/testing/recorded.h"

namespace {

using namespace tinyphi;

void require(bool holds) {
  if (!holds) std::abort();
}

// Its stages have hashes that inputs can know.
std::shared_ptr<graph> make_graph() {
  auto g = check_pipeline_text(R"toml(tinyphi = 1
input.q = "text"
output.a = "gen.text"
output.n = "look.count"
[stage]
look = { use = "find.x", in.query = "input.q", with.index = "i.db" }
ask = { use = "lay_out", in.docs = "look.docs", with.names = "docs* q" }
gen = { use = "answer" }
)toml",
                               "t.toml", tinyphi_test::fakes())
               .proved;
  for (graph_stage& s : g->stages) s.hash = "HASH_" + s.id;
  return g;
}

std::string written(const recorded_trace& trace) {
  std::string out = to_json_line(trace.head) + "\n";
  for (const trace_event& e : trace.events) out += to_json_line(e) + "\n";
  return out + to_json_line(trace.end) + "\n";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  static const std::shared_ptr<graph> g = make_graph();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto trace = read_trace(text, "t.jsonl");
  if (!trace) {
    require(trace.error().message.starts_with("t.jsonl:"));
    return 0;
  }
  // Up to the last bit of numbers, which the JSON parser rounds.
  const auto again = read_trace(written(*trace), "t.jsonl");
  require(again.has_value());
  require(std::ranges::equal(trace->events, again->events, {},
                             &trace_event::call, &trace_event::call));
  require(again->end.stages.size() == trace->end.stages.size());
  require(again->head.inputs.size() == trace->head.inputs.size());
  for (std::size_t from = 0; from < g->stages.size(); ++from) {
    const auto found =
        recorded_runs::take(*trace, *g, stages_before(*trace, *g, from));
    if (!found) {
      require(!found.error().message.empty());
      continue;
    }
    require(!found->stages()[from]);
    for (const trace_event& e : trace->events) {
      (void)found->find(from, e.call);
    }
  }
  // Not even when somebody asks for it does a file become a prompt.
  const auto all = recorded_runs::take(
      *trace, *g, std::vector<bool>(g->stages.size(), true));
  for (std::size_t i = 0; all && i < g->stages.size(); ++i) {
    if (!makes_prompt(*g, i)) continue;
    for (const trace_event& e : trace->events) {
      const auto run = all->find(i, e.call);
      if (!run || !*run) continue;
      for (const auto& out : **run) {
        require(!out || out->get<labelled_prompt>() == nullptr);
      }
    }
  }
  (void)test_from(*trace, *g, "t.jsonl");
  return 0;
}
