// SPDX-License-Identifier: MIT
// Drafts without a model: where the end of a text stood before, in the text or
// in others that a request brings along, what followed there may follow again.
#ifndef TINYPHI_GENERATE_DRAFT_SOURCE_H_
#define TINYPHI_GENERATE_DRAFT_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "tinyphi/base/keyed_hash.h"
#include "tinyphi/text/vocabulary.h"

TINYPHI_NAMESPACE_BEGIN

// One per request: first its references, then its prompt and its answer, token
// by token. Inside is the suffix automaton of all of them (Blumer et al., "The
// smallest automaton recognizing the subwords of a text", 1985), built as they
// come; each text starts at its root, so that nothing matches across a border.
//
// Memory: 76 bytes for each of max_tokens, taken by the constructor; nothing
// else allocates. Time: amortised O(1) a token whatever the texts are: 0.1 to
// 0.2 us in texts of 200,000 tokens, 0.4 us where they are of two tokens at
// random (draft_source_test.cpp -s, on a busy Xeon with AVX-512).
// For one thread at a time.
class draft_source {
 public:
  static constexpr std::size_t min_match = 3;
  // The most that it remembers whatever it is given: 1.3 GB.
  static constexpr std::size_t max_capacity = std::size_t{1} << 24;

  // max_tokens: of references (one more for each), prompt and answer together.
  // What comes after them is matched with them, but not remembered: a longer
  // answer keeps the drafts from passages and prompt. Throws std::bad_alloc.
  explicit draft_source(std::size_t max_tokens);

  // Before the first append. What does not fit is left out.
  void add_reference(std::span<const token_id> reference);
  // The next token of the prompt or of the answer. An id below zero is a
  // border, as between two texts.
  void append(token_id token);

  // Puts up to n tokens into `out` instead of what it held (it grows only
  // where its capacity is less) and returns the length of the match that they
  // follow: the longest end of the text, of 3 tokens or more, that stands
  // earlier in the text or in a reference with a token after it; 0 and an
  // empty `out` where there is none. Of several such places it takes the last
  // (a place where matches of more than 7 lengths ended counts for the 7
  // longest). The draft stops at the border of a text; at the end of the text
  // itself it goes on with its own first tokens, as a text that repeats itself
  // does.
  [[nodiscard]] std::size_t propose(std::size_t n,
                                    std::vector<token_id>& out) const;

  // Of references, borders and the text: at most max_tokens.
  [[nodiscard]] std::size_t remembered() const noexcept {
    return tokens_.size();
  }
  [[nodiscard]] std::size_t memory_bytes() const noexcept;
  // What one for so many tokens will hold.
  [[nodiscard]] static std::size_t memory_bytes(
      std::size_t max_tokens) noexcept;

 private:
  using index = std::uint32_t;
  static constexpr index none = std::numeric_limits<index>::max();
  static constexpr index root = 0;

  // Strings that end at the same places, the longest of `length` tokens.
  struct state {
    index length = 0;
    index link = none;    // of the longest end of theirs with more places
    index place = none;   // the index in tokens_ of what followed them last
    index target = none;  // where the first token that followed them leads,
    token_id token = 0;   // and that token
    index others = none;  // in others_, the list of further ones
  };
  // A step from one state to another, in a hash table and in the list of the
  // state that it leaves. No step is ever removed.
  struct transition {
    index from = none;  // none: a free slot
    token_id token = 0;
    index target = none;
    index next = none;
  };

  [[nodiscard]] std::size_t slot(index from, token_id token) const noexcept;
  [[nodiscard]] index step(index from, token_id token) const noexcept;
  void add_step(index from, token_id token, index target) noexcept;
  void redirect(index from, token_id token, index target) noexcept;
  [[nodiscard]] index clone(index from, token_id token, index original);
  void learn(token_id token);
  void remember_place(index from) noexcept;
  void match_only(token_id token) noexcept;

  std::size_t max_tokens_;
  std::vector<token_id> tokens_;  // all texts, a border after each reference
  std::vector<state> states_;
  std::vector<transition> others_;
  keyed_hash hash_;

  index last_ = root;   // the text from its last border
  index match_ = root;  // its longest end that stands elsewhere too,
  index match_length_ = 0;
  bool whole_ = true;  // every token of the text is remembered
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/generate/draft_source.ipp"
#endif

#endif  // TINYPHI_GENERATE_DRAFT_SOURCE_H_
