// SPDX-License-Identifier: MIT
// A tool as a file has pinned it: what the server has to list, and the ports
// that follow from it.
#ifndef TINYPHI_PLUGINS_MCP_PINNED_TOOL_H_
#define TINYPHI_PLUGINS_MCP_PINNED_TOOL_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "plugins/mcp/client_session.h"
#include "tinyphi/base/ascii.h"
#include "tinyphi/pipeline/config_reader.h"
#include "tinyphi/pipeline/schema_type.h"
#include "tinyphi/pipeline/stage.h"
#include "tinyphi/schema/schema_check.h"

TINYPHI_NAMESPACE_BEGIN
namespace mcp {

// A row of [[mcp.x.tools]].
struct pinned_tool {
  std::string name;
  std::string description;
  std::string input;   // JSON Schema, as text
  std::string output;  // likewise; empty: it says nothing of its results

  static constexpr auto params() {
    return std::tuple{
        param("name", &pinned_tool::name).required(),
        param("description", &pinned_tool::description),
        param("input", &pinned_tool::input).required().doc("JSON Schema"),
        param("output", &pinned_tool::output).doc("JSON Schema")};
  }
};

// A member of an object of arguments or results, and the port that it is.
struct tool_port {
  std::string name;
  std::string port;
  tinyphi::type type;
  bool required = false;
};

struct tool_shape {
  schema input;
  std::optional<schema> output = {};
  std::vector<tool_port> arguments = {};
  std::vector<tool_port> results = {};  // none: it answers with a text
};

namespace detail {

// "cityName", "city-name" -> "city_name"; nothing if that is no port's name.
inline std::optional<std::string> port_name(std::string_view name) {
  std::string port;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool is_upper = c >= 'A' && c <= 'Z';
    const bool follows_lower =
        i > 0 && ((name[i - 1] >= 'a' && name[i - 1] <= 'z') ||
                  ascii::is_digit(name[i - 1]));
    if (is_upper && follows_lower) port += '_';
    if (is_upper) {
      port += static_cast<char>(c - 'A' + 'a');
    } else {
      port += c == '-' || c == '.' || c == ' ' ? '_' : c;
    }
  }
  if (!tinyphi::detail::is_id(port) || port == "failed") return std::nullopt;
  return port;
}

// Of a member; one that may be null as well is of what else it may be.
inline type type_of_member(const schema& s, std::uint32_t rule) {
  const schema_rule& r = s.rules()[rule];
  if (r.any_of.size() == 2) {
    constexpr std::uint8_t null_only = type_bit(0);
    for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
      const schema_rule& one = s.rules()[r.any_of[i]];
      if (one.types == null_only) rule = r.any_of[1 - i];
    }
  }
  return schema_types(s).of(rule);
}

// The members that have a port, in the schema's order. Those that cannot have
// one are left out, unless one of them is `required`: then its name is given.
inline std::vector<tool_port> ports_of(const schema& s,
                                       std::optional<std::string>& nameless) {
  std::vector<tool_port> all;
  for (const schema_property& p : s.rules()[s.root()].properties) {
    auto port = port_name(p.name);
    if (port && std::ranges::find(all, *port, &tool_port::port) != all.end()) {
      port.reset();
    }
    if (!port || all.size() == type::max_fields) {
      if (p.required) nameless = std::string(p.name);
      continue;
    }
    all.push_back({.name = std::string(p.name),
                   .port = *std::move(port),
                   .type = p.rule == json_tree::none
                               ? type(type_kind::json)
                               : type_of_member(s, p.rule),
                   .required = p.required});
  }
  return all;
}

inline result<schema> read_schema(const std::string& text) {
  auto s = schema::read(text, foreign_schema);
  if (s) return *std::move(s);
  return error{error_code::invalid_argument, to_string(s.error().front())};
}

inline bool is_of_objects(const schema& s) {
  return s.rules()[s.root()].types == type_bit(5);
}

// The first place where two values differ, in words; nothing if they do not.
inline std::optional<std::string> find_difference(const json::value& was,
                                                  const json::value& is,
                                                  const std::string& at) {
  const auto below = [&](std::string_view name) {
    return at + "/" + pointer_token(name);
  };
  const auto place = [](const std::string& pointer) {
    return pointer.empty() ? std::string("it") : shown(pointer);
  };
  if (was.is_object() && is.is_object()) {
    for (const auto& m : was.get_object()) {
      const json::value* now = is.get_object().if_contains(m.key());
      if (now == nullptr) return place(below(m.key())) + " is gone";
      if (auto d = find_difference(m.value(), *now, below(m.key()))) return d;
    }
    for (const auto& m : is.get_object()) {
      if (!was.get_object().contains(m.key())) {
        return place(below(m.key())) + " is new";
      }
    }
    return std::nullopt;
  }
  if (was.is_array() && is.is_array() &&
      was.get_array().size() == is.get_array().size()) {
    for (std::size_t i = 0; i < was.get_array().size(); ++i) {
      auto d = find_difference(was.get_array()[i], is.get_array()[i],
                               below(std::to_string(i)));
      if (d) return d;
    }
    return std::nullopt;
  }
  if (was == is) return std::nullopt;
  return place(at) + " was " + shown(json::serialize(was), 100) + " and is " +
         shown(json::serialize(is), 100);
}

}  // namespace detail

// What the file says of a tool; faults are at "tools[row].key".
[[nodiscard]] inline result<tool_shape, std::vector<param_fault>> read_shape(
    const pinned_tool& tool, std::size_t row) {
  std::vector<param_fault> faults;
  const auto report = [&](std::string_view key, std::string why) {
    faults.push_back({fault::out_of_range,
                      "tools[" + std::to_string(row) + "]." + std::string(key),
                      0, std::move(why)});
  };
  const auto read = [&](std::string_view key, const std::string& text) {
    auto s = detail::read_schema(text);
    if (!s) {
      report(key, s.error().message);
    } else if (!detail::is_of_objects(*s)) {
      report(key, "the schema must be of \"type\": \"object\"");
      s = error{error_code::invalid_argument, {}};
    }
    return s;
  };
  auto input = read("input", tool.input);
  std::optional<schema> output;
  if (!tool.output.empty()) {
    if (auto s = read("output", tool.output)) output = *std::move(s);
  }
  if (!faults.empty()) return faults;
  tool_shape shape{.input = *std::move(input), .output = output};
  std::optional<std::string> nameless;
  shape.arguments = detail::ports_of(shape.input, nameless);
  if (nameless) {
    report("input", "the argument " + detail::shown(*nameless) +
                        " is required, and no port can be called so");
    return faults;
  }
  if (output) shape.results = detail::ports_of(*output, nameless);
  return shape;
}

// What is not as pinned, in words; nothing if all is.
[[nodiscard]] inline std::optional<std::string> find_change(
    const pinned_tool& pinned, const tool_listing& now) {
  const auto it = std::ranges::find(now.tools, pinned.name, &listed_tool::name);
  const std::string tool = "the tool " + detail::shown(pinned.name);
  if (it == now.tools.end()) return tool + " is not listed any more";
  const auto change_of =
      [&](const std::string& text,
          const json::value& is) -> std::optional<std::string> {
    if (text.empty()) {
      if (is.is_null()) return std::nullopt;
      return "is new";
    }
    const auto was = parse_json(text, "it", {foreign_schema.max_bytes, 64});
    if (!was) return was.error().message;  // was checked
    if (is.is_null()) return "is gone";
    return detail::find_difference(*was, is, "");
  };
  if (auto d = change_of(pinned.input, it->input)) {
    return tool + " has another input: " + *d;
  }
  if (auto d = change_of(pinned.output, it->output)) {
    return tool + " has another output: " + *d;
  }
  if (pinned.description != it->description) {
    return tool + " has another description: it was " +
           detail::shown(pinned.description, 100) + " and is " +
           detail::shown(it->description, 100);
  }
  return std::nullopt;
}

}  // namespace mcp
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_MCP_PINNED_TOOL_H_
