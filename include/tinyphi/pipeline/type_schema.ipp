// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_TYPE_SCHEMA_IPP_
#define TINYPHI_PIPELINE_TYPE_SCHEMA_IPP_

#include "tinyphi/pipeline/type_schema.h"

TINYPHI_NAMESPACE_BEGIN

// Types nest type::max_depth deep at most, and so do these calls.
TINYPHI_FUNC json::object json_schema_of(const type& t) {
  switch (t.kind()) {
    case type_kind::boolean:
      return {{"type", "boolean"}};
    case type_kind::integer:
    case type_kind::duration:
    case type_kind::size:
      return {{"type", "integer"}};
    case type_kind::number:
      return {{"type", "number"}};
    case type_kind::text:
    case type_kind::path:
    case type_kind::file: {
      json::object s{{"type", "string"}};
      if (t.words().empty()) return s;
      json::array words;
      for (const std::string& word : t.words()) words.emplace_back(word);
      s["enum"] = std::move(words);
      return s;
    }
    case type_kind::list:
      return {{"type", "array"}, {"items", json_schema_of(t.element())}};
    case type_kind::record: {
      json::object properties;
      json::array required;
      for (const type::field& f : t.fields()) {
        properties[f.name] = json_schema_of(f.type);
        if (!f.optional) required.emplace_back(f.name);
      }
      return {{"type", "object"},
              {"properties", std::move(properties)},
              {"required", std::move(required)},
              {"additionalProperties", false}};
    }
    case type_kind::any:
    case type_kind::json:
    case type_kind::prompt:
      break;
  }
  return {};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_TYPE_SCHEMA_IPP_
