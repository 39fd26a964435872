// SPDX-License-Identifier: MIT
// The daemon's layer as one object file: Beast is compiled here only.
#undef TINYPHI_HEADER_ONLY
#define TINYPHI_HEADER_ONLY 0
#include "tinyphi/serve/answer_start.ipp"
#include "tinyphi/serve/api_error.ipp"
#include "tinyphi/serve/dialect.ipp"
#include "tinyphi/serve/fields.ipp"
#include "tinyphi/serve/listening_socket.ipp"
#include "tinyphi/serve/model_routes.ipp"
#include "tinyphi/serve/openai_chat.ipp"
#include "tinyphi/serve/ops_routes.ipp"
#include "tinyphi/serve/parse_request.ipp"
#include "tinyphi/serve/remembered_turns.ipp"
#include "tinyphi/serve/response_head.ipp"
#include "tinyphi/serve/router.ipp"
#include "tinyphi/serve/serve_answer.ipp"
#include "tinyphi/serve/served_model.ipp"
#include "tinyphi/serve/server_state.ipp"
