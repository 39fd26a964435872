// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_VALUE_JSON_IPP_
#define TINYPHI_PIPELINE_VALUE_JSON_IPP_

#include <charconv>
#include <cmath>
#include <iterator>
#include <string>
#include <utility>

#include "tinyphi/pipeline/value_json.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline json::value prompt_to_json(const labelled_prompt& p) {
  json::array segments;
  for (const prompt_segment& s : p.segments) {
    segments.push_back({{"text", s.text},
                        {"trust", json::string_view(to_string(s.label))},
                        {"control", s.control}});
  }
  return {{"segments", std::move(segments)},
          {"model", p.model},
          {"tokens", p.tokens}};
}

// Adds to `out`; false if that would become longer than `most`.
inline bool put_json(const value_data& x, std::size_t most, std::string& out) {
  if (const auto* list = x.get<value_data::list>()) {
    out += '[';
    for (std::size_t i = 0; i < list->size(); ++i) {
      if (i > 0) out += ',';
      if (!put_json((*list)[i], most, out)) return false;
    }
    out += ']';
  } else if (const auto* record = x.get<value_data::record>()) {
    out += '{';
    for (std::size_t i = 0; i < record->size(); ++i) {
      if (i > 0) out += ',';
      out += json::serialize((*record)[i].name) + ':';
      if (!put_json((*record)[i].value, most, out)) return false;
    }
    out += '}';
  } else if (const auto* text = x.get<std::string>()) {
    // What is written is not shorter than the text.
    if (text->size() > most) return false;
    out += json::serialize(json::string_view(*text));
  } else if (const auto* b = x.get<bool>()) {
    out += *b ? "true" : "false";
  } else if (const auto* i = x.get<std::int64_t>()) {
    out += std::to_string(*i);
  } else if (const auto number = x.number(); number && std::isfinite(*number)) {
    char digits[32];
    out.append(digits, std::to_chars(digits, std::end(digits), *number).ptr);
  } else {
    out += "null";
  }
  return out.size() <= most;
}

}  // namespace detail

TINYPHI_FUNC std::optional<std::string> json_text(const value_data& v,
                                                  std::size_t most) {
  std::string out;
  if (!detail::put_json(v, most, out)) return std::nullopt;
  return out;
}

TINYPHI_FUNC json::value to_json(const value_data& v) {
  if (const auto* text = v.get<std::string>()) return json::value(*text);
  if (const auto* yes = v.get<bool>()) return *yes;
  if (const auto* n = v.get<std::int64_t>()) return *n;
  if (const auto* x = v.get<double>()) return *x;
  if (const auto* p = v.get<labelled_prompt>()) {
    return detail::prompt_to_json(*p);
  }
  if (const auto* items = v.get<value_data::list>()) {
    json::array out;
    for (const value_data& item : *items) out.push_back(to_json(item));
    return out;
  }
  if (const auto* members = v.get<value_data::record>()) {
    json::object out;
    for (const auto& m : *members) out[m.name] = to_json(m.value);
    return out;
  }
  return nullptr;
}

TINYPHI_FUNC value_data from_json(const json::value& v) {
  if (const auto* s = v.if_string()) return std::string_view(*s);
  if (const auto* yes = v.if_bool()) return *yes;
  if (const auto* n = v.if_int64()) return *n;
  if (v.is_number()) return v.to_number<double>();
  if (const auto* items = v.if_array()) {
    value_data::list out;
    for (const json::value& item : *items) out.push_back(from_json(item));
    return out;
  }
  if (const auto* members = v.if_object()) {
    value_data::record out;
    for (const auto& m : *members) {
      out.push_back({std::string(m.key()), from_json(m.value())});
    }
    return out;
  }
  return {};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_VALUE_JSON_IPP_
