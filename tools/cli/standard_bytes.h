// SPDX-License-Identifier: MIT
// Standard input and output for a program that does other things meanwhile: a
// thread reads and writes for an event loop. Pipes, sockets, files and
// terminals do; their modes stay as whoever shares them has set them.
#ifndef TOOLS_CLI_STANDARD_BYTES_H_
#define TOOLS_CLI_STANDARD_BYTES_H_

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace cli {

class standard_bytes {
 public:
  // All are called by the loop.
  struct handlers {
    // The next bytes, or none at the end. The next are read once it has
    // returned, and at most max_unsent bytes are waiting to be written.
    std::function<void(std::string_view bytes)> on_bytes;
    std::function<void()> on_sent;    // all that send() was given
    std::function<void()> on_broken;  // nobody reads the output any more
  };
  static constexpr std::size_t max_unsent = std::size_t{1} << 20;

  // The loop must outlive it. Nothing is read before start().
  standard_bytes(boost::asio::io_context& loop, handlers h);
  standard_bytes(const standard_bytes&) = delete;
  standard_bytes& operator=(const standard_bytes&) = delete;
  // What has not been written is given up.
  ~standard_bytes();

  void start();
  void send(std::string_view bytes);
  [[nodiscard]] std::size_t n_unsent() const;

 private:
  void run();
  void wake() const;
  void read_some();
  void write_some();

  boost::asio::io_context& loop_;
  handlers handlers_;
  int wake_ends_[2] = {-1, -1};  // of a pipe; a byte in it: look again
  mutable std::mutex mutex_;
  std::string unsent_;
  std::size_t n_sent_ = 0;  // of unsent_
  bool reads_ = true;       // nobody is told of bytes at the moment
  bool at_end_ = false;     // of the input
  bool is_broken_ = false;  // the output
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace cli

#endif  // TOOLS_CLI_STANDARD_BYTES_H_
