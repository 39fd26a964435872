// SPDX-License-Identifier: MIT
// Where the system keeps the limits of this process's cgroups.
#ifndef TINYPHI_BASE_CGROUP_H_
#define TINYPHI_BASE_CGROUP_H_

#include <fstream>
#include <string>
#include <vector>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// The folders of the process's cgroup (v2) and of all its ancestors: every
// one's limits bind.
inline std::vector<std::string> cgroup_folders() {
  std::ifstream self("/proc/self/cgroup");
  std::string line, path;
  while (std::getline(self, line)) {
    if (line.starts_with("0::")) path = line.substr(3);
  }
  std::vector<std::string> folders;
  while (true) {
    folders.push_back("/sys/fs/cgroup" + path);
    const std::size_t slash = path.find_last_of('/');
    if (slash == std::string::npos) return folders;
    path.resize(slash);
  }
}

}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_BASE_CGROUP_H_
