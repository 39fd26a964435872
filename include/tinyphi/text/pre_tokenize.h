// SPDX-License-Identifier: MIT
// Splits text into the words that byte-level BPE may not cross, as the regular
// expressions of GPT-4 and GPT-4o do.
#ifndef TINYPHI_TEXT_PRE_TOKENIZE_H_
#define TINYPHI_TEXT_PRE_TOKENIZE_H_

#include <cstddef>
#include <string_view>

#include "tinyphi/text/vocabulary.h"

TINYPHI_NAMESPACE_BEGIN

// Bytes of the first word of `text`, which must be valid UTF-8 and not empty:
// 1 to text.size(). The words depend on nothing before them.
[[nodiscard]] std::size_t first_word_length(pre_tokenizer pre,
                                            std::string_view text);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/text/pre_tokenize.ipp"
#endif

#endif  // TINYPHI_TEXT_PRE_TOKENIZE_H_
