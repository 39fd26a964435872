// SPDX-License-Identifier: MIT
// A type in few words, for a model that is to write a value of it.
#ifndef TINYPHI_PLUGINS_EXTRACT_TYPE_OUTLINE_H_
#define TINYPHI_PLUGINS_EXTRACT_TYPE_OUTLINE_H_

#include <string>

#include "tinyphi/pipeline/type.h"

TINYPHI_NAMESPACE_BEGIN

// {"number": string, "kind": "a" or "b", "lines": [{"amount": number}]}; names
// that a record may lack have a '?' behind them. Types nest type::max_depth
// deep at most, and so do calls.
[[nodiscard]] inline std::string type_outline(const type& t) {
  switch (t.kind()) {
    case type_kind::boolean:
      return "true or false";
    case type_kind::integer:
    case type_kind::duration:
    case type_kind::size:
      return "integer";
    case type_kind::number:
      return "number";
    case type_kind::list:
      return "[" + type_outline(t.element()) + "]";
    case type_kind::record: {
      std::string out = "{";
      for (const type::field& f : t.fields()) {
        if (out.size() > 1) out += ", ";
        out += "\"" + f.name + "\"" + (f.optional ? "?" : "") + ": " +
               type_outline(f.type);
      }
      return out + "}";
    }
    case type_kind::text: {
      std::string out;
      for (const std::string& word : t.words()) {
        out += (out.empty() ? "\"" : " or \"") + word + "\"";
      }
      return out.empty() ? "string" : out;
    }
    case type_kind::any:
    case type_kind::path:
    case type_kind::file:
    case type_kind::json:
    case type_kind::prompt:
      break;
  }
  return "any value";
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_EXTRACT_TYPE_OUTLINE_H_
