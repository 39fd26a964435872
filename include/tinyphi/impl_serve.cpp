// SPDX-License-Identifier: MIT
// The daemon's layer as one object file: Beast is compiled here only.
#undef TINYPHI_HEADER_ONLY
#define TINYPHI_HEADER_ONLY 0
#include "tinyphi/serve/api_error.ipp"
#include "tinyphi/serve/blake2b.ipp"
#include "tinyphi/serve/daemon_config.ipp"
#include "tinyphi/serve/dialect.ipp"
#include "tinyphi/serve/key_file.ipp"
#include "tinyphi/serve/key_ring.ipp"
#include "tinyphi/serve/listen_address.ipp"
#include "tinyphi/serve/rate_limit.ipp"
