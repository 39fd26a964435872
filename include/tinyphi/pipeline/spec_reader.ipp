// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_SPEC_READER_IPP_
#define TINYPHI_PIPELINE_SPEC_READER_IPP_

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "tinyphi/pipeline/named_types.h"
#include "tinyphi/pipeline/param.h"
#include "tinyphi/pipeline/spec_reader.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

template <class T>
std::optional<T> parse_number(std::string_view text) {
  T x{};
  const auto [end, ec] =
      std::from_chars(text.data(), text.data() + text.size(), x);
  if (ec != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return x;
}

// As parse_number, for a value of whatever type has one.
template <class T>
std::optional<value_data> as_data(std::optional<T> x) {
  if (!x) return std::nullopt;
  return value_data(*std::move(x));
}

inline std::optional<bool> parse_bool(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return std::nullopt;
}

}  // namespace detail

TINYPHI_FUNC std::optional<value_data> parse_value(const type& type,
                                                   std::string_view text) {
  const auto integer = [](auto x) -> std::optional<value_data> {
    constexpr auto largest = std::numeric_limits<std::int64_t>::max();
    if (!x || std::cmp_greater(*x, largest)) return std::nullopt;
    return value_data(static_cast<std::int64_t>(*x));
  };
  switch (type.kind()) {
    case type_kind::text:
    case type_kind::path:
    case type_kind::file:
      return value_data(text);
    case type_kind::boolean:
      return detail::as_data(detail::parse_bool(text));
    case type_kind::integer:
      return detail::as_data(detail::parse_number<std::int64_t>(text));
    case type_kind::number:
      return detail::as_data(detail::parse_number<double>(text));
    case type_kind::duration:
      if (const auto d = parse_duration(text)) {
        return integer(std::optional(d->count()));
      }
      return std::nullopt;
    case type_kind::size:
      return integer(parse_bytes(text));
    default:
      return std::nullopt;
  }
}

TINYPHI_FUNC value_data node_data(const config_node& node) {
  const auto convert = [](const auto& x) -> value_data {
    using T = std::decay_t<decltype(x)>;
    if constexpr (std::same_as<T, config_array>) {
      value_data::list items;
      for (const config_node& item : x) items.push_back(node_data(item));
      return items;
    } else if constexpr (std::same_as<T, config_table>) {
      value_data::record members;
      for (const config_member& m : x) {
        members.push_back({m.key, node_data(m.value)});
      }
      return members;
    } else if constexpr (std::same_as<T, secret_name>) {
      return {};  // parameters only have secrets, and these are no data
    } else {
      return x;
    }
  };
  return std::visit(convert, node.data);
}

TINYPHI_FUNC pipeline_spec spec_reader::read() {
  check_keys(*root_, "", key_table::file,
             {{"defaults", "write timeout in [limits]"},
              {"each", "write `each` in the stage that runs for every item"},
              {"loop", "write `repeat` in the stage that runs again"}});
  read_head();
  read_env();
  read_limits();
  read_secrets();
  read_models();
  read_rules();
  read_types();
  read_prompts();
  read_mcp_servers();
  read_inputs();
  read_outputs();
  read_allow();
  read_switches();
  read_stages();
  read_tools();
  read_triggers();
  read_tests();
  spec_.incomplete = incomplete_;
  return std::move(spec_);
}

TINYPHI_FUNC void spec_reader::check_keys(const config_node& node,
                                          const std::string& where,
                                          key_table table,
                                          retired_keys retired) {
  check_names(node, where, key_names(table), key_names(table, true), retired);
}

TINYPHI_FUNC bool spec_reader::check_table(const config_member& m,
                                           const std::string& where,
                                           key_table table,
                                           retired_keys retired) {
  if (!check_table(m, where)) return false;
  check_keys(m.value, where, table, retired);
  return true;
}

TINYPHI_FUNC const config_node* spec_reader::section(std::string_view key,
                                                     key_table table) {
  const config_member* m = root_->find(key);
  const std::string where = "[" + std::string(key) + "]";
  return m && check_table(*m, where, table) ? &m->value : nullptr;
}

TINYPHI_FUNC void spec_reader::read_head() {
  check_version();
  const config_node* head = section("pipeline", key_table::pipeline);
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
  for (const config_member& entry : *table) {
    if (entry.value.get<std::string>() == nullptr) {
      read_env_entry(entry);
      continue;
    }
    config_member whole = entry;  // NAME = "TYPE"
    whole.value.data = config_table{{"type", entry.at, entry.value}};
    read_env_entry(whole);
  }
}

TINYPHI_FUNC void spec_reader::read_env_entry(const config_member& entry) {
  const std::string where = "env " + entry.key;
  // A variable that is wrong is kept, so that references to it stand.
  env_spec& env = spec_.env[entry.key];
  env.at = entry.at;
  env.poisoned = true;
  const auto name_char = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  if (entry.key.empty() || !std::ranges::all_of(entry.key, name_char)) {
    return report(fault::bad_name, entry.at,
                  "env " + quote(entry.key) +
                      ": a name is capital letters, digits and '_'");
  }
  if (!check_table(entry, where, key_table::env)) return;
  optional_key<std::string>(entry.value, "doc", where, "a string");
  const config_member* kind = entry.value.find("type");
  if (kind == nullptr) {
    return report(fault::missing_key, entry.at, where + ": type is missing");
  }
  const auto* name = kind->value.get<std::string>();
  const auto names = key_words(key_table::env, "type");
  constexpr type_kind kinds[] = {type_kind::text,    type_kind::path,
                                 type_kind::boolean, type_kind::integer,
                                 type_kind::number,  type_kind::duration,
                                 type_kind::size};
  const auto found = name ? std::ranges::find(names, *name) : names.end();
  if (name == nullptr) {
    return report(fault::wrong_type, kind->value.at,
                  where + ": a type is a string");
  }
  if (found == names.end()) {
    return report(fault::bad_type, kind->value.at,
                  where + ": no type " + quote(*name) + " in [env]" +
                      type_name_hint(*name, names));
  }
  if (!check_no_secret(entry.value, where)) return;
  const type type = kinds[found - names.begin()];
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
    // The file that uses it is in another folder.
    if (type.is(type_kind::path) && at.library != 0) {
      value = std::filesystem::absolute(
                  resolve_path(*value->get<std::string>(), at))
                  .lexically_normal()
                  .string();
    }
  } else {
    return report(fault::bad_env, entry.at,
                  where + " is not set and has no default");
  }
  const auto bound = [&](std::string_view key, auto breaks) {
    const config_member* m = entry.value.find(key);
    double limit = 0;
    if (m == nullptr) return;
    if (!type.is_number()) {
      return report(fault::wrong_type, m->at,
                    where + ": only int and float have " + std::string(key));
    }
    const double x = *value->number();
    if (!detail::read_scalar(m->value, limit)) {
      return report(fault::wrong_type, m->value.at,
                    where + ": " + std::string(key) + " must be a number");
    }
    const auto shown = [&](double y) {
      const auto whole = static_cast<std::int64_t>(std::clamp(y, -1e15, 1e15));
      const bool is_int =
          type.is(type_kind::integer) && static_cast<double>(whole) == y;
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
  env.value = *std::move(value);
  env.type = type;
  env.poisoned = false;
}

TINYPHI_FUNC void spec_reader::read_limits() {
  const config_node* limits = section("limits", key_table::limits);
  if (limits == nullptr) return;
  const std::string where = "[limits]";
  for (const config_member& m : *limits->get<config_table>()) {
    spec_.limits_at.emplace(m.key, m.at);
  }
  spec_.deadline = read_duration(*limits, "deadline", where);
  default_timeout_ = read_duration(*limits, "timeout", where);
  request_limits& most = spec_.limits;
  const auto count = [&](std::string_view key, std::size_t& out,
                         std::int64_t low, std::size_t high) {
    const auto n =
        read_integer(*limits, key, where, low, static_cast<std::int64_t>(high));
    if (n) out = static_cast<std::size_t>(*n);
  };
  count("items", most.items, 1, request_limits::most_items);
  count("concurrency", most.concurrency, 1, request_limits::most_concurrency);
  count("queue", most.queue, 0, request_limits::most_queue);
  most.text = read_size(*limits, "text", where, request_limits::most_text)
                  .value_or(most.text);
  most.memory = read_size(*limits, "memory", where, request_limits::most_memory)
                    .value_or(most.memory);
  if (const auto n = read_choice(*limits, "class", where,
                                 key_words(key_table::limits, "class"))) {
    most.priority = static_cast<priority_class>(*n);
  }
}

TINYPHI_FUNC std::optional<std::size_t> spec_reader::read_size(
    const config_node& table, std::string_view key, const std::string& where,
    std::size_t high) {
  const config_member* m = table.find(key);
  if (m != nullptr && m->value.get<std::string>() != nullptr) {
    const auto n = read_bytes(table, key, where, 1024, high);
    return n ? std::optional<std::size_t>(*n) : std::nullopt;
  }
  const auto n =
      read_integer(table, key, where, 1, static_cast<std::int64_t>(high));
  return n ? std::optional(static_cast<std::size_t>(*n)) : std::nullopt;
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
            entry, where, key_table::model,
            {{"family", "leave it out: the model's file says it"},
             {"share", "leave it out: equal models share their weights"}})) {
      continue;
    }
    config_node filled = entry.value;
    if (!fill_in(filled, where)) continue;
    if (const auto* path =
            optional_key<std::string>(filled, "path", where, "a string")) {
      model.path = resolve_path(*path, entry.at);
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
