// SPDX-License-Identifier: MIT
// The fields of /v1/responses.
#ifndef TINYPHI_SERVE_RESPONSES_TABLE_H_
#define TINYPHI_SERVE_RESPONSES_TABLE_H_

#include "tinyphi/serve/chat_table.h"

TINYPHI_NAMESPACE_BEGIN

namespace request_tables {

inline constexpr std::string_view nothing_stored =
    "nothing is stored here; send the whole conversation as input";

inline constexpr std::string_view input_part_words[] = {"input_text",
                                                        "output_text", "text"};
inline constexpr field input_part_fields[] = {
    {.name = "type",
     .kinds = string,
     .about = "Only text can be read.",
     .required = true,
     .words = input_part_words,
     .otherwise = "unsupported_content"},
    part_text_field,
    no_effect("annotations", array),
    no_effect("logprobs", array),
};
inline constexpr field input_part{.name = "part",
                                  .kinds = object,
                                  .about = "A part of a message.",
                                  .members = input_part_fields};
inline constexpr std::string_view item_words[] = {"message", "function_call",
                                                  "function_call_output"};
inline constexpr field_condition no_message{"type", "function_call",
                                            "function_call_output"};
inline constexpr field input_item_fields[] = {
    {.name = "type",
     .kinds = string,
     .about = "A message, a call of the client's own function, or its result.",
     .words = item_words,
     .otherwise = "unsupported_content"},
    {.name = "role",
     .kinds = string,
     .about = "Of a message: who speaks.",
     .words = role_words,
     .required_unless = no_message},
    {.name = "content",
     .kinds = string | array,
     .about = "Of a message: a text, or parts of one.",
     .most = 16777216,
     .most_items = 1024,
     .items = &input_part,
     .example = "\"Hello!\"",
     .required_unless = no_message},
    {.name = "call_id",
     .kinds = string,
     .about = "Of a call and of its result: the same.",
     .least = 1,
     .most = 256},
    {.name = "name",
     .kinds = string,
     .about = "Of a call: the function's.",
     .least = 1,
     .most = 64},
    {.name = "arguments",
     .kinds = string,
     .about = "Of a call: the text of a JSON object.",
     .most = 262144},
    {.name = "output",
     .kinds = string | array,
     .about = "Of a result: a text, or parts of one.",
     .most = 16777216,
     .most_items = 1024,
     .items = &input_part},
    no_effect("id", string),
    no_effect("status", string),
    no_effect("phase", string),
};
inline constexpr field input_item{.name = "item",
                                  .kinds = object,
                                  .about = "A turn of the conversation.",
                                  .members = input_item_fields};

// Tools of chats, with their fields beside the type.
inline constexpr field flat_tool_fields[] = {
    function_type_field, tool_name_field, tool_description_field,
    tool_parameters_field, tool_strict_field};
inline constexpr field flat_tool{.name = "tool",
                                 .kinds = object,
                                 .about = "A tool that may be called.",
                                 .members = flat_tool_fields};
inline constexpr field flat_choice_fields[] = {function_type_field,
                                               tool_name_field};

// Those of chats, with the schema's fields beside the type.
inline constexpr field text_format_fields[] = {
    format_type_field,
    schema_field,
    schema_name_field,
    schema_strict_field,
    no_effect("description", string),
};
inline constexpr field text_fields[] = {
    {.name = "format",
     .kinds = object,
     .about = "The form of the answer; it is enforced.",
     .members = text_format_fields},
    no_effect("verbosity", string),
};
inline constexpr field response_stream_fields[] = {
    no_effect("include_obfuscation", boolean),
};
// Reasoning is never there, so all of it comes encrypted.
inline constexpr std::string_view include_words[] = {
    "message.output_text.logprobs", "reasoning.encrypted_content"};
inline constexpr field include_item{.name = "what",
                                    .kinds = string,
                                    .about = "There is nothing else to add.",
                                    .words = include_words,
                                    .otherwise = "unsupported_parameter"};
inline constexpr std::string_view truncation_words[] = {"auto", "disabled"};

inline constexpr field responses_fields[] = {
    model_field,
    {.name = "input",
     .kinds = string | array,
     .about = "What the user says, or the conversation so far.",
     .required = true,
     .least = 1,
     .most = 16777216,
     .least_items = 1,
     .most_items = 1024,
     .items = &input_item,
     .example = "\"Hello!\""},
    {.name = "instructions",
     .kinds = string,
     .about = "A system's text in front of the input.",
     .most = 16777216},
    {.name = "max_output_tokens",
     .kinds = integer,
     .about = "The longest answer; else what the context allows.",
     .least = 1,
     .most = 16777216},
    stream_field,
    {.name = "stream_options",
     .kinds = object,
     .about = "What they tell.",
     .members = response_stream_fields},
    {.name = "include",
     .kinds = array,
     .about = "What the answer has beside its text.",
     .most = 16,
     .items = &include_item},
    {.name = "top_logprobs",
     .kinds = integer,
     .about = "Log-probabilities of each token and so many others.",
     .most = 20},
    {.name = "truncation",
     .kinds = string,
     .about = "auto leaves out the oldest turns of what is too long.",
     .words = truncation_words},
    tier_field,
    timings_field,
    progress_field,
    TINYPHI_SAMPLING_FIELDS,
    {.name = "text",
     .kinds = object,
     .about = "The form of the answer.",
     .members = text_fields},
    other_format("response_format"),
    other_format("grammar"),
    other_format("json_schema"),
    TINYPHI_OTHER_FORMATS,
    [] {
      field f = function_tools_field;
      f.items = &flat_tool;
      return f;
    }(),
    {.name = "tool_choice",
     .kinds = string | object,
     .about = "Whether a tool is called, or which one.",
     .words = tool_choice_words,
     .members = flat_choice_fields},
    {.name = "parallel_tool_calls",
     .kinds = boolean,
     .about = "One answer calls one tool, whatever is said here."},
    {.name = "previous_response_id",
     .kinds = string,
     .about = nothing_stored,
     .use = refused},
    {.name = "conversation",
     .kinds = string | object,
     .about = nothing_stored,
     .use = refused},
    {.name = "prompt",
     .kinds = object,
     .about = nothing_stored,
     .use = refused},
    store_field,
    {.name = "background",
     .kinds = boolean,
     .about = "nothing is stored here that could be fetched later",
     .use = refused,
     .harmless = "[false]"},
    no_effect("reasoning", object),
    no_effect("max_tool_calls", integer),
    no_effect("metadata", object),
    no_effect("user", string),
    no_effect("safety_identifier", string),
    no_effect("prompt_cache_key", string),
    no_effect("prompt_cache_retention", string),
};
inline constexpr request_table responses{"ResponseRequest", responses_fields};

}  // namespace request_tables

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_RESPONSES_TABLE_H_
