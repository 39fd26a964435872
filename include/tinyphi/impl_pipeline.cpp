// SPDX-License-Identifier: MIT
// Pipelines as one object file, for TINYPHI_HEADER_ONLY=0. Apart from impl.cpp,
// so that a program without pipelines needs neither Asio nor toml++.
#undef TINYPHI_HEADER_ONLY
#define TINYPHI_HEADER_ONLY 0
#include "tinyphi/pipeline/compile.ipp"
#include "tinyphi/pipeline/config_reader.ipp"
#include "tinyphi/pipeline/describe.ipp"
#include "tinyphi/pipeline/diagnostic.ipp"
#include "tinyphi/pipeline/executor.ipp"
#include "tinyphi/pipeline/expression.ipp"
#include "tinyphi/pipeline/host.ipp"
#include "tinyphi/pipeline/param.ipp"
#include "tinyphi/pipeline/pipeline.ipp"
#include "tinyphi/pipeline/spec.ipp"
#include "tinyphi/pipeline/spec_reader.ipp"
#include "tinyphi/pipeline/spec_reader_stages.ipp"
#include "tinyphi/pipeline/stage.ipp"
#include "tinyphi/pipeline/type.ipp"
#include "tinyphi/pipeline/value_json.ipp"
#include "tinyphi/pipeline/toml_file.ipp"
