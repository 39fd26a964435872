// SPDX-License-Identifier: MIT
// The files that a daemon needs, for its sandbox.
#ifndef TINYPHI_SERVE_DAEMON_PATHS_H_
#define TINYPHI_SERVE_DAEMON_PATHS_H_

#include "tinyphi/serve/daemon_program.h"
#include "tinyphi/serve/sandbox.h"

TINYPHI_NAMESPACE_BEGIN

// To read: models, keys, credentials and pipelines; with a configuration's file
// the folders that these lie in, where their successors will lie after a
// reload. To write: the cache, what systemd gave (StateDirectory,
// CacheDirectory), the folders of pipelines, whose indexes lie beside them, and
// those of models whose packed weights are kept. And what [serve.sandbox] says.
[[nodiscard]] sandbox_paths daemon_paths(const daemon_config& c,
                                         const daemon_program& p);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/daemon_paths.ipp"
#endif

#endif  // TINYPHI_SERVE_DAEMON_PATHS_H_
