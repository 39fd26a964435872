// SPDX-License-Identifier: MIT
// The types that a pipeline file can name, the language's and its own: of its
// inputs, and in parameters of stages.
#ifndef TINYPHI_PIPELINE_NAMED_TYPES_H_
#define TINYPHI_PIPELINE_NAMED_TYPES_H_

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/pipeline/record.h"
#include "tinyphi/pipeline/type.h"

TINYPHI_NAMESPACE_BEGIN

struct type_name_fault {
  fault code = fault::bad_type;
  std::string message;
};

namespace detail {

struct named_type {
  std::string_view name;
  type (*make)();
};
// All, but for lists of them.
inline constexpr named_type named_types[] = {
    {"text", [] { return type(type_kind::text); }},
    {"bool", [] { return type(type_kind::boolean); }},
    {"int", [] { return type(type_kind::integer); }},
    {"float", [] { return type(type_kind::number); }},
    {"duration", [] { return type(type_kind::duration); }},
    {"size", [] { return type(type_kind::size); }},
    {"file", [] { return type(type_kind::file); }},
    {"json", [] { return type(type_kind::json); }},
    {"document", &type_of<document>},
    {"call", &type_of<made_call>},
    {"citation", &type_of<citation>},
    {"verdict", &type_of<verdict>},
    {"failure", &type_of<failure>},
    {"message", &type_of<chat_message>}};

// Of the language, but not of this version.
inline constexpr std::string_view later_types[] = {"usage", "index"};
inline constexpr retired_key retired_types[] = {
    {"docs", "write \"list<document>\""},
    {"citations", "write \"list<citation>\""}};

inline const named_type* find_named_type(std::string_view name) {
  const auto* found = std::ranges::find(named_types, name, &named_type::name);
  return found == std::end(named_types) ? nullptr : found;
}

}  // namespace detail

// Whether the language itself uses the name for a type.
[[nodiscard]] inline bool is_type_name(std::string_view name) {
  return detail::find_named_type(name) != nullptr ||
         std::ranges::find(detail::later_types, name) !=
             std::end(detail::later_types) ||
         std::ranges::find(detail::retired_types, name, &retired_key::key) !=
             std::end(detail::retired_types);
}

// "invoice" of "list<list<invoice>>".
[[nodiscard]] constexpr std::string_view element_name(std::string_view text) {
  while (text.starts_with("list<") && text.ends_with('>')) {
    text = text.substr(5, text.size() - 6);
  }
  return text;
}

// What helps whoever wrote the name of a type that there is not. `known` are
// those that may stand there.
[[nodiscard]] inline std::string type_name_hint(
    std::string_view name, std::span<const std::string_view> known) {
  constexpr std::size_t most = 24;
  if (const std::string advice = key_hint(name, {}, detail::retired_types);
      !advice.empty()) {
    return advice;
  }
  if (known.empty()) return "; there is none";
  std::string list;
  for (const std::string_view one : known.first(std::min(known.size(), most))) {
    if (list.empty()) {
      list = known.size() == 1 ? "; there is " : "; there are ";
    } else {
      list += ", ";
    }
    list += one;
  }
  if (known.size() > most) list += ", ...";
  return list + did_you_mean(name, known);
}

// The type called "text", "list<document>", or as one of `own`.
[[nodiscard]] inline result<type, type_name_fault> parse_type(
    std::string_view text, const type_table& own = {}) {
  const std::string_view name = element_name(text);
  std::size_t n_lists = (text.size() - name.size()) / 6;
  if (n_lists > type::max_depth) {
    return type_name_fault{fault::out_of_range,
                           "lists nest " + std::to_string(n_lists) +
                               " deep, allowed are " +
                               std::to_string(type::max_depth)};
  }
  std::optional<type> t;
  if (const auto* found = detail::find_named_type(name)) t = found->make();
  if (const auto mine = own.find(name); mine != own.end()) t = mine->second;
  if (t) {
    while (n_lists-- > 0) t = type::list_of(*std::move(t));
    return *std::move(t);
  }
  if (std::ranges::find(detail::later_types, name) !=
      std::end(detail::later_types)) {
    return type_name_fault{fault::not_supported,
                           "type " + quote(text) + " is not supported yet"};
  }
  std::vector<std::string_view> names;
  for (const auto& one : own) names.push_back(one.first);
  for (const auto& one : detail::named_types) names.push_back(one.name);
  return type_name_fault{
      fault::bad_type, "no type " + quote(name) + type_name_hint(name, names)};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_NAMED_TYPES_H_
