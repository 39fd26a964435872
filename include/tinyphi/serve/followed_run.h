// SPDX-License-Identifier: MIT
// A run of a served pipeline for a request, and the stream that tells of it.
#ifndef TINYPHI_SERVE_FOLLOWED_RUN_H_
#define TINYPHI_SERVE_FOLLOWED_RUN_H_

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/pipeline/pipeline.h"
#include "tinyphi/serve/approvals.h"
#include "tinyphi/serve/http_exchange.h"
#include "tinyphi/serve/metrics.h"
#include "tinyphi/serve/progress_signal.h"
#include "tinyphi/serve/running_requests.h"
#include "tinyphi/serve/serve_answer.h"
#include "tinyphi/serve/served_pipeline.h"

TINYPHI_NAMESPACE_BEGIN

// A run beside the coroutine that writes what comes of it, the only one that
// does: texts, questions and progress come from several.
struct followed_run {
  explicit followed_run(boost::asio::io_context& io)
      : news(std::make_shared<progress_signal>(io)),
        room(std::make_shared<progress_signal>(io)) {}

  // To be written soon.
  void leave(std::string_view more) {
    bytes += more;
    news->notify();
  }
  // The same, and waits until it is.
  [[nodiscard]] static boost::asio::awaitable<void> leave_and_wait(
      std::shared_ptr<followed_run> run, std::string more);

  std::shared_ptr<progress_signal> news;        // for who writes
  std::shared_ptr<progress_signal> room;        // for who waits: all is written
  std::string bytes;                            // that are not written yet
  std::vector<std::string> approvals = {};      // for the log
  std::optional<settled_question> denied = {};  // the first that was
  std::optional<result<run_result>> done = {};
  std::exception_ptr thrown = {};
  bool has_ended = false;
};

// A stream whose head goes out with its first bytes.
struct begun_late {
  begun_late(http_exchange& to, std::string_view stream_type)
      : x(&to), type(stream_type) {}

  [[nodiscard]] bool has_comments() const {
    return type == "text/event-stream";
  }
  [[nodiscard]] boost::asio::awaitable<bool> write(std::string bytes);

  http_exchange* x;
  std::string type;
  bool begun = false;
};

// Runs to the end, and writes to the stream what is left for it meanwhile, or
// every ten seconds a sign of life once it has begun.
[[nodiscard]] boost::asio::awaitable<result<run_result>> follow(
    boost::asio::io_context& io, std::shared_ptr<followed_run> run, pipeline p,
    input_values inputs, run_options options, begun_late& stream);

// For a request: its deadline and its place in queues. `waits` is told of each
// question to a person.
[[nodiscard]] run_options options_of_run(
    const http_exchange& x, const served_pipeline& p, const cancel_token& stop,
    const answer_environment& around, std::shared_ptr<followed_run> run,
    std::function<void(const pending_approval&)> waits);

// The request among those that are under way.
[[nodiscard]] running_request entry_of_run(const http_exchange& x,
                                           const served_pipeline& p);

// Counts a pipeline's request, and its end once that has been answered.
class counted_run {
 public:
  counted_run(http_exchange& x, const running_request& r, metrics* counts);
  counted_run(const counted_run&) = delete;
  counted_run& operator=(const counted_run&) = delete;
  ~counted_run();

 private:
  http_exchange* x_;
  metrics* counts_ = nullptr;
  std::optional<metrics::series> series_ = {};
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/followed_run.ipp"
#endif

#endif  // TINYPHI_SERVE_FOLLOWED_RUN_H_
