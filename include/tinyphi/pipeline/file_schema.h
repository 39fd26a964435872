// SPDX-License-Identifier: MIT
// Pipeline files as JSON Schema, for editors.
#ifndef TINYPHI_PIPELINE_FILE_SCHEMA_H_
#define TINYPHI_PIPELINE_FILE_SCHEMA_H_

#include <string>

#include "tinyphi/pipeline/registry.h"

TINYPHI_NAMESPACE_BEGIN

// A document of draft-07 that every pipeline file and library fits which uses
// these plugins and has no fault: of language_keys and of the plugins'
// parameters. It does not know what names refer to.
[[nodiscard]] std::string file_schema(const registry& plugins);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/file_schema.ipp"
#endif

#endif  // TINYPHI_PIPELINE_FILE_SCHEMA_H_
