// SPDX-License-Identifier: MIT
// A value against a schema: every fault with a pointer into both.
#ifndef TINYPHI_SCHEMA_SCHEMA_CHECK_H_
#define TINYPHI_SCHEMA_SCHEMA_CHECK_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/schema/json_tree.h"
#include "tinyphi/schema/schema.h"

TINYPHI_NAMESPACE_BEGIN

struct value_fault {
  std::string at;       // pointer to the part of the value; empty: the value
  std::string rule;     // pointer to the keyword of the schema's document
  std::string message;  // what was found, what is allowed; without pointers

  friend bool operator==(const value_fault&, const value_fault&) = default;
};

struct check_limits {
  std::size_t max_faults = 16;
  // Visits of a schema, comparisons of values, and states of patterns: about
  // 20 ns each.
  std::uint64_t max_steps = std::uint64_t{1} << 24;
};

// The faults of `value`, none if it fits `s`. Formats are checked. Where none
// of several branches fits, the message is about the one that came deepest into
// the value, or whose type is right at least. Error of code limit if the steps do not suffice, or if more than
// 1,024 schemas nest in one another on the way to a part of the value. Any
// thread.
[[nodiscard]] result<std::vector<value_fault>> check_value(
    const schema& s, const json_tree& value, const check_limits& limits = {});

// The same for a text; bad_data or limit if json_tree::read refuses it.
[[nodiscard]] result<std::vector<value_fault>> check_text(
    const schema& s, std::string_view text, const check_limits& limits = {});

// "/lines/0/qty: message (schema: /$defs/line/properties/qty/minimum)".
[[nodiscard]] std::string to_string(const value_fault& fault);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/schema/schema_check.ipp"
#endif

#endif  // TINYPHI_SCHEMA_SCHEMA_CHECK_H_
