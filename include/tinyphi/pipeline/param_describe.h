// SPDX-License-Identifier: MIT
// Parameters of plugins as documentation and JSON Schema tell them.
#ifndef TINYPHI_PIPELINE_PARAM_DESCRIBE_H_
#define TINYPHI_PIPELINE_PARAM_DESCRIBE_H_

#include <chrono>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "tinyphi/pipeline/param.h"

TINYPHI_NAMESPACE_BEGIN

template <class Config, class T>
[[nodiscard]] param_info describe_param(const param_row<Config, T>& row);

namespace detail {

template <class Rows>
[[nodiscard]] std::vector<param_info> describe_params(const Rows& rows) {
  std::vector<param_info> all;
  std::apply(
      [&](const auto&... row) { (all.push_back(describe_param(row)), ...); },
      rows);
  return all;
}

// A key of a table, for JSON Schema; without a name, all that are not named.
[[nodiscard]] inline param_info plain_param(std::string name,
                                            value_shape shape) {
  param_info info;
  info.name = std::move(name);
  info.shape = shape;
  return info;
}

// What a file may have in place of a T, and the keys if that is a table.
template <param_type T>
void describe_shape(param_info& info) {
  const auto table_of = [&](value_shape entries) {
    info.shape = value_shape::table;
    info.rows = {plain_param({}, entries)};
  };
  if constexpr (std::same_as<T, bool>) {
    info.shape = value_shape::boolean;
  } else if constexpr (std::same_as<T, std::int64_t>) {
    info.shape = value_shape::integer;
  } else if constexpr (std::same_as<T, double>) {
    info.shape = value_shape::number;
  } else if constexpr (std::same_as<T, byte_size>) {
    info.shape = value_shape::size;
  } else if constexpr (std::same_as<T, std::chrono::milliseconds>) {
    info.shape = value_shape::duration;
  } else if constexpr (std::same_as<T, std::vector<rules_ref>> ||
                       std::same_as<T, std::vector<tool_ref>> ||
                       std::same_as<T, std::vector<std::string>>) {
    info.shape = value_shape::texts;
  } else if constexpr (param_table<T>) {
    info.shape = value_shape::table;
    info.rows = describe_params(T::params());
  } else if constexpr (is_param_tables<T>) {
    info.shape = value_shape::tables;
    info.rows = describe_params(T::value_type::params());
  } else if constexpr (std::same_as<T, std::map<std::string, declared_port>>) {
    table_of(value_shape::text | value_shape::table);
    info.rows[0].rows = {plain_param("type", value_shape::text),
                         plain_param("max_bytes", value_shape::size)};
    info.rows[0].rows[0].required = true;
  } else if constexpr (std::same_as<T, std::map<std::string, token_cap>>) {
    table_of(value_shape::integer | value_shape::table);
    info.rows[0].rows = {plain_param("max", value_shape::integer),
                         plain_param("over", value_shape::text)};
    info.rows[0].rows[0].required = true;
    info.rows[0].rows[1].allowed = "error, cut, drop";
  } else if constexpr (std::same_as<T, std::map<std::string, std::int64_t>>) {
    table_of(value_shape::integer);
  } else if constexpr (std::same_as<T, std::map<std::string, double>>) {
    table_of(value_shape::number);
  } else if constexpr (std::same_as<T, std::map<std::string, std::string>> ||
                       std::same_as<T, std::map<std::string, secret_text>>) {
    table_of(value_shape::text);
  }
}

}  // namespace detail

template <class Config, class T>
[[nodiscard]] param_info describe_param(const param_row<Config, T>& row) {
  param_info info{.name = std::string(row.name),
                  .type = std::string(detail::param_type_name<T>()),
                  .default_value = {},
                  .allowed = {},
                  .help = std::string(row.help),
                  .required = row.is_required};
  detail::describe_shape<T>(info);
  if constexpr (is_number<T>) {
    if (row.is_ranged) {
      if constexpr (std::same_as<T, std::int64_t> || std::same_as<T, double>) {
        info.low = static_cast<double>(row.low);
        info.high = static_cast<double>(row.high);
      } else if constexpr (std::same_as<T, byte_size>) {
        info.low = static_cast<double>(row.low.bytes);
        info.high = static_cast<double>(row.high.bytes);
      }
      info.allowed =
          detail::toml_number(row.low) + " to " + detail::toml_number(row.high);
    }
  }
  if constexpr (std::is_enum_v<T>) info.allowed = detail::joined(row.choices());
  if (row.is_required) return info;
  const Config defaults{};
  const T& value = defaults.*row.member;
  if constexpr (std::same_as<T, bool>) {
    info.default_value = value ? "true" : "false";
  } else if constexpr (is_number<T>) {
    info.default_value = detail::toml_number(value);
  } else if constexpr (std::is_enum_v<T>) {
    info.default_value =
        detail::quoted(row.words[static_cast<std::size_t>(value)]);
  } else if constexpr (std::same_as<T, std::string>) {
    info.default_value = detail::quoted(value);
  } else if constexpr (std::same_as<T, std::filesystem::path>) {
    info.default_value = detail::quoted(value.string());
  }
  return info;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_PARAM_DESCRIBE_H_
