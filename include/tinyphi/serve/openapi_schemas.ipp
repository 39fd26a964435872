// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_OPENAPI_SCHEMAS_IPP_
#define TINYPHI_SERVE_OPENAPI_SCHEMAS_IPP_

#include "tinyphi/serve/openapi.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// What answers always have. Members may be added, so none are forbidden.
inline constexpr std::string_view answer_schemas = R"json({
"Error": {"type": "object", "required": ["error"], "properties": {"error": {
  "type": "object", "required": ["message", "type", "param", "code"],
  "properties": {
    "message": {"type": "string"}, "type": {"type": "string"},
    "param": {"description": "The path of the field: messages[2].role.",
              "type": ["string", "null"]},
    "code": {"description": "For programs: invalid_value.",
             "type": ["string", "null"]}}}}},
"OllamaError": {"type": "object", "required": ["error"],
  "properties": {"error": {"type": "string"}}},
"Usage": {"type": "object",
  "required": ["prompt_tokens", "total_tokens"],
  "properties": {
    "prompt_tokens": {"type": "integer", "minimum": 0},
    "completion_tokens": {"type": "integer", "minimum": 0},
    "total_tokens": {"type": "integer", "minimum": 0},
    "prompt_tokens_details": {"type": "object", "properties": {
      "cached_tokens": {"type": "integer", "minimum": 0}}}}},
"Finish": {"enum": ["stop", "length", "tool_calls"]},
"TokenLogprob": {"type": "object",
  "required": ["token", "bytes", "logprob"], "properties": {
    "token": {"type": "string"}, "id": {"type": "integer"},
    "bytes": {"type": "array", "items":
      {"type": "integer", "minimum": 0, "maximum": 255}},
    "logprob": {"type": "number"}}},
"ChatCompletion": {"type": "object",
  "required": ["id", "object", "created", "model", "choices", "usage"],
  "properties": {
    "id": {"type": "string"}, "object": {"const": "chat.completion"},
    "created": {"type": "integer"}, "model": {"type": "string"},
    "system_fingerprint": {"type": "string"},
    "choices": {"type": "array", "minItems": 1, "items": {"type": "object",
      "required": ["index", "message", "finish_reason"], "properties": {
        "index": {"type": "integer", "minimum": 0},
        "message": {"type": "object", "required": ["role", "content"],
          "properties": {"role": {"const": "assistant"},
            "content": {"type": ["string", "null"]},
            "tool_calls": {"type": "array", "items": {"type": "object",
              "required": ["id", "type", "function"], "properties": {
                "id": {"type": "string"}, "type": {"const": "function"},
                "function": {"type": "object",
                  "required": ["name", "arguments"], "properties": {
                    "name": {"type": "string"},
                    "arguments": {"type": "string"}}}}}}}},
        "logprobs": {"type": ["object", "null"], "properties": {"content": {
          "type": "array", "items":
            {"$ref": "#/components/schemas/TokenLogprob"}}}},
        "finish_reason": {"$ref": "#/components/schemas/Finish"}}}},
    "usage": {"$ref": "#/components/schemas/Usage"}}},
"Completion": {"type": "object",
  "required": ["id", "object", "created", "model", "choices", "usage"],
  "properties": {
    "id": {"type": "string"}, "object": {"const": "text_completion"},
    "created": {"type": "integer"}, "model": {"type": "string"},
    "choices": {"type": "array", "minItems": 1, "items": {"type": "object",
      "required": ["index", "text", "finish_reason"], "properties": {
        "index": {"type": "integer", "minimum": 0},
        "text": {"type": "string"},
        "logprobs": {"type": ["object", "null"]},
        "finish_reason": {"$ref": "#/components/schemas/Finish"}}}},
    "usage": {"$ref": "#/components/schemas/Usage"}}},
"Slots": {"type": "array", "items": {"type": "object",
  "required": ["id", "n_ctx", "is_processing"], "properties": {
    "id": {"type": "integer", "minimum": 0},
    "n_ctx": {"type": "integer", "minimum": 1},
    "is_processing": {"type": "boolean"}}}},
"TokenCount": {"type": "object", "required": ["object", "input_tokens"],
  "properties": {"object": {"const": "response.input_tokens"},
                 "input_tokens": {"type": "integer", "minimum": 0}}},
"NativeCompletion": {"anyOf": [
  {"$ref": "#/components/schemas/NativeAnswer"},
  {"type": "array", "items": {"$ref": "#/components/schemas/NativeAnswer"}}]},
"NativeAnswer": {"type": "object",
  "description": "All of these, unless response_fields names some.",
  "properties": {
    "content": {"type": "string"}, "stop": {"const": true},
    "model": {"type": "string"},
    "stop_type": {"enum": ["limit", "eos", "word"]},
    "stopping_word": {"type": "string"},
    "tokens": {"type": "array", "items": {"type": "integer"}},
    "tokens_predicted": {"type": "integer", "minimum": 0},
    "tokens_evaluated": {"type": "integer", "minimum": 0},
    "timings": {"type": "object"}}},
"Embeddings": {"type": "object",
  "required": ["object", "data", "model", "usage"], "properties": {
    "object": {"const": "list"}, "model": {"type": "string"},
    "data": {"type": "array", "minItems": 1, "items": {"type": "object",
      "required": ["object", "index", "embedding"], "properties": {
        "object": {"const": "embedding"},
        "index": {"type": "integer", "minimum": 0},
        "embedding": {
          "description": "Numbers, or base64 of little-endian floats.",
          "type": ["array", "string"], "items": {"type": "number"}}}}},
    "usage": {"$ref": "#/components/schemas/Usage"}}},
"Response": {"type": "object",
  "required": ["id", "object", "created_at", "status", "model", "output"],
  "properties": {
    "id": {"type": "string"}, "object": {"const": "response"},
    "created_at": {"type": "integer"}, "model": {"type": "string"},
    "status": {"enum": ["completed", "incomplete", "failed"]},
    "output": {"type": "array", "items": {"type": "object"}}}},
"Model": {"type": "object",
  "required": ["id", "object", "created", "owned_by"], "properties": {
    "id": {"type": "string"}, "object": {"const": "model"},
    "created": {"type": "integer"}, "owned_by": {"type": "string"},
    "aliases": {"type": "array", "items": {"type": "string"}}}},
"Models": {"type": "object", "required": ["object", "data"], "properties": {
  "object": {"const": "list"}, "data": {"type": "array", "items":
    {"$ref": "#/components/schemas/Model"}}}},
"Props": {"type": "object",
  "required": ["default_generation_settings", "total_slots", "model_alias",
               "modalities", "build_info"], "properties": {
    "default_generation_settings": {"type": "object",
      "required": ["params", "n_ctx"], "properties": {
        "params": {"type": "object"},
        "n_ctx": {"type": "integer", "minimum": 1}}},
    "total_slots": {"type": "integer", "minimum": 1},
    "model_alias": {"type": "string"},
    "modalities": {"type": "object"},
    "build_info": {"type": "string"}}},
"Pipelines": {"type": "object", "required": ["object", "data"],
  "properties": {"object": {"const": "list"}, "data": {"type": "array",
    "items": {"type": "object", "required": ["name"],
      "properties": {"name": {"type": "string"}}}}}},
"PipelineResult": {"type": "object",
  "required": ["outputs", "stages", "seconds"], "properties": {
    "outputs": {"type": "object"},
    "stages": {"type": "array", "items": {"type": "object",
      "required": ["id", "outcome"], "properties": {
        "id": {"type": "string"}, "outcome": {"type": "string"}}}},
    "seconds": {"type": "number"}}},
"Approvals": {"type": "object", "required": ["object", "data"],
  "properties": {"object": {"const": "list"}, "data": {"type": "array",
    "items": {"type": "object", "required": ["id", "pipeline", "stage",
      "question", "arguments", "digest", "label", "effects", "until"],
      "properties": {"id": {"type": "string"}, "pipeline": {"type": "string"},
        "stage": {"type": "string"}, "question": {"type": "string"},
        "arguments": {"type": "string", "contentMediaType": "application/json"},
        "digest": {"type": "string",
          "description": "BLAKE2b-256 of arguments, as hexadecimal digits."},
        "label": {"enum": ["trusted", "user", "untrusted"]},
        "effects": {"type": "array", "items": {
          "enum": ["read", "write", "net", "exec"]}},
        "until": {"type": "string", "format": "date-time"}}}}}},
"Decided": {"type": "object", "required": ["id", "decision"], "properties": {
  "id": {"type": "string"}, "decision": {"enum": ["approve", "deny"]}}},
"Tokens": {"type": "object", "required": ["tokens"], "properties": {
  "tokens": {"type": "array", "items": {"anyOf": [{"type": "integer"},
    {"type": "object", "required": ["id", "piece"], "properties": {
      "id": {"type": "integer"},
      "piece": {"type": ["string", "array"]}}}]}}}},
"Text": {"type": "object", "required": ["content"],
  "properties": {"content": {"type": "string"}}},
"Prompt": {"type": "object", "required": ["prompt"],
  "properties": {"prompt": {"type": "string"}}},
"Requests": {"type": "object", "required": ["object", "data"], "properties": {
  "object": {"const": "list"}, "data": {"type": "array", "items": {
    "type": "object", "required": ["id", "model", "state"], "properties": {
      "id": {"type": "string"}, "model": {"type": "string"},
      "state": {"type": "string"}}}}}},
"Cancelled": {"type": "object", "required": ["id", "cancelled"],
  "properties": {"id": {"type": "string"}, "cancelled": {"const": true}}},
"Event": {"type": "object", "required": ["data"], "properties": {"data": {
  "description": "A part of the answer as JSON; OpenAI's streams end with [DONE].",
  "type": "string"}}},
"Object": {"type": "object"},
"Plain": {"type": "string"}
})json";

}  // namespace detail

TINYPHI_FUNC json::object openapi_schemas() {
  return json::parse(detail::answer_schemas).get_object();
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_OPENAPI_SCHEMAS_IPP_
