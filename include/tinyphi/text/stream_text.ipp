// SPDX-License-Identifier: MIT
#ifndef TINYPHI_TEXT_STREAM_TEXT_IPP_
#define TINYPHI_TEXT_STREAM_TEXT_IPP_

#include <algorithm>
#include <utility>

#include "tinyphi/base/utf8.h"
#include "tinyphi/text/stream_text.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// How much of `text` surely belongs to no stop string: what is before the
// longest end that begins one.
inline std::size_t before_possible_stop(std::string_view text,
                                        std::string_view stop) {
  std::size_t n = std::min(text.size(), stop.size() - 1);
  while (!text.ends_with(stop.substr(0, n))) --n;
  return text.size() - n;
}

}  // namespace detail

TINYPHI_FUNC stream_text::stream_text(tokenizer t,
                                      std::vector<std::string> stops)
    : tokenizer_(std::move(t)), stops_(std::move(stops)) {
  std::erase(stops_, "");
}

TINYPHI_FUNC std::string stream_text::push(token_id id) {
  if (stopped_ || tokenizer_.is_special(id)) return {};
  std::string_view bytes = tokenizer_.bytes(id);
  if (bytes.empty()) return {};
  if (at_start_ && tokenizer_.strips_leading_space() && bytes[0] == ' ') {
    bytes.remove_prefix(1);
  }
  at_start_ = false;
  held_ += bytes;

  std::size_t certain = held_.size(), stop_at = held_.npos;
  for (const std::string& stop : stops_) {
    stop_at = std::min(stop_at, held_.find(stop));
    certain = std::min(certain, detail::before_possible_stop(held_, stop));
  }
  if (stop_at != held_.npos) {
    held_.resize(stop_at);
    stopped_ = true;
    return finish();
  }
  certain = complete_utf8_length(std::string_view(held_).substr(0, certain));
  const std::string out = replace_invalid_utf8(
      std::string_view(held_).substr(0, certain), tokenizer_.invalid_utf8());
  held_.erase(0, certain);
  return out;
}

TINYPHI_FUNC std::string stream_text::finish() {
  return replace_invalid_utf8(std::exchange(held_, {}),
                              tokenizer_.invalid_utf8());
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_TEXT_STREAM_TEXT_IPP_
