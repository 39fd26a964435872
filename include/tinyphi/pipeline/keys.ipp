// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_KEYS_IPP_
#define TINYPHI_PIPELINE_KEYS_IPP_

#include "tinyphi/pipeline/key_rows.h"
#include "tinyphi/pipeline/keys.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC std::string_view title_of(key_table table) {
  // In the order of key_table.
  constexpr std::string_view titles[] = {
      "",
      "the file",
      "[pipeline]",
      "[env]",
      "[env.NAME]",
      "[secret]",
      "[secret.NAME]",
      "[allow]",
      "[allow].flow",
      "[limits]",
      "[input]",
      "[input.NAME]",
      "[output]",
      "[output.NAME]",
      "[model]",
      "[model.NAME]",
      "[rules]",
      "[rules.NAME]",
      "[prompt]",
      "[prompt.NAME]",
      "[mcp]",
      "[mcp.NAME]",
      "[type]",
      "[tool]",
      "[tool.NAME]",
      "[switch]",
      "[switch.NAME]",
      "[stage]",
      "[stage.NAME]",
      "[stage.NAME].in",
      "[stage.NAME].in.PORT",
      "[stage.NAME].repeat",
      "[stage.NAME].repeat.carry",
      "[stage.NAME].retry",
      "[trigger]",
      "[trigger.NAME]",
      "[[test]]",
      "[[test]].runs",
  };
  static_assert(std::size(titles) ==
                static_cast<std::size_t>(key_table::runs) + 1);
  return titles[static_cast<std::size_t>(table)];
}

TINYPHI_FUNC std::vector<const language_key*> rows_of(key_table table) {
  std::vector<const language_key*> rows;
  for (const language_key& k : language_keys) {
    if (k.table == table) rows.push_back(&k);
  }
  return rows;
}

TINYPHI_FUNC std::vector<std::string_view> key_names(key_table table,
                                                     bool later) {
  std::vector<std::string_view> names;
  for (const language_key* k : rows_of(table)) {
    if ((k->shape == value_shape::none) == later) names.push_back(k->name);
  }
  return names;
}

TINYPHI_FUNC std::vector<std::string_view> key_words(key_table table,
                                                     std::string_view name) {
  for (const language_key* k : rows_of(table)) {
    if (k->name == name) return split_words(k->words);
  }
  return {};
}

TINYPHI_FUNC std::vector<std::string_view> split_words(std::string_view words) {
  constexpr std::string_view between = ", ";
  std::vector<std::string_view> all;
  while (!words.empty()) {
    const std::size_t end = std::min(words.find(between), words.size());
    all.push_back(words.substr(0, end));
    words.remove_prefix(std::min(words.size(), end + between.size()));
  }
  return all;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_KEYS_IPP_
