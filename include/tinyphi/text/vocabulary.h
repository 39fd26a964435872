// SPDX-License-Identifier: MIT
// What a tokenizer is made from, whichever file it came out of.
#ifndef TINYPHI_TEXT_VOCABULARY_H_
#define TINYPHI_TEXT_VOCABULARY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

using token_id = std::int32_t;

enum class bpe_kind : std::uint8_t {
  sentencepiece,  // pieces are UTF-8 with "▁" for space; unknown characters
                  // fall back to <0xNN> byte tokens; no pre-tokenizer
  byte_level,     // pieces are raw bytes; a pre-tokenizer splits the text first
};

enum class pre_tokenizer : std::uint8_t { none, cl100k, o200k };

// Where sentencepiece text gets a "▁" in front.
enum class prefix_rule : std::uint8_t {
  every_run,     // each run of text between special tokens (normalizer Prepend)
  unless_space,  // the same, except where it begins with a space or "▁"
                 // (pre-tokenizer Metaspace, scheme "always")
  first_run,     // as unless_space, but only at the start of the whole text
                 // (Metaspace, scheme "first")
};

// A token with a name that is found in the text before BPE runs.
struct added_token {
  token_id id = 0;
  std::string content;
  bool special = false;  // left out by decode
  bool lstrip = false;   // eats white space before it
  bool rstrip = false;   // eats white space after it
};

struct vocabulary {
  bpe_kind kind = bpe_kind::sentencepiece;
  pre_tokenizer pre = pre_tokenizer::none;

  // pieces[id]; empty: no such token (a gap or a padding row). For byte_level
  // the real bytes, not GPT-2's printable alphabet.
  std::vector<std::string> pieces;
  // Pairs in order of rank, first merged first. Empty with sentencepiece: they
  // follow from the scores as Hugging Face's converter derives them; empty with
  // byte_level: rank = id of the result (tiktoken).
  std::vector<std::pair<token_id, token_id>> merges;
  // scores[id], higher merges first; used only where merges is empty.
  std::vector<float> scores;
  bool ignore_merges = false;  // a word that is a piece becomes that piece
  std::vector<added_token> added;

  bool add_bos = false;
  bool add_prefix_space = true;  // sentencepiece: "▁" as `prefix` says
  prefix_rule prefix = prefix_rule::every_run;
  std::optional<token_id> bos;
  std::optional<token_id> eos;
  std::optional<token_id> unk;
  std::string chat_template;  // Jinja text as the file holds it, or empty
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_TEXT_VOCABULARY_H_
