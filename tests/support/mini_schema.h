// SPDX-License-Identifier: MIT
// As much of JSON Schema as the daemon's document uses; a keyword that is not
// known fails, so that nothing is promised unseen.
#ifndef TINYPHI_TESTS_SUPPORT_MINI_SCHEMA_H_
#define TINYPHI_TESTS_SUPPORT_MINI_SCHEMA_H_

#include <algorithm>
#include <cmath>
#include <regex>
#include <stdexcept>
#include <string>

#include "tinyphi/base/json.h"

namespace tinyphi_test {

namespace json = tinyphi::json;

class mini_schema {
 public:
  // `root` is where "#/..." points into.
  explicit mini_schema(const json::value& root) : root_(&root) {}

  [[nodiscard]] bool takes(const json::value& v,
                           const json::value& schema) const {
    for (const auto& [key, rule] : schema.as_object()) {
      if (!holds(v, key, rule, schema.as_object())) return false;
    }
    return true;
  }

 private:
  static bool equal(const json::value& a, const json::value& b) {
    if (a.is_number() && b.is_number()) {
      return a.to_number<double>() == b.to_number<double>();
    }
    return a == b;
  }
  static bool is(const json::value& v, const json::value& type) {
    const std::string_view t = type.as_string();
    if (t == "null") return v.is_null();
    if (t == "boolean") return v.is_bool();
    if (t == "string") return v.is_string();
    if (t == "array") return v.is_array();
    if (t == "object") return v.is_object();
    if (t == "number") return v.is_number();
    if (t != "integer") throw std::logic_error("no such type");
    return v.is_number() &&
           (!v.is_double() || v.get_double() == std::floor(v.get_double()));
  }
  static double characters(std::string_view s) {
    return static_cast<double>(
        std::ranges::count_if(s, [](char c) { return (c & 0xC0) != 0x80; }));
  }

  bool holds(const json::value& v, std::string_view key,
             const json::value& rule, const json::object& around) const {
    const auto number = [](const json::value& x) {
      return x.to_number<double>();
    };
    const auto some = [&](const json::value& s) { return takes(v, s); };
    if (key == "description" || key == "examples") return true;
    if (key == "$ref")
      return takes(v,
                   root_->at_pointer(std::string(rule.as_string()).substr(1)));
    if (key == "type") {
      return rule.is_array()
                 ? std::ranges::any_of(rule.get_array(),
                                       [&](const auto& t) { return is(v, t); })
                 : is(v, rule);
    }
    if (key == "enum")
      return std::ranges::any_of(rule.as_array(),
                                 [&](const auto& x) { return equal(v, x); });
    if (key == "const") return equal(v, rule);
    if (key == "anyOf") return std::ranges::any_of(rule.as_array(), some);
    if (key == "allOf") return std::ranges::all_of(rule.as_array(), some);
    if (key == "not") return !takes(v, rule);
    if (key == "minimum") return !v.is_number() || number(v) >= number(rule);
    if (key == "exclusiveMinimum")
      return !v.is_number() || number(v) > number(rule);
    if (key == "maximum") {
      // Doubles cannot tell 2^63 from the greatest integer below.
      if (v.is_uint64() && rule.is_int64()) return false;
      return !v.is_number() || number(v) <= number(rule);
    }
    if (key == "multipleOf")
      return !v.is_number() || std::fmod(number(v), number(rule)) == 0;
    if (key == "minLength")
      return !v.is_string() || characters(v.get_string()) >= number(rule);
    if (key == "maxLength")
      return !v.is_string() || characters(v.get_string()) <= number(rule);
    if (key == "minItems")
      return !v.is_array() ||
             static_cast<double>(v.get_array().size()) >= number(rule);
    if (key == "maxItems")
      return !v.is_array() ||
             static_cast<double>(v.get_array().size()) <= number(rule);
    if (key == "items") {
      const auto* first = around.if_contains("prefixItems");
      if (first != nullptr) throw std::logic_error("items beside prefixItems");
      return !v.is_array() ||
             std::ranges::all_of(v.get_array(),
                                 [&](const auto& x) { return takes(x, rule); });
    }
    if (key == "contains") {
      return !v.is_array() ||
             std::ranges::any_of(v.get_array(),
                                 [&](const auto& x) { return takes(x, rule); });
    }
    if (key == "prefixItems") {
      if (!v.is_array()) return true;
      const auto n = std::min(v.get_array().size(), rule.as_array().size());
      for (std::size_t i = 0; i < n; ++i) {
        if (!takes(v.get_array()[i], rule.as_array()[i])) return false;
      }
      return true;
    }
    if (!v.is_object() &&
        (key == "properties" || key == "required" || key == "propertyNames" ||
         key == "additionalProperties" || key == "maxProperties")) {
      return true;
    }
    if (key == "properties") {
      return std::ranges::all_of(rule.as_object(), [&](const auto& p) {
        const auto* member = v.get_object().if_contains(p.key());
        return member == nullptr || takes(*member, p.value());
      });
    }
    if (key == "required") {
      return std::ranges::all_of(rule.as_array(), [&](const auto& n) {
        return v.get_object().contains(n.as_string());
      });
    }
    if (key == "maxProperties")
      return static_cast<double>(v.get_object().size()) <= number(rule);
    if (key == "propertyNames") {
      return std::ranges::all_of(v.get_object(), [&](const auto& m) {
        return takes(json::value(m.key()), rule);
      });
    }
    if (key == "pattern") {
      return !v.is_string() ||
             std::regex_search(std::string(v.get_string()),
                               std::regex(std::string(rule.as_string())));
    }
    if (key == "additionalProperties" && !around.contains("properties")) {
      return std::ranges::all_of(v.get_object(), [&](const auto& m) {
        return takes(m.value(), rule);
      });
    }
    throw std::logic_error("unknown keyword " + std::string(key));
  }

  const json::value* root_;
};

}  // namespace tinyphi_test

#endif  // TINYPHI_TESTS_SUPPORT_MINI_SCHEMA_H_
