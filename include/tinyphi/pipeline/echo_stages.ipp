// SPDX-License-Identifier: MIT
// The parts of echo.ipp for stages and types.
#ifndef TINYPHI_PIPELINE_ECHO_STAGES_IPP_
#define TINYPHI_PIPELINE_ECHO_STAGES_IPP_

#include <algorithm>

#include "tinyphi/pipeline/echo_texts.ipp"
#include "tinyphi/pipeline/graph.h"
#include "tinyphi/pipeline/registry.h"
#include "tinyphi/pipeline/tool.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

class echo_stages {
 public:
  echo_stages(const pipeline_spec& spec, const graph& g,
              const registry& plugins, const echo_texts& texts)
      : spec_(spec), g_(g), plugins_(plugins), texts_(texts) {}

  config_node stage(const config_member& m) const {
    const graph_stage& s =
        *std::ranges::find(g_.stages, m.key, &graph_stage::id);
    const stage_type* plugin = plugins_.find(s.plugin.id);
    table_writer out(m.value);
    add_use(out, s, plugin);
    add_table(out, "in", bindings(m.value.find("in"), s));
    add_table(out, "with", params(m.value.find("with"), s, plugin));
    out.keep("when");
    out.keep("each");
    if (s.each) {
      out.keep("parallel", toml_value("1"));
      out.keep("on_error", node_of("fail"));
    }
    if (const config_member* repeat = m.value.find("repeat")) {
      table_writer rounds(repeat->value);
      for (const auto* key : {"until", "max", "carry"}) rounds.keep(key);
      rounds.keep("exhausted", node_of("fail"));
      out.add("repeat", rounds.take());
    }
    if (const config_member* again = m.value.find("retry")) {
      out.add("retry", retry(again->value));
    }
    if (s.timeout) out.keep("timeout", toml_value(toml_number(*s.timeout)));
    out.keep("after");
    if (const config_member* value = m.value.find("fallback")) {
      const bool is_word = value->value.get<std::string>() != nullptr;
      out.add("fallback", is_word ? value->value : texts_.fill(value->value));
    }
    out.keep("doc");
    return out.take();
  }

  // Ports that a tool leaves open stay open: they are its arguments.
  config_node tool(const config_member& m) const {
    const graph_stage& s = g_.tools.find(m.key)->second->body->stages.back();
    const stage_type* plugin = plugins_.find(s.plugin.id);
    table_writer out(m.value);
    add_use(out, s, plugin);
    out.keep("in");
    add_table(out, "with", params(m.value.find("with"), s, plugin));
    if (s.timeout) out.keep("timeout", toml_value(toml_number(*s.timeout)));
    out.keep("describe");
    out.keep("approve");
    out.keep("doc");
    return out.take();
  }

 private:
  static void add_use(table_writer& out, const graph_stage& s,
                      const stage_type* plugin) {
    if (plugin == nullptr) return out.keep("use");  // a file
    out.add("use", node_of(std::string(s.plugin.id) + "@" +
                           std::to_string(plugin->info.major)));
  }

  static void add_table(table_writer& out, std::string_view key,
                        config_table members) {
    if (!members.empty()) out.add(key, node_of(std::move(members)));
  }

  static config_table bindings(const config_member* given,
                               const graph_stage& s) {
    config_table all;
    if (given != nullptr) all = *given->value.get<config_table>();
    for (const graph_port& p : s.in) {
      if (!p.implicit) continue;
      // What the port can do without may be absent.
      all.push_back({p.info.name,
                     {},
                     node_of(p.binding.from.front().name +
                             (p.info.required ? "" : "?"))});
    }
    return all;
  }

  // A parameter that a port could have in its place stays away.
  config_table params(const config_member* given, const graph_stage& s,
                      const stage_type* plugin) const {
    config_table all;
    if (given != nullptr) {
      all = std::get<config_table>(texts_.fill(given->value).data);
    }
    if (plugin == nullptr) return all;
    for (const param_info& p : plugin->params) {
      const auto is_it = [&](const auto& m) { return m.key == p.name; };
      const auto is_port = [&](const auto& q) { return q.info.name == p.name; };
      if (std::ranges::any_of(all, is_it) ||
          std::ranges::any_of(s.in, is_port)) {
        continue;
      }
      if (p.type == "model" && spec_.models.size() == 1) {
        all.push_back({p.name, {}, node_of(spec_.models.begin()->first)});
      } else if (!p.default_value.empty() && p.default_value != "\"\"") {
        all.push_back({p.name, {}, toml_value(p.default_value)});
      }
    }
    return all;
  }

  static config_node retry(const config_node& given) {
    if (given.get<std::int64_t>() != nullptr) {
      return retry(node_of(config_table{{"max", {}, given}}));
    }
    table_writer out(given);
    out.keep("max");
    config_array codes;
    for (const error_code code : retry_spec().on) {
      codes.push_back(
          node_of(error_code_names[static_cast<std::size_t>(code)]));
    }
    out.keep("on", node_of(std::move(codes)));
    out.keep("wait");
    return out.take();
  }

  const pipeline_spec& spec_;
  const graph& g_;
  const registry& plugins_;
  const echo_texts& texts_;
};

// A type with what its tables mean where they say nothing, which is what
// spec_reader_types.ipp adds: an object that names its properties has all of
// them and no others.
class echo_types {
 public:
  static config_node schema(config_node n) {
    auto* table = std::get_if<config_table>(&n.data);
    if (table == nullptr) return n;
    const config_member* named = n.find("properties");
    const bool is_object =
        named != nullptr && named->value.get<config_table>() != nullptr;
    table_writer out(n);
    if (is_object) out.keep("type", node_of("object"));
    for (const config_member& m : *table) {
      if (is_object && m.key == "type") continue;
      out.add(m.key, keyword(m));
    }
    if (!is_object) return out.take();
    if (n.find("additionalProperties") == nullptr) {
      out.add("additionalProperties", toml_value("false"));
    }
    if (n.find("required") == nullptr) {
      config_array names;
      for (const config_member& p : *named->value.get<config_table>()) {
        names.push_back(node_of(p.key));
      }
      out.add("required", node_of(std::move(names)));
    }
    return out.take();
  }

 private:
  static config_node keyword(const config_member& m) {
    constexpr std::string_view several[] = {"prefixItems", "anyOf", "oneOf",
                                            "allOf"};
    config_node n = m.value;
    if (m.key == "items" || m.key == "additionalProperties") return schema(n);
    if (auto* all = std::get_if<config_table>(&n.data);
        all != nullptr && m.key == "properties") {
      for (config_member& p : *all) p.value = schema(p.value);
    }
    if (auto* all = std::get_if<config_array>(&n.data);
        all != nullptr &&
        std::ranges::find(several, m.key) != std::end(several)) {
      for (config_node& one : *all) one = schema(one);
    }
    return n;
  }
};

}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_ECHO_STAGES_IPP_
