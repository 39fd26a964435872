// SPDX-License-Identifier: MIT
// A parsed pipeline file as a tree that knows where everything stood. Stages
// get their parameters from it; nothing here knows TOML.
#ifndef TINYPHI_PIPELINE_CONFIG_NODE_H_
#define TINYPHI_PIPELINE_CONFIG_NODE_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tinyphi/base/content_hash.h"
#include "tinyphi/base/utf8.h"
#include "tinyphi/pipeline/diagnostic.h"

TINYPHI_NAMESPACE_BEGIN

struct config_member;
struct config_node;
using config_array = std::vector<config_node>;
using config_table =
    std::vector<config_member>;  // in the order of the file, no doubles

// "${secret.NAME}" in place of a text: the name of an entry of [secret].
struct secret_name {
  std::string name;
};

struct config_node {
  std::variant<bool, std::int64_t, double, std::string, config_array,
               config_table, secret_name>
      data;
  position at;
  // Where the first character of a string's text stands, if the text is in the
  // file exactly as it is here (no escapes, no ${...}); else {}.
  position text_at;
  // The value was reported as none that a file can have; readers are silent.
  bool is_fault = false;

  // Null if the node is of another kind.
  template <class T>
  [[nodiscard]] const T* get() const {
    return std::get_if<T>(&data);
  }
  // Null if this is no table or has no such key.
  [[nodiscard]] const config_member* find(std::string_view key) const;
  // "a string", "an integer", ...
  [[nodiscard]] std::string_view kind() const;
  // The place of byte `offset` of the text; `at` where that is not known.
  [[nodiscard]] position text_position(std::size_t offset) const;
};

struct config_member {
  std::string key;
  position at;  // of the key
  config_node value;
  // The known key that `key`, which is none and was reported, was probably
  // meant to be: the reader goes on as if it stood there.
  mutable std::string meant = {};
};

inline const config_member* config_node::find(std::string_view key) const {
  if (const auto* table = get<config_table>()) {
    for (const config_member& m : *table) {
      if (m.key == key) return &m;
    }
    for (const config_member& m : *table) {
      if (m.meant == key) return &m;
    }
  }
  return nullptr;
}

inline std::string_view config_node::kind() const {
  constexpr std::string_view names[] = {
      "true or false", "an integer", "a number", "a string",
      "a list",        "a table",    "a secret"};
  return names[data.index()];
}

inline position config_node::text_position(std::size_t offset) const {
  const auto* text = get<std::string>();
  if (text == nullptr || text_at == position{}) return at;
  position p = text_at;
  for (std::size_t i = 0; i < offset && i < text->size();) {
    if ((*text)[i] == '\n') {
      ++p.line, p.column = 0;
    }
    ++p.column;
    i += decode_utf8(std::string_view(*text).substr(i)).length;
  }
  return p;
}

// Appends the node to `out`, so that two nodes are spelled alike if and only if
// they say the same, wherever they stand.
inline void spell(const config_node& node, std::string& out) {
  out += static_cast<char>('0' + node.data.index());
  const auto text = [&](std::string_view t) {
    out += std::to_string(t.size()) + ':';
    out += t;
  };
  if (const auto* yes = node.get<bool>()) out += *yes ? '1' : '0';
  if (const auto* n = node.get<std::int64_t>()) text(std::to_string(*n));
  if (const auto* x = node.get<double>()) {
    text(std::to_string(std::bit_cast<std::uint64_t>(*x)));
  }
  if (const auto* t = node.get<std::string>()) text(*t);
  if (const auto* secret = node.get<secret_name>()) text(secret->name);
  if (const auto* items = node.get<config_array>()) {
    out += std::to_string(items->size()) + ':';
    for (const config_node& item : *items) spell(item, out);
  }
  if (const auto* members = node.get<config_table>()) {
    out += std::to_string(members->size()) + ':';
    for (const config_member& m : *members) {
      text(m.key);
      spell(m.value, out);
    }
  }
}

// 16 hexadecimal digits that tell such spellings, or several hashes, apart; see
// content_hash.h.
[[nodiscard]] inline std::string joined_hash(
    std::initializer_list<std::string_view> parts) {
  std::string whole;
  for (const std::string_view part : parts) {
    whole += std::to_string(part.size()) + ':';
    whole += part;
  }
  const std::uint64_t hash = content_hash_of(std::as_bytes(std::span(whole)));
  std::string digits(16, '0');
  for (std::size_t i = 0; i < digits.size(); ++i) {
    digits[i] = "0123456789abcdef"[hash >> (60 - 4 * i) & 15];
  }
  return digits;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_CONFIG_NODE_H_
