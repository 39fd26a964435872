// SPDX-License-Identifier: MIT
// Where the system keeps the limits of this process's cgroups.
#ifndef TINYPHI_BASE_CGROUP_H_
#define TINYPHI_BASE_CGROUP_H_

#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

// The folders of the process's cgroup for `controller` ("cpu", "memory") and
// of all its visible ancestors, in version 2 and 1: every one's limits bind.
// Files that are missing or make no sense give no folders. `root` is put
// before every path, for tests on recorded trees (man 7 cgroups, man 5 proc).
[[nodiscard]] std::vector<std::string> cgroup_folders(
    std::string_view controller, const std::string& root = {});

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/base/cgroup.ipp"
#endif

#endif  // TINYPHI_BASE_CGROUP_H_
