// SPDX-License-Identifier: MIT
// A JSON Schema as a grammar of the texts that a model may write: whatever the
// grammar takes validates, and every value without undeclared properties has a
// text that it takes.
#ifndef TINYPHI_CONSTRAIN_SCHEMA_GRAMMAR_H_
#define TINYPHI_CONSTRAIN_SCHEMA_GRAMMAR_H_

#include <cstdint>

#include "tinyphi/base/error.h"
#include "tinyphi/constrain/grammar.h"
#include "tinyphi/constrain/json_rules.h"
#include "tinyphi/schema/schema.h"

TINYPHI_NAMESPACE_BEGIN

// The texts that a constraint by `s` lets through. A schema that is checked but
// cannot be written under a constraint gives its faults, each with its pointer.
[[nodiscard]] result<grammar, schema::faults> schema_grammar(
    const schema& s, json_gaps gaps = json_gaps::spaced);
// Any JSON object (response_format json_object).
[[nodiscard]] grammar any_object_grammar(json_gaps gaps = json_gaps::spaced);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/constrain/schema_grammar.ipp"
#endif

#endif  // TINYPHI_CONSTRAIN_SCHEMA_GRAMMAR_H_
