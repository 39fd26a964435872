// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_FIELDS_IPP_
#define TINYPHI_SERVE_FIELDS_IPP_

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include "tinyphi/base/utf8.h"
#include "tinyphi/serve/fields.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline constexpr std::size_t max_ignored = 32;

inline constexpr std::array<std::pair<field_kind, std::string_view>, 6>
    kind_names = {{{field_kind::boolean, "boolean"},
                   {field_kind::integer, "integer"},
                   {field_kind::number, "number"},
                   {field_kind::string, "string"},
                   {field_kind::array, "array"},
                   {field_kind::object, "object"}}};

inline std::string names_of(field_kind set) {
  std::string out;
  for (const auto& [kind, name] : kind_names) {
    if (!takes(set, kind)) continue;
    out += (out.empty() ? "" : " or ") + std::string(name);
  }
  return out;
}

inline field_kind kind_of(const json::value& v) {
  switch (v.kind()) {
    case json::kind::bool_:
      return field_kind::boolean;
    case json::kind::int64:
    case json::kind::uint64:
      return field_kind::integer;
    case json::kind::double_: {
      const double x = v.get_double();
      return x == std::floor(x) && std::abs(x) < 9e15 ? field_kind::integer
                                                      : field_kind::number;
    }
    case json::kind::string:
      return field_kind::string;
    case json::kind::array:
      return field_kind::array;
    case json::kind::object:
      return field_kind::object;
    case json::kind::null:
      break;
  }
  return field_kind::none;
}

// The shortest text of a number: "0.5", "1024".
inline std::string number_text(double x) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), x);
  return {text.data(), end.ptr};
}

inline std::string range_text(const field& f) {
  return std::string(f.above_least ? "above " : "from ") +
         number_text(f.least) + (f.above_least ? " up to " : " to ") +
         number_text(f.most);
}

class field_checker {
 public:
  explicit field_checker(std::vector<std::string>& ignored)
      : ignored_(&ignored) {}

  api_result<void> object(const json::object& o, std::span<const field> fields,
                          const std::string& path) {
    for (const auto& [key, value] : o) {
      const auto f =
          std::ranges::find(fields, std::string_view(key), &field::name);
      if (f == fields.end()) {
        ignore(path + printable_name(key));
        continue;
      }
      if (value.is_null()) continue;
      if (auto ok = one(value, *f, path + std::string(f->name)); !ok) return ok;
    }
    for (const field& f : fields) {
      if (!f.required) continue;
      const json::value* v = o.if_contains(f.name);
      if (v == nullptr || v->is_null()) {
        api_error e = invalid_value(path + std::string(f.name),
                                    path + std::string(f.name) + " is missing");
        e.code = "missing_required_parameter";
        return e;
      }
    }
    return {};
  }

 private:
  api_result<void> one(const json::value& v, const field& f,
                       const std::string& path) {
    if (f.use == field_use::refused) {
      if (!f.harmless.empty() && json::serialize(v) == f.harmless) return {};
      api_error e = invalid_value(path, path + ": " + std::string(f.about));
      e.code = "unsupported_parameter";
      return e;
    }
    if (f.use == field_use::ignored) {
      ignore(path);
      return {};
    }
    const field_kind kind = kind_of(v);
    const bool fits =
        takes(f.kinds, kind) ||
        (kind == field_kind::integer && takes(f.kinds, field_kind::number));
    if (!fits) {
      return wrong(path, "is " + article(names_of(kind)) + "; allowed is " +
                             article(names_of(f.kinds)));
    }
    switch (kind) {
      case field_kind::integer:
      case field_kind::number:
        return number(v, f, path);
      case field_kind::string:
        return string(v.get_string(), f, path);
      case field_kind::array:
        return array(v.get_array(), f, path);
      case field_kind::object:
        if (f.members.empty()) {
          return size(v.get_object().size(), "members", f, path);
        }
        return object(v.get_object(), f.members, path + ".");
      default:
        return {};
    }
  }

  static api_result<void> number(const json::value& v, const field& f,
                                 const std::string& path) {
    const double x = v.is_double()  ? v.get_double()
                     : v.is_int64() ? static_cast<double>(v.get_int64())
                                    : static_cast<double>(v.get_uint64());
    if (std::isfinite(x) && (f.above_least ? x > f.least : x >= f.least) &&
        x <= f.most) {
      return {};
    }
    return wrong(path,
                 "is " + number_text(x) + "; allowed is " + range_text(f));
  }

  static api_result<void> string(std::string_view text, const field& f,
                                 const std::string& path) {
    if (!f.words.empty()) {
      if (std::ranges::find(f.words, text) != f.words.end()) return {};
      std::string allowed;
      for (const std::string_view w : f.words) {
        allowed += (allowed.empty() ? "" : ", ") + std::string(w);
      }
      return wrong(path, "is none of: " + allowed);
    }
    return size(text.size(), "bytes", f, path);
  }

  api_result<void> array(const json::array& items, const field& f,
                         const std::string& path) {
    if (auto ok = size(items.size(), "items", f, path); !ok) return ok;
    if (f.items == nullptr) return {};
    for (std::size_t i = 0; i < items.size(); ++i) {
      const std::string at = path + "[" + std::to_string(i) + "]";
      if (auto ok = one(items[i], *f.items, at); !ok) return ok;
    }
    return {};
  }

  static api_result<void> size(std::size_t n, const char* what, const field& f,
                               const std::string& path) {
    const auto x = static_cast<double>(n);
    if (x >= f.least && x <= f.most) return {};
    return wrong(path, "has " + std::to_string(n) + " " + what +
                           "; allowed are " + range_text(f));
  }

  static api_error wrong(const std::string& path, const std::string& what) {
    return invalid_value(path, path + " " + what);
  }
  static std::string article(const std::string& name) {
    if (name.empty()) return "null";
    return (std::string_view("aeiou").find(name[0]) == std::string_view::npos
                ? "a "
                : "an ") +
           name;
  }
  // Names that clients choose reach the log: only letters and digits do.
  static std::string printable_name(std::string_view name) {
    std::string out(name.substr(0, 40));
    for (char& c : out) {
      const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                         (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
      if (!plain) c = '?';
    }
    return out;
  }
  void ignore(std::string path) {
    if (ignored_->size() < max_ignored) ignored_->push_back(std::move(path));
  }

  std::vector<std::string>* ignored_;
};

inline json::value type_of_kinds(field_kind kinds) {
  json::array types;
  for (const auto& [kind, name] : kind_names) {
    // An integer is a number to JSON Schema.
    if (kind == field_kind::integer && takes(kinds, field_kind::number))
      continue;
    if (takes(kinds, kind)) types.push_back(json::string_view(name));
  }
  types.push_back("null");
  return types;
}

inline json::object schema_of_field(const field& f) {
  json::object s;
  s["description"] = json::string_view(f.about);
  if (f.use != field_use::honoured) return s;
  s["type"] = type_of_kinds(f.kinds);
  if (takes(f.kinds, field_kind::number) ||
      takes(f.kinds, field_kind::integer)) {
    s[f.above_least ? "exclusiveMinimum" : "minimum"] = f.least;
    s["maximum"] = f.most;
  }
  if (!f.words.empty()) {
    json::array words;
    for (const auto w : f.words) words.push_back(json::string_view(w));
    words.push_back(nullptr);
    s["enum"] = std::move(words);
  } else if (takes(f.kinds, field_kind::string)) {
    // Bytes bound characters: a schema can only say as much.
    s["minLength"] = f.least > 0 ? 1 : 0;
    s["maxLength"] = f.most;
  }
  if (takes(f.kinds, field_kind::array)) {
    s["minItems"] = f.least;
    s["maxItems"] = f.most;
    if (f.items != nullptr) s["items"] = schema_of_field(*f.items);
  }
  if (takes(f.kinds, field_kind::object) && !f.members.empty()) {
    for (const auto& [key, value] : schema_of(f.members)) s[key] = value;
    s["type"] = type_of_kinds(f.kinds);
  }
  if (!f.example.empty()) s["examples"] = json::array{json::parse(f.example)};
  return s;
}

}  // namespace detail

TINYPHI_FUNC api_result<void> check_fields(const json::object& body,
                                           const request_table& table,
                                           std::vector<std::string>& ignored) {
  return detail::field_checker(ignored).object(body, table.fields, "");
}

TINYPHI_FUNC json::object schema_of(std::span<const field> fields) {
  json::object properties;
  json::array required;
  for (const field& f : fields) {
    json::object s = detail::schema_of_field(f);
    if (f.use == field_use::refused) {
      // Only what asks for nothing.
      s["enum"] = f.harmless.empty()
                      ? json::array{nullptr}
                      : json::array{nullptr, json::parse(f.harmless)};
    }
    if (f.required) {
      required.push_back(json::string_view(f.name));
      if (auto* types = s.if_contains("type")) types->as_array().pop_back();
    }
    properties[f.name] = std::move(s);
  }
  json::object out{{"type", "object"}, {"properties", std::move(properties)}};
  if (!required.empty()) out["required"] = std::move(required);
  return out;
}

TINYPHI_FUNC const json::value* find_field(const json::object& body,
                                           std::string_view name) {
  const json::value* v = body.if_contains(name);
  return v == nullptr || v->is_null() ? nullptr : v;
}
TINYPHI_FUNC bool bool_field(const json::object& body, std::string_view name,
                             bool otherwise) {
  const json::value* v = find_field(body, name);
  return v == nullptr ? otherwise : v->as_bool();
}
TINYPHI_FUNC double number_field(const json::object& body,
                                 std::string_view name, double otherwise) {
  const json::value* v = find_field(body, name);
  return v == nullptr ? otherwise : v->to_number<double>();
}
TINYPHI_FUNC std::int64_t integer_field(const json::object& body,
                                        std::string_view name,
                                        std::int64_t otherwise) {
  const json::value* v = find_field(body, name);
  if (v == nullptr) return otherwise;
  // 5.0 is an integer, too.
  return v->is_double() ? static_cast<std::int64_t>(v->get_double())
                        : v->to_number<std::int64_t>();
}
TINYPHI_FUNC std::string string_field(const json::object& body,
                                      std::string_view name,
                                      std::string_view otherwise) {
  const json::value* v = find_field(body, name);
  return std::string(v == nullptr ? otherwise
                                  : std::string_view(v->get_string()));
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_FIELDS_IPP_
