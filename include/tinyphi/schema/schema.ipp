// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SCHEMA_SCHEMA_IPP_
#define TINYPHI_SCHEMA_SCHEMA_IPP_

#include <algorithm>

#include "tinyphi/base/utf8.h"
#include "tinyphi/schema/schema.h"
#include "tinyphi/schema/schema_reader.ipp"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC std::string to_string(const schema_fault& fault) {
  std::string out = "TP" + std::to_string(static_cast<unsigned>(fault.code)) +
                    " schema: " + fault.pointer +
                    (fault.pointer.empty() ? "" : ": ") + fault.message;
  hide_controls(out);
  return out;
}

TINYPHI_FUNC const schema_property* schema_rule::find(
    std::string_view name) const {
  const auto at = std::lower_bound(by_name.begin(), by_name.end(), name,
                                   [&](std::uint32_t i, std::string_view n) {
                                     return properties[i].name < n;
                                   });
  if (at == by_name.end() || properties[*at].name != name) return nullptr;
  return &properties[*at];
}

TINYPHI_FUNC result<schema, schema::faults> schema::read(
    std::string_view text, const schema_options& options) {
  return schema_reader(options).read(text);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SCHEMA_SCHEMA_IPP_
