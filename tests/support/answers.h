// SPDX-License-Identifier: MIT
// An answer of one token, " Hi", and what its dialect is told of it.
#ifndef TINYPHI_TESTS_SUPPORT_ANSWERS_H_
#define TINYPHI_TESTS_SUPPORT_ANSWERS_H_

#include <string>

#include "tinyphi/serve/dialect.h"

namespace tinyphi_test {

// Token 1 is " Hi", every other one half a character.
inline tinyphi::answer_facts facts_of_phi() {
  tinyphi::answer_facts f;
  f.id = "id1";
  f.model = "phi";
  f.fingerprint = "b1";
  f.created = 5;
  f.token_text = [](tinyphi::token_id id) {
    return id == 1 ? std::string(" Hi") : std::string("\xc3");
  };
  return f;
}

inline tinyphi::ended_answer ended_hi(tinyphi::finish_reason why) {
  tinyphi::ended_answer a;
  a.text = " Hi";
  a.tokens = {{1, -0.5F, {{2, -1.0F}}}};
  a.finish = why;
  a.usage = {.prompt_tokens = 7, .cached_tokens = 4, .completion_tokens = 1};
  return a;
}

}  // namespace tinyphi_test

#endif  // TINYPHI_TESTS_SUPPORT_ANSWERS_H_
