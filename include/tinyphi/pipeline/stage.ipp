// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_STAGE_IPP_
#define TINYPHI_PIPELINE_STAGE_IPP_

#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC std::string to_string(type_set types) {
  std::string names;
  for (std::size_t i = 0; i < std::variant_size_v<value_data>; ++i) {
    const auto type = static_cast<value_type>(i);
    if (!types.contains(type)) continue;
    if (!names.empty()) names += " or ";
    names += to_string(type);
  }
  return names;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_STAGE_IPP_
