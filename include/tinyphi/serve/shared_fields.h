// SPDX-License-Identifier: MIT
// Rows that several tables of requests have: how tokens are chosen, and the
// fields of more than one API.
#ifndef TINYPHI_SERVE_SHARED_FIELDS_H_
#define TINYPHI_SERVE_SHARED_FIELDS_H_

#include "tinyphi/serve/fields.h"

TINYPHI_NAMESPACE_BEGIN

namespace request_tables {

using enum field_kind;
using enum field_use;

// A field that is known and changes nothing here.
constexpr field no_effect(std::string_view name, field_kind kinds) {
  return {
      .name = name, .kinds = kinds, .about = "Has no effect.", .use = ignored};
}

inline constexpr field stop_item{.name = "stop",
                                 .kinds = string,
                                 .about = "A text that ends the answer.",
                                 .least = 1,
                                 .most = 256};
inline constexpr field token_item{.name = "token",
                                  .kinds = integer,
                                  .about = "A token's id.",
                                  .most = 2147483647,
                                  .shape = field_shape::one_token};
inline constexpr field text_token_item{.name = "token",
                                       .kinds = integer,
                                       .about = "A token's id.",
                                       .most = 2147483647,
                                       .shape = field_shape::text_token};
inline constexpr field token_bias_field{
    .name = "logit_bias",
    .kinds = object | array,
    .about = "From a token's id to what is added to its logit.",
    .most = 1024,
    .items = &token_item,
    .shape = field_shape::token_biases};
// How tokens are chosen; llama-server's names beside OpenAI's.
#define TINYPHI_SAMPLING_FIELDS TINYPHI_SAMPLING_FIELDS_AND(token_bias_field)
#define TINYPHI_SAMPLING_FIELDS_AND(bias_field)                             \
  {.name = "temperature",                                                   \
   .kinds = number,                                                         \
   .about = "0 takes the likeliest token; more is bolder.",                 \
   .most = 100,                                                             \
   .example = "0.7"},                                                       \
      {.name = "top_p",                                                     \
       .kinds = number,                                                     \
       .about = "Only the likeliest tokens of this share together.",        \
       .most = 1,                                                           \
       .above_least = true},                                                \
      {.name = "top_k",                                                     \
       .kinds = integer,                                                    \
       .about = "Only so many of the likeliest tokens; 0 is all.",          \
       .most = 2147483647},                                                 \
      {.name = "min_p",                                                     \
       .kinds = number,                                                     \
       .about = "Only tokens of this share of the likeliest one's chance.", \
       .most = 0.999},                                                      \
      {.name = "typical_p",                                                 \
       .kinds = number,                                                     \
       .about = "Locally typical sampling; 1 is off.",                      \
       .most = 1,                                                           \
       .above_least = true},                                                \
      {.name = "repeat_penalty",                                            \
       .kinds = number,                                                     \
       .about = "Makes tokens of the last texts unlikelier; 1 is off.",     \
       .most = 10,                                                          \
       .above_least = true},                                                \
      {.name = "repeat_last_n",                                             \
       .kinds = integer,                                                    \
       .about = "How many tokens repeat_penalty looks back; -1 is all.",    \
       .least = -1,                                                         \
       .most = 2147483647},                                                 \
      {.name = "presence_penalty",                                          \
       .kinds = number,                                                     \
       .about = "Makes tokens that were there unlikelier.",                 \
       .least = -2,                                                         \
       .most = 2},                                                          \
      {.name = "frequency_penalty",                                         \
       .kinds = number,                                                     \
       .about = "The same for each time that they were there.",             \
       .least = -2,                                                         \
       .most = 2},                                                          \
      {.name = "dry_multiplier",                                            \
       .kinds = number,                                                     \
       .about = "Penalty of repeated passages; 0 is off.",                  \
       .most = 100},                                                        \
      {.name = "dry_base",                                                  \
       .kinds = number,                                                     \
       .about = "How fast that penalty grows.",                             \
       .least = 1,                                                          \
       .most = 10},                                                         \
      {.name = "dry_allowed_length",                                        \
       .kinds = integer,                                                    \
       .about = "Repeated tokens that cost nothing.",                       \
       .most = 65536},                                                      \
      {.name = "dry_penalty_last_n",                                        \
       .kinds = integer,                                                    \
       .about = "How many tokens it looks back; -1 is all.",                \
       .least = -1,                                                         \
       .most = 2147483647},                                                 \
      {.name = "mirostat",                                                  \
       .kinds = integer,                                                    \
       .about = "0 is off, 2 is on.",                                       \
       .most = 2,                                                           \
       .step = 2},                                                          \
      {.name = "mirostat_tau",                                              \
       .kinds = number,                                                     \
       .about = "Mirostat's target, in bits.",                              \
       .most = 100,                                                         \
       .above_least = true},                                                \
      {.name = "mirostat_eta",                                              \
       .kinds = number,                                                     \
       .about = "Mirostat's rate.",                                         \
       .most = 1,                                                           \
       .above_least = true},                                                \
      {.name = "seed",                                                      \
       .kinds = integer,                                                    \
       .about = "The same seed gives the same answer; -1 takes any.",       \
       .least = -9223372036854775808.0,                                     \
       .most = 9223372036854775808.0},                                      \
      bias_field,                                                           \
      {.name = "stop",                                                      \
       .kinds = string | array,                                             \
       .about = "Texts that end the answer and are not part of it.",        \
       .most = 256,                                                         \
       .most_items = 16,                                                    \
       .items = &stop_item},                                                \
      {.name = "cache_salt",                                                \
       .kinds = string,                                                     \
       .about = "Cached prompts are found under the same salt only.",       \
       .most = 256},                                                        \
  {                                                                         \
    .name = "tinyphi", .kinds = object,                                     \
    .about = "What only this server knows.", .members = own_fields          \
  }

inline constexpr std::string_view overflow_words[] = {"error",
                                                      "drop_oldest_turns"};
inline constexpr field own_fields[] = {
    {.name = "queue_ms",
     .kinds = number,
     .about =
         "The longest wait for a place, if it is shorter than the server's.",
     .most = 3600000,
     .above_least = true},
    {.name = "ttft_ms",
     .kinds = number,
     .about = "The same until the first token.",
     .most = 3600000,
     .above_least = true},
    {.name = "total_ms",
     .kinds = number,
     .about = "The same until the answer's end.",
     .most = 3600000,
     .above_least = true},
    {.name = "overflow",
     .kinds = string,
     .about = "What to do with a chat that is too long; tinyphi.truncated of "
              "the answer says how many turns were left out.",
     .words = overflow_words},
};

inline constexpr field stream_fields[] = {
    {.name = "include_usage",
     .kinds = boolean,
     .about = "A last event tells the tokens."},
    no_effect("include_obfuscation", boolean),
};

inline constexpr std::string_view tier_words[] = {"auto", "default", "flex",
                                                  "priority"};

// Rows that several tables have.
inline constexpr field model_field{.name = "model",
                                   .kinds = string,
                                   .about = "A model's id or alias.",
                                   .most = 256};
inline constexpr field stream_field{
    .name = "stream", .kinds = boolean, .about = "The answer comes in events."};
inline constexpr field ignore_eos_field{
    .name = "ignore_eos",
    .kinds = boolean,
    .about = "Goes on past the end of the answer."};
inline constexpr field progress_field{
    .name = "return_progress",
    .kinds = boolean,
    .about = "A stream's events tell how far the prompt is read."};
inline constexpr field timings_field{.name = "timings_per_token",
                                     .kinds = boolean,
                                     .about =
                                         "Each piece of a stream tells "
                                         "the tokens and times so far."};
inline constexpr field logprobs_field{.name = "logprobs",
                                      .kinds = boolean,
                                      .about = "Each token's log-probability."};
inline constexpr field top_logprobs_field{
    .name = "top_logprobs",
    .kinds = integer,
    .about = "And those of the likeliest others.",
    .most = 20};
// Names by which other servers, or other routes, take a form: who sends one is
// not to have an answer without it.
constexpr field other_format(std::string_view name) {
  return {.name = name,
          .kinds = string,
          .about =
              "this route takes the form of an answer by another name, as "
              "/openapi.json says",
          .use = refused};
}
#define TINYPHI_OTHER_FORMATS                                      \
  other_format("structured_outputs"), other_format("guided_json"), \
      other_format("guided_regex"), other_format("guided_choice"), \
      other_format("guided_grammar")

// What a shape may be asked for by.
inline constexpr field grammar_field{
    .name = "grammar",
    .kinds = string,
    .about = "The answer follows this GBNF grammar; it is enforced.",
    .most = 262144};
inline constexpr field json_schema_field{
    .name = "json_schema",
    .kinds = object,
    .about = "The answer is JSON that this schema allows; it is enforced.",
    .most = 8192};
inline constexpr field schema_field{
    .name = "schema",
    .kinds = object,
    .about = "A JSON Schema; what cannot be enforced is an error.",
    .most = 8192};
inline constexpr field schema_name_field{
    .name = "name", .kinds = string, .about = "The schema's name.", .most = 64};
inline constexpr field schema_strict_field{
    .name = "strict",
    .kinds = boolean,
    .about =
        "true: words that no draft of JSON Schema has are errors. A schema "
        "is enforced whatever is said here."};
inline constexpr field_rule one_format_rule{rule_kind::one_of, "grammar",
                                            "json_schema",
                                            "both say which form the answer "
                                            "has; give one"};

// Tools, where their fields stand in an object of their own.
inline constexpr std::string_view function_words[] = {"function"};
inline constexpr std::string_view tool_choice_words[] = {"auto", "none",
                                                         "required"};
inline constexpr field function_type_field{
    .name = "type",
    .kinds = string,
    .about = "The client's own functions are the only tools.",
    .required = true,
    .words = function_words,
    .otherwise = "unsupported_parameter"};
inline constexpr field tool_name_field{.name = "name",
                                       .kinds = string,
                                       .about = "Of A-Z, a-z, 0-9, _ and -.",
                                       .required = true,
                                       .least = 1,
                                       .most = 64};
inline constexpr field tool_description_field{
    .name = "description",
    .kinds = string,
    .about = "What it does, for the model.",
    .most = 262144};
inline constexpr field tool_parameters_field{
    .name = "parameters",
    .kinds = object,
    .about =
        "The arguments' JSON Schema, an object's; it is enforced. "
        "Without one there are no arguments.",
    .most = 8192};
inline constexpr field tool_strict_field{
    .name = "strict",
    .kinds = boolean,
    .about =
        "true: every property is required and no other is allowed, or it "
        "is an error. The schema is enforced whatever is said here."};
inline constexpr field function_fields[] = {
    tool_name_field, tool_description_field, tool_parameters_field,
    tool_strict_field};
inline constexpr field tool_fields[] = {
    function_type_field,
    {.name = "function",
     .kinds = object,
     .about = "The tool.",
     .required = true,
     .members = function_fields},
};
inline constexpr field tool_item{.name = "tool",
                                 .kinds = object,
                                 .about = "A tool that may be called.",
                                 .members = tool_fields};
inline constexpr field function_tools_field{
    .name = "tools",
    .kinds = array,
    .about =
        "What the answer may call instead of saying something. The "
        "client runs it and sends the result.",
    .most = 128,
    .items = &tool_item};
inline constexpr field store_field{
    .name = "store",
    .kinds = boolean,
    .about = "nothing is stored here; leave store out",
    .use = refused,
    .harmless = "[false]"};
inline constexpr field tier_field{
    .name = "service_tier",
    .kinds = string,
    .about = "priority goes first, flex last, if the key may.",
    .words = tier_words};
inline constexpr field stream_options_field{.name = "stream_options",
                                            .kinds = object,
                                            .about = "What they tell.",
                                            .members = stream_fields};

// Of a part of a message.
inline constexpr field part_text_field{.name = "text",
                                       .kinds = string,
                                       .about = "The text.",
                                       .required = true,
                                       .most = 16777216};

inline constexpr field_rule top_logprobs_rule{rule_kind::needs, "top_logprobs",
                                              "logprobs", "be true"};

}  // namespace request_tables

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_SHARED_FIELDS_H_
