// SPDX-License-Identifier: MIT
// The daemon's layer as one object file: Beast is compiled here only.
#undef TINYPHI_HEADER_ONLY
#define TINYPHI_HEADER_ONLY 0
#include "tinyphi/serve/access_log.ipp"
#include "tinyphi/serve/answer_start.ipp"
#include "tinyphi/serve/api_error.ipp"
#include "tinyphi/serve/dialect.ipp"
#include "tinyphi/serve/energy.ipp"
#include "tinyphi/serve/memory_watch.ipp"
#include "tinyphi/serve/metrics.ipp"
#include "tinyphi/serve/remembered_turns.ipp"
#include "tinyphi/serve/response_head.ipp"
#include "tinyphi/serve/router.ipp"
#include "tinyphi/serve/serve_answer.ipp"
#include "tinyphi/serve/served_model.ipp"
