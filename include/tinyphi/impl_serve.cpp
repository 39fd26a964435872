// SPDX-License-Identifier: MIT
// The daemon's layer as one object file: Beast is compiled here only.
#undef TINYPHI_HEADER_ONLY
#define TINYPHI_HEADER_ONLY 0
#include "tinyphi/serve/api_error.ipp"
#include "tinyphi/serve/dialect.ipp"
