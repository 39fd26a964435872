// SPDX-License-Identifier: MIT
// What a parameter of a stage may be.
#ifndef TINYPHI_PIPELINE_PARAM_TYPES_H_
#define TINYPHI_PIPELINE_PARAM_TYPES_H_

#include <chrono>
#include <compare>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "tinyphi/pipeline/secret.h"
#include "tinyphi/pipeline/type.h"

TINYPHI_NAMESPACE_BEGIN

// A parameter that names a [model.x] table. Left out, it is the only one.
struct model_ref {
  std::string name;
};

// A name of a [rules.x] table; a parameter is a list of them.
struct rules_ref {
  std::string name;
};

// A name of a [tool.x] table; a parameter is a list of them.
struct tool_ref {
  std::string name;
};

// The type that a parameter names: "text", "list<document>", or one of the
// [type.x] tables.
struct type_ref {
  std::string name;
  tinyphi::type type;
};

// A port that a parameter declares: its type, or { type, max_bytes }.
struct declared_port {
  type_ref type;
  std::optional<std::uint64_t> max_bytes = {};  // of its text, or its JSON
};

// A parameter that is a table, or a row of one that is a list of tables: a
// struct with params() of its own.
template <class T>
concept param_table = std::default_initializable<T> && requires {
  T::params();
};
template <class T>
inline constexpr bool is_param_tables = false;
template <param_table T>
inline constexpr bool is_param_tables<std::vector<T>> = true;

// A name of a [prompt.x] table, whose parameters the stage has besides its own.
struct template_ref {
  std::string name;
};

// A name of an [mcp.x] table, likewise.
struct server_ref {
  std::string name;
};

// How many tokens a value may take: 400, or { max = 400, over = "cut" }.
struct token_cap {
  // No context is larger; caps up to here add up without overflow.
  static constexpr std::int64_t largest = std::int64_t{1} << 20;

  std::int64_t max = largest;
  std::string over = {};  // "error", "cut", "drop"; empty: the default
};

// A number of bytes: 65536, or "64KiB".
struct byte_size {
  std::uint64_t bytes = 0;

  friend auto operator<=>(const byte_size&, const byte_size&) = default;
};

// The types a config member may have. A time is written "500ms" or "2m". An
// optional model is needed by some configs only: left out, it is the only one,
// and empty if there are several. An enum's values are 0, 1, ... in the order
// of names(). A secret is "${secret.NAME}"; those of a table may be plain texts
// as well.
template <class T>
concept param_type = std::same_as<T, bool> || std::same_as<T, std::int64_t> ||
    std::same_as<T, double> || std::same_as<T, std::string> ||
    std::same_as<T, std::filesystem::path> || std::is_enum_v<T> ||
    std::same_as<T, byte_size> || std::same_as<T, std::chrono::milliseconds> ||
    std::same_as<T, model_ref> || std::same_as<T, std::optional<model_ref>> ||
    std::same_as<T, std::vector<rules_ref>> ||
    std::same_as<T, std::vector<tool_ref>> || std::same_as<T, type_ref> ||
    std::same_as<T, std::optional<type_ref>> || param_table<T> ||
    is_param_tables<T> ||
    std::same_as<T, std::map<std::string, declared_port>> ||
    std::same_as<T, template_ref> || std::same_as<T, server_ref> ||
    std::same_as<T, secret_text> ||
    std::same_as<T, std::map<std::string, secret_text>> ||
    std::same_as<T, std::vector<std::string>> ||
    std::same_as<T, std::map<std::string, std::int64_t>> ||
    std::same_as<T, std::map<std::string, std::string>> ||
    std::same_as<T, std::map<std::string, double>> ||
    std::same_as<T, std::map<std::string, token_cap>>;

// What may be a secret.
template <class T>
inline constexpr bool is_secret =
    std::same_as<T, secret_text> ||
    std::same_as<T, std::map<std::string, secret_text>>;

namespace detail {

// What the type is called in messages and lists.
template <param_type T>
[[nodiscard]] constexpr std::string_view param_type_name() {
  if constexpr (std::same_as<T, bool>) return "bool";
  if constexpr (std::same_as<T, std::int64_t>) return "int";
  if constexpr (std::same_as<T, double>) return "float";
  if constexpr (std::same_as<T, std::string> || std::is_enum_v<T>) {
    return "text";
  }
  if constexpr (std::same_as<T, std::filesystem::path>) return "path";
  if constexpr (std::same_as<T, byte_size>) return "size";
  if constexpr (std::same_as<T, std::chrono::milliseconds>) return "duration";
  if constexpr (std::same_as<T, model_ref> ||
                std::same_as<T, std::optional<model_ref>>) {
    return "model";
  }
  if constexpr (std::same_as<T, std::vector<rules_ref>>) return "list of rules";
  if constexpr (std::same_as<T, std::vector<tool_ref>>) return "list of tools";
  if constexpr (std::same_as<T, template_ref>) return "prompt template";
  if constexpr (std::same_as<T, server_ref>) return "MCP server";
  if constexpr (std::same_as<T, secret_text>) return "secret";
  if constexpr (std::same_as<T, std::map<std::string, secret_text>>) {
    return "table of secret or text";
  }
  if constexpr (std::same_as<T, type_ref> ||
                std::same_as<T, std::optional<type_ref>>) {
    return "type";
  }
  if constexpr (param_table<T>) return "table";
  if constexpr (is_param_tables<T>) return "list of tables";
  if constexpr (std::same_as<T, std::map<std::string, declared_port>>) {
    return "table of types, or of { type, max_bytes }";
  }
  if constexpr (std::same_as<T, std::vector<std::string>>) {
    return "list of text";
  }
  if constexpr (std::same_as<T, std::map<std::string, std::int64_t>>) {
    return "table of int";
  }
  if constexpr (std::same_as<T, std::map<std::string, double>>) {
    return "table of float";
  }
  if constexpr (std::same_as<T, std::map<std::string, std::string>>) {
    return "table of text";
  }
  if constexpr (std::same_as<T, std::map<std::string, token_cap>>) {
    return "table of tokens, or of { max, over }";
  }
}

}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_PARAM_TYPES_H_
