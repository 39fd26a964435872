// SPDX-License-Identifier: MIT
// Connections with and without TLS. All of OpenSSL is here; built without it
// (TINYPHI_WITH_TLS is not 1) only plain connections can be made.
#ifndef TINYPHI_PLUGINS_HTTP_FETCH_TLS_H_
#define TINYPHI_PLUGINS_HTTP_FETCH_TLS_H_

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#if TINYPHI_WITH_TLS
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#endif

#include "tinyphi/base/error.h"
#include "tinyphi/pipeline/network_host.h"
#include "tinyphi/pipeline/text_stream.h"

TINYPHI_NAMESPACE_BEGIN
namespace web {

using tcp_socket = boost::asio::ip::tcp::socket;

// A connection that is open. One call at a time.
class connection {
 public:
  virtual ~connection() = default;
  // How many bytes came. asio::error::eof where the other side has ended it as
  // it should; cut off without that is another error.
  virtual task<std::size_t> read_some(boost::asio::mutable_buffer to,
                                      boost::system::error_code& failed) = 0;
  virtual task<void> write(boost::asio::const_buffer from,
                           boost::system::error_code& failed) = 0;
};

template <class Stream>
class stream_connection final : public connection {
 public:
  template <class... Args>
  explicit stream_connection(Args&&... args)
      : stream_(std::forward<Args>(args)...) {}

  task<std::size_t> read_some(boost::asio::mutable_buffer to,
                              boost::system::error_code& failed) override {
    auto token =
        boost::asio::redirect_error(boost::asio::use_awaitable, failed);
    co_return co_await stream_.async_read_some(to, token);
  }
  task<void> write(boost::asio::const_buffer from,
                   boost::system::error_code& failed) override {
    auto token =
        boost::asio::redirect_error(boost::asio::use_awaitable, failed);
    co_await boost::asio::async_write(stream_, from, token);
  }
  Stream& stream() { return stream_; }

 private:
  Stream stream_;
};

// What is needed to speak TLS as a client. Any thread may connect.
class tls_client {
 public:
#if TINYPHI_WITH_TLS
  static constexpr bool is_built_in = true;

  // Whom it believes: the system's authorities, or those in a file.
  explicit tls_client(const std::filesystem::path& authorities = {})
      : context_(std::make_shared<boost::asio::ssl::context>(
            boost::asio::ssl::context::tls_client)) {
    boost::system::error_code failed;
    ::SSL_CTX_set_min_proto_version(context_->native_handle(), TLS1_2_VERSION);
    context_->set_verify_mode(boost::asio::ssl::verify_peer, failed);
    if (authorities.empty()) {
      context_->set_default_verify_paths(failed);
    } else {
      context_->load_verify_file(authorities.string(), failed);
    }
    if (failed) {
      setup_ = error{error_code::io,
                     "certificates of authorities: " + failed.message()};
    }
  }

  // Speaks TLS over an open socket, which must outlive the connection, with
  // `host` and nobody else.
  [[nodiscard]] task<result<std::unique_ptr<connection>>> connect(
      tcp_socket& socket, const network_host& host) const {
    using stream = boost::asio::ssl::stream<tcp_socket&>;
    if (!setup_) co_return setup_.error();
    auto made = std::make_unique<stream_connection<stream>>(socket, *context_);
    stream& s = made->stream();
    if (!expect(s.native_handle(), host)) {
      co_return error{error_code::internal, "TLS cannot be set up"};
    }
    boost::system::error_code failed;
    auto token =
        boost::asio::redirect_error(boost::asio::use_awaitable, failed);
    co_await s.async_handshake(boost::asio::ssl::stream_base::client, token);
    if (const long why = ::SSL_get_verify_result(s.native_handle());
        failed && why != X509_V_OK) {
      co_return error{error_code::bad_data,
                      "the certificate is not one of " + host.name + ": " +
                          ::X509_verify_cert_error_string(why)};
    }
    if (failed) {
      co_return error{error_code::unavailable, "TLS: " + failed.message()};
    }
    co_return std::unique_ptr<connection>(std::move(made));
  }

 private:
  // Whose certificate it must be. An address is not sent as a name (RFC 6066).
  static bool expect(::SSL* ssl, const network_host& host) {
    if (host.address) {
      return ::X509_VERIFY_PARAM_set1_ip_asc(::SSL_get0_param(ssl),
                                             host.name.c_str()) == 1;
    }
    ::SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return ::SSL_set1_host(ssl, host.name.c_str()) == 1 &&
           ::SSL_set_tlsext_host_name(ssl, host.name.c_str()) == 1;
  }

  std::shared_ptr<boost::asio::ssl::context> context_;
  result<void> setup_;
#else
  static constexpr bool is_built_in = false;

  explicit tls_client(const std::filesystem::path& = {}) {}

  [[nodiscard]] task<result<std::unique_ptr<connection>>> connect(
      tcp_socket&, const network_host&) const {
    co_return error{error_code::unsupported, without_tls};
  }
#endif

 public:
  static constexpr const char* without_tls =
      "built without TLS: this program has no OpenSSL in it, so it cannot ask "
      "https://; build it where libssl-dev is installed";
};

}  // namespace web
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_HTTP_FETCH_TLS_H_
