// SPDX-License-Identifier: MIT
// Hugging Face's tokenizer.json and tokenizer_config.json -> vocabulary. What
// tinyphi cannot do exactly as the file says is refused by name.
#ifndef TINYPHI_TEXT_TOKENIZER_JSON_H_
#define TINYPHI_TEXT_TOKENIZER_JSON_H_

#include <string_view>

#include "tinyphi/base/error.h"
#include "tinyphi/text/tokenizer_config.h"
#include "tinyphi/text/vocabulary.h"

TINYPHI_NAMESPACE_BEGIN

// Both are the texts of the files; `config` may be empty. Messages begin with
// `origin`, the folder's name.
[[nodiscard]] result<vocabulary> parse_tokenizer_json(std::string_view text,
                                                      std::string_view config,
                                                      std::string_view origin);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/text/tokenizer_json.ipp"
#endif

#endif  // TINYPHI_TEXT_TOKENIZER_JSON_H_
