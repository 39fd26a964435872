// SPDX-License-Identifier: MIT
#ifndef TINYPHI_TEXT_TOKENIZER_CONFIG_IPP_
#define TINYPHI_TEXT_TOKENIZER_CONFIG_IPP_

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "tinyphi/base/json.h"
#include "tinyphi/text/tokenizer_config.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// A token's name: a string, or an object that has it as "content".
inline result<std::optional<std::string_view>> token_name(
    const json_reader& config, std::string_view key) {
  const json::value* v = config.find(key);
  if (v == nullptr || !v->is_object()) return config.string(key);
  const json_reader token(v->get_object(),
                          config.origin() + ": " + std::string(key));
  return token.string("content");
}

inline std::optional<token_id> find_name(const vocabulary& v,
                                         std::string_view name) {
  for (const added_token& t : v.added) {
    if (t.content == name) return t.id;
  }
  const auto at = std::find(v.pieces.begin(), v.pieces.end(), name);
  if (at == v.pieces.end()) return std::nullopt;
  return static_cast<token_id>(at - v.pieces.begin());
}

// The template, or of several the one named "default".
inline result<std::string_view> template_text(const json_reader& config) {
  const json::value* v = config.find("chat_template");
  if (v == nullptr || !v->is_array()) {
    TINYPHI_TRY(const auto text, config.string("chat_template"));
    return text.value_or("");
  }
  for (const json::value& entry : v->get_array()) {
    if (!entry.is_object()) continue;
    const json_reader named(entry.get_object(),
                            config.origin() + ": chat_template");
    TINYPHI_TRY(const auto name, named.string("name"));
    TINYPHI_TRY(const auto text, named.string("template"));
    if (name == "default") return text.value_or("");
  }
  return std::string_view();
}

}  // namespace detail

TINYPHI_FUNC result<void> apply_tokenizer_config(vocabulary& v,
                                                 std::string_view config,
                                                 std::string_view origin) {
  TINYPHI_TRY(const json::value root, parse_json(config, origin));
  if (!root.is_object()) {
    return error{error_code::bad_data,
                 std::string(origin) + ": not a JSON object"};
  }
  const json_reader c(root.get_object(), std::string(origin));
  for (const auto& [key, id] : {std::pair("bos_token", &v.bos),
                                {"eos_token", &v.eos},
                                {"unk_token", &v.unk}}) {
    TINYPHI_TRY(const auto name, detail::token_name(c, key));
    if (!name) continue;
    *id = detail::find_name(v, *name);
    if (!*id) {
      return c.fault(key,
                     "\"" + std::string(*name) + "\" is not in the vocabulary");
    }
  }
  TINYPHI_TRY(const auto add_bos, c.boolean("add_bos_token"));
  if (add_bos) v.add_bos = *add_bos;
  TINYPHI_TRY(v.chat_template, detail::template_text(c));
  return {};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_TEXT_TOKENIZER_CONFIG_IPP_
