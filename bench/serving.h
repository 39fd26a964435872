// SPDX-License-Identifier: MIT
// What the cases of bench/serving share: an engine that a thread of its own
// drives, and requests that know when their tokens came.
#ifndef BENCH_SERVING_H_
#define BENCH_SERVING_H_

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tinyphi/generate/engine.h"

namespace bench {

using tinyphi::steady_time;
using tinyphi::token_id;
using tokens = std::vector<token_id>;

// Ends the program by way of main, which says what was wrong.
[[noreturn]] inline void fail(const std::string& what) {
  throw std::runtime_error(what);
}
template <class T>
T value(tinyphi::result<T> r) {
  if (!r) fail(r.error().message);
  return *std::move(r);
}

inline double ms_between(steady_time from, steady_time to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}
inline steady_time now() { return std::chrono::steady_clock::now(); }
inline void rest() {
  std::this_thread::sleep_for(std::chrono::microseconds(200));
}

// The value that a share of all does not pass (the nearest rank); 0 of none.
inline double quantile(std::vector<double> all, double share) {
  if (all.empty()) return 0;
  std::sort(all.begin(), all.end());
  const double rank = std::ceil(share * static_cast<double>(all.size()));
  return all[std::min(static_cast<std::size_t>(std::max(rank, 1.0)),
                      all.size()) -
             1];
}
inline double median(std::vector<double> all) {
  if (all.empty()) return 0;
  std::sort(all.begin(), all.end());
  return (all[(all.size() - 1) / 2] + all[all.size() / 2]) / 2;
}

// Prompts that no other one begins like; ids that are ordinary tokens wherever
// special ones and bytes come first.
class prompts {
 public:
  explicit prompts(std::size_t vocab_size) : any_(300, vocab_size - 100) {}
  tokens next(std::size_t n) {
    tokens ids(n);
    for (token_id& id : ids) id = static_cast<token_id>(any_(random_));
    return ids;
  }

 private:
  std::mt19937_64 random_{1};
  std::uniform_int_distribution<std::size_t> any_;
};

// A request on its way. Its times are those of the driver's steps.
class request {
 public:
  request(tinyphi::engine& e, const tokens& prompt,
          tinyphi::generation_params p)
      : begin_(now()) {
    p.on_progress = [log = std::weak_ptr(log_)] {
      const auto l = log.lock();
      if (!l) return;
      const std::lock_guard lock(l->mutex);
      // It is told of each part of the prompt that was read, too.
      if (!l->answer) return;
      const auto progress = l->answer->progress();
      if (progress.read >= progress.total) l->times.push_back(now());
    };
    // Before the answer is here nobody may say what has come of it.
    const std::lock_guard lock(log_->mutex);
    log_->answer.emplace(e.complete(prompt, p));
    if (done() && answer().error()) fail(answer().error()->message);
  }

  [[nodiscard]] bool done() const { return log_->answer->done(); }
  void cancel() { answer().cancel(); }

  // Blocks until n tokens have come, or all.
  void wait_for(std::size_t n) {
    while (times().size() < n && !done()) rest();
  }
  // Blocks until the answer is complete; a failure ends the program.
  const tinyphi::generation& finish() {
    while (answer().next_piece()) {
    }
    if (answer().error()) fail(answer().error()->message);
    return answer();
  }
  // Milliseconds from the request to its nth token, n from 1.
  double token_ms(std::size_t n) {
    while (times().size() < n) rest();  // the last comes behind done()
    return ms_between(begin_, times()[n - 1]);
  }
  // When there was something new. Not more than a token each where drafts are
  // off, and the end once more unless it came with a token.
  [[nodiscard]] std::vector<steady_time> times() const {
    const std::lock_guard lock(log_->mutex);
    return log_->times;
  }

 private:
  struct event_log {
    // What is refused says so while it is submitted.
    std::recursive_mutex mutex;
    std::vector<steady_time> times;
    std::optional<tinyphi::generation> answer;
  };
  [[nodiscard]] tinyphi::generation& answer() const { return *log_->answer; }

  std::shared_ptr<event_log> log_ = std::make_shared<event_log>();
  steady_time begin_;
};

// An engine that a thread drives; with `wait` it has measured its steps.
class served {
 public:
  served(const tinyphi::model& m, const tinyphi::engine_options& o,
         bool wait = true)
      : engine_(value(tinyphi::engine::create(m, o))), thread_([this] {
          while (!stop_.reason() && !engine_.drive(stop_)) rest();
        }) {
    if (!wait) return;
    // Whoever waits in next() would drive before the thread does.
    tinyphi::generation_params p;
    p.max_tokens = 2;
    request first(engine_, {1}, p);
    while (!first.done()) rest();
    first.finish();
  }
  ~served() {
    stop_.token.cancel();
    thread_.join();
  }
  served(const served&) = delete;
  served& operator=(const served&) = delete;

  tinyphi::engine& engine() { return engine_; }

 private:
  tinyphi::engine engine_;
  tinyphi::stop_condition stop_;
  std::thread thread_;
};

}  // namespace bench

#endif  // BENCH_SERVING_H_
