// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_STAGE_IPP_
#define TINYPHI_PIPELINE_STAGE_IPP_

#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC std::string to_string(std::span<const type> types) {
  std::string names;
  for (const type& t : types) {
    if (!names.empty()) names += " or ";
    names += to_string(t);
  }
  return names;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_STAGE_IPP_
