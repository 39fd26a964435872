// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_DIAGNOSTIC_IPP_
#define TINYPHI_PIPELINE_DIAGNOSTIC_IPP_

#include <algorithm>
#include <numeric>

#include "tinyphi/base/json.h"
#include "tinyphi/base/utf8.h"
#include "tinyphi/pipeline/diagnostic.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline std::string code_text(fault code) {
  return "TP" + std::to_string(static_cast<unsigned>(code));
}

// Levenshtein, with two neighbours swapped counted as one step.
inline std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1),
      row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace detail

TINYPHI_FUNC std::string to_string(const diagnostic& d, std::string_view file) {
  std::string place(file);
  if (d.at.line != 0) {
    place +=
        ':' + std::to_string(d.at.line) + ':' + std::to_string(d.at.column);
  }
  place += ": error[" + detail::code_text(d.code) + "]: " + d.message;
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
    list.push_back({{"code", detail::code_text(d.code)},
                    {"file", file},
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

TINYPHI_FUNC std::string did_you_mean(std::string_view found,
                                      std::span<const std::string_view> known) {
  // Names are short; a long text is not a slip of the pen, and the distance
  // is quadratic.
  constexpr std::size_t longest = 128;
  if (found.size() > longest) return {};
  std::string_view best;
  std::size_t best_distance = 1 + std::max<std::size_t>(1, found.size() / 3);
  for (const std::string_view name : known) {
    if (name.size() > longest) continue;
    const std::size_t distance = detail::edit_distance(found, name);
    if (distance < best_distance) {
      best_distance = distance;
      best = name;
    }
  }
  if (best.empty()) return {};
  return "; did you mean '" + std::string(best) + "'?";
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_DIAGNOSTIC_IPP_
