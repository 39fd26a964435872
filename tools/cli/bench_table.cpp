// SPDX-License-Identifier: MIT
#include "cli/bench_table.h"

#include <algorithm>
#include <utility>

#include "cli/terminal.h"

namespace cli {

namespace {

namespace json = tinyphi::json;

spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {std::move(values)};
}

// One of the two halves of a case: its work, its tokens, its speeds.
struct phase {
  const char* name;
  work (*work_of)(const tinyphi::model&, const bench_case&);
  std::vector<double> speeds::*measured;
  std::size_t bench_case::*n_tokens;
  // Tokens whose work work_of() counts.
  std::size_t bench_case::*n_counted;
};
constexpr phase phases[] = {
    {"prefill", prefill_work, &speeds::prefill, &bench_case::n_prompt,
     &bench_case::n_prompt},
    {"decode", decode_work, &speeds::decode, &bench_case::n_decode,
     &bench_case::n_sequences},
};

std::string percent(double share) { return fixed(100 * share, 1) + " %"; }

std::string right(const std::string& text, std::size_t width) {
  return std::string(width - std::min(width, text.size()), ' ') + text;
}

}  // namespace

std::vector<bench_row> bench_rows(const tinyphi::model& m,
                                  const machine_limits& limits,
                                  std::span<const bench_case> cases,
                                  std::span<const speeds> measured) {
  const auto least = [&](const work& w) {
    return least_seconds(w, limits, m.exact());
  };
  std::vector<bench_row> rows;
  for (std::size_t k = 0; k < cases.size(); ++k) {
    const bench_case& c = cases[k];
    for (const phase& p : phases) {
      if (c.*p.n_tokens == 0) continue;
      const work all = p.work_of(m, c);
      const auto seconds = [&](const spread& s) {
        return static_cast<double>(c.*p.n_counted) / s.median();
      };
      bench_row r{p.name, c.*p.n_tokens, c.n_sequences, c.depth,
                  spread_of(measured[k].*p.measured)};
      r.share = least(all) / seconds(r.speed);
      r.memory_bound = least({all.bytes, 0}) >= least({0, all.macs});
      if (c.depth > 0 && cases[0].depth == 0) {
        // What the depth adds to the same case without it is attention.
        const work flat = p.work_of(m, cases[0]);
        const double extra =
            seconds(r.speed) - seconds(spread_of(measured[0].*p.measured));
        const work added{all.bytes - flat.bytes, all.macs - flat.macs};
        if (extra > 0) r.attention = least(added) / extra;
      }
      rows.push_back(r);
    }
  }
  return rows;
}

void print_table(const bench_table& t) {
  const auto giga = [](double value, int digits) {
    return fixed(value / 1e9, digits);
  };
  print_line(t.model + ", " + human_bytes(t.weight_bytes) + ", " +
             std::to_string(t.n_threads) + " threads; the machine reads " +
             giga(t.limits.read_bytes_per_second, 1) + " GB/s, int8 dot " +
             giga(t.limits.int8_macs_per_second, 0) + " GMAC/s, f32 fma " +
             giga(t.limits.f32_macs_per_second, 0) + " GMAC/s");
  print_line("                     depth  tokens/s       min       max");
  for (const bench_row& r : t.rows) {
    std::string name = std::string(r.what) + " " + std::to_string(r.n_tokens);
    if (r.n_sequences > 1 && r.what == phases[1].name) {
      name += " x " + std::to_string(r.n_sequences);
    }
    std::string line =
        "  " + padded(name, 18) + right(std::to_string(r.depth), 6);
    for (const double speed :
         {r.speed.median(), r.speed.min(), r.speed.max()}) {
      line += right(fixed(speed, 2), 10);
    }
    line += right(percent(r.share), 9) + " of what " +
            (r.memory_bound ? "memory" : "arithmetic") + " allows";
    if (r.attention > 0) line += "; attention " + percent(r.attention);
    print_line(line);
  }
}

json::array to_json(const bench_table& t) {
  json::array out;
  for (const bench_row& r : t.rows) {
    out.push_back({{"model", t.model},
                   {"weight_bytes", t.weight_bytes},
                   {"threads", t.n_threads},
                   {"case", r.what},
                   {"tokens", r.n_tokens},
                   {"sequences", r.n_sequences},
                   {"depth", r.depth},
                   {"min", r.speed.min()},
                   {"median", r.speed.median()},
                   {"max", r.speed.max()},
                   {"samples", json::array(r.speed.samples.begin(),
                                           r.speed.samples.end())},
                   {"limit", r.memory_bound ? "memory" : "arithmetic"},
                   {"share_of_limit", r.share},
                   {"attention_share", r.attention}});
  }
  return out;
}

}  // namespace cli
