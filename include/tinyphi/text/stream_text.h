// SPDX-License-Identifier: MIT
// Tokens to text while they arrive: whole UTF-8 characters only, and stop
// strings found across token borders.
#ifndef TINYPHI_TEXT_STREAM_TEXT_H_
#define TINYPHI_TEXT_STREAM_TEXT_H_

#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/text/tokenizer.h"

TINYPHI_NAMESPACE_BEGIN

// One per answer; not shared between threads. Keeps a copy of the tokenizer
// handle.
class stream_text {
 public:
  // `stops`: non-empty strings that end the text; they are not part of it.
  stream_text(tokenizer t, std::vector<std::string> stops);

  // Adds a token and returns the text that is now certain: it ends at a
  // character border and cannot be the beginning of a stop string. The pieces
  // of all calls joined are decode() of the tokens, up to a stop string.
  // Special tokens give no text.
  [[nodiscard]] std::string push(token_id id);

  // What was held back, once no token will follow; incomplete UTF-8 becomes
  // U+FFFD.
  [[nodiscard]] std::string finish();

  // True once a stop string was found; push then returns nothing more.
  [[nodiscard]] bool stopped() const { return stopped_; }

 private:
  tokenizer tokenizer_;
  std::vector<std::string> stops_;
  std::string held_;      // decoded, not yet handed out
  bool at_start_ = true;  // the next text token may carry the prefix space
  bool stopped_ = false;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/text/stream_text.ipp"
#endif

#endif  // TINYPHI_TEXT_STREAM_TEXT_H_
