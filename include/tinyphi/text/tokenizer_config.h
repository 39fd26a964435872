// SPDX-License-Identifier: MIT
// Hugging Face's tokenizer_config.json: what it adds to a vocabulary.
#ifndef TINYPHI_TEXT_TOKENIZER_CONFIG_H_
#define TINYPHI_TEXT_TOKENIZER_CONFIG_H_

#include <string_view>

#include "tinyphi/base/error.h"
#include "tinyphi/text/vocabulary.h"

TINYPHI_NAMESPACE_BEGIN

// Takes BOS, EOS, UNK, add_bos_token and the chat template from a
// tokenizer_config.json; `origin` names that file. Tokens are looked up in the
// vocabulary, which is otherwise complete.
[[nodiscard]] result<void> apply_tokenizer_config(vocabulary& v,
                                                  std::string_view config,
                                                  std::string_view origin);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/text/tokenizer_config.ipp"
#endif

#endif  // TINYPHI_TEXT_TOKENIZER_CONFIG_H_
