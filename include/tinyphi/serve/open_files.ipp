// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_OPEN_FILES_IPP_
#define TINYPHI_SERVE_OPEN_FILES_IPP_

#include <errno.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>

#include "tinyphi/serve/open_files.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC result<std::size_t> raise_open_files() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) {
    return error{error_code::io,
                 std::string("the limit of open files cannot be read: ") +
                     std::strerror(errno)};
  }
  const rlimit more{files.rlim_max, files.rlim_max};
  // Where even that is refused, the limit stays what it is.
  if (::setrlimit(RLIMIT_NOFILE, &more) == 0) files = more;
  return static_cast<std::size_t>(files.rlim_cur);
}

TINYPHI_FUNC std::size_t connections_for(std::size_t open_files) {
  const std::size_t own = std::min<std::size_t>(64, open_files / 4);
  const std::size_t usable = open_files - open_files / 10;
  return std::max<std::size_t>(1, usable - std::min(usable, own));
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_OPEN_FILES_IPP_
