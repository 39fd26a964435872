// SPDX-License-Identifier: MIT
// What drafts could gain: what rows cost in one step on this machine, and how
// fast a text is quoted at that price.
#ifndef BENCH_SERVING_DRAFTS_H_
#define BENCH_SERVING_DRAFTS_H_

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <map>

#include "serving.h"
#include "tinyphi/model/kv_cache.h"
#include "tinyphi/model/model.h"

namespace bench {

using row_ms = std::map<std::size_t, double>;  // milliseconds, by rows

// What a step with so many rows of one sequence takes, in milliseconds: the
// least of several, taking turns.
inline row_ms step_costs(const tinyphi::model& m, int n_threads,
                         std::size_t stored, std::size_t rounds) {
  constexpr std::size_t counts[] = {1, 2, 4, 8, 12, 16};
  tinyphi::team team(n_threads);
  tinyphi::forward_scratch scratch;
  const auto type = m.default_kv_type();
  tinyphi::kv_pool pool(m.config(), type,
                        (tinyphi::n_pages(stored + 16) + 1) *
                            tinyphi::page_tokens *
                            tinyphi::kv_bytes_per_token(m.config(), type));
  tinyphi::kv_sequence kv(pool, m.config());
  if (const auto ok = kv.reserve(stored + 16); !ok) fail(ok.error().message);
  for (const tinyphi::kv_page& page : kv.pages()) {
    std::memset(page.data(), 0x2A, pool.page_bytes());  // small numbers
  }
  kv.commit(stored);
  row_ms best;
  for (std::size_t i = 0; i < rounds; ++i) {
    for (const std::size_t n : counts) {
      const tokens ids(n, token_id{400});
      tinyphi::batch_run run;
      run.kv = &kv;
      run.tokens = ids;
      run.n_rows = n;
      const auto begin = now();
      value(m.forward({&run, 1}, team, scratch));
      const double ms = ms_between(begin, now());
      const auto [at, first] = best.try_emplace(n, ms);
      at->second = std::min(at->second, ms);
    }
  }
  return best;
}

// Straight between two counts.
inline double at(const row_ms& costs, std::size_t n) {
  const auto above = costs.lower_bound(n);
  if (above->first == n) return above->second;
  const auto below = std::prev(above);
  const double share = static_cast<double>(n - below->first) /
                       static_cast<double>(above->first - below->first);
  return below->second + share * (above->second - below->second);
}

// A text of which every nth token is another one.
inline tokens spoilt(tokens text, std::size_t n) {
  for (std::size_t i = n - 1; i < text.size(); i += n) {
    text[i] = text[i] == 400 ? 401 : 400;
  }
  return text;
}

// How many times as fast as plain decoding steps of the best one length are
// that quote a text of which every nth token is wrong; a draft follows three
// tokens that are alike.
inline double allowed_by(const row_ms& costs, std::size_t n,
                         std::size_t n_tokens) {
  double best = 1;
  for (std::size_t length = 1; length <= 15; ++length) {
    double ms = 0;
    for (std::size_t i = 0; i < n_tokens;) {
      const bool matches = i >= 3 && i % n >= 3;
      const std::size_t drafted =
          matches ? std::min(length, n_tokens - i - 1) : 0;
      ms += at(costs, 1 + drafted);
      // Right are those up to the next wrong one, which the step corrects.
      i += 1 + std::min(drafted, n - 1 - i % n);
    }
    best = std::max(best, static_cast<double>(n_tokens) * at(costs, 1) / ms);
  }
  return best;
}

}  // namespace bench

#endif  // BENCH_SERVING_DRAFTS_H_
