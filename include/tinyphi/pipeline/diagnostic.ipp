// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_DIAGNOSTIC_IPP_
#define TINYPHI_PIPELINE_DIAGNOSTIC_IPP_

#include <algorithm>

#include "tinyphi/base/edit_distance.h"
#include "tinyphi/base/json.h"
#include "tinyphi/base/utf8.h"
#include "tinyphi/pipeline/diagnostic.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC std::string to_string(fault code) {
  return "TP" + std::to_string(static_cast<unsigned>(code));
}

TINYPHI_FUNC bool has_errors(std::span<const diagnostic> all) {
  return std::ranges::any_of(all, [](const diagnostic& d) {
    return severity_of(d.code) == severity::error;
  });
}

TINYPHI_FUNC std::string to_string(const diagnostic& d, std::string_view file) {
  std::string place(d.file.empty() ? file : d.file);
  if (d.at.line != 0) place += ':' + std::to_string(d.at.line);
  if (d.at.column != 0) place += ':' + std::to_string(d.at.column);
  place += ": " + std::string(to_string(severity_of(d.code))) + "[" +
           to_string(d.code) + "]: " + d.message;
  hide_controls(place);
  return place;
}

TINYPHI_FUNC std::string to_string(std::span<const diagnostic> all,
                                   std::string_view file) {
  std::string text;
  for (const diagnostic& d : all) {
    if (!text.empty()) text += '\n';
    text += to_string(d, file);
  }
  return text;
}

TINYPHI_FUNC std::string to_json(std::span<const diagnostic> all,
                                 std::string_view file) {
  json::array list;
  for (const diagnostic& d : all) {
    list.push_back({{"code", to_string(d.code)},
                    {"severity", to_string(severity_of(d.code))},
                    {"file", d.file.empty() ? file : d.file},
                    {"line", d.at.line},
                    {"column", d.at.column},
                    {"message", d.message}});
  }
  return json::serialize(list);
}

TINYPHI_FUNC std::string quote(std::string_view text) {
  constexpr std::size_t longest = 80;
  if (text.size() <= longest) return "'" + std::string(text) + "'";
  text = text.substr(0, complete_utf8_length(text.substr(0, longest)));
  return "'" + std::string(text) + "...'";
}

TINYPHI_FUNC std::string_view nearest_name(
    std::string_view found, std::span<const std::string_view> known) {
  // Names are short; a long text is not a slip of the pen, and the distance
  // is quadratic.
  constexpr std::size_t longest = 128;
  if (found.size() > longest) return {};
  std::string_view best;
  std::size_t best_distance = 1 + std::max<std::size_t>(1, found.size() / 3);
  for (const std::string_view name : known) {
    if (name.size() > longest) continue;
    const std::size_t distance = edit_distance(found, name);
    if (distance < best_distance) {
      best_distance = distance;
      best = name;
    }
  }
  return best;
}

TINYPHI_FUNC std::string did_you_mean(std::string_view found,
                                      std::span<const std::string_view> known) {
  const std::string_view best = nearest_name(found, known);
  if (best.empty()) return {};
  return "; did you mean '" + std::string(best) + "'?";
}

TINYPHI_FUNC std::string key_hint(std::string_view found,
                                  std::span<const std::string_view> known,
                                  std::span<const retired_key> retired) {
  const auto old = std::ranges::find(retired, found, &retired_key::key);
  if (old == retired.end()) return did_you_mean(found, known);
  return "; " + std::string(old->advice);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_DIAGNOSTIC_IPP_
