// SPDX-License-Identifier: MIT
// The fields of Ollama's routes.
#ifndef TINYPHI_SERVE_OLLAMA_TABLE_H_
#define TINYPHI_SERVE_OLLAMA_TABLE_H_

#include "tinyphi/serve/chat_table.h"

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
    {.name = "num_keep", .about = "Has no effect.", .use = ignored},
    {.name = "num_batch", .about = "Has no effect.", .use = ignored},
    {.name = "num_gpu", .about = "Has no effect.", .use = ignored},
    {.name = "main_gpu", .about = "Has no effect.", .use = ignored},
    {.name = "num_thread", .about = "Has no effect.", .use = ignored},
    {.name = "numa", .about = "Has no effect.", .use = ignored},
    {.name = "low_vram", .about = "Has no effect.", .use = ignored},
    {.name = "f16_kv", .about = "Has no effect.", .use = ignored},
    {.name = "use_mmap", .about = "Has no effect.", .use = ignored},
    {.name = "use_mlock", .about = "Has no effect.", .use = ignored},
    {.name = "penalize_newline", .about = "Has no effect.", .use = ignored},
    {.name = "tfs_z", .about = "Has no effect.", .use = ignored},
};

// What chat and generate share.
#define TINYPHI_OLLAMA_FIELDS                                             \
  {.name = "model",                                                       \
   .kinds = string,                                                       \
   .about = "A model's id or alias, with or without ':latest'.",          \
   .most = 256},                                                          \
      {.name = "stream",                                                  \
       .kinds = boolean,                                                  \
       .about = "The answer comes in lines, unless this is false."},      \
      {.name = "options",                                                 \
       .kinds = object,                                                   \
       .about = "How the answer is made.",                                \
       .members = ollama_options},                                        \
      {.name = "logprobs",                                                \
       .kinds = boolean,                                                  \
       .about = "Each token's log-probability."},                         \
      {.name = "top_logprobs",                                            \
       .kinds = integer,                                                  \
       .about = "And those of the likeliest others.",                     \
       .most = 20},                                                       \
      {.name = "format",                                                  \
       .kinds = string | object,                                          \
       .about = no_constraints,                                           \
       .use = refused,                                                    \
       .harmless = "[\"\"]"},                                             \
      {.name = "think",                                                   \
       .kinds = boolean | string,                                         \
       .about = "this model does not think aloud; leave think out",       \
       .use = refused,                                                    \
       .harmless = "[false]"},                                            \
      {.name = "keep_alive",                                              \
       .about = "Has no effect: models stay loaded.",                     \
       .use = ignored},                                                   \
      {.name = "truncate",                                                \
       .about = "Has no effect: what is too long is refused, never cut.", \
       .use = ignored},                                                   \
  {                                                                       \
    .name = "shift",                                                      \
    .about =                                                              \
        "Has no effect: answers end where the "                           \
        "context does.",                                                  \
    .use = ignored                                                        \
  }

inline constexpr field_rule ollama_rules[] = {
    {rule_kind::needs, "top_logprobs", "logprobs", "be true"},
};

inline constexpr std::string_view no_images = "this model cannot see";

// ---- /api/chat

inline constexpr std::string_view ollama_role_words[] = {"system", "user",
                                                         "assistant"};
inline constexpr field ollama_message_fields[] = {
    {.name = "role",
     .kinds = string,
     .about = "Who speaks; this version has no tools, whose turns it could be.",
     .required = true,
     .words = ollama_role_words},
    {.name = "content",
     .kinds = string,
     .about = "A text; an assistant's may be missing.",
     .most = 16777216,
     .required_unless = {"role", "assistant"}},
    {.name = "images",
     .kinds = array,
     .about = no_images,
     .use = refused,
     .harmless = "[[]]"},
    {.name = "tool_calls",
     .kinds = array,
     .about = no_constraints,
     .use = refused,
     .harmless = "[[]]"},
    {.name = "tool_name", .about = "Has no effect.", .use = ignored},
    {.name = "thinking", .about = "Has no effect.", .use = ignored},
};
inline constexpr field ollama_message{.name = "message",
                                      .kinds = object,
                                      .about = "A turn of the chat.",
                                      .members = ollama_message_fields};
inline constexpr field ollama_chat_fields[] = {
    {.name = "messages",
     .kinds = array,
     .about = "The chat so far; without one, the model is only looked for.",
     .most = 1024,
     .items = &ollama_message,
     .example = R"([{"role": "user", "content": "Hello!"}])"},
    TINYPHI_OLLAMA_FIELDS,
    {.name = "tools",
     .kinds = array,
     .about = no_constraints,
     .use = refused,
     .harmless = "[[]]"},
};
inline constexpr request_table ollama_chat{"OllamaChatRequest",
                                           ollama_chat_fields, ollama_rules};

// ---- /api/generate

inline constexpr field ollama_generate_fields[] = {
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
    TINYPHI_OLLAMA_FIELDS,
    {.name = "suffix",
     .kinds = string,
     .about = "this model cannot fill in between two texts",
     .use = refused,
     .harmless = "[\"\"]"},
    {.name = "images",
     .kinds = array,
     .about = no_images,
     .use = refused,
     .harmless = "[[]]"},
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
};
inline constexpr request_table ollama_generate{
    "OllamaGenerateRequest", ollama_generate_fields, ollama_rules};

// ---- /api/embed and /api/show

inline constexpr field ollama_embed_fields[] = {
    {.name = "model",
     .kinds = string,
     .about = "A model's id or alias, with or without ':latest'.",
     .most = 256},
    {.name = "input",
     .kinds = string | array,
     .about = "A text, or up to 256.",
     .required = true,
     .least = 1,
     .most = 16777216,
     .most_items = 256,
     .items = &text_token_item,
     .example = "\"The pump is ready.\"",
     .shape = field_shape::prompts},
    {.name = "dimensions",
     .kinds = integer,
     .about = "Must be the model's own.",
     .least = 1,
     .most = 1048576,
     .shape = field_shape::vector_size},
    {.name = "truncate",
     .about = "Has no effect: what is too long is refused, never cut.",
     .use = ignored},
    {.name = "options", .about = "Has no effect.", .use = ignored},
    {.name = "keep_alive",
     .about = "Has no effect: models stay loaded.",
     .use = ignored},
};
inline constexpr request_table ollama_embed{"OllamaEmbedRequest",
                                            ollama_embed_fields};
inline constexpr field ollama_show_fields[] = {
    {.name = "model",
     .kinds = string,
     .about = "A model's id or alias, with or without ':latest'.",
     .most = 256},
    {.name = "name",
     .kinds = string,
     .about = "The older name of model.",
     .most = 256},
    {.name = "verbose", .about = "Has no effect.", .use = ignored},
};
inline constexpr field_rule ollama_show_rules[] = {
    {rule_kind::one_of, "model", "name", "mean the same; give one"},
};
inline constexpr request_table ollama_show{
    "OllamaShowRequest", ollama_show_fields, ollama_show_rules};

}  // namespace request_tables

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_OLLAMA_TABLE_H_
