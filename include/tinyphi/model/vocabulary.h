// SPDX-License-Identifier: MIT
// The tokenizer that a model file holds, whatever kind of file it is.
#ifndef TINYPHI_MODEL_VOCABULARY_H_
#define TINYPHI_MODEL_VOCABULARY_H_

#include "tinyphi/base/error.h"
#include "tinyphi/files/model_file.h"
#include "tinyphi/text/tokenizer.h"

TINYPHI_NAMESPACE_BEGIN

// From GGUF metadata, or from a folder's tokenizer.json, else its *.tiktoken
// file. All give the same ids for the same model; nothing depends on its name.
[[nodiscard]] result<tokenizer> load_tokenizer(const model_file& file);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/model/vocabulary.ipp"
#endif

#endif  // TINYPHI_MODEL_VOCABULARY_H_
