// SPDX-License-Identifier: MIT
// What the tables mean is read in spec_reader.ipp.
#ifndef TINYPHI_PIPELINE_SPEC_IPP_
#define TINYPHI_PIPELINE_SPEC_IPP_

#include "tinyphi/pipeline/spec.h"
#include "tinyphi/pipeline/spec_reader.h"
#include "tinyphi/pipeline/toml_file.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// What stages are made of besides their own tables.
inline constexpr std::string_view shared_tables[] = {
    "env", "allow", "model", "type", "rules", "prompt", "tool"};

// Of the whole file without its tests, and of what each stage is made of:
// comments, blanks and other stages make no difference to a stage.
inline void add_hashes(const config_node& root, pipeline_spec& spec) {
  std::string whole, shared;
  const auto* tables = root.get<config_table>();
  for (const config_member& m : *tables) {
    if (m.key == "test") continue;
    std::string text;
    spell(m.value, text);
    const std::string hash = joined_hash({m.key, text});
    whole += hash;
    if (std::ranges::find(shared_tables, m.key) != std::end(shared_tables)) {
      shared += hash;
    }
  }
  spec.hash = joined_hash({whole});
  for (auto& [name, tool] : spec.tools) tool.call.hash = joined_hash({shared});
  const config_member* stages = root.find("stage");
  if (stages == nullptr) return;
  for (stage_spec& s : spec.stages) {
    const config_member* own = stages->value.find(s.id);
    std::string text = shared;
    if (own != nullptr) spell(own->value, text);
    s.hash = joined_hash({text});
  }
}

}  // namespace detail

TINYPHI_FUNC std::optional<pipeline_spec> read_spec(
    std::string_view text, const std::filesystem::path& file,
    const std::function<std::optional<std::string>(const std::string&)>& env,
    std::vector<diagnostic>& faults, const library_reader& libraries) {
  std::optional<config_node> root = parse_toml(text, "a pipeline file", faults);
  if (!root) return std::nullopt;
  const std::size_t before = faults.size();
  std::optional<pipeline_spec> spec;
  std::vector<library_file> included;
  if (add_libraries(*root, file, libraries, included, faults)) {
    spec = spec_reader(*root, file, env, included, faults).read();
    detail::add_hashes(*root, *spec);
  }
  name_libraries(std::span(faults).subspan(before), included);
  return spec;
}

TINYPHI_FUNC type_table types_of(const pipeline_spec& spec) {
  type_table types;
  for (const auto& [name, t] : spec.types) types.emplace(name, t.type);
  return types;
}

TINYPHI_FUNC std::optional<error> find_size_fault(const value_data& data,
                                                  std::size_t max_bytes,
                                                  std::size_t max_items) {
  if (const auto* text = data.get<std::string>()) {
    if (text->size() > max_bytes) {
      return error{error_code::limit,
                   " is " + std::to_string(text->size()) + " bytes, at most " +
                       std::to_string(max_bytes) + " are allowed"};
    }
    const std::size_t bad = find_invalid_utf8(*text);
    if (bad == std::string_view::npos) return std::nullopt;
    return error{error_code::bad_data,
                 ": byte " + std::to_string(bad) + " is not UTF-8"};
  }
  if (const auto* items = data.get<value_data::list>()) {
    if (items->size() > max_items) {
      return error{error_code::limit, " has " + std::to_string(items->size()) +
                                          " items, at most " +
                                          std::to_string(max_items) +
                                          " are allowed"};
    }
    for (const value_data& item : *items) {
      if (auto wrong = find_size_fault(item, max_bytes, max_items)) {
        return wrong;
      }
    }
  }
  if (const auto* members = data.get<value_data::record>()) {
    for (const auto& m : *members) {
      if (auto wrong = find_size_fault(m.value, max_bytes, max_items)) {
        return wrong;
      }
    }
  }
  return std::nullopt;
}

TINYPHI_FUNC result<value_data> check_input(const input_spec& input,
                                            const value_data& data) {
  const std::string where = "input " + input.name;
  if (const auto wrong = find_misfit(data, input.type)) {
    return error{error_code::invalid_argument, where + ": " + *wrong};
  }
  if (auto wrong = find_size_fault(data, input.max_bytes, input.max_items)) {
    return error{wrong->code, where + wrong->message};
  }
  return conform(data, input.type);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_SPEC_IPP_
