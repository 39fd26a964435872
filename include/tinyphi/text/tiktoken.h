// SPDX-License-Identifier: MIT
// *.tiktoken files, a line "<base64 of the token> <rank>" each -> vocabulary.
// Phi-3-small's folder has cl100k_base.tiktoken and no tokenizer.json.
#ifndef TINYPHI_TEXT_TIKTOKEN_H_
#define TINYPHI_TEXT_TIKTOKEN_H_

#include <string_view>

#include "tinyphi/base/error.h"
#include "tinyphi/text/vocabulary.h"

TINYPHI_NAMESPACE_BEGIN

// The cl100k vocabulary of `text` with Phi-3-small's special tokens; id =
// rank. Messages begin with `origin`, the file's name, and the line.
[[nodiscard]] result<vocabulary> parse_phi3_small_tiktoken(
    std::string_view text, std::string_view origin);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/text/tiktoken.ipp"
#endif

#endif  // TINYPHI_TEXT_TIKTOKEN_H_
