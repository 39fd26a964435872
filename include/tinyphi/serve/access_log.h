// SPDX-License-Identifier: MIT
// One JSON line per request, written by a thread of its own: whoever reads the
// log may be slow, and nobody's answer waits for that.
#ifndef TINYPHI_SERVE_ACCESS_LOG_H_
#define TINYPHI_SERVE_ACCESS_LOG_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "tinyphi/base/error.h"

TINYPHI_NAMESPACE_BEGIN

struct request_report;  // http_exchange.h

// What is told of a request beside its report. No text of a request or an
// answer, no stop string, no file name and no user field has a place here.
struct access_record {
  std::chrono::system_clock::time_point at;  // when it ended
  std::string id;
  std::string trace = {};       // of traceparent; empty: none
  std::string key = {};         // the caller's name, never its secret
  std::string route = {};       // as the router has it, not as it was asked for
  std::string generation = {};  // of the model's weights
  std::optional<double> energy_j = {};
  const request_report* report = nullptr;  // not null
};

// The line without its end. Texts are cut to 128 bytes; bytes that are not
// UTF-8 are replaced, control characters escaped. `dropped` > 0: that many
// lines are missing before this one.
[[nodiscard]] std::string access_line(const access_record& r,
                                      std::uint64_t dropped = 0);

struct access_log_limits {
  std::size_t lines = 1024;
  std::size_t bytes = std::size_t{256} << 10;
  // How long the lines that are left are tried at the end.
  std::chrono::milliseconds grace{1000};
};

namespace detail {
struct access_log_state;  // access_log.ipp
}  // namespace detail

// add() by any thread; it never waits for the file.
class access_log {
 public:
  // file: a descriptor that outlives the log; it is neither closed nor are its
  // flags changed (standard output is often shared). Errors: no thread, or no
  // descriptor for its bell.
  [[nodiscard]] static result<access_log> open(int file,
                                               access_log_limits limits = {});
  access_log(access_log&&) noexcept;
  access_log& operator=(access_log&&) noexcept;
  ~access_log();  // waits for `grace` at most

  // Drops the line, and counts it, if the queue is full or the reader is gone.
  void add(const access_record& r);
  [[nodiscard]] std::uint64_t dropped() const;

 private:
  explicit access_log(std::unique_ptr<detail::access_log_state> state);
  std::unique_ptr<detail::access_log_state> state_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/access_log.ipp"
#endif

#endif  // TINYPHI_SERVE_ACCESS_LOG_H_
