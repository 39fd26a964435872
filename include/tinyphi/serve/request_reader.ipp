// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_REQUEST_READER_IPP_
#define TINYPHI_SERVE_REQUEST_READER_IPP_

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <charconv>
#include <functional>
#include <iterator>
#include <utility>

#include "tinyphi/serve/request_reader.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {
// A body is given to Beast little by little: it would take a chunk's head of
// any length, if only it came in one piece.
inline constexpr std::size_t body_piece = 4096;
// No chunked body ends with fewer bytes than "0\r\n\r\n". Of fewer, Beast 1.81
// can make no sense twice: an assertion of it fails.
inline constexpr std::size_t least_chunk = 5;

// What is there of a chunk's head is hex digits and CR LF, behind the CR LF
// that ends the chunk before. Beast takes extensions, runs past the line's end
// in quoted ones, and counts their chunk against the limit more than once.
inline bool is_plain_chunk_head(std::string_view bytes, bool first) {
  constexpr std::string_view line_end = "\r\n";
  if (!first) {
    if (!line_end.starts_with(bytes.substr(0, 2))) return false;
    bytes.remove_prefix(std::min<std::size_t>(2, bytes.size()));
  }
  const std::size_t digits = bytes.find_first_not_of("0123456789abcdefABCDEF");
  if (digits == std::string_view::npos) return true;
  return digits > 0 && line_end.starts_with(bytes.substr(digits, 2));
}

inline api_error too_large() {
  return refuse_header(413, "body_too_large",
                       "the body is longer than this route takes");
}
}  // namespace detail

// Beast's parser of one request, which has passed the rules.
struct request_reader::body_parser {
  using chunk_callback = std::function<void(
      std::uint64_t, boost::beast::string_view, boost::beast::error_code&)>;

  body_parser() {
    parser.eager(false);  // each chunk's head has to wait for least_chunk
    parser.header_limit(std::uint32_t{1} << 20);  // the rules' limit holds
    parser.on_chunk_header(begin_chunk);
  }

  boost::beast::http::request_parser<boost::beast::http::string_body> parser;
  std::uint64_t left_of_chunk = 0;  // 0: at a chunk's head
  bool first_chunk = true;
  chunk_callback begin_chunk = [this](std::uint64_t size,
                                      boost::beast::string_view,
                                      boost::beast::error_code&) {
    left_of_chunk = size;
    first_chunk = false;
  };
};

TINYPHI_FUNC request_reader::request_reader(const http_rules& rules)
    : rules_(&rules) {}
TINYPHI_FUNC request_reader::~request_reader() = default;
TINYPHI_FUNC request_reader::request_reader(request_reader&&) noexcept =
    default;

TINYPHI_FUNC read_state request_reader::refuse(api_error e) {
  refusal_ = std::move(e);
  std::string().swap(pending_);  // assigning would keep the memory
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

// Gives the header to Beast, whose reading of it must be ours: where two differ
// there is a way to smuggle a request.
TINYPHI_FUNC read_state request_reader::begin_body() {
  auto& parser = parser_->parser;
  boost::beast::error_code e;
  const std::size_t n =
      parser.put(boost::asio::buffer(pending_.data(), header_bytes_), e);
  if (e == boost::beast::http::error::body_limit)
    return refuse(detail::too_large());
  if (e && e != boost::beast::http::error::need_more) {
    return refuse(detail::malformed("the header: " + e.message()));
  }
  const auto& fields = parser.get();
  const bool chunked = !request_.header("transfer-encoding").empty();
  const std::string_view length = request_.header("content-length");
  std::uint64_t bytes = 0;
  std::from_chars(length.data(), length.data() + length.size(), bytes);
  const auto remaining = parser.content_length_remaining().value_or(0);
  const auto n_fields =
      static_cast<std::size_t>(std::distance(fields.begin(), fields.end()));
  const bool version_10 = fields.version() == 10;  // it got a field from us
  if (!parser.is_header_done() || n != header_bytes_ ||
      parser.chunked() != chunked || (!chunked && remaining != bytes) ||
      n_fields + (version_10 ? 1 : 0) != request_.headers.size()) {
    return refuse(detail::malformed("the header can be read in two ways"));
  }
  pending_.erase(0, n);
  header_bytes_ = 0;
  return read_state::header;
}

TINYPHI_FUNC read_state request_reader::advance() {
  namespace http = boost::beast::http;
  if (refusal_) return read_state::refused;
  if (!begun_) return find_header();
  if (!in_body_) return read_state::header;
  if (header_bytes_ > 0 && begin_body() == read_state::refused) {
    return read_state::refused;
  }
  auto& parser = parser_->parser;
  const bool chunked = parser.chunked();
  std::size_t used = 0;
  while (!parser.is_done()) {
    const std::size_t given =
        std::min(pending_.size() - used, detail::body_piece);
    const bool in_chunk = parser_->left_of_chunk > 0;
    if (chunked && !in_chunk &&
        !detail::is_plain_chunk_head(
            std::string_view(pending_).substr(used, given),
            parser_->first_chunk)) {
      return refuse(detail::malformed(
          "a chunk does not begin with its size alone, in hex"));
    }
    boost::beast::error_code e;
    std::size_t n = 0;
    if (!chunked || in_chunk || given >= detail::least_chunk) {
      n = parser.put(boost::asio::buffer(pending_.data() + used, given), e);
    }
    used += n;
    if (in_chunk) parser_->left_of_chunk -= n;
    if (e && e != http::error::need_more) {
      return refuse(e == http::error::body_limit
                        ? detail::too_large()
                        : detail::malformed("the body: " + e.message()));
    }
    if (parser.is_done() || n > 0) continue;
    if (given == detail::body_piece) {
      return refuse(detail::malformed("a chunk's head has no end"));
    }
    pending_.erase(0, used);
    return read_state::need_more;
  }
  pending_.erase(0, used);
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
  if (pending_.empty()) std::string().swap(pending_);
  return std::exchange(request_, {});
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_REQUEST_READER_IPP_
