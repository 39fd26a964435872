// SPDX-License-Identifier: MIT
// Bytes of a connection to requests, one after the other. The header passes
// http_rules.h before Beast parses anything, and the body has a limit that
// depends on the header.
#ifndef TINYPHI_SERVE_REQUEST_READER_H_
#define TINYPHI_SERVE_REQUEST_READER_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tinyphi/serve/http_rules.h"

TINYPHI_NAMESPACE_BEGIN

enum class read_state : std::uint8_t {
  need_more,  // push() more bytes
  header,     // the header is there: look at it, then read_body() or stop
  complete,   // take() the request
  refused     // refusal() says why; nothing more can be read
};

// It holds no memory between requests. The rules must outlive it.
class request_reader {
 public:
  explicit request_reader(const http_rules& rules);
  ~request_reader();
  request_reader(request_reader&&) noexcept;

  // Nothing of a request has come yet.
  [[nodiscard]] bool idle() const {
    return !begun_ && pending_.empty() && !refusal_;
  }
  // Bytes that have come; those of a next request wait. To be called only when
  // advance() needs more: what waits is at most a header and one push then.
  void push(std::string_view bytes) {
    if (!refusal_) pending_ += bytes;
  }
  // Goes on as far as the bytes reach.
  [[nodiscard]] read_state advance();

  // Once state is `header`: without its body.
  [[nodiscard]] const http_request& request() const { return request_; }
  // The client waits for "100 Continue" before it sends the body.
  [[nodiscard]] bool expects_continue() const;
  // After `header`: goes on with the body, of at most so many bytes.
  void read_body(std::size_t max_bytes);
  // After `complete`: the request; the reader is ready for the next one.
  [[nodiscard]] http_request take();
  [[nodiscard]] const api_error& refusal() const { return *refusal_; }

  // Bytes that are held for what has not been read yet.
  [[nodiscard]] std::size_t held_bytes() const { return pending_.capacity(); }

 private:
  struct body_parser;

  [[nodiscard]] read_state refuse(api_error e);
  [[nodiscard]] read_state find_header();
  [[nodiscard]] read_state begin_body();

  const http_rules* rules_;
  std::string pending_;
  std::size_t searched_ = 0;  // of pending_, for the header's end
  std::size_t header_bytes_ = 0;
  bool begun_ = false;  // a header is complete
  bool in_body_ = false;
  http_request request_;
  std::unique_ptr<body_parser> parser_;
  std::optional<api_error> refusal_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/request_reader.ipp"
#endif

#endif  // TINYPHI_SERVE_REQUEST_READER_H_
