// SPDX-License-Identifier: MIT
// Text to token ids and back, exactly as Hugging Face's fast tokenizers do it
// for the Phi family: SentencePiece-style BPE with byte fallback (Phi-3 mini,
// medium, Phi-3.5) and byte-level BPE (Phi-4, Phi-4-mini, Phi-3-small). Knows
// no file format: vocabulary.h says what a vocabulary is, and the readers
// (tokenizer_json.h, tiktoken.h, model/vocabulary.h for GGUF) fill it.
#ifndef TINYPHI_TEXT_TOKENIZER_H_
#define TINYPHI_TEXT_TOKENIZER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/text/unicode.h"
#include "tinyphi/text/vocabulary.h"

TINYPHI_NAMESPACE_BEGIN

// A piece of a prompt. Only text from a template may hold control tokens; what
// a user, a document or a tool says is encoded as plain characters, so that
// "<|end|>" in a document ends nothing.
struct segment {
  std::string text;
  bool control = false;  // parse special tokens in `text`

  friend bool operator==(const segment&, const segment&) = default;
};

// Immutable after creation; any number of threads may use one.
class tokenizer {
 public:
  // Checks the vocabulary (ids dense, byte tokens complete where needed,
  // merges known, ...) and builds the look-up tables.
  [[nodiscard]] static result<tokenizer> create(vocabulary v);

  // The ids of `text`; special tokens in it are parsed only if asked. No BOS.
  // Time is linear in the text. Bytes that are not UTF-8 are encoded as U+FFFD.
  [[nodiscard]] std::vector<token_id> encode(std::string_view text,
                                             bool parse_special = false) const;

  // The ids of a whole prompt: what Hugging Face gives for the joined text if
  // every special token in a control segment and none elsewhere is parsed.
  // `rstrip` and the "▁" prefix act across segment borders as they do inside
  // one text. With add_bos the BOS token comes first, where the vocabulary asks
  // for one and the prompt does not already begin with it.
  [[nodiscard]] std::vector<token_id> encode(std::span<const segment> prompt,
                                             bool add_bos) const;

  // The ids of a piece that stands inside a prompt, by itself: no BOS, no
  // prefix in front of it.
  [[nodiscard]] std::vector<token_id> encode_inside(
      std::span<const segment> piece) const;
  [[nodiscard]] std::vector<token_id> encode_inside(
      std::string_view text) const;

  // The text of `ids`, special tokens left out unless asked for; exactly one
  // leading space that the "▁" prefix put there is removed. Incomplete UTF-8
  // becomes U+FFFD. Ids out of range are left out.
  [[nodiscard]] std::string decode(std::span<const token_id> ids,
                                   bool keep_special = false) const;

  // The raw bytes of one token, as they stand inside a text: "▁" is a space,
  // byte tokens are one byte; control tokens are their name. Empty if out of
  // range or padding.
  [[nodiscard]] std::string_view bytes(token_id id) const;

  [[nodiscard]] bool is_special(token_id id) const;
  // The token whose name or piece is exactly `piece`.
  [[nodiscard]] std::optional<token_id> find(std::string_view piece) const;
  // Tokens that exist: padding rows from here on must never be sampled.
  [[nodiscard]] std::size_t size() const;
  // True if the first piece of a text carries a "▁" that decoding strips.
  [[nodiscard]] bool strips_leading_space() const;
  // How decode marks bytes that are not UTF-8.
  [[nodiscard]] replacement invalid_utf8() const;
  [[nodiscard]] const vocabulary& vocab() const;

 private:
  struct tables;
  explicit tokenizer(std::shared_ptr<const tables> t) : tables_(std::move(t)) {}
  std::shared_ptr<const tables> tables_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/text/tokenizer.ipp"
#endif

#endif  // TINYPHI_TEXT_TOKENIZER_H_
