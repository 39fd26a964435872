// SPDX-License-Identifier: MIT
// The fields of /v1/chat/completions.
#ifndef TINYPHI_SERVE_CHAT_TABLE_H_
#define TINYPHI_SERVE_CHAT_TABLE_H_

#include "tinyphi/serve/shared_fields.h"

TINYPHI_NAMESPACE_BEGIN

namespace request_tables {

inline constexpr std::string_view role_words[] = {"system", "developer", "user",
                                                  "assistant"};
inline constexpr std::string_view chat_role_words[] = {
    "system", "developer", "user", "assistant", "tool"};
inline constexpr std::string_view part_words[] = {"text"};
inline constexpr field part_fields[] = {
    {.name = "type",
     .kinds = string,
     .about = "Only text can be read.",
     .required = true,
     .words = part_words,
     .otherwise = "unsupported_content"},
    part_text_field,
};
inline constexpr field part_item{.name = "part",
                                 .kinds = object,
                                 .about = "A part of a message.",
                                 .members = part_fields};
inline constexpr field called_function_fields[] = {
    tool_name_field,
    {.name = "arguments",
     .kinds = string,
     .about = "The text of a JSON object.",
     .required = true,
     .most = 262144},
};
inline constexpr field call_fields[] = {
    {.name = "id",
     .kinds = string,
     .about = "What the message with the result says, too.",
     .required = true,
     .least = 1,
     .most = 256},
    function_type_field,
    {.name = "function",
     .kinds = object,
     .about = "What was called.",
     .required = true,
     .members = called_function_fields},
};
inline constexpr field call_item{.name = "call",
                                 .kinds = object,
                                 .about = "A call of a tool.",
                                 .members = call_fields};
inline constexpr field message_fields[] = {
    {.name = "role",
     .kinds = string,
     .about = "Who speaks; a tool's turn is the result of a call.",
     .required = true,
     .words = chat_role_words},
    {.name = "content",
     .kinds = string | array,
     .about = "A text, or parts of one; an assistant's may be missing.",
     .most = 16777216,
     .most_items = 1024,
     .items = &part_item,
     .required_unless = {"role", "assistant"}},
    {.name = "tool_calls",
     .kinds = array,
     .about = "What an assistant called; the results follow.",
     .most = 128,
     .items = &call_item},
    {.name = "tool_call_id",
     .kinds = string,
     .about = "Of a tool's message: the call that it is the result of.",
     .most = 256},
    {.name = "function_call",
     .kinds = object,
     .about = "function_call is deprecated; send tool_calls",
     .use = refused},
    no_effect("name", string),
    no_effect("refusal", string),
};
inline constexpr field message_item{.name = "message",
                                    .kinds = object,
                                    .about = "A turn of the chat.",
                                    .members = message_fields};
inline constexpr std::string_view format_words[] = {"text", "json_object",
                                                    "json_schema"};
inline constexpr field format_type_field{
    .name = "type",
    .kinds = string,
    .about = "Any text, any JSON object, or JSON of a schema.",
    .required = true,
    .words = format_words,
    .otherwise = "unsupported_parameter"};
inline constexpr field json_schema_fields[] = {
    [] {
      field f = schema_field;
      f.required = true;
      return f;
    }(),
    schema_name_field,
    schema_strict_field,
    no_effect("description", string),
};
inline constexpr field format_fields[] = {
    format_type_field,
    {.name = "json_schema",
     .kinds = object,
     .about = "The schema, if the type is json_schema.",
     .members = json_schema_fields},
    {.name = "schema",
     .kinds = object,
     .about = "llama-server's: the schema of a json_object.",
     .most = 8192},
};
inline constexpr std::string_view prediction_words[] = {"content"};
inline constexpr field prediction_fields[] = {
    {.name = "type",
     .kinds = string,
     .about = "Always 'content'.",
     .required = true,
     .words = prediction_words},
    {.name = "content",
     .kinds = string | array,
     .about = "A text that the answer may repeat: it comes faster then.",
     .required = true,
     .most = 16777216,
     .most_items = 1024,
     .items = &part_item},
};

inline constexpr field named_function_fields[] = {tool_name_field};
inline constexpr field tool_choice_fields[] = {
    function_type_field,
    {.name = "function",
     .kinds = object,
     .about = "The tool that must be called.",
     .required = true,
     .members = named_function_fields},
};

inline constexpr field chat_fields[] = {
    model_field,
    {.name = "messages",
     .kinds = array,
     .about = "The chat so far.",
     .required = true,
     .least = 1,
     .most = 1024,
     .items = &message_item,
     .example = R"([{"role": "user", "content": "Hello!"}])"},
    {.name = "max_tokens",
     .kinds = integer,
     .about = "The longest answer; else what the context allows.",
     .least = 1,
     .most = 16777216},
    {.name = "max_completion_tokens",
     .kinds = integer,
     .about = "The newer name of max_tokens.",
     .least = 1,
     .most = 16777216},
    {.name = "n",
     .kinds = integer,
     .about = "So many answers.",
     .least = 1,
     .most = 8},
    stream_field,
    stream_options_field,
    logprobs_field,
    top_logprobs_field,
    {.name = "prediction",
     .kinds = object,
     .about = "A text that the answer may repeat.",
     .members = prediction_fields},
    tier_field,
    {.name = "add_generation_prompt",
     .kinds = boolean,
     .about =
         "true: the answer does not go on with an assistant's last message."},
    {.name = "continue_final_message",
     .kinds = boolean,
     .about = "true: it does, which it also does if nothing is said."},
    timings_field,
    progress_field,
    ignore_eos_field,
    TINYPHI_SAMPLING_FIELDS,
    {.name = "response_format",
     .kinds = object,
     .about = "The form of the answer; it is enforced.",
     .members = format_fields},
    function_tools_field,
    {.name = "tool_choice",
     .kinds = string | object,
     .about = "Whether a tool is called, or which one.",
     .words = tool_choice_words,
     .members = tool_choice_fields},
    {.name = "parallel_tool_calls",
     .kinds = boolean,
     .about = "One answer calls one tool, whatever is said here."},
    {.name = "functions",
     .kinds = array,
     .about = "functions are deprecated; send tools",
     .use = refused,
     .harmless = "[[]]"},
    grammar_field,
    json_schema_field,
    TINYPHI_OTHER_FORMATS,
    store_field,
    {.name = "web_search_options",
     .kinds = object,
     .about = "nothing leaves this machine: there is no web search",
     .use = refused},
    {.name = "audio",
     .kinds = object,
     .about = "there is no audio here",
     .use = refused},
    no_effect("modalities", array),
    no_effect("user", string),
    no_effect("safety_identifier", string),
    no_effect("prompt_cache_key", string),
    no_effect("metadata", object),
    no_effect("reasoning_effort", string),
    no_effect("verbosity", string),
};
inline constexpr field_rule chat_rules[] = {
    {rule_kind::one_of, "max_tokens", "max_completion_tokens",
     "mean the same; give one"},
    {rule_kind::not_both_true, "add_generation_prompt",
     "continue_final_message", "cannot both be true"},
    top_logprobs_rule,
    one_format_rule,
};
inline constexpr request_table chat{"ChatRequest", chat_fields, chat_rules};

}  // namespace request_tables

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_CHAT_TABLE_H_
