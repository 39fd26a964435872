// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_SPEC_READER_IPP_
#define TINYPHI_PIPELINE_SPEC_READER_IPP_

#include <algorithm>
#include <charconv>
#include <cmath>

#include "tinyphi/pipeline/param.h"
#include "tinyphi/pipeline/spec_reader.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

template <class T>
std::optional<value_data> parse_number(std::string_view text) {
  T x{};
  const auto [end, ec] =
      std::from_chars(text.data(), text.data() + text.size(), x);
  if (ec != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return x;
}

// The types of the language that this version does not have.
inline bool is_later_type(std::string_view name) {
  constexpr std::string_view later[] = {
      "bytes", "json", "file", "messages", "verdict", "citation", "doc"};
  return std::ranges::find(later, name) != std::end(later) ||
         name.starts_with("list<") || name.starts_with("json<") ||
         name.starts_with("stream<");
}

}  // namespace detail

TINYPHI_FUNC std::optional<value_data> parse_value(value_type type,
                                                   std::string_view text) {
  switch (type) {
    case value_type::text:
      return std::string(text);
    case value_type::boolean:
      if (text == "true") return true;
      if (text == "false") return false;
      return std::nullopt;
    case value_type::integer:
      return detail::parse_number<std::int64_t>(text);
    case value_type::number:
      return detail::parse_number<double>(text);
    default:
      return std::nullopt;
  }
}

TINYPHI_FUNC std::optional<value_data> node_value(const config_node& node,
                                                  value_type type) {
  const auto scalar = [&](auto x) -> std::optional<value_data> {
    if (detail::read_scalar(node, x)) return x;
    return std::nullopt;
  };
  const auto* list = node.get<config_array>();
  const bool empty_list = list != nullptr && list->empty();
  switch (type) {
    case value_type::text:
      return scalar(std::string());
    case value_type::boolean:
      return scalar(false);
    case value_type::integer:
      return scalar(std::int64_t{0});
    case value_type::number:
      return scalar(0.0);
    case value_type::docs:
      if (empty_list) return documents();
      break;
    case value_type::cites:
      if (empty_list) return citations();
      break;
    case value_type::prompt:
      break;
  }
  return std::nullopt;
}

TINYPHI_FUNC pipeline_spec spec_reader::read() {
  check_keys(*root_, "",
             {"tinyphi", "pipeline", "env", "limits", "input", "output",
              "model", "stage"},
             {"include", "secret", "allow", "type", "rules", "tool", "mcp",
              "plugin", "switch", "each", "loop", "test"},
             {{"defaults", "write timeout in [limits]"}});
  read_head();
  read_env();
  read_limits();
  read_models();
  read_inputs();
  read_outputs();
  read_stages();
  return std::move(spec_);
}

TINYPHI_FUNC void spec_reader::read_head() {
  check_version();
  const config_node* head =
      section("pipeline", {"name", "version", "summary"}, {"serve"});
  if (head == nullptr) return;
  const auto take = [&](std::string_view key, std::string& out) {
    const auto* text =
        optional_key<std::string>(*head, key, "[pipeline]", "a string");
    if (text) out = *text;
  };
  take("name", spec_.name);
  take("version", spec_.version);
  take("summary", spec_.summary);
}

TINYPHI_FUNC void spec_reader::read_env() {
  const config_table* table = named_section("env");
  if (table == nullptr) return;
  for (const config_member& entry : *table) read_env_entry(entry);
}

TINYPHI_FUNC void spec_reader::read_env_entry(const config_member& entry) {
  const std::string where = "env " + entry.key;
  const auto name_char = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  if (entry.key.empty() || !std::ranges::all_of(entry.key, name_char)) {
    return report(fault::bad_name, entry.at,
                  "env " + quote(entry.key) +
                      ": a name is capital letters, digits and '_'");
  }
  if (!check_table(entry, where, {"type", "default", "min", "max"}, {})) return;
  const config_member* kind = entry.value.find("type");
  if (kind == nullptr) {
    return report(fault::missing_key, entry.at, where + ": type is missing");
  }
  const auto* name = kind->value.get<std::string>();
  constexpr std::string_view names[] = {"text", "path", "bool", "int", "float"};
  constexpr value_type types[] = {value_type::text, value_type::text,
                                  value_type::boolean, value_type::integer,
                                  value_type::number};
  const auto found = name ? std::ranges::find(names, *name) : std::end(names);
  if (found == std::end(names)) {
    return report(fault::out_of_range, kind->value.at,
                  where + ": type must be text, path, bool, int or float" +
                      (name ? did_you_mean(*name, names) : ""));
  }
  const value_type type = types[found - names];
  std::optional<value_data> value;
  position at = entry.at;
  if (const auto given = *env_ ? (*env_)(entry.key) : std::nullopt) {
    value = parse_value(type, *given);
    if (!value || find_invalid_utf8(*given) != std::string_view::npos) {
      return report(
          fault::bad_env, at,
          where + ": the environment's value is not of type " + *name);
    }
  } else if (const config_member* m = entry.value.find("default")) {
    at = m->value.at;
    value = read_value(m->value, type, where + ": default");
    if (!value) return;
  } else {
    return report(fault::bad_env, entry.at,
                  where + " is not set and has no default");
  }
  const auto bound = [&](std::string_view key, auto breaks) {
    const config_member* m = entry.value.find(key);
    double limit = 0, x = 0;
    if (m == nullptr) return;
    if (const auto* i = std::get_if<std::int64_t>(&*value)) {
      x = static_cast<double>(*i);
    } else if (const auto* d = std::get_if<double>(&*value)) {
      x = *d;
    } else {
      return report(fault::wrong_type, m->at,
                    where + ": only int and float have " + std::string(key));
    }
    if (!detail::read_scalar(m->value, limit)) {
      return report(fault::wrong_type, m->value.at,
                    where + ": " + std::string(key) + " must be a number");
    }
    const auto shown = [&](double y) {
      const auto whole = static_cast<std::int64_t>(std::clamp(y, -1e15, 1e15));
      const bool is_int =
          type == value_type::integer && static_cast<double>(whole) == y;
      return is_int ? std::to_string(whole) : detail::toml_number(y);
    };
    if (std::isnan(x) || breaks(x, limit)) {
      report(fault::out_of_range, at,
             where + " is " + shown(x) + ", its " + std::string(key) + " is " +
                 shown(limit));
    }
  };
  bound("min", std::less<>());
  bound("max", std::greater<>());
  spec_.env.emplace(entry.key, env_spec{*std::move(value), entry.at});
}

TINYPHI_FUNC void spec_reader::read_limits() {
  if (const config_node* limits = section(
          "limits", {"deadline", "timeout"},
          {"concurrency", "queue", "class", "memory", "items", "text"})) {
    spec_.deadline = read_duration(*limits, "deadline", "[limits]");
    default_timeout_ = read_duration(*limits, "timeout", "[limits]");
  }
}

TINYPHI_FUNC void spec_reader::read_models() {
  const config_table* table = named_section("model");
  if (table == nullptr || table->empty()) {
    spec_.models["default"] = {.name = "default", .path = {}, .context = 0};
    return;
  }
  for (const config_member& entry : *table) {
    const std::string where = "model " + entry.key;
    // A model that is wrong is kept, so that references to it stand.
    model_spec& model = spec_.models[entry.key];
    model.name = entry.key;
    spec_.models_at.emplace(entry.key, entry.at);
    if (!check_id(entry, "model") ||
        !check_table(
            entry, where, {"path", "context"}, {},
            {{"family", "leave it out: the model's file says it"},
             {"share", "leave it out: equal models share their weights"}})) {
      continue;
    }
    config_node filled = entry.value;
    fill_in(filled, where);
    if (const auto* path =
            optional_key<std::string>(filled, "path", where, "a string")) {
      model.path = base_dir_ / *path;
    }
    const auto* context =
        optional_key<std::int64_t>(filled, "context", where, "an integer");
    constexpr std::int64_t largest = std::int64_t{1} << 20;
    if (context && (*context < 1 || *context > largest)) {
      report(fault::out_of_range, filled.find("context")->value.at,
             where + ": context is " + std::to_string(*context) +
                 ", allowed are 1 to " + std::to_string(largest));
    } else if (context) {
      model.context = static_cast<std::size_t>(*context);
    }
  }
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_SPEC_READER_IPP_
