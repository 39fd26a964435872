// SPDX-License-Identifier: MIT
// From the types of the language to JSON Schema: what others must know to write
// a value of a type.
#ifndef TINYPHI_PIPELINE_TYPE_SCHEMA_H_
#define TINYPHI_PIPELINE_TYPE_SCHEMA_H_

#include "tinyphi/base/json.h"
#include "tinyphi/pipeline/type.h"

TINYPHI_NAMESPACE_BEGIN

// The schema of the type's structure. Rules of a [type.x] that ask for more
// than structure are not in it: whoever takes a value asks find_misfit() as
// well.
[[nodiscard]] json::object json_schema_of(const type& t);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/type_schema.ipp"
#endif

#endif  // TINYPHI_PIPELINE_TYPE_SCHEMA_H_
