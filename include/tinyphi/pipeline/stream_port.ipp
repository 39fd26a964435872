// SPDX-License-Identifier: MIT
// A text while it is being written: one stage sends it, any number of readers
// follow, each at its own pace. Used by executor.ipp only.
#ifndef TINYPHI_PIPELINE_STREAM_PORT_IPP_
#define TINYPHI_PIPELINE_STREAM_PORT_IPP_

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <list>
#include <optional>
#include <string>

#include "tinyphi/pipeline/executor.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

namespace asio = boost::asio;

// It keeps all that was sent, so that a reader may begin late, and holds the
// sender back for its fastest reader: if it waited for the slowest, stages that
// read two streams could wait for each other in a circle.
class stream_port final : public text_sink {
 public:
  using strand_type = asio::strand<asio::any_io_executor>;

  // Of a reader in the text.
  struct place {
    std::size_t offset = 0;
    bool waits = false;  // for a piece
  };

  struct followers {
    // Called at the first piece; may be empty.
    std::function<void()> on_first;
    // Somebody reads from the first piece on, and is waited for.
    bool reader_comes = false;
  };
  // `name` is for messages; `values` counts the text.
  stream_port(const strand_type& strand, cancel_token sender, followers f,
              std::string name, std::shared_ptr<value_ledger> values)
      : strand_(strand),
        changed_(strand, steady_time::max()),
        sender_(std::move(sender)),
        followers_(std::move(f)),
        name_(std::move(name)),
        values_(std::move(values)) {}
  stream_port(const stream_port&) = delete;
  stream_port& operator=(const stream_port&) = delete;
  ~stream_port() override { values_->shrink(text_.size()); }

  task<void> send(std::string piece) override {
    if (piece.size() > values_->most().text - text_.size()) {
      throw stage_error(error_code::limit,
                        name_ + " is longer than the " +
                            std::to_string(values_->most().text) +
                            " bytes that are allowed by [limits].text");
    }
    while (followers_.reader_comes && !has_begun_ && !sender_.cancelled()) {
      co_await wait();
    }
    if (auto over = values_->grow(piece.size(), name_)) {
      throw stage_error(*std::move(over));
    }
    const bool is_first = text_.empty() && !piece.empty();
    text_ += piece;
    if (is_first && followers_.on_first) followers_.on_first();
    wake();
    // Lets those who wait for a piece have it, even if the stage itself never
    // waits for anything: what fails next must not take it back.
    do {
      co_await asio::post(strand_, asio::use_awaitable);
    } while (keeps_waiting() && !sender_.cancelled());
    while (is_far_ahead() && !sender_.cancelled()) co_await wait();
    if (sender_.cancelled()) {
      throw stage_error(error_code::cancelled, "cancelled");
    }
  }

  // Nothing more will be sent. A text that failed is dropped: a reader that
  // comes only now finds nothing.
  void end(bool failed) {
    ended_ = true;
    if (failed && !was_read_) {
      values_->shrink(text_.size());
      text_.clear();
      whole_.reset();
    }
    wake();
  }
  void wake() { changed_.cancel(); }

  [[nodiscard]] const std::string& text() const {
    return whole_ ? *whole_->get<std::string>() : text_;
  }
  // All of the text as a value, which from now on counts by itself.
  [[nodiscard]] value_data whole() {
    if (!whole_) {
      values_->shrink(text_.size());
      whole_ = value_data(std::exchange(text_, {}));
    }
    return *whole_;
  }
  // Somebody was given a piece, even if he has not taken it yet.
  [[nodiscard]] bool was_read() const { return was_read_; }
  void note_reader() { was_read_ = was_read_ || !text().empty(); }

  // A reader of the text, while it reads.
  class cursor {
   public:
    explicit cursor(stream_port& port)
        : port_(&port), at_(port.places_.emplace(port.places_.end())) {
      port.has_begun_ = true;
      port.wake();
    }
    cursor(const cursor&) = delete;
    cursor& operator=(const cursor&) = delete;
    ~cursor() {
      port_->places_.erase(at_);
      port_->wake();
    }
    // What has come since; nothing at the end, or if `stop` says so.
    task<std::optional<std::string>> next(const cancel_token& stop) {
      while (!stop.cancelled()) {
        at_->waits = false;
        if (at_->offset < port_->text().size()) {
          port_->was_read_ = true;
          co_return port_->text().substr(at_->offset);
        }
        if (port_->ended_) break;
        at_->waits = true;
        co_await port_->wait();
      }
      co_return std::nullopt;
    }
    // What next() gave was taken.
    void advance(std::size_t bytes) {
      at_->offset += bytes;
      port_->wake();
    }

   private:
    stream_port* port_;
    std::list<place>::iterator at_;
  };

 private:
  [[nodiscard]] bool is_far_ahead() const {
    if (places_.empty()) return false;
    const auto fastest = std::ranges::max_element(places_, {}, &place::offset);
    return text().size() - fastest->offset > max_unread_bytes;
  }
  // A reader waits for what is there by now.
  [[nodiscard]] bool keeps_waiting() const {
    return std::ranges::any_of(places_, [&](const place& p) {
      return p.waits && p.offset < text().size();
    });
  }
  task<void> wait() {
    boost::system::error_code woken;
    auto token = asio::redirect_error(asio::use_awaitable, woken);
    co_await changed_.async_wait(token);
  }

  strand_type strand_;
  asio::steady_timer changed_;
  cancel_token sender_;
  followers followers_;
  std::string name_;  // for messages
  std::shared_ptr<value_ledger> values_;
  std::string text_;
  std::optional<value_data> whole_;  // then text_ is empty
  std::list<place> places_;
  bool has_begun_ = false;  // there was a reader
  bool ended_ = false;
  bool was_read_ = false;
};

// What a stage with a text_source reads: a stream, or a text that is there.
class port_feed final : public text_feed {
 public:
  port_feed(std::shared_ptr<stream_port> port, cancel_token stop)
      : port_(std::move(port)), stop_(std::move(stop)), cursor_(*port_) {
    port_->note_reader();
  }

  task<std::optional<std::string>> next() override {
    cursor_.advance(given_);
    given_ = 0;
    std::optional<std::string> piece = co_await cursor_.next(stop_);
    if (stop_.cancelled()) {
      throw stage_error(error_code::cancelled, "cancelled");
    }
    if (piece) given_ = piece->size();
    co_return piece;
  }

 private:
  std::shared_ptr<stream_port> port_;
  cancel_token stop_;
  stream_port::cursor cursor_;
  std::size_t given_ = 0;
};

class whole_feed final : public text_feed {
 public:
  explicit whole_feed(std::string text) : text_(std::move(text)) {}

  task<std::optional<std::string>> next() override {
    auto whole = std::exchange(text_, std::nullopt);
    if (whole && whole->empty()) whole.reset();
    co_return whole;
  }

 private:
  std::optional<std::string> text_;
};

}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_STREAM_PORT_IPP_
