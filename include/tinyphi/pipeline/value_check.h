// SPDX-License-Identifier: MIT
// What a schema says of a value of the language.
#ifndef TINYPHI_PIPELINE_VALUE_CHECK_H_
#define TINYPHI_PIPELINE_VALUE_CHECK_H_

#include <string>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/pipeline/value.h"
#include "tinyphi/schema/schema.h"
#include "tinyphi/schema/schema_check.h"

TINYPHI_NAMESPACE_BEGIN

// What `rules` say against `data`, as check_value. Error of code limit if the
// data is too large to be checked.
[[nodiscard]] result<std::vector<value_fault>> check_data(
    const schema& rules, const value_data& data,
    const check_limits& limits = {});

// "/lines/0/qty: message (type.line: /properties/qty/minimum)", for a schema
// whose rules stand in $defs by the names of types.
[[nodiscard]] std::string in_words(const value_fault& fault);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/value_check.ipp"
#endif

#endif  // TINYPHI_PIPELINE_VALUE_CHECK_H_
