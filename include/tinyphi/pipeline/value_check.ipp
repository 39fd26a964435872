// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_VALUE_CHECK_IPP_
#define TINYPHI_PIPELINE_VALUE_CHECK_IPP_

#include <cstddef>
#include <string_view>

#include "tinyphi/base/utf8.h"
#include "tinyphi/pipeline/value_check.h"
#include "tinyphi/pipeline/value_json.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC result<std::vector<value_fault>> check_data(
    const schema& rules, const value_data& data, const check_limits& limits) {
  constexpr json_tree_limits most;
  const auto text = json_text(data, most.max_bytes);
  if (!text) {
    return error{error_code::limit, "larger as JSON than the " +
                                        std::to_string(most.max_bytes) +
                                        " bytes that can be checked"};
  }
  TINYPHI_TRY(const json_tree tree, json_tree::read(*text, most));
  return check_value(rules, tree, limits);
}

TINYPHI_FUNC std::string in_words(const value_fault& fault) {
  constexpr std::string_view names = "/$defs/";
  std::string rule = fault.rule.empty() ? "/" : fault.rule;
  if (rule.starts_with(names)) {
    rule.replace(0, names.size(), "type.");
    if (const std::size_t end = rule.find('/'); end != std::string::npos) {
      rule.insert(end, ": ");
    }
  }
  std::string out = fault.at + (fault.at.empty() ? "" : ": ") + fault.message +
                    " (" + rule + ")";
  hide_controls(out);
  return out;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_VALUE_CHECK_IPP_
