// SPDX-License-Identifier: MIT
// The tokens of answers that were given. A client sends an answer back as text
// with its next question; tokenized again it may be other tokens, and all that
// was computed behind the first difference would be lost.
#ifndef TINYPHI_SERVE_REMEMBERED_TURNS_H_
#define TINYPHI_SERVE_REMEMBERED_TURNS_H_

#include <cstddef>
#include <list>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/generate/prefix_cache.h"
#include "tinyphi/model/model.h"
#include "tinyphi/text/chat_template.h"

TINYPHI_NAMESPACE_BEGIN

// Answers by isolation domain and text; those not used for the longest time go
// first. Any thread may call.
class remembered_turns {
 public:
  // Bytes of texts and tokens together.
  explicit remembered_turns(std::size_t max_bytes = std::size_t{8} << 20)
      : max_bytes_(max_bytes) {}

  // `tokens` are what `text` was made of. A text longer than an eighth of all
  // is not kept.
  void remember(domain_id domain, std::string text,
                std::vector<token_id> tokens);
  // Empty if there is none.
  [[nodiscard]] std::vector<token_id> find(domain_id domain,
                                           std::string_view text);
  [[nodiscard]] std::size_t bytes() const;

 private:
  struct turn {
    domain_id domain;
    std::string text;
    std::vector<token_id> tokens;
    [[nodiscard]] std::size_t bytes() const {
      return 2 * text.size() + tokens.size() * sizeof(token_id) + 128;
    }
  };
  using turns = std::list<turn>;
  using key = std::pair<domain_id, std::string_view>;  // into the turn's text

  std::size_t max_bytes_;
  mutable std::mutex mutex_;
  std::size_t bytes_ = 0;
  turns recent_;  // most recently used first
  std::map<key, turns::iterator> by_text_;
};

// The prompt of a chat as tokens: those of remembered answers, and the text in
// between tokenized. With `continue_last` it ends with the last message's text,
// an assistant's, else where the answer begins. unsupported without a tokenizer
// or a chat format; invalid_argument for roles that the format cannot express.
[[nodiscard]] result<std::vector<token_id>> chat_tokens(
    const model& m, std::span<const message> messages, bool continue_last,
    remembered_turns& turns, domain_id domain);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/remembered_turns.ipp"
#endif

#endif  // TINYPHI_SERVE_REMEMBERED_TURNS_H_
