// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_VALUE_JSON_IPP_
#define TINYPHI_PIPELINE_VALUE_JSON_IPP_

#include <cmath>
#include <utility>
#include <variant>

#include "tinyphi/pipeline/value_json.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline json::value json_of(const std::string& s) { return json::value(s); }
inline json::value json_of(bool b) { return b; }
inline json::value json_of(std::int64_t n) { return n; }
inline json::value json_of(double x) { return x; }

inline json::value json_of(const documents& docs) {
  json::array out;
  for (const document& d : docs) {
    out.push_back({{"id", d.id},
                   {"source", d.source},
                   {"title", d.title},
                   {"locator", d.locator},
                   {"line", d.line},
                   {"text", d.text},
                   {"score", d.score}});
  }
  return out;
}

inline json::value json_of(const citations& citations) {
  json::array out;
  for (const citation& c : citations) {
    out.push_back({{"sentence", c.sentence},
                   {"number", c.number},
                   {"id", c.id},
                   {"source", c.source},
                   {"title", c.title},
                   {"locator", c.locator},
                   {"line", c.line},
                   {"quote", c.quote},
                   {"overlap", c.overlap}});
  }
  return out;
}

inline json::value json_of(const labelled_prompt& p) {
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

}  // namespace detail

TINYPHI_FUNC json::value to_json(const value_data& v) {
  return std::visit([](const auto& data) { return detail::json_of(data); }, v);
}

TINYPHI_FUNC result<value_data> input_from_json(const input_spec& input,
                                                const json::value& v) {
  const auto wrong = [&](const std::string& what) {
    return error{error_code::invalid_argument,
                 "input " + input.name + ": " + what};
  };
  switch (input.type) {
    case value_type::text: {
      const auto* s = v.if_string();
      if (s == nullptr) return wrong("not a string");
      if (s->size() > input.max_bytes) {
        return wrong("a text of " + std::to_string(s->size()) +
                     " bytes, at most " + std::to_string(input.max_bytes) +
                     " are allowed");
      }
      return value_data(std::string(*s));
    }
    case value_type::boolean:
      if (!v.is_bool()) return wrong("not true or false");
      return value_data(v.get_bool());
    case value_type::integer:
      if (!v.is_int64()) return wrong("not an integer");
      return value_data(v.get_int64());
    case value_type::number: {
      if (!v.is_number()) return wrong("not a number");
      const double x = v.to_number<double>();
      if (!std::isfinite(x)) return wrong("not a finite number");
      return value_data(x);
    }
    default:
      return wrong("values of type " + std::string(to_string(input.type)) +
                   " cannot be sent");
  }
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_VALUE_JSON_IPP_
