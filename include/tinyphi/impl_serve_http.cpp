// SPDX-License-Identifier: MIT
// The daemon's connections as one object file: the only one that takes in
// Beast, beside which the others compile.
#undef TINYPHI_HEADER_ONLY
#define TINYPHI_HEADER_ONLY 0
#include "tinyphi/serve/daemon.ipp"
#include "tinyphi/serve/daemon_load.ipp"
#include "tinyphi/serve/http_accept.ipp"
#include "tinyphi/serve/http_rules.ipp"
#include "tinyphi/serve/http_server.ipp"
#include "tinyphi/serve/request_reader.ipp"
