// SPDX-License-Identifier: MIT
// Pipelines over HTTP: /v1/pipelines, and as models of a chat.
#ifndef TINYPHI_SERVE_PIPELINE_ROUTES_H_
#define TINYPHI_SERVE_PIPELINE_ROUTES_H_

#include <boost/asio/awaitable.hpp>
#include <memory>

#include "tinyphi/serve/router.h"
#include "tinyphi/serve/serve_answer.h"
#include "tinyphi/serve/served_pipeline.h"
#include "tinyphi/serve/server_state.h"

TINYPHI_NAMESPACE_BEGIN

// GET /v1/pipelines; POST /v1/pipelines/{name} with {"inputs": {...},
// "stream"}: the outputs as one object, or as events `text`, `done` and
// `error`. `s` must outlive the router's use.
void add_pipeline_routes(router& to, server_state& s);

// Answers a chat by a pipeline: the last question goes into its chat input, its
// chat output is the answer, and citations come as OpenAI's annotations. What a
// pipeline decides by itself (temperature and the like) has no effect; n above
// 1 and log-probabilities are refused.
boost::asio::awaitable<void> answer_by_pipeline(
    http_exchange& exchange, std::shared_ptr<const served_pipeline> p,
    answer_request r, const make_dialect& make,
    const answer_environment& around);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/pipeline_routes.ipp"
#endif

#endif  // TINYPHI_SERVE_PIPELINE_ROUTES_H_
