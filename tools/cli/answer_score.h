// SPDX-License-Identifier: MIT
// How near an output is to the answer that a case of `eval` has.
#ifndef TOOLS_CLI_ANSWER_SCORE_H_
#define TOOLS_CLI_ANSWER_SCORE_H_

#include <algorithm>
#include <map>
#include <string>
#include <string_view>

#include "plugins/fts/words.h"

namespace cli {

// Words count, in lower case and without punctuation, as in the evaluation of
// SQuAD (Rajpurkar et al. 2016), but articles, which not all languages have,
// count as well.
struct answer_score {
  double exact = 0;     // 1: the same words in the same order
  double contains = 0;  // 1: the answer's words stand in the output, in a row
  // Of precision and recall of words, each as often as it occurs.
  double f1 = 0;
};

// The answer must have a word.
[[nodiscard]] inline answer_score score_answer(std::string_view output,
                                               std::string_view answer) {
  const auto found = tinyphi::fts::split_words(output);
  const auto wanted = tinyphi::fts::split_words(answer);
  answer_score s;
  s.exact = found == wanted ? 1 : 0;
  s.contains = std::ranges::search(found, wanted).empty() ? 0 : 1;
  std::map<std::string_view, std::size_t> left;
  for (const std::string& word : wanted) ++left[word];
  std::size_t common = 0;
  for (const std::string& word : found) {
    const auto it = left.find(word);
    if (it == left.end() || it->second == 0) continue;
    --it->second;
    ++common;
  }
  s.f1 = 2 * static_cast<double>(common) /
         static_cast<double>(found.size() + wanted.size());
  return s;
}

}  // namespace cli

#endif  // TOOLS_CLI_ANSWER_SCORE_H_
