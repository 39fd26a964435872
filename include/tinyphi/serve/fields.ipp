// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_FIELDS_IPP_
#define TINYPHI_SERVE_FIELDS_IPP_

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "tinyphi/serve/fields.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

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
      // 5.0 is an integer, as JSON Schema has it. Integers below -2^63 arrive
      // as doubles, too, the first of them as -2^63 itself.
      const double x = v.get_double();
      return x == std::floor(x) && x > -0x1p63 && x < 0x1p63
                 ? field_kind::integer
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
inline std::string plain_number(double x) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), x);
  return {text.data(), end.ptr};
}

inline std::string range_text(const field& f) {
  return std::string(f.above_least ? "above " : "from ") +
         plain_number(f.least) + (f.above_least ? " up to " : " to ") +
         plain_number(f.most);
}

class field_checker {
 public:
  explicit field_checker(std::vector<std::string>& ignored)
      : ignored_(&ignored) {}

  api_result<void> table(const json::object& body, const request_table& t) {
    if (auto ok = object(body, t.fields, ""); !ok) return ok;
    for (const field_rule& rule : t.rules) {
      const json::value* first = find_field(body, rule.first);
      if (first == nullptr) continue;
      const std::string names =
          std::string(rule.first) + " and " + std::string(rule.second);
      if (rule.kind == rule_kind::one_of) {
        if (find_field(body, rule.second) == nullptr) continue;
        return invalid_value(std::string(rule.first),
                             names + " " + std::string(rule.about));
      }
      if (rule.kind == rule_kind::not_both_true) {
        if (!bool_field(body, rule.first, false) ||
            !bool_field(body, rule.second, false)) {
          continue;
        }
        return invalid_value(std::string(rule.first),
                             names + " " + std::string(rule.about));
      }
      if (integer_field(body, rule.first, 0) <= 0 ||
          bool_field(body, rule.second, false)) {
        continue;
      }
      return wrong(std::string(rule.first),
                   "needs " + std::string(rule.second) + " to " +
                       std::string(rule.about));
    }
    return {};
  }

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
      if (!needed(o, f) || find_field(o, f.name) != nullptr) continue;
      api_error e = wrong(path + std::string(f.name), "is missing");
      e.code = "missing_required_parameter";
      return e;
    }
    return {};
  }

 private:
  static bool needed(const json::object& o, const field& f) {
    if (f.required_unless.name.empty()) return f.required;
    const field_condition& c = f.required_unless;
    const json::value* v = find_field(o, c.name);
    if (v == nullptr || !v->is_string()) return true;
    const std::string_view word = v->get_string();
    return word != c.word && (c.other.empty() || word != c.other);
  }

  api_result<void> one(const json::value& v, const field& f,
                       const std::string& path) {
    if (f.use == field_use::refused) {
      if (is_harmless(v, f)) return {};
      api_error e = invalid_value(path, path + ": " + std::string(f.about));
      e.code = "unsupported_parameter";
      return e;
    }
    if (f.use == field_use::ignored) {
      ignore(path);
      return {};
    }
    if (is_prompts(f) && v.is_array()) return prompts(v.get_array(), f, path);
    if (f.shape == field_shape::mixed_prompts && v.is_object()) {
      return prompt_object(v.get_object(), f, path);
    }
    if (is_biases(f)) return biases(v, f, path);
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

  static bool is_harmless(const json::value& v, const field& f) {
    if (f.harmless.empty()) return false;
    const json::value all = json::parse(f.harmless);
    for (const json::value& one : all.get_array()) {
      const bool equal = v.is_number() && one.is_number()
                             ? v.to_number<double>() == one.to_number<double>()
                             : v == one;
      if (equal) return true;
    }
    return false;
  }

  static api_result<void> number(const json::value& v, const field& f,
                                 const std::string& path) {
    const double x = v.to_number<double>();
    // 2^63 as an unsigned integer is the only one that compares equal to the
    // greatest signed one as a double.
    const bool too_big = v.is_uint64() && x >= 0x1p63 && f.most <= 0x1p63;
    if (too_big || !std::isfinite(x) ||
        (f.above_least ? x <= f.least : x < f.least) || x > f.most) {
      return wrong(path,
                   "is " + plain_number(x) + "; allowed is " + range_text(f));
    }
    if (f.not_zero && x == 0) return wrong(path, "is 0, which is no length");
    if (f.step != 0 && std::fmod(x, f.step) != 0) {
      return wrong(path, "is " + plain_number(x) +
                             "; allowed is a multiple of " +
                             std::to_string(f.step) + " " + range_text(f));
    }
    return {};
  }

  static api_result<void> string(std::string_view text, const field& f,
                                 const std::string& path) {
    if (!f.words.empty()) {
      if (std::ranges::find(f.words, text) != f.words.end()) return {};
      std::string allowed;
      for (const std::string_view w : f.words) {
        allowed += (allowed.empty() ? "" : ", ") + std::string(w);
      }
      api_error e =
          wrong(path, "is none of: " + allowed + ". " + std::string(f.about));
      e.code = f.otherwise;
      return e;
    }
    const auto n = std::ranges::count_if(text, [](char c) {
      return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    });
    return size(static_cast<std::size_t>(n), "characters", f, path);
  }

  api_result<void> array(const json::array& items, const field& f,
                         const std::string& path) {
    if (auto ok = count(items, f, path); !ok) return ok;
    if (f.items == nullptr) return {};
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (auto ok = one(items[i], *f.items, at(path, i)); !ok) return ok;
    }
    return {};
  }

  // The ids of one prompt, or an array of texts and arrays of ids.
  api_result<void> prompts(const json::array& all, const field& f,
                           const std::string& path) {
    if (all.empty()) return wrong(path, "is empty");
    const bool mixed = f.shape == field_shape::mixed_prompts;
    if (all.front().is_number() ||
        (mixed && std::ranges::any_of(all, &json::value::is_number))) {
      return ids(all, f, path);
    }
    if (auto ok = count(all, f, path); !ok) return ok;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const std::string here = at(path, i);
      if (const auto* text = all[i].if_string()) {
        if (auto ok = string(*text, f, here); !ok) return ok;
      } else if (const auto* some = all[i].if_array()) {
        if (some->empty()) return wrong(here, "is empty");
        if (auto ok = ids(*some, f, here); !ok) return ok;
      } else if (mixed && all[i].is_object()) {
        if (auto ok = prompt_object(all[i].get_object(), f, here); !ok) {
          return ok;
        }
      } else {
        return wrong(here, "is neither a text nor an array of token ids");
      }
    }
    return {};
  }
  // An object that has one of the fields that may be there.
  api_result<void> prompt_object(const json::object& o, const field& f,
                                 const std::string& path) {
    if (auto ok = object(o, f.members, path + "."); !ok) return ok;
    std::string names;
    std::size_t there = 0;
    for (const field& one : f.members) {
      if (one.use != field_use::honoured) continue;
      names += (names.empty() ? "" : ", ") + std::string(one.name);
      if (find_field(o, one.name) != nullptr) ++there;
    }
    if (there == 1) return {};
    return wrong(path, "must have one of: " + names);
  }
  api_result<void> ids(const json::array& all, const field& f,
                       const std::string& path) {
    const bool mixed = f.shape == field_shape::mixed_prompts;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto* text = mixed ? all[i].if_string() : nullptr;
      auto ok = text != nullptr ? string(*text, f, at(path, i))
                                : one(all[i], *f.items, at(path, i));
      if (!ok) return ok;
    }
    return {};
  }

  static bool is_prompts(const field& f) {
    return f.shape == field_shape::prompts ||
           f.shape == field_shape::mixed_prompts;
  }
  static bool is_biases(const field& f) {
    return f.shape == field_shape::token_biases ||
           f.shape == field_shape::text_biases;
  }

  api_result<void> biases(const json::value& v, const field& f,
                          const std::string& path) {
    if (const auto* o = v.if_object()) {
      if (auto ok = size(o->size(), "members", f, path); !ok) return ok;
      for (const auto& [key, bias] : *o) {
        const bool known =
            is_token_key(key, f.items->most) ||
            (f.shape == field_shape::text_biases && is_text_key(key));
        if (!known) return wrong(path, "has a key that is not a token's id");
        if (auto ok = bias_value(bias, path + "." + std::string(key)); !ok) {
          return ok;
        }
      }
      return {};
    }
    const auto* all = v.if_array();
    if (all == nullptr) {
      return wrong(path, "is " + article(names_of(kind_of(v))) +
                             "; allowed is " + article(names_of(f.kinds)));
    }
    if (auto ok = count(*all, f, path); !ok) return ok;
    for (std::size_t i = 0; i < all->size(); ++i) {
      const std::string here = at(path, i);
      const auto* pair = (*all)[i].if_array();
      if (pair == nullptr || pair->size() != 2) {
        return wrong(here, "is not a pair of a token's id and a number");
      }
      const auto* text = f.shape == field_shape::text_biases
                             ? (*pair)[0].if_string()
                             : nullptr;
      if (auto ok = text != nullptr ? string(*text, bias_text, at(here, 0))
                                    : one((*pair)[0], *f.items, at(here, 0));
          !ok) {
        return ok;
      }
      if (auto ok = bias_value((*pair)[1], at(here, 1)); !ok) return ok;
    }
    return {};
  }
  static api_result<void> bias_value(const json::value& v,
                                     const std::string& path) {
    if (v.is_bool() && !v.get_bool()) return {};  // llama-server's ban
    if (!v.is_number()) return wrong(path, "is neither a number nor false");
    const double x = v.to_number<double>();
    if (x >= -100 && x <= 100) return {};
    return wrong(path, "is " + plain_number(x) +
                           "; allowed is from -100 to 100, or false");
  }
  // A text has something that no id has.
  static bool is_text_key(std::string_view key) {
    return key.find_first_not_of("0123456789") != std::string_view::npos &&
           string(key, bias_text, "").has_value();
  }
  // One spelling for each id, so that none is there twice.
  static bool is_token_key(std::string_view key, double most) {
    std::uint64_t id = 0;
    const char* end = key.data() + key.size();
    const auto read = std::from_chars(key.data(), end, id);
    return read.ec == std::errc() && read.ptr == end &&
           (key.size() == 1 || key[0] != '0') &&
           static_cast<double>(id) <= most;
  }

  static api_result<void> count(const json::array& items, const field& f,
                                const std::string& path) {
    field limits{.name = f.name, .least = f.least, .most = f.most};
    if (f.most_items > 0) {
      limits.least = f.least_items;
      limits.most = f.most_items;
    }
    return size(items.size(), "items", limits, path);
  }
  static api_result<void> size(std::size_t n, const char* what, const field& f,
                               const std::string& path) {
    const auto x = static_cast<double>(n);
    if (x >= f.least && x <= f.most) return {};
    return wrong(path, "has " + std::to_string(n) + " " + what +
                           "; allowed are " + range_text(f));
  }

  static std::string at(const std::string& path, std::size_t i) {
    return path + "[" + std::to_string(i) + "]";
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
    if (ignored_->size() < max_ignored_fields)
      ignored_->push_back(std::move(path));
  }

  std::vector<std::string>* ignored_;
};

}  // namespace detail

TINYPHI_FUNC api_result<void> check_fields(const json::object& body,
                                           const request_table& table,
                                           std::vector<std::string>& ignored) {
  return detail::field_checker(ignored).table(body, table);
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

TINYPHI_FUNC std::string joined_text(const json::value& v) {
  if (const auto* s = v.if_string()) return std::string(*s);
  std::string text;
  for (const json::value& part : v.get_array()) {
    text += std::string_view(part.at("text").get_string());
  }
  return text;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_FIELDS_IPP_
