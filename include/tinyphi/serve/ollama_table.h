// SPDX-License-Identifier: MIT
// The fields of Ollama's routes.
#ifndef TINYPHI_SERVE_OLLAMA_TABLE_H_
#define TINYPHI_SERVE_OLLAMA_TABLE_H_

#include "tinyphi/serve/request_tables.h"

TINYPHI_NAMESPACE_BEGIN

namespace request_tables {

inline constexpr field ollama_options[] = {
    {.name = "num_predict",
     .kinds = integer,
     .about = "The longest answer; below 0 is what the context allows.",
     .least = -2,
     .most = 16777216,
     .not_zero = true},
    {.name = "num_ctx",
     .kinds = integer,
     .about = "Prompt and answer have no more tokens together; a longer prompt "
              "is refused, not cut.",
     .least = 1,
     .most = 16777216},
    TINYPHI_SAMPLING_FIELDS,
    no_effect("num_keep", integer),
    no_effect("num_batch", integer),
    no_effect("num_gpu", integer),
    no_effect("main_gpu", integer),
    no_effect("num_thread", integer),
    no_effect("numa", boolean),
    no_effect("low_vram", boolean),
    no_effect("f16_kv", boolean),
    no_effect("use_mmap", boolean),
    no_effect("use_mlock", boolean),
    no_effect("penalize_newline", boolean),
    no_effect("tfs_z", number),
};

// Rows that several of these tables have.
inline constexpr field tagged_model_field{
    .name = "model",
    .kinds = string,
    .about = "A model's id or alias, with or without ':latest'.",
    .most = 256};
inline constexpr field stream_lines_field{
    .name = "stream",
    .kinds = boolean,
    .about = "The answer comes in lines, unless this is false."};
inline constexpr field options_field{.name = "options",
                                     .kinds = object,
                                     .about = "How the answer is made.",
                                     .members = ollama_options};
inline constexpr std::string_view ollama_format_words[] = {"", "json"};
inline constexpr field format_field{
    .name = "format",
    .kinds = string | object,
    .about = "json or a JSON Schema: the form of the answer; it is enforced.",
    .most = 8192,
    .words = ollama_format_words};
inline constexpr field think_field{
    .name = "think",
    .kinds = boolean | string,
    .about = "this model does not think aloud; leave think out",
    .use = refused,
    .harmless = "[false]"};
inline constexpr field images_field{.name = "images",
                                    .kinds = array,
                                    .about = "this model cannot see",
                                    .use = refused,
                                    .harmless = "[[]]"};
inline constexpr field keep_alive_field{
    .name = "keep_alive",
    .kinds = string | number,
    .about = "Has no effect: models stay loaded.",
    .use = ignored};
inline constexpr field truncate_field{
    .name = "truncate",
    .kinds = boolean,
    .about = "Has no effect: what is too long is refused, never cut.",
    .use = ignored};
inline constexpr field shift_field{
    .name = "shift",
    .kinds = boolean,
    .about = "Has no effect: answers end where the context does.",
    .use = ignored};

inline constexpr field_rule ollama_rules[] = {top_logprobs_rule};

// ---- /api/chat

inline constexpr std::string_view ollama_role_words[] = {"system", "user",
                                                         "assistant", "tool"};
inline constexpr field ollama_called_fields[] = {
    tool_name_field,
    {.name = "arguments",
     .kinds = object,
     .about = "What it was called with.",
     .most = 8192},
};
inline constexpr field ollama_call_fields[] = {
    {.name = "function",
     .kinds = object,
     .about = "What was called.",
     .required = true,
     .members = ollama_called_fields},
    no_effect("id", string),
    no_effect("type", string),
};
inline constexpr field ollama_call{.name = "call",
                                   .kinds = object,
                                   .about = "A call of a tool.",
                                   .members = ollama_call_fields};
inline constexpr field ollama_message_fields[] = {
    {.name = "role",
     .kinds = string,
     .about = "Who speaks; a tool's turn is the result of a call.",
     .required = true,
     .words = ollama_role_words},
    {.name = "content",
     .kinds = string,
     .about = "A text; an assistant's may be missing.",
     .most = 16777216,
     .required_unless = {"role", "assistant"}},
    images_field,
    {.name = "tool_calls",
     .kinds = array,
     .about = "What an assistant called; the results follow.",
     .most = 128,
     .items = &ollama_call},
    {.name = "tool_name",
     .kinds = string,
     .about = "Of a tool's message: whose result it is; else that of the first "
              "call without one.",
     .most = 64},
    no_effect("tool_call_id", string),
    no_effect("thinking", string),
};
inline constexpr field ollama_message{.name = "message",
                                      .kinds = object,
                                      .about = "A turn of the chat.",
                                      .members = ollama_message_fields};
inline constexpr field ollama_chat_fields[] = {
    tagged_model_field,
    {.name = "messages",
     .kinds = array,
     .about = "The chat so far; without one, the model is only looked for.",
     .most = 1024,
     .items = &ollama_message,
     .example = R"([{"role": "user", "content": "Hello!"}])"},
    stream_lines_field,
    options_field,
    logprobs_field,
    top_logprobs_field,
    format_field,
    think_field,
    function_tools_field,
    keep_alive_field,
    truncate_field,
    shift_field,
};
inline constexpr request_table ollama_chat{"OllamaChatRequest",
                                           ollama_chat_fields, ollama_rules};

// ---- /api/generate

inline constexpr field ollama_generate_fields[] = {
    tagged_model_field,
    {.name = "prompt",
     .kinds = string,
     .about = "What the user says; without it, the model is only looked for.",
     .most = 16777216},
    {.name = "system",
     .kinds = string,
     .about = "A system's text in front of it.",
     .most = 16777216},
    {.name = "raw",
     .kinds = boolean,
     .about = "The prompt is a text to go on with, not a chat."},
    stream_lines_field,
    options_field,
    logprobs_field,
    top_logprobs_field,
    format_field,
    think_field,
    suffix_field,
    images_field,
    {.name = "template",
     .kinds = string,
     .about = "the model's own template is used; send raw prompts for others",
     .use = refused,
     .harmless = "[\"\"]"},
    {.name = "context",
     .kinds = array,
     .about = "context is deprecated; send the chat to /api/chat",
     .use = refused,
     .harmless = "[[]]"},
    keep_alive_field,
    truncate_field,
    shift_field,
};
inline constexpr request_table ollama_generate{
    "OllamaGenerateRequest", ollama_generate_fields, ollama_rules};

// ---- /api/embed and /api/show

inline constexpr field ollama_embed_fields[] = {
    tagged_model_field,           texts_field,    dimensions_field,
    no_effect("options", object), truncate_field, keep_alive_field,
};
inline constexpr request_table ollama_embed{"OllamaEmbedRequest",
                                            ollama_embed_fields};
inline constexpr field ollama_show_fields[] = {
    tagged_model_field,
    {.name = "name",
     .kinds = string,
     .about = "The older name of model.",
     .most = 256},
    no_effect("verbose", boolean),
};
inline constexpr field_rule ollama_show_rules[] = {
    {rule_kind::one_of, "model", "name", "mean the same; give one"},
};
inline constexpr request_table ollama_show{
    "OllamaShowRequest", ollama_show_fields, ollama_show_rules};

}  // namespace request_tables

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_OLLAMA_TABLE_H_
