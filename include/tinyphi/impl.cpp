// SPDX-License-Identifier: MIT
// The engine as one object file, for TINYPHI_HEADER_ONLY=0; the kernels are in
// impl_kernels.cpp, so that the two build in parallel.
#undef TINYPHI_HEADER_ONLY
#define TINYPHI_HEADER_ONLY 0
#include "tinyphi/base/json.ipp"
#include "tinyphi/base/mapped_file.ipp"
#include "tinyphi/base/parallel.ipp"
#include "tinyphi/files/gguf.ipp"
#include "tinyphi/files/gguf_parse.ipp"
#include "tinyphi/files/hf_folder.ipp"
#include "tinyphi/files/model_file.ipp"
#include "tinyphi/files/safetensors.ipp"
#include "tinyphi/generate/sampler.ipp"
#include "tinyphi/generate/sampling_params.ipp"
#include "tinyphi/model/model_config.ipp"
#include "tinyphi/model/model_config_gguf.ipp"
#include "tinyphi/model/model_config_hf.ipp"
#include "tinyphi/tensor/packed.ipp"
#include "tinyphi/tensor/quant.ipp"
#include "tinyphi/text/bpe.ipp"
#include "tinyphi/text/chat_template.ipp"
#include "tinyphi/text/pre_tokenize.ipp"
#include "tinyphi/text/stream_text.ipp"
#include "tinyphi/text/tokenizer.ipp"
#include "tinyphi/text/tokenizer_json.ipp"
#include "tinyphi/text/tokenizer_tables.ipp"
