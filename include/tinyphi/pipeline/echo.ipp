// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_ECHO_IPP_
#define TINYPHI_PIPELINE_ECHO_IPP_

#include <algorithm>
#include <map>
#include <utility>

#include "tinyphi/pipeline/echo.h"
#include "tinyphi/pipeline/echo_stages.ipp"
#include "tinyphi/pipeline/toml_text.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// Makes the tree of a file that has been proved, its libraries in it, one in
// normal form.
class echo_pass {
 public:
  echo_pass(const pipeline_spec& spec, const graph& g, const registry& plugins)
      : spec_(spec), g_(g), texts_(spec), stages_(spec, g, plugins, texts_) {}

  config_node run(const config_node& root) {
    table_writer out(root);
    out.keep("tinyphi");
    out.add("pipeline", head(root));
    const auto each = [&](std::string_view key, auto write) {
      const config_member* table = root.find(key);
      config_table entries;
      if (table != nullptr) {
        for (const config_member& m : *table->value.get<config_table>()) {
          if (!is_left_out(key, m)) {
            entries.push_back({m.key, {}, (this->*write)(m)});
          }
        }
      }
      if (key == "model" && entries.empty() && !g_.used.models.empty()) {
        entries.push_back({"default", {}, node_of(config_table())});
      }
      if (!entries.empty()) out.add(key, node_of(std::move(entries)));
    };
    each("env", &echo_pass::env);
    each("secret", &echo_pass::secret);
    each("allow", &echo_pass::allowed);
    out.keep("limits");
    each("input", &echo_pass::input);
    each("output", &echo_pass::output);
    each("model", &echo_pass::model);
    each("rules", &echo_pass::rules);
    each("prompt", &echo_pass::filled);
    each("mcp", &echo_pass::filled);
    each("type", &echo_pass::type_table);
    each("tool", &echo_pass::tool);
    out.keep("switch");
    each("stage", &echo_pass::stage);
    each("trigger", &echo_pass::trigger);
    out.keep("test");
    return out.take();
  }

 private:
  // What nothing takes, which only libraries may have, and variables that were
  // filled in.
  [[nodiscard]] bool is_left_out(std::string_view table,
                                 const config_member& m) const {
    const used_names& used = g_.used;
    const auto is_unused = [&](std::string_view of, const auto& names) {
      return table == of && !names.contains(m.key);
    };
    const auto stays_in_texts = [&] {
      return texts_.is_kept(m.key) && spec_.env.find(m.key)->second.in_text;
    };
    return (is_unused("env", used.env) && !stays_in_texts()) ||
           is_unused("secret", used.secrets) ||
           is_unused("model", used.models) || is_unused("rules", used.rules) ||
           is_unused("prompt", used.prompts) ||
           is_unused("mcp", used.mcp_servers) ||
           is_unused("type", used.types) || is_unused("tool", used.tools);
  }

  config_node head(const config_node& root) {
    const config_member* given = root.find("pipeline");
    const config_node none = node_of(config_table());
    table_writer out(given != nullptr ? given->value : none);
    out.add("name", node_of(spec_.name));
    out.keep("version");
    out.keep("summary");
    return out.take();
  }

  config_node env(const config_member& m) {
    if (m.value.get<std::string>() != nullptr) {
      return node_of(config_table{{"type", {}, m.value}});
    }
    table_writer out(m.value);
    out.keep("type");
    if (const config_member* value = m.value.find("default")) {
      const bool is_path =
          spec_.env.find(m.key)->second.type.is(type_kind::path);
      out.add("default",
              is_path ? texts_.placed(value->value, m.at) : value->value);
    }
    out.keep("min");
    out.keep("max");
    return out.take();
  }

  config_node secret(const config_member& m) {
    table_writer out(m.value);
    for (const config_member& source : *m.value.get<config_table>()) {
      config_node from = texts_.fill(source.value);
      out.add(source.key,
              source.key == "file" ? texts_.placed(from, m.at) : from);
    }
    return out.take();
  }

  config_node allowed(const config_member& m) {
    return m.key == "flow" ? m.value : texts_.fill(m.value);
  }

  config_node input(const config_member& m) {
    const auto spec = std::ranges::find(spec_.inputs, m.key, &input_spec::name);
    const bool is_name = m.value.get<std::string>() != nullptr;
    const config_node table =
        is_name ? node_of(config_table{{"type", {}, m.value}}) : m.value;
    table_writer out(table);
    out.keep("type");
    out.keep("trust", node_of(to_string(spec->label)));
    if (const config_member* value = table.find("default")) {
      out.add("default", texts_.fill(value->value));
    }
    const type_kind kind = spec->type.kind();
    const bool has_items = kind == type_kind::json || kind == type_kind::list ||
                           kind == type_kind::record;
    const bool has_text = has_items || kind == type_kind::text ||
                          kind == type_kind::path || kind == type_kind::file;
    const auto size = [&](std::string_view key, bool takes, std::string n) {
      takes ? out.keep(key, toml_value(n)) : out.keep(key);
    };
    size("max_bytes", has_text, toml_number(byte_size{spec->max_bytes}));
    size("max_items", has_items, std::to_string(spec->max_items));
    out.keep("doc");
    return out.take();
  }

  config_node output(const config_member& m) {
    if (m.value.get<config_table>() == nullptr) {
      return node_of(config_table{{"from", {}, m.value}});
    }
    table_writer out(m.value);
    out.keep("from");
    out.keep("first");
    if (const config_member* value = m.value.find("default")) {
      out.add("default", texts_.fill(value->value));
    }
    out.keep("doc");
    return out.take();
  }

  config_node model(const config_member& m) {
    config_node all = texts_.fill(m.value);
    texts_.place_member(all, "path", m.at);
    return all;
  }

  // Nothing is filled in where a rule has its pattern.
  config_node rules(const config_member& m) {
    if (m.value.find("file") == nullptr) return m.value;
    config_node all = texts_.fill(m.value);
    texts_.place_member(all, "file", m.at);
    return all;
  }

  config_node filled(const config_member& m) { return texts_.fill(m.value); }
  config_node stage(const config_member& m) { return stages_.stage(m); }
  config_node tool(const config_member& m) { return stages_.tool(m); }
  config_node type_table(const config_member& m) {
    return echo_types::schema(m.value);
  }

  config_node trigger(const config_member& m) {
    const auto spec =
        std::ranges::find(spec_.triggers, m.key, &trigger_spec::name);
    table_writer out(m.value);
    for (const auto* key :
         {"every", "cron", "watch", "http", "input", "with", "token"}) {
      out.keep(key);
    }
    out.keep("trust", node_of(to_string(spec->label)));
    const bool has_times = m.value.find("every") || m.value.find("cron");
    if (has_times) out.keep("overlap", node_of("skip"));
    return out.take();
  }

  const pipeline_spec& spec_;
  const graph& g_;
  const echo_texts texts_;
  const echo_stages stages_;
};

// Libraries as they were when they were read first.
inline library_reader remembering(library_reader read) {
  using texts = std::map<std::filesystem::path, result<std::string>>;
  if (!read) read = read_library;
  return [read = std::move(read), known = std::make_shared<texts>()](
             const std::filesystem::path& folder,
             const std::filesystem::path& name) {
    const auto it = known->find(folder / name);
    if (it != known->end()) return it->second;
    return known->emplace(folder / name, read(folder, name)).first->second;
  };
}

}  // namespace detail

TINYPHI_FUNC result<pipeline_echo> echo_pipeline_text(
    std::string_view text, const std::filesystem::path& file,
    const registry& plugins, const host_options& options) {
  host_options once = options;
  once.read_library = detail::remembering(options.read_library);
  pipeline_echo out{check_pipeline_text(text, file, plugins, once), {}};
  if (out.checked.proved == nullptr) return out;
  // No fault is found that the check has not found.
  std::vector<diagnostic> told;
  const auto spec = read_spec(text, file, once.env, told, once.read_library);
  auto tree = parse_toml(text, "a pipeline file", told);
  std::vector<library_file> libraries;
  add_libraries(*tree, file, once.read_library, libraries, told);
  detail::echo_pass pass(*spec, *out.checked.proved, plugins);
  out.text = to_toml(pass.run(*tree));
  if (out.text.size() <= toml_limits::max_bytes) return out;
  return error{error_code::limit,
               file.string() +
                   ": with its libraries and ${env.X} in place it "
                   "has " +
                   std::to_string(out.text.size()) +
                   " bytes, a pipeline file has at most " +
                   std::to_string(toml_limits::max_bytes)};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_ECHO_IPP_
