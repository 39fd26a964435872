// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_REQUEST_READER_IPP_
#define TINYPHI_SERVE_REQUEST_READER_IPP_

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <functional>
#include <iterator>
#include <utility>

#include "tinyphi/serve/request_reader.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {
inline constexpr std::size_t body_piece = 4096;
}  // namespace detail

// Beast's parser of one request, which has passed the rules.
struct request_reader::body_parser {
  using chunk_callback = std::function<void(
      std::uint64_t, boost::beast::string_view, boost::beast::error_code&)>;

  body_parser() {
    parser.eager(true);
    parser.header_limit(std::uint32_t{1} << 20);  // the rules' limit holds
    parser.on_chunk_header(no_extensions);
  }

  boost::beast::http::request_parser<boost::beast::http::string_body> parser;
  chunk_callback no_extensions = [](std::uint64_t,
                                    boost::beast::string_view extensions,
                                    boost::beast::error_code& e) {
    if (!extensions.empty()) e = boost::beast::http::error::bad_chunk_extension;
  };
};

TINYPHI_FUNC request_reader::request_reader(const http_rules& rules)
    : rules_(&rules) {}
TINYPHI_FUNC request_reader::~request_reader() = default;
TINYPHI_FUNC request_reader::request_reader(request_reader&&) noexcept =
    default;

TINYPHI_FUNC read_state request_reader::refuse(api_error e) {
  refusal_ = std::move(e);
  pending_ = {};
  parser_.reset();
  return read_state::refused;
}

TINYPHI_FUNC read_state request_reader::find_header() {
  const std::size_t from = searched_ < 3 ? 0 : searched_ - 3;
  const std::size_t end = pending_.find("\r\n\r\n", from);
  searched_ = pending_.size();
  const std::size_t n = end == std::string::npos ? pending_.size() : end + 4;
  if (n > rules_->max_header_bytes) {
    return refuse(detail::refuse_header(
        431, "header_too_large",
        "the header is longer than " +
            std::to_string(rules_->max_header_bytes) + " bytes"));
  }
  if (end == std::string::npos) return read_state::need_more;
  auto checked = check_header(std::string_view(pending_).substr(0, n), *rules_);
  if (!checked) return refuse(std::move(checked).error());
  request_ = *std::move(checked);
  request_.arrived = std::chrono::steady_clock::now();
  begun_ = true;
  header_bytes_ = n;
  return read_state::header;
}

TINYPHI_FUNC bool request_reader::expects_continue() const {
  return !request_.header("expect").empty();
}

TINYPHI_FUNC void request_reader::read_body(std::size_t max_bytes) {
  parser_ = std::make_unique<body_parser>();
  parser_->parser.body_limit(max_bytes);
  in_body_ = true;
}

TINYPHI_FUNC read_state request_reader::advance() {
  namespace http = boost::beast::http;
  if (refusal_) return read_state::refused;
  if (!begun_) return find_header();
  if (!in_body_) return read_state::header;
  auto& parser = parser_->parser;
  while (!parser.is_done()) {
    // The header at once, then little by little: Beast would take a chunk's
    // head of any length, if only it came in one piece.
    const std::size_t given =
        parser.is_header_done() ? std::min(pending_.size(), detail::body_piece)
                                : header_bytes_;
    boost::beast::error_code e;
    const std::size_t n =
        parser.put(boost::asio::buffer(pending_.data(), given), e);
    pending_.erase(0, n);
    if (e && e != http::error::need_more) {
      return e == http::error::body_limit
                 ? refuse(detail::refuse_header(
                       413, "body_too_large",
                       "the body is longer than this route takes"))
                 : refuse(detail::malformed("the body: " + e.message()));
    }
    if (parser.is_done() || n > 0) continue;
    if (given == detail::body_piece) {
      return refuse(detail::malformed("a chunk's head has no end"));
    }
    return read_state::need_more;
  }
  const auto& fields = parser.get();
  if (static_cast<std::size_t>(std::distance(fields.begin(), fields.end())) >
      request_.headers.size()) {
    return refuse(detail::malformed("trailers behind a body are not taken"));
  }
  return read_state::complete;
}

TINYPHI_FUNC http_request request_reader::take() {
  request_.body = std::move(parser_->parser.get().body());
  parser_.reset();
  begun_ = in_body_ = false;
  searched_ = 0;
  if (pending_.empty()) pending_ = {};
  return std::exchange(request_, {});
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_REQUEST_READER_IPP_
