// SPDX-License-Identifier: MIT
// What the tables mean is read in spec_reader.ipp.
#ifndef TINYPHI_PIPELINE_SPEC_IPP_
#define TINYPHI_PIPELINE_SPEC_IPP_

#include "tinyphi/pipeline/spec.h"
#include "tinyphi/pipeline/spec_reader.h"
#include "tinyphi/pipeline/toml_file.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC std::optional<pipeline_spec> read_spec(
    std::string_view text, const std::filesystem::path& file,
    const std::function<std::optional<std::string>(const std::string&)>& env,
    std::vector<diagnostic>& faults) {
  const std::optional<config_node> root =
      parse_toml(text, "a pipeline file", faults);
  if (!root) return std::nullopt;
  return spec_reader(*root, file, env, faults).read();
}

TINYPHI_FUNC type_table types_of(const pipeline_spec& spec) {
  type_table types;
  for (const auto& [name, t] : spec.types) types.emplace(name, t.type);
  return types;
}

namespace detail {

inline std::optional<error> find_size_fault(const value_data& data,
                                            const input_spec& input) {
  if (const auto* text = data.get<std::string>()) {
    if (text->size() > input.max_bytes) {
      return error{error_code::limit,
                   " is " + std::to_string(text->size()) + " bytes, at most " +
                       std::to_string(input.max_bytes) + " are allowed"};
    }
    const std::size_t bad = find_invalid_utf8(*text);
    if (bad == std::string_view::npos) return std::nullopt;
    return error{error_code::bad_data,
                 ": byte " + std::to_string(bad) + " is not UTF-8"};
  }
  if (const auto* items = data.get<value_data::list>()) {
    if (items->size() > input.max_items) {
      return error{error_code::limit, " has " + std::to_string(items->size()) +
                                          " items, at most " +
                                          std::to_string(input.max_items) +
                                          " are allowed"};
    }
    for (const value_data& item : *items) {
      if (auto wrong = find_size_fault(item, input)) return wrong;
    }
  }
  if (const auto* members = data.get<value_data::record>()) {
    for (const auto& m : *members) {
      if (auto wrong = find_size_fault(m.value, input)) return wrong;
    }
  }
  return std::nullopt;
}

}  // namespace detail

TINYPHI_FUNC result<value_data> check_input(const input_spec& input,
                                            const value_data& data) {
  const std::string where = "input " + input.name;
  if (const auto wrong = find_misfit(data, input.type)) {
    return error{error_code::invalid_argument, where + ": " + *wrong};
  }
  if (auto wrong = detail::find_size_fault(data, input)) {
    return error{wrong->code, where + wrong->message};
  }
  return conform(data, input.type);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_SPEC_IPP_
