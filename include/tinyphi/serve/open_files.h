// SPDX-License-Identifier: MIT
// How many connections the system's limit of open files has room for.
#ifndef TINYPHI_SERVE_OPEN_FILES_H_
#define TINYPHI_SERVE_OPEN_FILES_H_

#include <cstddef>

#include "tinyphi/base/error.h"

TINYPHI_NAMESPACE_BEGIN

// Raises the limit of this process (RLIMIT_NOFILE) as far as it may do so by
// itself, and returns it. io if the system does not tell its limits.
[[nodiscard]] result<std::size_t> raise_open_files();

// Connections that may be open under such a limit: nine tenths of it, less what
// models, pipelines and logs have open (64, or a quarter of a small limit). At
// least one.
[[nodiscard]] std::size_t connections_for(std::size_t open_files);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/open_files.ipp"
#endif

#endif  // TINYPHI_SERVE_OPEN_FILES_H_
