// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_TYPE_SCHEMA_IPP_
#define TINYPHI_PIPELINE_TYPE_SCHEMA_IPP_

#include <string_view>
#include <utility>

#include "tinyphi/pipeline/type_schema.h"
#include "tinyphi/pipeline/value_json.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline constexpr std::string_view defs_pointer = "/$defs/";

// {"type": "object", ...} of these members and no others.
inline json::object object_schema(json::object properties, json::array required,
                                  json::object definitions) {
  json::object o{{"type", "object"},
                 {"properties", std::move(properties)},
                 {"required", std::move(required)},
                 {"additionalProperties", false}};
  if (!definitions.empty()) o["$defs"] = std::move(definitions);
  return o;
}

}  // namespace detail

TINYPHI_FUNC json::object type_schemas::of(const type& t) {
  if (t.rules() != nullptr) {
    if (auto named = refer_to(*t.rules())) return *std::move(named);
  }
  switch (t.kind()) {
    case type_kind::any:
    case type_kind::json:
    case type_kind::prompt:
      break;
    case type_kind::boolean:
      return {{"type", "boolean"}};
    case type_kind::integer:
      return {{"type", "integer"}};
    case type_kind::duration:
      return {{"type", "integer"}, {"description", "milliseconds"}};
    case type_kind::size:
      return {{"type", "integer"}, {"description", "bytes"}};
    case type_kind::number:
      return {{"type", "number"}};
    case type_kind::path:
    case type_kind::file:
      return {{"type", "string"}};
    case type_kind::list:
      return {{"type", "array"}, {"items", of(t.element())}};
    case type_kind::text: {
      json::object s{{"type", "string"}};
      json::array words;
      for (const std::string& word : t.words()) words.emplace_back(word);
      if (!words.empty()) s["enum"] = std::move(words);
      return s;
    }
    case type_kind::record: {
      json::object properties;
      json::array required;
      for (const type::field& f : t.fields()) {
        properties[f.name] = of(f.type);
        if (!f.optional) required.emplace_back(f.name);
      }
      return detail::object_schema(std::move(properties), std::move(required),
                                   {});
    }
  }
  return {};  // every value
}

// Types of other files have documents of their own, whose names may be the
// same: their structure is told instead.
TINYPHI_FUNC std::optional<json::object> type_schemas::refer_to(
    const schema& rules) {
  const json_tree& document = rules.document();
  if (document_ == nullptr) document_ = &document;
  const std::string pointer =
      document.pointer(rules.rules()[rules.root()].where);
  const std::size_t begin = detail::defs_pointer.size();
  if (document_ != &document || !pointer.starts_with(detail::defs_pointer) ||
      pointer.find('/', begin) != std::string::npos) {
    return std::nullopt;
  }
  wanted_.push_back(pointer.substr(begin));
  return json::object{{"$ref", "#" + pointer}};
}

TINYPHI_FUNC json::object type_schemas::definitions() && {
  while (!wanted_.empty()) {
    const std::string name = std::move(wanted_.back());
    wanted_.pop_back();
    const auto all = document_->find(json_tree::root, "$defs");
    const auto found = document_->find(all, name);
    // What a constant has under this key refers to nothing.
    if (found == json_tree::none || definitions_.contains(name)) continue;
    definitions_.emplace(name, copy(found));
  }
  json::object all;
  for (auto& [name, s] : definitions_) all[name] = std::move(s);
  return all;
}

// What a schema of the document says, and notes what it refers to.
TINYPHI_FUNC json::value type_schemas::copy(json_tree::node n) {
  const json_tree& d = *document_;
  switch (d.type(n)) {
    case json_type::null:
      break;
    case json_type::boolean:
      return d.is_true(n);
    case json_type::number: {
      boost::system::error_code ec;
      json::value number = json::parse(json::string_view(d.text(n)), ec);
      return ec ? json::value() : number;
    }
    case json_type::string:
      return json::value(json::string_view(d.text(n)));
    case json_type::array: {
      json::array items;
      for (auto c = d.first(n); c != d.none; c = d.next(c)) {
        items.push_back(copy(c));
      }
      return items;
    }
    case json_type::object: {
      json::object members;
      for (auto c = d.first(n); c != d.none; c = d.next(c)) {
        const std::string_view text = d.text(c);
        constexpr std::size_t prefix = detail::defs_pointer.size() + 1;
        if (d.key(c) == "$ref" && d.type(c) == json_type::string &&
            text.starts_with("#" + std::string(detail::defs_pointer))) {
          wanted_.emplace_back(text.substr(prefix));
        }
        members[json::string_view(d.key(c))] = copy(c);
      }
      return members;
    }
  }
  return nullptr;
}

TINYPHI_FUNC json::object input_schema(const graph& g) {
  type_schemas schemas;
  json::object properties;
  json::array required;
  for (const input_spec& i : g.inputs) {
    json::object s = schemas.of(i.type);
    // A character has a byte at least.
    const bool is_plain = i.type.rules() == nullptr && i.type.words().empty();
    if (i.type.is(type_kind::text) && is_plain) s["maxLength"] = i.max_bytes;
    if (i.default_value) {
      s["default"] = to_json(*i.default_value);
    } else if (!i.optional) {
      required.emplace_back(i.name);
    }
    properties[i.name] = std::move(s);
  }
  return detail::object_schema(std::move(properties), std::move(required),
                               std::move(schemas).definitions());
}

TINYPHI_FUNC json::object output_schema(const graph& g) {
  type_schemas schemas;
  json::object properties;
  json::array required;
  for (const graph_output& o : g.outputs) {
    properties[o.name] = schemas.of(o.type);
    if (!o.may_be_absent) required.emplace_back(o.name);
  }
  return detail::object_schema(std::move(properties), std::move(required),
                               std::move(schemas).definitions());
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_TYPE_SCHEMA_IPP_
