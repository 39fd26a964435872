// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_PARAM_IPP_
#define TINYPHI_PIPELINE_PARAM_IPP_

#include <algorithm>
#include <charconv>

#include "tinyphi/pipeline/config_reader.h"
#include "tinyphi/pipeline/named_types.h"
#include "tinyphi/pipeline/param.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

TINYPHI_FUNC std::string toml_number(double x) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, x).ptr;
  std::string text(buffer, end);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

TINYPHI_FUNC std::string toml_number(byte_size size) {
  const bool is_whole = size.bytes != 0 && size.bytes % 1024 == 0;
  return is_whole ? detail::quoted(bytes_text(size.bytes))
                  : std::to_string(size.bytes);
}

TINYPHI_FUNC std::string toml_number(std::chrono::milliseconds time) {
  const auto ms = time.count();
  return detail::quoted(ms % 1000 == 0 ? std::to_string(ms / 1000) + "s"
                                       : std::to_string(ms) + "ms");
}

TINYPHI_FUNC std::string quoted(std::string_view text) {
  constexpr std::size_t longest = 60;
  const bool cut = text.size() > longest;
  if (cut) text = text.substr(0, complete_utf8_length(text.substr(0, longest)));
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out + (cut ? "...\"" : "\"");
}

TINYPHI_FUNC std::string joined(std::span<const std::string_view> words) {
  std::string list;
  for (const std::string_view word : words) {
    list.append(list.empty() ? "" : ", ").append(word);
  }
  return list;
}

TINYPHI_FUNC bool read_scalar(const config_node& node, bool& out) {
  const auto* v = node.get<bool>();
  if (v != nullptr) out = *v;
  return v != nullptr;
}

TINYPHI_FUNC bool read_scalar(const config_node& node, std::int64_t& out) {
  const auto* v = node.get<std::int64_t>();
  if (v != nullptr) out = *v;
  return v != nullptr;
}

TINYPHI_FUNC bool read_scalar(const config_node& node, double& out) {
  if (const auto* i = node.get<std::int64_t>()) {
    out = static_cast<double>(*i);
    return true;
  }
  const auto* v = node.get<double>();
  if (v != nullptr) out = *v;
  return v != nullptr;
}

TINYPHI_FUNC bool read_scalar(const config_node& node, std::string& out) {
  const auto* v = node.get<std::string>();
  if (v != nullptr) out = *v;
  return v != nullptr;
}

}  // namespace detail

TINYPHI_FUNC void param_reader::report(fault code, position at,
                                       std::string message) {
  faults_->push_back({code, at, where_ + ": " + std::move(message)});
}

TINYPHI_FUNC void param_reader::finish(std::span<const retired_key> retired) {
  const config_table none;
  const auto* table = with_ ? with_->get<config_table>() : nullptr;
  for (const config_member& m : table ? *table : none) {
    if (std::ranges::find(known_, m.key) != known_.end()) continue;
    report(fault::unknown_key, m.at,
           "unknown parameter '" + named(m.key) + "'" +
               key_hint(m.key, known_, retired));
    // What was meant by it is not missing as well.
    std::erase(missing_, nearest_name(m.key, known_));
  }
  for (const std::string_view name : missing_) {
    report(fault::missing_key, at_, named(name) + " must be given");
  }
}

TINYPHI_FUNC const config_node* find_secret(const config_node& node) {
  if (node.get<secret_name>() != nullptr) return &node;
  const config_node* found = nullptr;
  if (const auto* list = node.get<config_array>()) {
    for (const config_node& item : *list) {
      if (found == nullptr) found = find_secret(item);
    }
  } else if (const auto* table = node.get<config_table>()) {
    for (const config_member& m : *table) {
      if (found == nullptr) found = find_secret(m.value);
    }
  }
  return found;
}

TINYPHI_FUNC position param_place(const config_node* with,
                                  std::string_view param, std::size_t offset,
                                  position otherwise) {
  const std::string_view name = param.substr(0, param.find_first_of(".["));
  const config_member* m = with ? with->find(name) : nullptr;
  if (m == nullptr) return otherwise;
  const config_node* node = &m->value;
  param.remove_prefix(name.size());
  while (param.starts_with('[')) {
    const auto* items = node->get<config_array>();
    std::size_t i = 0;
    const std::size_t end = std::min(param.find(']'), param.size() - 1);
    std::from_chars(param.data() + 1, param.data() + end, i);
    if (items == nullptr || i >= items->size()) return node->at;
    node = &(*items)[i];
    param.remove_prefix(end + 1);
  }
  if (param.empty()) return node->text_position(offset);
  return param_place(node, param.substr(1), offset, node->at);
}

TINYPHI_FUNC bool param_reader::read_value(const config_node& n,
                                           std::string_view,
                                           std::filesystem::path& out) {
  const auto* text = n.get<std::string>();
  if (text == nullptr) return false;
  out = host_->base_dir() / std::filesystem::path(*text);
  return true;
}

TINYPHI_FUNC bool param_reader::read_value(const config_node& n,
                                           std::string_view name,
                                           byte_size& out) {
  if (const auto* bytes = n.get<std::int64_t>(); bytes && *bytes >= 0) {
    out.bytes = static_cast<std::uint64_t>(*bytes);
    return true;
  }
  const auto* text = n.get<std::string>();
  if (text == nullptr) return false;
  if (const auto bytes = parse_bytes(*text)) {
    out.bytes = *bytes;
  } else {
    report(fault::wrong_type, n.at,
           named(name) + " is " + quote(*text) +
               ", a size is a number of bytes, or such as \"64KiB\"");
  }
  return true;
}

TINYPHI_FUNC bool param_reader::read_value(const config_node& n,
                                           std::string_view name,
                                           std::chrono::milliseconds& out) {
  const auto* text = n.get<std::string>();
  if (text == nullptr) return false;
  if (const auto time = parse_duration(*text)) {
    out = *time;
  } else {
    report(fault::wrong_type, n.at,
           named(name) + " is " + quote(*text) +
               ", a duration is above zero and up to a day, such as \"500ms\" "
               "or \"2m\"");
  }
  return true;
}

TINYPHI_FUNC bool param_reader::read_value(const config_node& n,
                                           std::string_view name,
                                           model_ref& out) {
  const auto* text = n.get<std::string>();
  if (text == nullptr) return false;
  out.name = *text;
  models_.push_back(*text);
  if (!host_->models().contains(*text)) {
    std::vector<std::string_view> known;
    for (const auto& m : host_->models()) known.push_back(m.first);
    report(fault::unknown_value, n.at,
           named(name) + ": no [model." + *text + "]" +
               did_you_mean(*text, known));
  }
  return true;
}

template <class T, class Known>
bool param_reader::read_names(const config_node& n, std::string_view name,
                              std::string_view table, const Known& known,
                              std::vector<T>& out,
                              std::vector<std::string>& named_so_far) {
  const auto* list = n.get<config_array>();
  if (list == nullptr) return false;
  out.clear();
  const std::string what = named(name) + ": ";
  constexpr std::size_t most = 256;  // a file has no more such tables
  if (list->size() > most) {
    report(fault::out_of_range, n.at,
           what + std::to_string(list->size()) + " names, allowed are " +
               std::to_string(most));
    return true;
  }
  for (const config_node& item : *list) {
    std::string id;
    if (!detail::read_scalar(item, id)) return false;
    const std::string full = "[" + std::string(table) + "." + id + "]";
    if (std::ranges::find(out, id, &T::name) != out.end()) {
      report(fault::out_of_range, item.at, what + full + " is named twice");
    } else if (!known.contains(id)) {
      std::vector<std::string_view> names;
      for (const auto& r : known) names.push_back(r.first);
      report(fault::out_of_range, item.at,
             what + "no " + full + did_you_mean(id, names));
    }
    named_so_far.push_back(id);
    out.push_back({std::move(id)});
  }
  return true;
}

TINYPHI_FUNC bool param_reader::read_value(const config_node& n,
                                           std::string_view name,
                                           std::vector<rules_ref>& out) {
  return read_names(n, name, "rules", host_->rules(), out, rules_);
}

TINYPHI_FUNC bool param_reader::read_value(const config_node& n,
                                           std::string_view name,
                                           std::vector<tool_ref>& out) {
  return read_names(n, name, "tool", host_->tools(), out, tools_);
}

TINYPHI_FUNC bool param_reader::read_value(const config_node& n,
                                           std::string_view,
                                           template_ref& out) {
  return detail::read_scalar(n, out.name);  // the compiler knows what there is
}

TINYPHI_FUNC bool param_reader::read_value(const config_node& n,
                                           std::string_view, server_ref& out) {
  return detail::read_scalar(n, out.name);  // likewise
}

TINYPHI_FUNC bool param_reader::read_value(const config_node& n,
                                           std::string_view, secret_text& out) {
  const auto* secret = n.get<secret_name>();
  if (secret == nullptr) return false;
  out = secret_text::named(secret->name);
  secrets_.push_back(secret->name);
  return true;
}

TINYPHI_FUNC bool param_reader::read_value(
    const config_node& n, std::string_view name,
    std::map<std::string, secret_text>& out) {
  const auto* table = n.get<config_table>();
  if (table == nullptr) return false;
  out.clear();
  for (const config_member& m : *table) {
    if (const auto* text = m.value.get<std::string>()) {
      out[m.key] = secret_text::of(*text);
    } else if (!read_value(m.value, name, out[m.key])) {
      return false;
    }
  }
  return true;
}

TINYPHI_FUNC bool param_reader::read_value(const config_node& n,
                                           std::string_view name,
                                           type_ref& out) {
  const auto* text = n.get<std::string>();
  if (text == nullptr) return false;
  out.name = *text;
  types_.emplace_back(element_name(*text));
  if (auto named_type = parse_type(*text, host_->types())) {
    out.type = *std::move(named_type);
  } else {
    report(named_type.error().code, n.at,
           named(name) + ": " + named_type.error().message);
  }
  return true;
}

TINYPHI_FUNC bool param_reader::read_value(
    const config_node& n, std::string_view name,
    std::map<std::string, declared_port>& out) {
  const auto* table = n.get<config_table>();
  if (table == nullptr) return false;
  constexpr std::size_t most = 64;
  out.clear();
  if (table->size() > most) {
    report(fault::out_of_range, n.at,
           named(name) + " has " + std::to_string(table->size()) +
               " entries, allowed are " + std::to_string(most));
    return true;
  }
  for (const config_member& m : *table) {
    const std::string where = std::string(name) + "." + m.key;
    if (!read_declared(m.value, where, out[m.key])) return false;
  }
  return true;
}

TINYPHI_FUNC bool param_reader::read_declared(const config_node& n,
                                              const std::string& where,
                                              declared_port& out) {
  const auto* table = n.get<config_table>();
  if (table == nullptr) return read_value(n, where, out.type);
  constexpr std::string_view keys[] = {"type", "max_bytes"};
  bool has_type = false;
  for (const config_member& m : *table) {
    bool is_read = true;
    if (m.key == "type") {
      has_type = true;
      is_read = read_value(m.value, where + ".type", out.type);
    } else if (m.key == "max_bytes") {
      byte_size most;
      is_read = read_value(m.value, where + ".max_bytes", most);
      out.max_bytes = most.bytes;
    } else {
      report(fault::unknown_key, m.at,
             named(where) + ": unknown key " + quote(m.key) +
                 did_you_mean(m.key, keys));
    }
    if (!is_read) return false;
  }
  if (!has_type) {
    report(fault::missing_key, n.at, named(where) + ".type must be given");
  }
  return true;
}

TINYPHI_FUNC std::size_t param_reader::read_choice(
    const config_node& n, const std::string& text, std::string_view name,
    std::span<const std::string_view> words) {
  const auto found = std::ranges::find(words, text);
  if (found != words.end()) {
    return static_cast<std::size_t>(found - words.begin());
  }
  report(fault::out_of_range, n.at,
         named(name) + " is " + quote(text) + ", allowed are " +
             detail::joined(words) + did_you_mean(text, words));
  return 0;
}

TINYPHI_FUNC bool param_reader::read_value(const config_node& n,
                                           std::string_view,
                                           std::vector<std::string>& out) {
  const auto* list = n.get<config_array>();
  if (list == nullptr) return false;
  out.clear();
  for (const config_node& item : *list) {
    if (!detail::read_scalar(item, out.emplace_back())) return false;
  }
  return true;
}

TINYPHI_FUNC bool param_reader::read_value(
    const config_node& n, std::string_view name,
    std::map<std::string, token_cap>& out) {
  const auto* table = n.get<config_table>();
  if (table == nullptr) return false;
  out.clear();
  for (const config_member& m : *table) {
    read_cap(m.value, named(name) + "." + m.key, out[m.key]);
  }
  return true;
}

TINYPHI_FUNC void param_reader::read_cap(const config_node& n,
                                         const std::string& where,
                                         token_cap& out) {
  constexpr std::string_view keys[] = {"max", "over"};
  constexpr std::string_view ways[] = {"error", "cut", "drop"};
  const config_node* max = &n;
  if (const auto* row = n.get<config_table>()) {
    max = nullptr;
    for (const config_member& m : *row) {
      if (m.key == "max") {
        max = &m.value;
      } else if (m.key != "over") {
        report(fault::unknown_key, m.at,
               where + ": unknown key " + quote(m.key) +
                   did_you_mean(m.key, keys));
      } else if (!detail::read_scalar(m.value, out.over) ||
                 std::ranges::find(ways, out.over) == std::end(ways)) {
        report(fault::out_of_range, m.value.at,
               where + ".over: allowed are \"error\", \"cut\" and \"drop\"" +
                   did_you_mean(out.over, ways));
      }
    }
    if (max == nullptr) {
      return report(fault::missing_key, n.at, where + ".max must be given");
    }
  }
  if (!detail::read_scalar(*max, out.max)) {
    report(fault::wrong_type, max->at,
           where + " is " + std::string(max->kind()) +
               ", the plugin wants a number of tokens, or { max, over }");
  } else if (out.max < 1 || out.max > token_cap::largest) {
    report(fault::out_of_range, max->at,
           where + " is " + std::to_string(out.max) +
               " tokens, allowed are 1 to " +
               std::to_string(token_cap::largest));
  }
}

TINYPHI_FUNC void param_reader::use_default_model(std::string_view name,
                                                  model_ref& out) {
  if (host_->models().size() == 1) {
    out.name = host_->models().begin()->first;
    models_.push_back(out.name);
    return;
  }
  report(fault::missing_key, at_,
         named(name) + " must say which [model.x], because there are several");
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_PARAM_IPP_
