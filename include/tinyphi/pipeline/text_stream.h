// SPDX-License-Identifier: MIT
// Texts that travel between stages while they are being written.
#ifndef TINYPHI_PIPELINE_TEXT_STREAM_H_
#define TINYPHI_PIPELINE_TEXT_STREAM_H_

#include <boost/asio/awaitable.hpp>
#include <optional>
#include <string>
#include <utility>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

template <class T>
using task = boost::asio::awaitable<T>;

// Where a running stage sends text piece by piece. What was sent is afterwards
// the value of the port.
class text_sink {
 public:
  virtual ~text_sink() = default;
  // Whole UTF-8 characters. Waits while the reader is far behind. Throws when
  // the stage is cancelled or the text is longer than a value may be.
  virtual task<void> send(std::string piece) = 0;
};
class text_stream {
 public:
  text_stream() = default;
  explicit text_stream(text_sink& sink) : sink_(&sink) {}
  task<void> send(std::string piece) { return sink_->send(std::move(piece)); }

 private:
  text_sink* sink_ = nullptr;
};

// A text as it is being written, or one that is there already.
class text_feed {
 public:
  virtual ~text_feed() = default;
  // The next piece, of whole UTF-8 characters; nothing at the end. Throws when
  // the stage is cancelled.
  virtual task<std::optional<std::string>> next() = 0;
};
class text_source {
 public:
  text_source() = default;
  explicit text_source(text_feed& feed) : feed_(&feed) {}
  task<std::optional<std::string>> next() { return feed_->next(); }

 private:
  text_feed* feed_ = nullptr;
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_TEXT_STREAM_H_
