// SPDX-License-Identifier: MIT
#include "cli/bench_runner.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>

#include "tinyphi/base/memory.h"
#include "tinyphi/generate/request.h"
#include "tinyphi/model/kv_cache.h"

namespace cli {

namespace {

using tinyphi::model;
using tinyphi::result;

using seconds = std::chrono::duration<double>;

// Any ids do: speed does not depend on them.
tinyphi::token_id some_id(std::size_t position, const model& m) {
  return static_cast<tinyphi::token_id>((position * 7919 + 1) %
                                        m.config().vocab_size);
}

// Multiply-adds of the matrices for one token, without the output matrix.
double layer_macs(const tinyphi::model_config& c) {
  const double hidden = c.hidden, head_dim = c.head_dim;
  const double heads = head_dim * c.n_heads;
  const double kv_heads = head_dim * c.n_kv_heads;
  return c.n_layers * (hidden * (heads + 2 * kv_heads) + heads * hidden +
                       3 * hidden * c.intermediate);
}

// Keys that the query at `position` sees. Phi-3-small's sparse layers count as
// dense ones.
double keys_seen(const tinyphi::model_config& c, std::size_t position) {
  const std::size_t all = position + 1;
  return static_cast<double>(
      c.window == 0 ? all : std::min<std::size_t>(all, c.window));
}

// Products with keys and with values, for each key a query sees.
double attention_macs(const tinyphi::model_config& c, double keys) {
  return 2.0 * c.n_layers * c.n_heads * c.head_dim * keys;
}

}  // namespace

bench_runner::bench_runner(const model& m, int n_threads,
                           tinyphi::kv_type kv_type,
                           const tinyphi::cancel_token& token)
    : model_(m),
      team_(n_threads),
      pool_(m.config(), kv_type, tinyphi::available_memory()) {
  stop_.token = token;
}

// Makes `kv` hold n tokens. Their values do not matter to the speed as long as
// they are numbers, so they are not computed: the pages get a byte that makes
// small ones in every element type.
result<void> bench_runner::fill(tinyphi::kv_sequence& kv, std::size_t n) {
  TINYPHI_CHECK_OK(kv.reserve(n));
  for (std::size_t page = 0; page * tinyphi::page_tokens < n; ++page) {
    std::memset(kv.view(0, 0).pages[page], 0x2A, pool_.page_bytes());
  }
  kv.commit(n);
  return {};
}

result<void> bench_runner::prefill(tinyphi::kv_sequence& kv, std::size_t n) {
  const std::size_t chunk = tinyphi::engine_options{}.prefill_chunk;
  for (std::size_t done = 0; done < n;) {
    std::vector<tinyphi::token_id> ids(std::min(chunk, n - done));
    for (tinyphi::token_id& id : ids) id = some_id(done++, model_);
    tinyphi::batch_run run;
    run.kv = &kv;
    run.tokens = ids;
    TINYPHI_CHECK_OK(model_.forward({&run, 1}, team_, scratch_, stop_));
    kv.commit(kv.length() + ids.size());
  }
  return {};
}

// One token of each sequence.
result<void> bench_runner::decode(std::vector<tinyphi::kv_sequence>& all) {
  std::vector<tinyphi::token_id> ids;
  for (const tinyphi::kv_sequence& kv : all) {
    ids.push_back(some_id(kv.length() + ids.size(), model_));
  }
  std::vector<tinyphi::batch_run> runs(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    runs[i].kv = &all[i];
    runs[i].tokens = {&ids[i], 1};
  }
  TINYPHI_CHECK_OK(model_.forward(runs, team_, scratch_, stop_));
  for (tinyphi::kv_sequence& kv : all) kv.commit(kv.length() + 1);
  return {};
}

// Before any page is filled: what does not fit would push out other programs.
result<void> bench_runner::check_memory(const bench_case& c) const {
  const std::size_t length = c.depth + c.n_prompt + c.n_decode;
  if (c.n_sequences * tinyphi::n_pages(length) <= pool_.max_pages()) return {};
  return tinyphi::error{
      tinyphi::error_code::invalid_argument,
      std::to_string(c.n_sequences) + " sequences (--sequences) of " +
          std::to_string(length) + " tokens (-d, -p, -n): memory holds " +
          std::to_string(pool_.max_pages() * tinyphi::page_tokens) +
          " tokens together"};
}

result<void> bench_runner::run(const bench_case& c, speeds& out) {
  TINYPHI_CHECK_OK(check_memory(c));
  std::vector<tinyphi::kv_sequence> all;
  for (std::size_t i = 0; i < c.n_sequences; ++i) {
    all.emplace_back(pool_, model_.config());
    TINYPHI_CHECK_OK(fill(all[i], c.depth + (i == 0 ? 0 : c.n_prompt)));
  }
  // Memory that decoding will use is there before the clock runs.
  for (tinyphi::kv_sequence& kv : all) {
    TINYPHI_CHECK_OK(kv.reserve(c.depth + c.n_prompt + c.n_decode));
  }
  const auto start = std::chrono::steady_clock::now();
  TINYPHI_CHECK_OK(prefill(all[0], c.n_prompt));
  const auto middle = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < c.n_decode; ++i) TINYPHI_CHECK_OK(decode(all));
  const auto end = std::chrono::steady_clock::now();
  if (c.n_prompt > 0) {
    out.prefill.push_back(static_cast<double>(c.n_prompt) /
                          seconds(middle - start).count());
  }
  if (c.n_decode > 0) {
    out.decode.push_back(static_cast<double>(c.n_decode * c.n_sequences) /
                         seconds(end - middle).count());
  }
  return {};
}

work prefill_work(const model& m, const bench_case& c) {
  const tinyphi::model_config& config = m.config();
  double keys = 0;
  for (std::size_t i = 0; i < c.n_prompt; ++i) {
    keys += keys_seen(config, c.depth + i);
  }
  return {static_cast<double>(m.step_bytes()),
          static_cast<double>(c.n_prompt) * layer_macs(config) +
              attention_macs(config, keys)};
}

work decode_work(const model& m, const bench_case& c) {
  const tinyphi::model_config& config = m.config();
  const auto n = static_cast<double>(c.n_sequences);
  const double keys = keys_seen(config, c.depth + c.n_prompt + c.n_decode / 2);
  const double head = static_cast<double>(config.hidden) * config.vocab_size;
  return {static_cast<double>(m.step_bytes()) +
              n * keys *
                  static_cast<double>(
                      tinyphi::kv_bytes_per_token(config, c.kv_type)),
          n * (layer_macs(config) + head + attention_macs(config, keys))};
}

double least_seconds(const work& w, const machine_limits& limits, bool exact) {
  return std::max(w.bytes / limits.read_bytes_per_second,
                  w.macs / (exact ? limits.f32_macs_per_second
                                  : limits.int8_macs_per_second));
}

}  // namespace cli
