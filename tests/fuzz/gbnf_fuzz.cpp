// SPDX-License-Identifier: MIT
// Any bytes as a grammar in GBNF: read or refused with a message, and answers
// of a grammar that is read are whole texts of it.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "../support/shaped_walk.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto g = tinyphi::gbnf_grammar(text);
  if (!g) {
    if (g.error().message.empty()) std::abort();
    return 0;
  }
  const auto c = tinyphi::constraint::create(tinyphi_test::small_trie(), *g);
  if (!c) {
    // What is read can be a constraint, unless it is too large for one.
    if (c.error().code != tinyphi::error_code::limit) std::abort();
    return 0;
  }
  // A shape that nobody could wait for.
  if (c->shortest() > 2000) return 0;
  (void)tinyphi_test::shaped_answer(*c, text);
  return 0;
}
