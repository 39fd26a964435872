// SPDX-License-Identifier: MIT
// Prints metrics in which everything has happened, for promtool_test.py.
#include <cstdio>
#include <string_view>

#include "tinyphi/serve/http_exchange.h"
#include "tinyphi/serve/metrics.h"

int main(int argc, char** argv) {
  using namespace tinyphi;
  metrics m("1.0", 1764151200);
  const char* const name = "phi \"4\" \\ mini";
  m.serve_model(name);
  for (const priority_class c :
       {priority_class::interactive, priority_class::batch}) {
    const metrics::series s = m.find(name, c);
    m.request_started(s);
    m.first_token(s, 300);
    m.between_tokens(s, 120);
    m.step(s, 90, 16);
    request_report r{.status = 200, .cancelled_in = "decode"};
    r.prompt_tokens = 100;
    r.cached_tokens = 64;
    r.generated_tokens = 3;
    r.drafted_tokens = 10;
    r.accepted_tokens = 4;
    r.total_ms = 8000;
    m.request_ended(s, r);
  }
  const metrics_snapshot now{.models = {{.model = name, .pages_free = 20}},
                             .energy_joules = 12.5,
                             .cpu_throttled_seconds = 0.1,
                             .memory_some = 0.06,
                             .memory_full = 0.0,
                             .resident_bytes = 1 << 20};
  const bool all = argc > 1 && std::string_view(argv[1]) == "all";
  std::fputs(m.render(now, {.vllm = all, .llamacpp = all}).c_str(), stdout);
}
