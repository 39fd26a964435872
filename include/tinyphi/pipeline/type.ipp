// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_TYPE_IPP_
#define TINYPHI_PIPELINE_TYPE_IPP_

#include <algorithm>
#include <cmath>
#include <utility>

#include "tinyphi/pipeline/type.h"

TINYPHI_NAMESPACE_BEGIN

struct type::parts {
  type element;
  std::string name;
  std::vector<field> fields;
  std::vector<std::string> words;
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

TINYPHI_FUNC type type::element() const {
  return kind_ == type_kind::list && parts_ ? parts_->element : type();
}

TINYPHI_FUNC std::span<const type::field> type::fields() const {
  if (parts_ == nullptr) return {};
  return parts_->fields;
}

TINYPHI_FUNC const type* type::find(std::string_view name) const {
  for (const field& f : fields()) {
    if (f.name == name) return &f.type;
  }
  return nullptr;
}

TINYPHI_FUNC std::span<const std::string> type::words() const {
  if (parts_ == nullptr) return {};
  return parts_->words;
}

TINYPHI_FUNC bool operator==(const type& a, const type& b) {
  const auto same = [](const type::field& x, const type::field& y) {
    return x.name == y.name && x.type == y.type;
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
    for (const std::string& w : t.words()) list = detail::joined(list, w);
    return "one of " + list;
  }
  if (t.kind_ == type_kind::list) return "list<" + to_string(t.element()) + ">";
  if (t.kind_ == type_kind::record) {
    if (!t.parts_->name.empty()) return t.parts_->name;
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
    const type* given = from.find(f.name);
    return given != nullptr && fits(*given, f.type);
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

inline std::optional<std::string> find_misfit_in(const value_data& data,
                                                 const type& t);

inline std::optional<std::string> find_misfit_in_list(
    const value_data::list& items, const type& element) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (auto wrong = find_misfit_in(items[i], element)) {
      return "[" + std::to_string(i) + "]" + *wrong;
    }
  }
  return std::nullopt;
}

inline std::optional<std::string> find_misfit_in_record(
    const value_data::record& members, const type& t) {
  for (const auto& m : members) {
    const type* wanted = t.find(m.name);
    if (wanted == nullptr) {
      return ": " + to_string(t) + " has no field '" + m.name + "'";
    }
    if (auto wrong = find_misfit_in(m.value, *wanted)) {
      return "." + m.name + *wrong;
    }
  }
  for (const auto& f : t.fields()) {
    if (std::ranges::find(members, f.name, &value_data::member::name) ==
        members.end()) {
      return "." + f.name + ": is missing";
    }
  }
  return std::nullopt;
}

inline std::optional<std::string> find_misfit_in(const value_data& data,
                                                 const type& t) {
  const auto needs = [&](bool right) -> std::optional<std::string> {
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
      return find_misfit_in_list(*list, t.element());
    case type_kind::record:
      if (record == nullptr) return needs(false);
      return find_misfit_in_record(*record, t);
    case type_kind::json:
      if (data.get<labelled_prompt>() != nullptr) return needs(false);
      if (list != nullptr) return find_misfit_in_list(*list, t);
      if (record != nullptr) {
        for (const auto& m : *record) {
          if (auto wrong = find_misfit_in(m.value, t)) {
            return "." + m.name + *wrong;
          }
        }
      }
      return std::nullopt;
    case type_kind::prompt:
      return needs(data.get<labelled_prompt>() != nullptr);
  }
  return std::nullopt;
}

}  // namespace detail

TINYPHI_FUNC std::optional<std::string> find_misfit(const value_data& data,
                                                    const type& t) {
  auto wrong = detail::find_misfit_in(data, t);
  // The whole has no place.
  if (wrong && wrong->starts_with(": ")) wrong->erase(0, 2);
  return wrong;
}

TINYPHI_FUNC value_data conform(const value_data& data, const type& t) {
  if (t.is(type_kind::number)) return data.number().value_or(0);
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
