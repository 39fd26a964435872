// SPDX-License-Identifier: MIT
// Drafts from any tokens, against comparing with every place. The first byte is
// max_tokens; the rest are tokens: references that end with '|', then the text,
// in which '-' is a border.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "../support/draft_oracle.h"
#include "tinyphi/generate/draft_source.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  if (size == 0) return 0;
  // Comparing takes cubic time.
  size = std::min<std::size_t>(size, 256);
  const std::size_t max_tokens = data[0];
  std::vector<tinyphi_test::tokens> texts(1);
  for (std::size_t i = 1; i < size; ++i) {
    if (data[i] == '|') {
      texts.emplace_back();
    } else {
      texts.back().push_back(data[i]);
    }
  }
  tinyphi_test::tokens last = texts.back();
  texts.pop_back();
  std::replace(last.begin(), last.end(), tinyphi::token_id{'-'},
               tinyphi::token_id{-1});

  tinyphi::draft_source source(max_tokens);
  const std::size_t bytes = source.memory_bytes();
  for (const auto& reference : texts) source.add_reference(reference);
  const std::size_t room = tinyphi_test::cut_references(texts, max_tokens);
  tinyphi_test::tokens text, draft;
  for (const tinyphi::token_id token : last) {
    text.push_back(token);
    source.append(token);
    const std::size_t n = 1 + text.size() % 8;
    const auto e = tinyphi_test::expect_draft(texts, text, n, room);
    require(source.propose(n, draft) == e.length);
    require(e.length == 0 ? draft.empty() : e.drafts.count(draft) == 1);
  }
  require(source.remembered() <= max_tokens);
  require(source.memory_bytes() == bytes);
  return 0;
}
