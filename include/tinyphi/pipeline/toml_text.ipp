// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_TOML_TEXT_IPP_
#define TINYPHI_PIPELINE_TOML_TEXT_IPP_

#include <algorithm>

#include "tinyphi/pipeline/param.h"
#include "tinyphi/pipeline/toml_text.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7F;
}

inline std::string toml_key(std::string_view key) {
  const auto is_bare = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  const bool bare = !key.empty() && std::ranges::all_of(key, is_bare);
  return bare ? std::string(key) : toml_string(key);
}

class toml_writer {
 public:
  std::string file(const config_table& root) {
    for (const config_member& m : root) {
      if (!is_section(m.value)) entry(toml_key(m.key), m.value, true);
    }
    for (const config_member& m : root) {
      if (is_section(m.value)) section(toml_key(m.key), m.value);
    }
    return std::move(out_);
  }

 private:
  static constexpr std::size_t line_bytes = 80;

  static bool is_table(const config_node& n) {
    return n.get<config_table>() != nullptr;
  }
  static bool are_tables(const config_array& items) {
    return !items.empty() && std::ranges::all_of(items, is_table);
  }
  // What gets headers of its own.
  static bool is_section(const config_node& n) {
    const auto* items = n.get<config_array>();
    return is_table(n) || (items != nullptr && are_tables(*items));
  }

  void header(const std::string& name, bool of_list = false) {
    if (!out_.empty()) out_ += '\n';
    out_ += (of_list ? "[[" : "[") + name + (of_list ? "]]\n" : "]\n");
  }

  void section(const std::string& name, const config_node& n) {
    if (const auto* items = n.get<config_array>()) {
      for (const config_node& item : *items) {
        header(name, true);
        entries(*item.get<config_table>());
      }
      return;
    }
    const auto& table = *n.get<config_table>();
    const bool has_names =
        !table.empty() && std::ranges::all_of(table, [](const auto& m) {
          return is_table(m.value);
        });
    if (!has_names) {
      header(name);
      return entries(table);
    }
    for (const config_member& m : table) {
      header(name + "." + toml_key(m.key));
      entries(*m.value.get<config_table>());
    }
  }

  void entries(const config_table& table) {
    for (const config_member& m : table) entry(toml_key(m.key), m.value, true);
  }

  // `open`: the keys of a table get lines of their own even if one would do.
  void entry(const std::string& key, const config_node& n, bool open) {
    const auto* table = n.get<config_table>();
    if (table != nullptr && !table->empty() && (open || !fits(key, n))) {
      for (const config_member& m : *table) {
        entry(key + "." + toml_key(m.key), m.value, false);
      }
      return;
    }
    out_ += key + " = ";
    const auto* items = n.get<config_array>();
    if (const auto* text = n.get<std::string>()) {
      out_ += reads_better_in_lines(*text) ? "'''\n" + *text + "'''"
                                           : toml_string(*text);
    } else if (items != nullptr && !items->empty() && !fits(key, n)) {
      out_ += "[\n";
      for (const config_node& item : *items) {
        out_ += "  " + in_line(item) + ",\n";
      }
      out_ += ']';
    } else {
      out_ += in_line(n);
    }
    out_ += '\n';
  }

  static bool fits(const std::string& key, const config_node& n) {
    return !has_lines(n) && key.size() + 3 + in_line(n).size() <= line_bytes;
  }

  static bool has_lines(const config_node& n) {
    if (const auto* text = n.get<std::string>()) {
      return reads_better_in_lines(*text);
    }
    if (const auto* table = n.get<config_table>()) {
      return std::ranges::any_of(
          *table, [](const auto& m) { return has_lines(m.value); });
    }
    return false;  // in a list each item has one line
  }

  // What ends with a quote, or has three, cannot stand between three.
  static bool reads_better_in_lines(std::string_view text) {
    return text.find('\n') != std::string_view::npos && !text.ends_with('\'') &&
           text.find("'''") == std::string_view::npos &&
           std::ranges::none_of(text, [](char c) {
             return is_control(c) && c != '\n' && c != '\t';
           });
  }

  static std::string in_line(const config_node& n) {
    if (const auto* yes = n.get<bool>()) return *yes ? "true" : "false";
    if (const auto* i = n.get<std::int64_t>()) return toml_number(*i);
    if (const auto* x = n.get<double>()) return toml_number(*x);
    if (const auto* text = n.get<std::string>()) return toml_string(*text);
    if (const auto* secret = n.get<secret_name>()) {
      return toml_string("${secret." + secret->name + "}");
    }
    std::string list;
    if (const auto* items = n.get<config_array>()) {
      for (const config_node& item : *items) {
        list += (list.empty() ? "" : ", ") + in_line(item);
      }
      return "[" + list + "]";
    }
    for (const config_member& m : *n.get<config_table>()) {
      list += (list.empty() ? "" : ", ") + toml_key(m.key) + " = " +
              in_line(m.value);
    }
    return list.empty() ? "{}" : "{ " + list + " }";
  }

  std::string out_;
};

}  // namespace detail

TINYPHI_FUNC std::string to_toml(const config_node& root) {
  return detail::toml_writer().file(*root.get<config_table>());
}

TINYPHI_FUNC std::string toml_string(std::string_view text) {
  const bool has_control = std::ranges::any_of(text, detail::is_control);
  if (!has_control && text.find('\'') == std::string_view::npos &&
      text.find_first_of("\"\\") != std::string_view::npos) {
    return "'" + std::string(text) + "'";
  }
  constexpr char digits[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (detail::is_control(c)) {
      out += {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
    } else {
      out += c;
    }
  }
  return out + "\"";
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_TOML_TEXT_IPP_
