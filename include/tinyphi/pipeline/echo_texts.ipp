// SPDX-License-Identifier: MIT
// What the parts of echo.ipp share: nodes, and texts with ${env.X} filled in.
#ifndef TINYPHI_PIPELINE_ECHO_TEXTS_IPP_
#define TINYPHI_PIPELINE_ECHO_TEXTS_IPP_

#include <set>
#include <utility>

#include "tinyphi/pipeline/param.h"
#include "tinyphi/pipeline/spec.h"
#include "tinyphi/pipeline/toml_file.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline config_node node_of(std::string_view text) {
  return {std::string(text), {}, {}};
}
inline config_node node_of(config_table table) {
  return {std::move(table), {}, {}};
}
inline config_node node_of(config_array items) {
  return {std::move(items), {}, {}};
}

// The node that stands behind '=' in TOML.
inline config_node toml_value(const std::string& text) {
  std::vector<diagnostic> faults;
  const auto tree = parse_toml("x = " + text, "a value", faults);
  return tree ? tree->get<config_table>()->front().value : node_of(text);
}

// Members are given in the order in which they will stand.
class table_writer {
 public:
  explicit table_writer(const config_node& from) : from_(&from) {}

  // The member of the file, if it has one.
  void keep(std::string_view key) {
    if (const config_member* m = from_->find(key)) add(key, m->value);
  }
  // The same, or else a value that it could have.
  void keep(std::string_view key, config_node otherwise) {
    const config_member* m = from_->find(key);
    add(key, m != nullptr ? m->value : std::move(otherwise));
  }
  void add(std::string_view key, config_node value) {
    out_.push_back({std::string(key), {}, std::move(value)});
  }
  [[nodiscard]] config_node take() { return node_of(std::move(out_)); }

 private:
  const config_node* from_;
  config_table out_;
};

// Nodes of a file as the program reads them, to be written again.
class echo_texts {
 public:
  explicit echo_texts(const pipeline_spec& spec) : spec_(spec) {
    for (const auto& [name, secret] : spec.secrets) {
      if (secret.from == secret_spec::source::env) kept_.insert(secret.text);
    }
  }

  // Whether ${env.NAME} is not filled in, since a secret is read from it.
  [[nodiscard]] bool is_kept(std::string_view name) const {
    return kept_.contains(name);
  }

  // A path of a library starts at the library's folder.
  [[nodiscard]] config_node placed(const config_node& n, position at) const {
    const auto* text = n.get<std::string>();
    if (at.library == 0 || text == nullptr) return n;
    return node_of((spec_.libraries[at.library - 1].folder / *text).string());
  }
  void place_member(config_node& table, std::string_view key,
                    position at) const {
    for (config_member& m : std::get<config_table>(table.data)) {
      if (m.key == key) m.value = placed(m.value, at);
    }
  }

  [[nodiscard]] config_node fill(config_node n) const {
    if (auto* items = std::get_if<config_array>(&n.data)) {
      for (config_node& item : *items) item = fill(std::move(item));
    } else if (auto* table = std::get_if<config_table>(&n.data)) {
      for (config_member& m : *table) m.value = fill(std::move(m.value));
    } else if (const auto* text = n.get<std::string>()) {
      return fill_text(*text);
    }
    return n;
  }

  // As spec_reader::fill_in_text reads it, which has found no fault.
  [[nodiscard]] config_node fill_text(const std::string& text) const {
    std::string out;   // as it will be read
    std::string said;  // of what is read, what has not been written yet
    const auto write = [&](bool before_name) {
      for (std::size_t i = 0; i < said.size(); ++i) {
        const bool is_last = i + 1 == said.size();
        const char next = !is_last ? said[i + 1] : before_name ? '$' : ' ';
        out += said[i];
        if (said[i] == '$' && (next == '$' || next == '{')) out += '$';
      }
      said.clear();
    };
    for (std::size_t i = 0; i < text.size();) {
      const bool is_mark = text[i] == '$' && i + 1 < text.size();
      if (!is_mark || (text[i + 1] != '$' && text[i + 1] != '{')) {
        said += text[i++];
      } else if (text[i + 1] == '$') {
        said += '$', i += 2;
      } else {
        const std::size_t end = text.find('}', i);
        const std::string name = text.substr(i + 2, end - i - 2);
        const env_spec* env = filled_in(name);
        if (env == nullptr) {
          write(true);
          out += "${" + name + "}";
        } else if (end - i + 1 == text.size() &&
                   env->value.get<std::string>() == nullptr) {
          return value_node(env->value);
        } else {
          said += plain_text(env->value);
        }
        i = end + 1;
      }
    }
    write(false);
    return node_of(out);
  }

 private:
  // Null for a secret, and for a variable that is one's source.
  [[nodiscard]] const env_spec* filled_in(std::string_view name) const {
    constexpr std::string_view prefix = "env.";
    if (!name.starts_with(prefix)) return nullptr;
    name.remove_prefix(prefix.size());
    if (kept_.contains(name)) return nullptr;
    const auto it = spec_.env.find(name);
    return it == spec_.env.end() ? nullptr : &it->second;
  }

  // Of a number or a bool.
  static config_node value_node(const value_data& v) {
    return toml_value(plain_text(v));
  }
  static std::string plain_text(const value_data& v) {
    if (const auto* text = v.get<std::string>()) return *text;
    if (const auto* yes = v.get<bool>()) return *yes ? "true" : "false";
    if (const auto* n = v.get<std::int64_t>()) return std::to_string(*n);
    return toml_number(*v.get<double>());
  }

  const pipeline_spec& spec_;
  std::set<std::string, std::less<>> kept_;
};

}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_ECHO_TEXTS_IPP_
