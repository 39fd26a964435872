// SPDX-License-Identifier: MIT
// Any bytes as the schema of an answer: refused with pointers, or else each
// answer that the constraint lets through validates.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "../support/shaped_walk.h"
#include "tinyphi/schema/schema_check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  using namespace tinyphi;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto s = schema::read(text, foreign_schema);
  if (!s) return 0;
  const auto gaps = static_cast<json_gaps>(size % 3);
  const auto g = schema_grammar(*s, gaps);
  if (!g) {
    for (const schema_fault& f : g.error()) {
      if (f.message.empty() || (!f.pointer.empty() && f.pointer[0] != '/')) {
        std::abort();
      }
    }
    return 0;
  }
  const auto c = constraint::create(tinyphi_test::small_trie(), *g);
  if (!c) {
    if (c.error().code != error_code::limit) std::abort();
    return 0;
  }
  if (c->shortest() > 2000) return 0;
  const auto answer = tinyphi_test::shaped_answer(*c, text);
  if (!answer) return 0;
  const auto faults = check_text(*s, *answer);
  // A check may give up; it must not find a fault.
  if (faults && !faults->empty()) std::abort();
  return 0;
}
