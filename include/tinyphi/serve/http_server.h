// SPDX-License-Identifier: MIT
// Takes connections and runs the requests that come over them. Everything here
// is on one io thread; a connection is one coroutine.
#ifndef TINYPHI_SERVE_HTTP_SERVER_H_
#define TINYPHI_SERVE_HTTP_SERVER_H_

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "tinyphi/serve/http_exchange.h"
#include "tinyphi/serve/http_rules.h"
#include "tinyphi/serve/router.h"

TINYPHI_NAMESPACE_BEGIN

// What a connection may take. Every wait has an end.
struct server_limits {
  std::size_t connections = 16384;           // further ones wait to be accepted
  std::size_t connections_per_address = 64;  // but for local ones
  std::chrono::seconds idle{75};             // between two requests
  // While another one waits to be accepted, the one that has been idle longest
  // is closed, if it has been for so long.
  std::chrono::milliseconds gives_way{1000};
  std::chrono::seconds header{10};           // from a request's first byte on
  std::chrono::seconds body{60};             // from the header's end on
  std::chrono::seconds write{60};            // until the system takes a piece
};

// The other end of a connection.
struct peer_facts {
  std::string address;       // "127.0.0.1"; empty for a unix socket
  bool local = true;         // a unix socket or a loopback address
  std::optional<uid_t> uid;  // of a unix socket's
};

struct server_hooks {
  // Who asks, or why nobody is let in. Called when the header of a request is
  // complete, before its body is read; `to` is null if there is no such route.
  std::function<api_result<std::shared_ptr<const caller>>(
      const http_request&, const route* to, const peer_facts&)>
      let_in;
  // After the answer, or after its client has left.
  std::function<void(const http_request&, const route* to,
                     const request_report&)>
      ended;
};

// Counts of now and since the start, for metrics.
struct server_counts {
  std::size_t connections = 0;  // open
  std::size_t requests = 0;     // under way
  std::uint64_t accepted = 0, turned_away = 0;
};

class http_server {
 public:
  // All that is given must outlive the server; the router is complete.
  http_server(boost::asio::io_context& io, const router& routes,
              http_rules rules, server_limits limits, server_hooks hooks);
  ~http_server() { close(); }

  // Accepts connections from a listening, non-blocking socket, which it owns
  // from now on.
  [[nodiscard]] result<void> listen_on(int listening_fd, bool is_unix);
  // No new connections; idle ones are closed, and every other one after the
  // request that it is in.
  void stop_accepting();
  // Closes everything; coroutines end once they notice.
  void close();
  [[nodiscard]] server_counts counts() const;

 private:
  class impl;
  std::shared_ptr<impl> impl_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/http_accept.ipp"
#include "tinyphi/serve/http_server.ipp"
#endif

#endif  // TINYPHI_SERVE_HTTP_SERVER_H_
