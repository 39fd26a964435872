// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_TYPE_IPP_
#define TINYPHI_PIPELINE_TYPE_IPP_

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "tinyphi/pipeline/type.h"
#include "tinyphi/pipeline/value_check.h"

TINYPHI_NAMESPACE_BEGIN

struct type::parts {
  type element;
  std::string name;
  std::vector<field> fields;
  std::vector<std::string> words;
  std::optional<schema> rules;
};

TINYPHI_FUNC type type::list_of(type element) {
  type t(type_kind::list);
  parts p;
  p.element = std::move(element);
  t.parts_ = std::make_shared<const parts>(std::move(p));
  return t;
}

TINYPHI_FUNC type type::record_of(std::string name, std::vector<field> fields) {
  type t(type_kind::record);
  parts p;
  p.name = std::move(name);
  p.fields = std::move(fields);
  t.parts_ = std::make_shared<const parts>(std::move(p));
  return t;
}

TINYPHI_FUNC type type::one_of(std::vector<std::string> words) {
  type t(type_kind::text);
  parts p;
  p.words = std::move(words);
  t.parts_ = std::make_shared<const parts>(std::move(p));
  return t;
}

TINYPHI_FUNC type type::ruled_by(type t, schema rules, std::string name) {
  parts p = t.parts_ == nullptr ? parts() : *t.parts_;
  p.name = std::move(name);
  p.rules = std::move(rules);
  t.parts_ = std::make_shared<const parts>(std::move(p));
  return t;
}

TINYPHI_FUNC type type::element() const {
  return kind_ == type_kind::list && parts_ ? parts_->element : type();
}

TINYPHI_FUNC std::span<const type::field> type::fields() const {
  if (parts_ == nullptr) return {};
  return parts_->fields;
}

TINYPHI_FUNC const type::field* type::find_field(std::string_view name) const {
  for (const field& f : fields()) {
    if (f.name == name) return &f;
  }
  return nullptr;
}

TINYPHI_FUNC const type* type::find(std::string_view name) const {
  const field* f = find_field(name);
  return f == nullptr ? nullptr : &f->type;
}

TINYPHI_FUNC const schema* type::rules() const {
  return parts_ != nullptr && parts_->rules ? &*parts_->rules : nullptr;
}

TINYPHI_FUNC std::span<const std::string> type::words() const {
  if (parts_ == nullptr) return {};
  return parts_->words;
}

TINYPHI_FUNC bool operator==(const type& a, const type& b) {
  const auto same = [](const type::field& x, const type::field& y) {
    return x.name == y.name && x.type == y.type && x.optional == y.optional;
  };
  return a.kind_ == b.kind_ &&
         (a.parts_ == b.parts_ ||
          (a.element() == b.element() &&
           std::ranges::equal(a.fields(), b.fields(), same) &&
           std::ranges::equal(a.words(), b.words())));
}

namespace detail {

inline std::string joined(std::string text, std::string_view part) {
  if (!text.empty()) text += ", ";
  return text += part;
}

// What a value of JSON can be is of these types.
inline bool has_json_form(const type& t) {
  switch (t.kind()) {
    case type_kind::prompt:
      return false;
    case type_kind::list:
      return has_json_form(t.element());
    case type_kind::record:
      return std::ranges::all_of(t.fields(), has_json_form, &type::field::type);
    default:
      return true;
  }
}

}  // namespace detail

TINYPHI_FUNC std::string to_string(const type& t) {
  constexpr std::string_view names[] = {
      "anything", "text", "bool", "int",  "float",  "duration", "size",
      "path",     "file", "json", "list", "record", "prompt"};
  std::string list;
  if (!t.words().empty()) {
    constexpr std::size_t most = 32;
    for (const std::string& w : t.words()) {
      if (list.size() > most * 32) return "one of " + list + ", ...";
      list = detail::joined(list, w);
    }
    return "one of " + list;
  }
  if (t.parts_ != nullptr && !t.parts_->name.empty()) return t.parts_->name;
  if (t.kind_ == type_kind::list) return "list<" + to_string(t.element()) + ">";
  if (t.kind_ == type_kind::record) {
    for (const auto& f : t.fields()) list = detail::joined(list, f.name);
    return "{ " + list + " }";
  }
  return std::string(names[static_cast<std::size_t>(t.kind_)]);
}

TINYPHI_FUNC bool fits(const type& from, const type& to) {
  if (from.is(type_kind::any) || to.is(type_kind::any)) return true;
  if (to.is(type_kind::json)) return detail::has_json_form(from);
  if (from.kind() != to.kind()) {
    return (from.is(type_kind::integer) && to.is(type_kind::number)) ||
           (from.is(type_kind::path) && to.is(type_kind::file));
  }
  const auto is_word = [&](const std::string& w) {
    return std::ranges::find(to.words(), w) != to.words().end();
  };
  const auto field_fits = [&](const type::field& f) {
    const type::field* given = from.find_field(f.name);
    return given != nullptr && fits(given->type, f.type) &&
           (f.optional || !given->optional);
  };
  switch (from.kind()) {
    case type_kind::text:
      return to.words().empty() || (!from.words().empty() &&
                                    std::ranges::all_of(from.words(), is_word));
    case type_kind::list:
      return fits(from.element(), to.element());
    case type_kind::record:
      return from.fields().size() == to.fields().size() &&
             std::ranges::all_of(to.fields(), field_fits);
    default:
      return true;
  }
}

TINYPHI_FUNC std::string_view kind_of(const value_data& data) {
  if (data.get<std::string>()) return "a text";
  if (data.get<bool>()) return "true or false";
  if (data.get<std::int64_t>()) return "an integer";
  if (data.get<double>()) return "a number";
  if (data.get<value_data::list>()) return "a list";
  if (data.get<value_data::record>()) return "a record";
  if (data.get<labelled_prompt>()) return "a prompt";
  return "null";
}

namespace detail {

// Whether a JSON pointer leads to something.
inline bool has_place(const value_data& data, std::string_view pointer) {
  const value_data* at = &data;
  while (!pointer.empty()) {
    pointer.remove_prefix(1);
    const std::size_t size = std::min(pointer.find('/'), pointer.size());
    const std::string_view token = pointer.substr(0, size);
    pointer.remove_prefix(size);
    if (const auto* items = at->get<value_data::list>()) {
      std::size_t i = 0;
      std::from_chars(token.data(), token.data() + token.size(), i);
      if (i >= items->size()) return false;
      at = &(*items)[i];
      continue;
    }
    const auto* members = at->get<value_data::record>();
    if (members == nullptr) return false;
    const auto it = std::ranges::find_if(*members, [&](const auto& m) {
      return pointer_token(m.name) == token;
    });
    if (it == members->end()) return false;
    at = &it->value;
  }
  return true;
}

// One search. What it returns begins with ": ", or with the next step to the
// place, ".name" or "[2]".
class misfit_search {
 public:
  using found = std::optional<std::string>;

  // Of data that was given in part, schemas are asked about that part only.
  explicit misfit_search(bool in_part) : in_part_(in_part) {}

  // `given`: what was given of the data; null for nothing.
  found run(const value_data& data, const type& t, const value_data* given) {
    if (t.rules() == nullptr) return look(data, t, given);
    if (auto wrong = ask(*t.rules(), data, given)) return ": " + *wrong;
    const bool outer = std::exchange(is_ruled_, true);
    auto wrong = look(data, t, given);
    is_ruled_ = outer;
    return wrong;
  }

 private:
  found ask(const schema& rules, const value_data& data,
            const value_data* given) const {
    // What was not given may have many faults.
    const std::size_t most = in_part_ ? 4096 : 1;
    const auto faults = check_data(rules, data, {.max_faults = most});
    if (!faults) return faults.error().message;
    for (const value_fault& f : *faults) {
      const bool is_given = given != nullptr && has_place(*given, f.at);
      if (!in_part_ || is_given) return in_words(f);
    }
    return std::nullopt;
  }

  // JSON does not know whether a number is an integer.
  bool is_integer(const value_data& data) const {
    const double* x = data.get<double>();
    return data.get<std::int64_t>() != nullptr ||
           (is_ruled_ && x != nullptr && std::trunc(*x) == *x &&
            *x >= -0x1p63 && *x < 0x1p63);
  }

  found look_in_list(const value_data::list& items, const type& element,
                     const value_data* given) {
    const auto* given_items =
        given == nullptr ? nullptr : given->get<value_data::list>();
    for (std::size_t i = 0; i < items.size(); ++i) {
      const bool is_given = given_items != nullptr && i < given_items->size();
      if (auto wrong =
              run(items[i], element, is_given ? &(*given_items)[i] : nullptr)) {
        return "[" + std::to_string(i) + "]" + *wrong;
      }
    }
    return std::nullopt;
  }

  found look_in_record(const value_data::record& members, const type& t,
                       const value_data* given) {
    for (const auto& m : members) {
      const type* wanted = t.find(m.name);
      if (wanted == nullptr) {
        return ": " + to_string(t) + " has no field '" + m.name + "'";
      }
      if (auto wrong = run(m.value, *wanted,
                           given == nullptr ? nullptr : given->find(m.name))) {
        return "." + m.name + *wrong;
      }
    }
    for (const auto& f : t.fields()) {
      if (!f.optional &&
          std::ranges::find(members, f.name, &value_data::member::name) ==
              members.end()) {
        return "." + f.name + ": is missing";
      }
    }
    return std::nullopt;
  }

  found look(const value_data& data, const type& t, const value_data* given) {
    const auto needs = [&](bool right) -> found {
      if (right) return std::nullopt;
      return ": " + std::string(kind_of(data)) + ", not " +
             (t.is(type_kind::integer) ? "an " : "a ") + to_string(t);
    };
    const auto* text = data.get<std::string>();
    const auto* list = data.get<value_data::list>();
    const auto* record = data.get<value_data::record>();
    switch (t.kind()) {
      case type_kind::any:
        return std::nullopt;
      case type_kind::text:
        if (text != nullptr && !t.words().empty() &&
            std::ranges::find(t.words(), *text) == t.words().end()) {
          return ": '" + *text + "' is not " + to_string(t);
        }
        return needs(text != nullptr);
      case type_kind::path:
      case type_kind::file:
        return needs(text != nullptr);
      case type_kind::boolean:
        return needs(data.get<bool>() != nullptr);
      case type_kind::integer:
        return needs(is_integer(data));
      case type_kind::duration:
      case type_kind::size:
        return needs(data.get<std::int64_t>() != nullptr);
      case type_kind::number:
        if (const auto x = data.number(); x && !std::isfinite(*x)) {
          return ": not a finite number";
        }
        return needs(data.number().has_value());
      case type_kind::list:
        if (list == nullptr) return needs(false);
        return look_in_list(*list, t.element(), given);
      case type_kind::record:
        if (record == nullptr) return needs(false);
        return look_in_record(*record, t, given);
      case type_kind::json:
        return look_in_json(data, t);
      case type_kind::prompt:
        return needs(data.get<labelled_prompt>() != nullptr);
    }
    return std::nullopt;
  }

  // Prompts have no form in JSON.
  found look_in_json(const value_data& data, const type& t) {
    if (data.get<labelled_prompt>() != nullptr) {
      return ": a prompt, not a " + to_string(t);
    }
    if (const auto* items = data.get<value_data::list>()) {
      for (std::size_t i = 0; i < items->size(); ++i) {
        if (auto wrong = look_in_json((*items)[i], t)) {
          return "[" + std::to_string(i) + "]" + *wrong;
        }
      }
    }
    if (const auto* members = data.get<value_data::record>()) {
      for (const auto& m : *members) {
        if (auto wrong = look_in_json(m.value, t)) return "." + m.name + *wrong;
      }
    }
    return std::nullopt;
  }

  bool in_part_;
  bool is_ruled_ = false;
};

// The whole has no place.
inline std::optional<std::string> without_colon(
    std::optional<std::string> wrong) {
  if (wrong && wrong->starts_with(": ")) wrong->erase(0, 2);
  return wrong;
}

}  // namespace detail

TINYPHI_FUNC std::optional<std::string> find_misfit(const value_data& data,
                                                    const type& t) {
  return detail::without_colon(
      detail::misfit_search(false).run(data, t, nullptr));
}

TINYPHI_FUNC std::optional<std::string> find_misfit(const value_data& data,
                                                    const type& t,
                                                    const value_data& given) {
  return detail::without_colon(
      detail::misfit_search(true).run(data, t, &given));
}

TINYPHI_FUNC value_data conform(const value_data& data, const type& t) {
  if (t.is(type_kind::number)) return data.number().value_or(0);
  if (const double* x = data.get<double>(); x && t.is(type_kind::integer)) {
    return static_cast<std::int64_t>(*x);
  }
  if (const auto* items = data.get<value_data::list>();
      items != nullptr && t.is(type_kind::list)) {
    value_data::list out;
    out.reserve(items->size());
    for (const value_data& item : *items) {
      out.push_back(conform(item, t.element()));
    }
    return out;
  }
  if (data.get<value_data::record>() != nullptr && t.is(type_kind::record)) {
    value_data::record out;
    for (const type::field& f : t.fields()) {
      if (const value_data* member = data.find(f.name)) {
        out.push_back({f.name, conform(*member, f.type)});
      }
    }
    return out;
  }
  return data;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_TYPE_IPP_
