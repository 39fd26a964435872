// SPDX-License-Identifier: MIT
// The part of spec_reader that reads types and values, and fills in ${env.X}.
#ifndef TINYPHI_PIPELINE_SPEC_READER_VALUES_IPP_
#define TINYPHI_PIPELINE_SPEC_READER_VALUES_IPP_

#include "tinyphi/pipeline/spec_reader.h"
#include "tinyphi/pipeline/spec_reader.ipp"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

struct named_type {
  std::string_view name;
  type (*make)();
};
// The types that a file can name, but for lists of them.
inline constexpr named_type named_types[] = {
    {"text", [] { return type(type_kind::text); }},
    {"bool", [] { return type(type_kind::boolean); }},
    {"int", [] { return type(type_kind::integer); }},
    {"float", [] { return type(type_kind::number); }},
    {"duration", [] { return type(type_kind::duration); }},
    {"size", [] { return type(type_kind::size); }},
    {"json", [] { return type(type_kind::json); }},
    {"document", &type_of<document>},
    {"citation", &type_of<citation>},
    {"verdict", &type_of<verdict>},
    {"failure", &type_of<failure>},
    {"message", &type_of<chat_message>}};

}  // namespace detail

TINYPHI_FUNC std::optional<type> spec_reader::read_type(
    const config_node& node, const std::string& where) {
  const auto* text = node.get<std::string>();
  if (text == nullptr) {
    report(fault::wrong_type, node.at, where + ": a type is a string");
    return std::nullopt;
  }
  std::string_view name = *text;
  std::size_t n_lists = 0;
  while (name.starts_with("list<") && name.ends_with('>')) {
    name = name.substr(5, name.size() - 6);
    ++n_lists;
  }
  if (n_lists > type::max_depth) {
    report(fault::out_of_range, node.at,
           where + ": lists nest " + std::to_string(n_lists) +
               " deep, allowed are " + std::to_string(type::max_depth));
    return std::nullopt;
  }
  const auto found =
      std::ranges::find(detail::named_types, name, &detail::named_type::name);
  if (found != std::end(detail::named_types)) {
    type t = found->make();
    while (n_lists-- > 0) t = type::list_of(std::move(t));
    return t;
  }
  constexpr std::string_view later[] = {"file", "message", "usage", "call",
                                        "index"};
  constexpr retired_key retired[] = {{"docs", "write \"list<document>\""},
                                     {"citations", "write \"list<citation>\""}};
  if (std::ranges::find(later, name) != std::end(later)) {
    report(fault::not_supported, node.at,
           where + ": type " + quote(*text) + " is not supported yet");
    return std::nullopt;
  }
  std::vector<std::string_view> names;
  for (const detail::named_type& t : detail::named_types) {
    names.push_back(t.name);
  }
  report(fault::out_of_range, node.at,
         where + ": no type " + quote(name) + key_hint(name, names, retired));
  return std::nullopt;
}

TINYPHI_FUNC std::optional<value_data> spec_reader::read_value(
    const config_node& node, const type& type, const std::string& where) {
  // Durations and sizes are written as texts.
  const auto* text = node.get<std::string>();
  if (text != nullptr &&
      (type.is(type_kind::duration) || type.is(type_kind::size))) {
    if (auto value = parse_value(type, *text)) return value;
    report(fault::type_mismatch, node.at,
           where + " is " + quote(*text) + ", the type is " + to_string(type));
    return std::nullopt;
  }
  value_data value = node_data(node);
  const auto wrong = find_misfit(value, type);
  if (!wrong) return conform(value, type);
  report(fault::type_mismatch, node.at, where + ": " + *wrong);
  return std::nullopt;
}

TINYPHI_FUNC void spec_reader::fill_in(config_node& node,
                                       const std::string& where) {
  if (node.get<std::string>() != nullptr) return fill_in_text(node, where);
  if (auto* list = std::get_if<config_array>(&node.data)) {
    for (config_node& item : *list) fill_in(item, where);
  } else if (auto* table = std::get_if<config_table>(&node.data)) {
    for (config_member& m : *table) fill_in(m.value, where);
  }
}

TINYPHI_FUNC void spec_reader::fill_in_text(config_node& node,
                                            const std::string& where) {
  if (filled_bytes_ > spec_limits::max_filled_bytes) return;  // reported
  const std::string text = *node.get<std::string>();
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] != '$' || i + 1 == text.size() ||
        (text[i + 1] != '$' && text[i + 1] != '{')) {
      out += text[i++];
      continue;
    }
    if (text[i + 1] == '$') {
      out += '$', i += 2;
      continue;
    }
    const std::size_t end = text.find('}', i);
    if (end == std::string::npos) {
      return report(fault::bad_env, node.text_position(i),
                    where +
                        ": '${' without '}'; write '$${' for the "
                        "characters themselves");
    }
    const std::string name = text.substr(i + 2, end - i - 2);
    if (name.starts_with("secret.")) {
      return report(fault::not_supported, node.text_position(i),
                    where + ": ${secret.x} is not supported yet");
    }
    const auto value = name.starts_with("env.") ? spec_.env.find(name.substr(4))
                                                : spec_.env.end();
    if (value == spec_.env.end()) {
      std::vector<std::string> full;
      for (const auto& e : spec_.env) full.push_back("env." + e.first);
      const std::vector<std::string_view> known(full.begin(), full.end());
      return report(fault::bad_env, node.text_position(i),
                    where + ": ${" + name + "} names nothing in [env]" +
                        did_you_mean(name, known));
    }
    const env_spec& env = value->second;
    const bool is_alone = i == 0 && end + 1 == text.size();
    if (const auto* t = env.value.get<std::string>()) {
      out += *t;
    } else if (const auto* yes = env.value.get<bool>()) {
      out += *yes ? "true" : "false";
      if (is_alone) node.data = *yes;
    } else if (const auto* n = env.value.get<std::int64_t>()) {
      out += std::to_string(*n);
      if (is_alone) node.data = *n;
    } else if (const auto* x = env.value.get<double>()) {
      out += detail::toml_number(*x);
      if (is_alone) node.data = *x;
    }
    value->second.in_text = true;
    if (node.get<std::string>() == nullptr) return;
    if (out.size() > spec_limits::max_filled_bytes - filled_bytes_) {
      filled_bytes_ = spec_limits::max_filled_bytes + 1;
      return report(fault::out_of_range, node.text_position(i),
                    where +
                        ": with ${...} filled in, the file's texts have "
                        "more than " +
                        std::to_string(spec_limits::max_filled_bytes) +
                        " bytes");
    }
    i = end + 1;
  }
  if (out == text) return;
  filled_bytes_ +=
      std::min(out.size(), spec_limits::max_filled_bytes - filled_bytes_);
  node.data = std::move(out);
  node.text_at = {};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_SPEC_READER_VALUES_IPP_
