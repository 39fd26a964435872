// SPDX-License-Identifier: MIT
// The fields of every request that the daemon takes.
#ifndef TINYPHI_SERVE_REQUEST_TABLES_H_
#define TINYPHI_SERVE_REQUEST_TABLES_H_

#include "tinyphi/serve/chat_table.h"

TINYPHI_NAMESPACE_BEGIN

namespace request_tables {

// llama-server's other form of a text. No part is empty, so that none is all of
// it.
inline constexpr field prompt_part_fields[] = {
    part_fields[0],
    [] {
      field f = part_text_field;
      f.least = 1;
      return f;
    }(),
};
inline constexpr field prompt_part = [] {
  field f = part_item;
  f.members = prompt_part_fields;
  return f;
}();
inline constexpr field prompt_fields[] = {
    {.name = "prompt_string",
     .kinds = string,
     .about = "The text.",
     .least = 1,
     .most = 16777216},
    {.name = "content",
     .kinds = array,
     .about = "Its parts.",
     .least = 1,
     .most = 1024,
     .items = &prompt_part},
    {.name = "multimodal_data",
     .kinds = array | string,
     .about = "only texts can be read",
     .use = refused,
     .harmless = "[[]]"},
};

// ---- /v1/completions

inline constexpr field suffix_field{
    .name = "suffix",
    .kinds = string,
    .about = "this model cannot fill in between two texts",
    .use = refused,
    .harmless = "[\"\"]"};
inline constexpr field completion_fields[] = {
    model_field,
    {.name = "prompt",
     .kinds = string | array,
     .about = "A text, its ids, or up to 64 of either.",
     .required = true,
     .least = 1,
     .most = 16777216,
     .most_items = 64,
     .items = &token_item,
     .example = "\"The pump\"",
     .shape = field_shape::prompts},
    {.name = "max_tokens",
     .kinds = integer,
     .about = "The longest answer; 16 where nothing is said.",
     .least = 1,
     .most = 16777216},
    {.name = "n",
     .kinds = integer,
     .about = "So many answers to each prompt.",
     .least = 1,
     .most = 8},
    {.name = "best_of",
     .kinds = integer,
     .about = "answers are not ranked here; ask for n",
     .use = refused,
     .harmless = "[1]"},
    {.name = "echo",
     .kinds = boolean,
     .about = "The prompt comes before the answer."},
    suffix_field,
    stream_field,
    stream_options_field,
    {.name = "logprobs",
     .kinds = integer,
     .about = "Log-probabilities of each token and so many others.",
     .most = 20},
    ignore_eos_field,
    TINYPHI_SAMPLING_FIELDS,
    grammar_field,
    json_schema_field,
    other_format("response_format"),
    TINYPHI_OTHER_FORMATS,
    no_effect("user", string),
};
inline constexpr field_rule completion_rules[] = {one_format_rule};
inline constexpr request_table completion{"CompletionRequest",
                                          completion_fields, completion_rules};

// ---- /completion, llama-server's own

inline constexpr field path_item{
    .name = "path",
    .kinds = string,
    .about = "A field's name, or names with a slash between them.",
    .most = 256};
inline constexpr field text_bias_field{
    .name = "logit_bias",
    .kinds = object | array,
    .about = "From a token's id, or a text, to what is added to its logit.",
    .most = 1024,
    .items = &token_item,
    .shape = field_shape::text_biases};

inline constexpr field native_fields[] = {
    model_field,
    {.name = "prompt",
     .kinds = string | array | object,
     .about = "A text, its ids, both mixed, or up to 64 such.",
     .required = true,
     .least = 1,
     .most = 16777216,
     .most_items = 64,
     .members = prompt_fields,
     .items = &token_item,
     .example = "\"The pump\"",
     .shape = field_shape::mixed_prompts},
    {.name = "n_predict",
     .kinds = integer,
     .about = "The longest answer; -1 is what the context allows.",
     .least = -1,
     .most = 16777216,
     .not_zero = true},
    {.name = "max_tokens",
     .kinds = integer,
     .about = "The same.",
     .least = -1,
     .most = 16777216,
     .not_zero = true},
    stream_field,
    {.name = "n_probs",
     .kinds = integer,
     .about = "Probabilities of each token and so many others.",
     .most = 20},
    {.name = "cache_prompt",
     .kinds = boolean,
     .about = "Has no effect: what is cached is used.",
     .use = ignored},
    {.name = "return_tokens",
     .kinds = boolean,
     .about = "Ids beside the text."},
    {.name = "response_fields",
     .kinds = array,
     .about = "Only these fields of the answer.",
     .most = 64,
     .items = &path_item},
    progress_field,
    timings_field,
    ignore_eos_field,
    TINYPHI_SAMPLING_FIELDS_AND(text_bias_field),
    grammar_field,
    json_schema_field,
    other_format("response_format"),
    TINYPHI_OTHER_FORMATS,
};
inline constexpr field_rule native_rules[] = {
    {rule_kind::one_of, "n_predict", "max_tokens", "mean the same; give one"},
    one_format_rule,
};
inline constexpr request_table native_completion{"NativeCompletionRequest",
                                                 native_fields, native_rules};

// ---- /v1/embeddings

inline constexpr field texts_field{
    .name = "input",
    .kinds = string | array,
    .about = "A text, its ids, or up to 256 of either.",
    .required = true,
    .least = 1,
    .most = 16777216,
    .most_items = 256,
    .items = &text_token_item,
    .example = "\"The pump is ready.\"",
    .shape = field_shape::prompts};
// OpenAI's, with llama-server's other forms.
inline constexpr field mixed_texts_field = [] {
  field f = texts_field;
  f.kinds = f.kinds | object;
  f.about = "A text, its ids, both mixed, or up to 256 such.";
  f.members = prompt_fields;
  f.shape = field_shape::mixed_prompts;
  return f;
}();
inline constexpr field dimensions_field{.name = "dimensions",
                                        .kinds = integer,
                                        .about = "Must be the model's own.",
                                        .least = 1,
                                        .most = 1048576,
                                        .shape = field_shape::vector_size};
inline constexpr std::string_view encoding_words[] = {"float", "base64"};
inline constexpr field embedding_fields[] = {
    model_field,
    mixed_texts_field,
    {.name = "encoding_format",
     .kinds = string,
     .about = "Numbers, or the bytes of little-endian floats.",
     .words = encoding_words},
    dimensions_field,
    no_effect("user", string),
};
inline constexpr request_table embedding{"EmbeddingRequest", embedding_fields};

// ---- /tokenize, /detokenize, /apply-template

inline constexpr field tokenize_fields[] = {
    model_field,
    {.name = "content",
     .kinds = string,
     .about = "A text.",
     .required = true,
     .most = 16777216,
     .example = "\"The pump\""},
    {.name = "add_special",
     .kinds = boolean,
     .about = "The token that begins a text comes first, where there is one."},
    {.name = "parse_special",
     .kinds = boolean,
     .about = "Control tokens in the text are read as such; true if left out."},
    {.name = "with_pieces", .kinds = boolean, .about = "Texts beside the ids."},
};
inline constexpr request_table tokenize{"TokenizeRequest", tokenize_fields};
inline constexpr field detokenize_fields[] = {
    model_field,
    {.name = "tokens",
     .kinds = array,
     .about = "Ids.",
     .required = true,
     .most = 4194304,
     .items = &text_token_item,
     .example = "[1, 2]"},
};
inline constexpr request_table detokenize{"DetokenizeRequest",
                                          detokenize_fields};
inline constexpr field template_fields[] = {
    model_field,
    {.name = "messages",
     .kinds = array,
     .about = "A chat.",
     .required = true,
     .least = 1,
     .most = 1024,
     .items = &message_item,
     .example = R"([{"role": "user", "content": "Hello!"}])"},
};
inline constexpr request_table apply_template{"ApplyTemplateRequest",
                                              template_fields};

// ---- /v1/pipelines/{name}

inline constexpr field pipeline_fields[] = {
    {.name = "inputs",
     .kinds = object,
     .about = "A value for each input of the pipeline.",
     .most = 256,
     .example = R"({"question": "What does a green light mean?"})"},
    {.name = "stream",
     .kinds = boolean,
     .about = "Texts come in events while they are made."},
};
inline constexpr request_table pipeline{"PipelineRequest", pipeline_fields};

// ---- /v1/approvals/{id}

inline constexpr std::string_view decision_words[] = {"approve", "deny"};
inline constexpr field decision_fields[] = {
    {.name = "decision",
     .kinds = string,
     .about = "Whether what waits may go on.",
     .required = true,
     .words = decision_words,
     .example = R"("deny")"},
    {.name = "digest",
     .kinds = string,
     .about = "That of the arguments which were looked at; for a yes.",
     .most = 64},
};
inline constexpr request_table decision{"ApprovalDecision", decision_fields};

}  // namespace request_tables

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_REQUEST_TABLES_H_
