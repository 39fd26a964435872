// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_FIELD_SCHEMA_IPP_
#define TINYPHI_SERVE_FIELD_SCHEMA_IPP_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

#include "tinyphi/serve/fields.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// Whole numbers as integers: "1024", not "1.024E3".
inline json::value schema_number(double x) {
  if (x >= 0x1p63) return std::numeric_limits<std::int64_t>::max();
  if (x == std::floor(x) && x >= -0x1p63) return static_cast<std::int64_t>(x);
  return x;
}

// A pattern for the decimal numbers below n, without zeros in front.
inline std::string numbers_below(std::uint64_t n) {
  const std::string top = std::to_string(n);
  std::string out = "^(0";
  if (top.size() > 1) {
    out += "|[1-9][0-9]{0," + std::to_string(top.size() - 2) + "}";
  }
  for (std::size_t i = 0; i < top.size(); ++i) {
    const char low = i == 0 ? '1' : '0';
    if (top[i] <= low) continue;
    const std::size_t left = top.size() - i - 1;
    out += "|" + top.substr(0, i) + "[" + low + "-" +
           static_cast<char>(top[i] - 1) + "]";
    if (left > 0) out += "[0-9]{" + std::to_string(left) + "}";
  }
  return out + ")$";
}

class schema_writer {
 public:
  explicit schema_writer(const schema_limits& limits) : limits_(&limits) {}

  json::object table(const request_table& t) const {
    json::object out = object(t.fields);
    json::array all;
    if (auto* some = out.if_contains("allOf")) all = some->get_array();
    for (const field_rule& rule : t.rules) {
      const auto with = [](std::string_view name, json::array values) {
        json::object words, properties;
        words["enum"] = std::move(values);
        properties[name] = std::move(words);
        return json::object{{"properties", std::move(properties)}};
      };
      json::object second = with(rule.second, json::array{nullptr});
      json::array none{nullptr};
      if (rule.kind == rule_kind::not_both_true) {
        none.push_back(false);
        second = with(rule.second, none);
      }
      if (rule.kind == rule_kind::needs) {
        none.push_back(0);
        second = with(rule.second, json::array{true});
        second["required"] = json::array{json::string_view(rule.second)};
      }
      all.push_back(any_of({with(rule.first, none), std::move(second)}));
    }
    if (!all.empty()) out["allOf"] = std::move(all);
    return out;
  }

 private:
  static json::object any_of(json::array schemas) {
    json::object s;
    s["anyOf"] = std::move(schemas);
    return s;
  }

  json::object object(std::span<const field> fields) const {
    json::object properties;
    json::array required, conditions;
    for (const field& f : fields) {
      properties[f.name] = property(f);
      if (f.required) required.push_back(json::string_view(f.name));
      const field_condition& c = f.required_unless;
      if (c.name.empty()) continue;
      json::object word, there;
      json::array words{json::string_view(c.word)};
      if (!c.other.empty()) words.push_back(json::string_view(c.other));
      word["properties"] = {{c.name, {{"enum", std::move(words)}}}};
      word["required"] = json::array{json::string_view(c.name)};
      there["properties"] = {{f.name, {{"type", type_of(f.kinds, false)}}}};
      there["required"] = json::array{json::string_view(f.name)};
      conditions.push_back(any_of({std::move(word), std::move(there)}));
    }
    json::object out{{"type", "object"}, {"properties", std::move(properties)}};
    if (!required.empty()) out["required"] = std::move(required);
    if (!conditions.empty()) out["allOf"] = std::move(conditions);
    return out;
  }

  json::object property(const field& f) const {
    const bool nullable = !f.required;
    json::object s{{"description", json::string_view(f.about)}};
    if (f.use == field_use::ignored) return s;
    if (f.use == field_use::refused) {
      json::array harmless;
      if (!f.harmless.empty()) harmless = json::parse(f.harmless).get_array();
      harmless.push_back(nullptr);
      s["enum"] = std::move(harmless);
      return s;
    }
    for (auto& [key, v] : value(f, nullable)) s[key] = std::move(v);
    if (!f.example.empty()) s["examples"] = json::array{json::parse(f.example)};
    return s;
  }

  json::object value(const field& f, bool nullable) const {
    if (f.shape == field_shape::prompts) return prompts(f);
    if (f.shape == field_shape::mixed_prompts) return mixed_prompts(f);
    if (f.shape == field_shape::token_biases ||
        f.shape == field_shape::text_biases) {
      return biases(f);
    }
    json::object s{{"type", type_of(f.kinds, nullable)}};
    if (takes(f.kinds, field_kind::number | field_kind::integer)) {
      numbers(f, nullable, s);
    }
    if (!f.words.empty()) {
      json::array words;
      for (const auto w : f.words) words.push_back(json::string_view(w));
      if (nullable) words.push_back(nullptr);
      if (takes(f.kinds, field_kind::object)) {
        s["anyOf"] = {{{"enum", std::move(words)}}, {{"type", "object"}}};
      } else {
        s["enum"] = std::move(words);
      }
    } else if (takes(f.kinds, field_kind::string)) {
      text(f, s);
    }
    if (takes(f.kinds, field_kind::array)) {
      count(f, s);
      if (f.items != nullptr) s["items"] = item(*f.items);
    }
    if (takes(f.kinds, field_kind::object) && !f.members.empty()) {
      for (auto& [key, v] : object(f.members)) {
        if (key != "type") s[key] = std::move(v);
      }
    }
    return s;
  }

  // Items of arrays are not null.
  json::object item(const field& f) const {
    json::object s = value(f, false);
    s["description"] = json::string_view(f.about);
    return s;
  }

  void numbers(const field& f, bool nullable, json::object& s) const {
    s[f.above_least ? "exclusiveMinimum" : "minimum"] = schema_number(f.least);
    s["maximum"] = schema_number(f.most);
    if (f.step != 0) s["multipleOf"] = f.step;
    if (f.not_zero) s["not"] = {{"const", 0}};
    if (f.shape == field_shape::one_token && limits_->vocab_size > 0) {
      s["maximum"] = limits_->vocab_size - 1;
    }
    if (f.shape == field_shape::text_token && limits_->n_texts > 0) {
      s["maximum"] = limits_->n_texts - 1;
    }
    if (f.shape == field_shape::vector_size && !limits_->vector_sizes.empty()) {
      json::array sizes;
      for (const std::size_t n : limits_->vector_sizes) sizes.push_back(n);
      if (nullable) sizes.push_back(nullptr);
      s["enum"] = std::move(sizes);
    }
  }

  json::object prompts(const field& f) const {
    json::object words{{"type", "string"}};
    text(f, words);
    json::object ids{
        {"type", "array"}, {"minItems", 1}, {"items", item(*f.items)}};
    json::object several{{"type", "array"},
                         {"minItems", 1},
                         {"maxItems", schema_number(f.most_items)},
                         {"items", any_of({words, ids})}};
    return any_of({std::move(words), std::move(ids), std::move(several)});
  }

  json::object mixed_prompts(const field& f) const {
    json::object words{{"type", "string"}};
    text(f, words);
    // Exactly one of the fields that may be there.
    json::array ways;
    for (const field& here : f.members) {
      if (here.use != field_use::honoured) continue;
      json::object properties;
      for (const field& other : f.members) {
        if (other.use != field_use::honoured) continue;
        properties[other.name] =
            other.name == here.name
                ? json::object{{"type", type_of(other.kinds, false)}}
                : json::object{{"type", "null"}};
      }
      ways.push_back({{"properties", std::move(properties)},
                      {"required", json::array{json::string_view(here.name)}}});
    }
    json::object named = object(f.members);
    named["anyOf"] = std::move(ways);
    json::object mixed{{"type", "array"},
                       {"minItems", 1},
                       {"items", any_of({item(*f.items), words})}};
    json::object several{{"type", "array"},
                         {"minItems", 1},
                         {"maxItems", schema_number(f.most_items)},
                         {"items", any_of({words, mixed, named})}};
    // A number says that all is one prompt.
    json::object one = mixed;
    one["contains"] = json::object{{"type", "number"}};
    return any_of({std::move(words), std::move(one), std::move(several),
                   std::move(named)});
  }

  json::object biases(const field& f) const {
    const bool texts = f.shape == field_shape::text_biases;
    const json::object number{
        {"type", "number"}, {"minimum", -100}, {"maximum", 100}};
    const json::object ban{{"const", false}};
    const json::object bias = any_of({number, ban});
    const auto end = limits_->vocab_size > 0
                         ? limits_->vocab_size
                         : static_cast<std::uint64_t>(f.items->most) + 1;
    json::object names{{"pattern", numbers_below(end)}};
    json::object first = item(*f.items);
    if (texts) {
      json::object some{{"type", "string"}};
      text(bias_text, some);
      first = any_of({std::move(first), some});
      some["pattern"] = "[^0-9]";
      names = any_of({std::move(names), std::move(some)});
    }
    json::object by_id{{"type", "object"},
                       {"propertyNames", std::move(names)},
                       {"additionalProperties", bias},
                       {"maxProperties", schema_number(f.most)}};
    json::object pair{{"type", "array"},
                      {"prefixItems", json::array{std::move(first), bias}},
                      {"minItems", 2},
                      {"maxItems", 2}};
    json::object pairs{{"type", "array"}, {"items", std::move(pair)}};
    count(f, pairs);
    return {
        {"anyOf", {std::move(by_id), std::move(pairs), {{"type", "null"}}}}};
  }

  static void text(const field& f, json::object& s) {
    s["minLength"] = schema_number(f.least);
    s["maxLength"] = schema_number(f.most);
  }
  static void count(const field& f, json::object& s) {
    s["minItems"] = schema_number(f.most_items > 0 ? f.least_items : f.least);
    s["maxItems"] = schema_number(f.most_items > 0 ? f.most_items : f.most);
  }

  static json::value type_of(field_kind kinds, bool nullable) {
    json::array types;
    constexpr std::pair<field_kind, std::string_view> names[] = {
        {field_kind::boolean, "boolean"}, {field_kind::integer, "integer"},
        {field_kind::number, "number"},   {field_kind::string, "string"},
        {field_kind::array, "array"},     {field_kind::object, "object"}};
    for (const auto& [kind, name] : names) {
      if (takes(kinds, kind)) types.push_back(json::string_view(name));
    }
    if (nullable) types.push_back("null");
    return types.size() == 1 ? types[0] : json::value(std::move(types));
  }

  const schema_limits* limits_;
};

}  // namespace detail

TINYPHI_FUNC json::object schema_of(const request_table& table,
                                    const schema_limits& limits) {
  return detail::schema_writer(limits).table(table);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_FIELD_SCHEMA_IPP_
