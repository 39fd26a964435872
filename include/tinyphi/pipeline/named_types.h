// SPDX-License-Identifier: MIT
// The types that a pipeline file can name: of its inputs, and in parameters of
// stages.
#ifndef TINYPHI_PIPELINE_NAMED_TYPES_H_
#define TINYPHI_PIPELINE_NAMED_TYPES_H_

#include <algorithm>
#include <cstddef>
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
  fault code = fault::out_of_range;
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
    {"citation", &type_of<citation>},
    {"verdict", &type_of<verdict>},
    {"failure", &type_of<failure>},
    {"message", &type_of<chat_message>}};

}  // namespace detail

// The type called "text", "list<document>", ...
[[nodiscard]] inline result<type, type_name_fault> parse_type(
    std::string_view text) {
  std::string_view name = text;
  std::size_t n_lists = 0;
  while (name.starts_with("list<") && name.ends_with('>')) {
    name = name.substr(5, name.size() - 6);
    ++n_lists;
  }
  if (n_lists > type::max_depth) {
    return type_name_fault{fault::out_of_range,
                           "lists nest " + std::to_string(n_lists) +
                               " deep, allowed are " +
                               std::to_string(type::max_depth)};
  }
  const auto found =
      std::ranges::find(detail::named_types, name, &detail::named_type::name);
  if (found != std::end(detail::named_types)) {
    type t = found->make();
    while (n_lists-- > 0) t = type::list_of(std::move(t));
    return t;
  }
  constexpr std::string_view later[] = {"usage", "call", "index"};
  constexpr retired_key retired[] = {{"docs", "write \"list<document>\""},
                                     {"citations", "write \"list<citation>\""}};
  if (std::ranges::find(later, name) != std::end(later)) {
    return type_name_fault{fault::not_supported,
                           "type " + quote(text) + " is not supported yet"};
  }
  std::vector<std::string_view> names;
  for (const detail::named_type& t : detail::named_types) {
    names.push_back(t.name);
  }
  return type_name_fault{
      fault::out_of_range,
      "no type " + quote(name) + key_hint(name, names, retired)};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_NAMED_TYPES_H_
