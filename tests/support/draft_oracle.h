// SPDX-License-Identifier: MIT
// What a draft_source must propose, found by comparing with every place.
#ifndef TESTS_SUPPORT_DRAFT_ORACLE_H_
#define TESTS_SUPPORT_DRAFT_ORACLE_H_

#include <algorithm>
#include <cstddef>
#include <set>
#include <vector>

#include "tinyphi/generate/draft_source.h"

namespace tinyphi_test {

using tokens = std::vector<tinyphi::token_id>;

struct expected_draft {
  std::size_t length = 0;
  std::set<tokens> drafts;  // of any place
  tokens last;              // of the last place
};

// The length of the longest common end of text and other[0..end).
inline std::size_t common_end(const tokens& text, const tokens& other,
                              std::size_t end) {
  std::size_t n = 0;
  while (n < end && n < text.size() && text[text.size() - 1 - n] >= 0 &&
         text[text.size() - 1 - n] == other[end - 1 - n]) {
    ++n;
  }
  return n;
}

// n tokens from `begin`, up to a border; a text repeats itself past its end.
inline tokens continuation(tokens other, std::size_t begin, std::size_t n,
                           bool repeats) {
  tokens draft;
  for (std::size_t at = begin; draft.size() < n; ++at) {
    if (at == other.size() || other[at] < 0) break;
    draft.push_back(other[at]);
    if (repeats) other.push_back(draft.back());
  }
  return draft;
}

// After `text`, the first tokens of which are remembered. n > 0.
inline expected_draft expect_draft(const std::vector<tokens>& references,
                                   const tokens& text, std::size_t n,
                                   std::size_t remembered) {
  expected_draft e;
  const auto look = [&](const tokens& other, bool repeats) {
    for (std::size_t end = 1; end < other.size(); ++end) {
      if (other[end] < 0) continue;
      const std::size_t length = common_end(text, other, end);
      if (length < 3 || length < e.length) continue;
      if (length > e.length) e.drafts.clear();
      e.length = length;
      e.last = continuation(other, end, n, repeats);
      e.drafts.insert(e.last);
    }
  };
  for (const tokens& reference : references) look(reference, false);
  const bool whole = remembered >= text.size();
  const auto end =
      static_cast<std::ptrdiff_t>(std::min(remembered, text.size()));
  look({text.begin(), text.begin() + end}, whole);
  return e;
}

// Leaves of the references what max_tokens has room for, each with a border;
// returns the room that is left for the text.
inline std::size_t cut_references(std::vector<tokens>& references,
                                  std::size_t max_tokens) {
  for (tokens& reference : references) {
    const std::size_t room = max_tokens > 1 ? max_tokens - 1 : 0;
    reference.resize(std::min(reference.size(), room));
    if (room > 0) max_tokens -= reference.size() + 1;
  }
  return max_tokens;
}

}  // namespace tinyphi_test

#endif  // TESTS_SUPPORT_DRAFT_ORACLE_H_
