// SPDX-License-Identifier: MIT
// The part of spec_reader that reads types and values, and fills in ${env.X}.
#ifndef TINYPHI_PIPELINE_SPEC_READER_VALUES_IPP_
#define TINYPHI_PIPELINE_SPEC_READER_VALUES_IPP_

#include "tinyphi/pipeline/named_types.h"
#include "tinyphi/pipeline/spec_reader.h"
#include "tinyphi/pipeline/spec_reader.ipp"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC std::optional<type> spec_reader::read_type(
    const config_node& node, const std::string& where) {
  const auto* text = node.get<std::string>();
  if (text == nullptr) {
    report(fault::wrong_type, node.at, where + ": a type is a string");
    return std::nullopt;
  }
  const auto own = spec_.types.find(element_name(*text));
  if (own != spec_.types.end()) own->second.used = true;
  auto named = parse_type(*text, types_of(spec_));
  if (named) return *std::move(named);
  report(named.error().code, node.at, where + ": " + named.error().message);
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

TINYPHI_FUNC std::filesystem::path spec_reader::resolve_path(
    const std::string& path, position at) const {
  if (at.library == 0) return base_dir_ / path;
  return base_dir_ / spec_.libraries[at.library - 1].folder / path;
}

TINYPHI_FUNC bool spec_reader::fill_in(config_node& node,
                                       const std::string& where, secrets kept) {
  if (node.get<std::string>() != nullptr) {
    return fill_in_text(node, where, kept);
  }
  bool right = true;
  if (auto* list = std::get_if<config_array>(&node.data)) {
    for (config_node& item : *list) {
      right = fill_in(item, where, kept) && right;
    }
  } else if (auto* table = std::get_if<config_table>(&node.data)) {
    for (config_member& m : *table) {
      right = fill_in(m.value, where, kept) && right;
    }
  }
  return right;
}

TINYPHI_FUNC bool spec_reader::fill_in_text(config_node& node,
                                            const std::string& where,
                                            secrets kept) {
  if (filled_bytes_ > spec_limits::max_filled_bytes) return false;  // reported
  const std::string text = *node.get<std::string>();
  const auto refuse = [&](fault code, std::size_t offset, std::string message) {
    report(code, node.text_position(offset), where + ": " + message);
    return false;
  };
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
      return refuse(fault::bad_env, i,
                    "'${' without '}'; write '$${' for the characters "
                    "themselves");
    }
    const std::string name = text.substr(i + 2, end - i - 2);
    if (name.starts_with("secret.")) {
      const bool is_whole = i == 0 && end + 1 == text.size();
      if (is_whole && kept == secrets::kept) {
        return fill_in_secret(node, name.substr(7), where);
      }
      return refuse(fault::bad_secret, i, std::string(secret_stands_alone));
    }
    const auto value = name.starts_with("env.") ? spec_.env.find(name.substr(4))
                                                : spec_.env.end();
    if (value == spec_.env.end()) {
      std::vector<std::string> full;
      for (const auto& e : spec_.env) full.push_back("env." + e.first);
      for (const auto& s : spec_.secrets) full.push_back("secret." + s.first);
      const std::vector<std::string_view> known(full.begin(), full.end());
      return refuse(
          fault::bad_env, i,
          "${" + name + "} names nothing in [env]" + did_you_mean(name, known));
    }
    const env_spec& env = value->second;
    if (env.poisoned) return false;
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
    if (node.get<std::string>() == nullptr) return true;
    if (out.size() > spec_limits::max_filled_bytes - filled_bytes_) {
      filled_bytes_ = spec_limits::max_filled_bytes + 1;
      return refuse(fault::out_of_range, i,
                    "with ${...} filled in, the file's texts have more than " +
                        std::to_string(spec_limits::max_filled_bytes) +
                        " bytes");
    }
    i = end + 1;
  }
  if (out == text) return true;
  filled_bytes_ +=
      std::min(out.size(), spec_limits::max_filled_bytes - filled_bytes_);
  node.data = std::move(out);
  node.text_at = {};
  return true;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_SPEC_READER_VALUES_IPP_
