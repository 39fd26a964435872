// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_FILE_SCHEMA_IPP_
#define TINYPHI_PIPELINE_FILE_SCHEMA_IPP_

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "tinyphi/base/json.h"
#include "tinyphi/pipeline/file_schema.h"
#include "tinyphi/pipeline/keys.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

class file_schema_writer {
 public:
  explicit file_schema_writer(const registry& plugins) : plugins_(plugins) {}

  [[nodiscard]] json::object document() const {
    json::object all{{"$schema", "http://json-schema.org/draft-07/schema#"},
                     {"title", "A pipeline of tinyphi"}};
    const json::object file = table(rows_at(key_table::file));
    for (const auto& member : file) all[member.key()] = member.value();
    all["definitions"] = {{"stage", call(key_table::stage)},
                          {"tool", call(key_table::tool)},
                          {"parameters", parameters()}};
    return all;
  }

 private:
  // A key of the language, or of a parameter.
  struct row {
    param_info info;
    bool fills = false;      // ${env.X} may stand in it
    std::string definition;  // that a table fits; empty: `inner`
    std::vector<row> inner;
  };

  [[nodiscard]] static std::vector<row> rows_at(key_table which) {
    std::vector<row> all;
    for (const language_key* k : rows_of(which)) {
      if (k->shape == value_shape::none) continue;
      row& r = all.emplace_back();
      r.info.name = k->name;
      r.info.help = k->doc;
      r.info.allowed = k->words;
      r.info.required = k->required;
      r.info.shape = k->shape;
      r.info.low = k->low;
      r.info.high = k->high;
      r.fills = k->fills;
      if (k->inner == key_table::stage) r.definition = "stage";
      if (k->inner == key_table::tool) r.definition = "tool";
      if (r.definition.empty()) r.inner = rows_at(k->inner);
    }
    return all;
  }
  [[nodiscard]] static std::vector<row> rows_with(
      const std::vector<param_info>& params) {
    std::vector<row> all;
    for (const param_info& p : params) {
      all.push_back({.info = p,
                     .fills = true,
                     .definition = {},
                     .inner = rows_with(p.rows)});
    }
    return all;
  }

  [[nodiscard]] static json::object refer_to(std::string_view definition) {
    return {{"$ref", "#/definitions/" + std::string(definition)}};
  }
  [[nodiscard]] static json::object text_like(std::string_view pattern) {
    return {{"type", "string"}, {"pattern", json::string_view(pattern)}};
  }
  [[nodiscard]] static json::object plain(const char* kind) {
    return {{"type", kind}};
  }
  [[nodiscard]] static json::object list_of(json::object item) {
    return {{"type", "array"}, {"items", std::move(item)}};
  }

  [[nodiscard]] static json::object table(const std::vector<row>& rows) {
    json::object properties;
    json::value others = false;
    json::array required;
    for (const row& r : rows) {
      if (r.info.name.empty()) {
        others = value(r);
        continue;
      }
      properties[r.info.name] = value(r);
      if (r.info.required) required.emplace_back(r.info.name);
    }
    return {{"type", "object"},
            {"properties", std::move(properties)},
            {"required", std::move(required)},
            {"additionalProperties", std::move(others)}};
  }

  static void put_bound(json::object& to, const char* keyword, double bound) {
    if (!std::isfinite(bound)) return;
    if (bound == std::floor(bound)) {
      to[keyword] = static_cast<std::int64_t>(bound);
    } else {
      to[keyword] = bound;
    }
  }
  [[nodiscard]] static json::object number(const char* kind, const row& r) {
    json::object n{{"type", kind}};
    put_bound(n, "minimum", r.info.low);
    put_bound(n, "maximum", r.info.high);
    return n;
  }
  [[nodiscard]] static json::object words(const row& r) {
    json::object text{{"type", "string"}};
    json::array all;
    if (has(r.info.shape, value_shape::text)) {
      for (const std::string_view word : split_words(r.info.allowed)) {
        all.emplace_back(word);
      }
    }
    if (!all.empty()) text["enum"] = std::move(all);
    return text;
  }

  [[nodiscard]] static json::object value(const row& r) {
    constexpr std::string_view reference =
        R"(^[A-Za-z0-9][A-Za-z0-9_.\-]*\??$)";
    const auto is = [&](value_shape shape) { return has(r.info.shape, shape); };
    const auto inner = [&] {
      return r.definition.empty() ? table(r.inner) : refer_to(r.definition);
    };
    json::array ways;
    if (is(value_shape::text)) ways.push_back(words(r));
    if (is(value_shape::boolean)) ways.push_back(plain("boolean"));
    if (is(value_shape::integer)) ways.push_back(number("integer", r));
    if (is(value_shape::number)) ways.push_back(number("number", r));
    if (is(value_shape::duration)) {
      ways.push_back(text_like("^[0-9]+(ms|s|m|h)$"));
    }
    if (is(value_shape::size)) {
      ways.push_back(number("integer", r));
      ways.push_back(text_like("^[0-9]+(KiB|MiB|GiB|TiB)$"));
    }
    if (is(value_shape::reference)) ways.push_back(text_like(reference));
    if (is(value_shape::texts)) ways.push_back(list_of(plain("string")));
    if (is(value_shape::references)) {
      ways.push_back(list_of(text_like(reference)));
    }
    if (is(value_shape::table)) ways.push_back(inner());
    if (is(value_shape::tables)) ways.push_back(list_of(inner()));
    if (is(value_shape::any_table)) ways.push_back(plain("object"));
    if (is(value_shape::any_tables)) {
      ways.push_back(list_of(plain("object")));
    }
    const bool is_plain_text = is(value_shape::text) && r.info.allowed.empty();
    if (r.fills && !is_plain_text && !is(value_shape::any_table) &&
        !is(value_shape::table) && !is(value_shape::tables)) {
      ways.push_back(text_like(R"(\$\{env\.[A-Z0-9_]+\})"));
    }
    json::object out;
    std::string help = r.info.help;
    if (!r.info.default_value.empty()) {
      help +=
          (help.empty() ? "default: " : "; default: ") + r.info.default_value;
    }
    // Draft-07 knows nothing beside a $ref.
    const bool is_alone = ways.size() == 1 && r.definition.empty();
    if (is_alone) out = std::move(ways.front().as_object());
    if (!help.empty()) out["description"] = help;
    if (!is_alone && !ways.empty()) out["anyOf"] = std::move(ways);
    return out;
  }

  // A stage or a tool: its own keys, and the parameters of what it uses.
  [[nodiscard]] json::object call(key_table which) const {
    json::object all = table(rows_at(which));
    json::array ids;
    for (const auto& plugin : plugins_.types()) ids.emplace_back(plugin.first);
    json::object known{{"type", "string"}, {"enum", std::move(ids)}};
    json::object& properties = all["properties"].as_object();
    json::object& use = properties["use"].as_object();
    use.erase("type");
    use["anyOf"] = json::array{std::move(known),
                               text_like(R"(^(\./.+|[a-z_.]+@[0-9]+)$)")};
    all["allOf"] = json::array{refer_to("parameters")};
    return all;
  }

  [[nodiscard]] static json::object branch(json::object use, json::object with,
                                           bool needed) {
    json::array required{"use"};
    if (needed) required.emplace_back("with");
    return {
        {"type", "object"},
        {"properties", {{"use", std::move(use)}, {"with", std::move(with)}}},
        {"required", std::move(required)},
        {"additionalProperties", true}};
  }

  [[nodiscard]] json::object parameters() const {
    json::array ways;
    for (const auto& [id, plugin] : plugins_.types()) {
      std::vector<row> params = rows_with(plugin.params);
      bool needed = false;
      for (row& r : params) {
        // What is required may stand in the [prompt.x].
        if (plugin.takes_template) r.info.required = false;
        needed = needed || r.info.required;
      }
      const std::string major = "@" + std::to_string(plugin.info.major);
      ways.push_back(branch({{"enum", json::array{id, id + major}}},
                            table(params), needed));
    }
    // Inputs of a file are constants, or bound.
    ways.push_back(branch(text_like(R"(^\./)"), {{"type", "object"}}, false));
    return {{"anyOf", std::move(ways)}};
  }

  const registry& plugins_;
};

}  // namespace detail

TINYPHI_FUNC std::string file_schema(const registry& plugins) {
  return json::serialize(detail::file_schema_writer(plugins).document());
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_FILE_SCHEMA_IPP_
