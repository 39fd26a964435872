// SPDX-License-Identifier: MIT
// A request over HTTP and the way to answer it. Routes see only this; what the
// bytes on the wire look like is the connection's business.
#ifndef TINYPHI_SERVE_HTTP_EXCHANGE_H_
#define TINYPHI_SERVE_HTTP_EXCHANGE_H_

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/cancel.h"
#include "tinyphi/serve/caller.h"

TINYPHI_NAMESPACE_BEGIN

using http_headers = std::vector<std::pair<std::string, std::string>>;

// A request that has passed every rule of http_rules.h, with its whole body.
struct http_request {
  std::string method;    // "GET"; one that some route has
  std::string path;      // as it came, without the query: "/v1/models"
  std::string query;     // behind '?', as it came
  http_headers headers;  // names in lower case, in the order they came
  std::string body = {};
  std::string id;  // the client's x-request-id if it is fit, else a random one
  // Who asks; never null once a route sees it.
  std::shared_ptr<const caller> from;
  steady_time arrived;  // when its header was complete

  // The value of the first header of that name (in lower case); empty if there
  // is none.
  [[nodiscard]] std::string_view header(std::string_view name) const {
    for (const auto& [key, value] : headers) {
      if (key == name) return value;
    }
    return {};
  }
};

struct http_response {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body = {};
  http_headers headers = {};  // beside content-type, content-length and date
};

// What a request came to, for the log and the metrics.
struct request_report {
  unsigned status = 0;     // as sent; 0: the client left before anything was
  std::string code = {};   // of the error, if there was one
  std::string cause = {};  // of one that the client was told nothing about
  std::string model = {};
  std::size_t bytes_in = 0, bytes_out = 0;
  std::size_t prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0;
  std::size_t drafts = 0, drafted_tokens = 0, accepted_tokens = 0;
  double queue_ms = 0, first_token_ms = 0, total_ms = 0, gap_p99_ms = 0;
  double prefill_ms = 0, decode_ms = 0;  // of the first answer
  // Where it was when its client left or it was cancelled: "queue", "prefill"
  // or "decode"; empty: it came to its end.
  std::string_view cancelled_in = {};
  // Known or unknown fields of the request that had no effect.
  std::vector<std::string> ignored = {};
  // What was asked of people and came of it, or what one has decided: "ask:
  // approved by ops".
  std::vector<std::string> approvals = {};
};

namespace detail {
// Seconds since 1970, which APIs call "created".
inline std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}
inline double milliseconds_between(steady_time from, steady_time to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}
inline steady_time after_ms(steady_time from, double ms) {
  return from + std::chrono::duration_cast<steady_time::duration>(
                    std::chrono::duration<double, std::milli>(ms));
}
}  // namespace detail

// One request and its answer: either respond(), or begin_stream(), any number
// of write() and end_stream(). All on the io thread.
class http_exchange {
 public:
  virtual ~http_exchange() = default;

  [[nodiscard]] const http_request& request() const { return request_; }
  // Cancelled once the client has gone; whatever works for it stops then.
  [[nodiscard]] const cancel_token& gone() const { return gone_; }
  [[nodiscard]] request_report& report() { return report_; }
  // Headers that any response to this request has beside its own.
  [[nodiscard]] http_headers& headers() { return headers_; }

  // Each returns false once the client has gone; nothing is to be sent then.
  virtual boost::asio::awaitable<bool> respond(http_response response) = 0;
  virtual boost::asio::awaitable<bool> begin_stream(
      std::string content_type) = 0;
  // Waits until the system has taken the bytes.
  virtual boost::asio::awaitable<bool> write(std::string bytes) = 0;
  virtual boost::asio::awaitable<bool> end_stream() = 0;

 protected:
  explicit http_exchange(http_request r) : request_(std::move(r)) {}

 private:
  http_request request_;
  request_report report_;
  http_headers headers_;
  cancel_token gone_;
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_HTTP_EXCHANGE_H_
