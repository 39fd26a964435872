// SPDX-License-Identifier: MIT
// From the types of the language to JSON Schema: what others must know to write
// a value of a type, or to read one.
#ifndef TINYPHI_PIPELINE_TYPE_SCHEMA_H_
#define TINYPHI_PIPELINE_TYPE_SCHEMA_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tinyphi/base/json.h"
#include "tinyphi/pipeline/graph.h"
#include "tinyphi/pipeline/type.h"
#include "tinyphi/schema/schema.h"

TINYPHI_NAMESPACE_BEGIN

// JSON Schema of types. Every value of a type, as JSON, fits its schema; the
// rules of a [type.x] are in it.
class type_schemas {
 public:
  [[nodiscard]] json::object of(const type& t);
  // What the schemas refer to as "#/$defs/NAME"; empty if they do not. It must
  // be a member of the whole.
  [[nodiscard]] json::object definitions() &&;

 private:
  std::optional<json::object> refer_to(const schema& rules);
  json::value copy(json_tree::node n);

  const json_tree* document_ = nullptr;  // of the first type with rules
  std::map<std::string, json::value, std::less<>> definitions_;
  std::vector<std::string> wanted_;  // names whose definition is not copied yet
};

// The schemas of objects with all inputs, or all outputs, of a file as members.
[[nodiscard]] json::object input_schema(const graph& g);
[[nodiscard]] json::object output_schema(const graph& g);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/type_schema.ipp"
#endif

#endif  // TINYPHI_PIPELINE_TYPE_SCHEMA_H_
