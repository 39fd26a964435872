// SPDX-License-Identifier: MIT
#ifndef TINYPHI_BASE_MEMORY_IPP_
#define TINYPHI_BASE_MEMORY_IPP_

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>

#include "tinyphi/base/cgroup.h"
#include "tinyphi/base/memory.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// The number behind `name` in a file of lines "name number", or 0.
inline std::size_t named_number(const std::string& path,
                                std::string_view name) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    std::size_t value = 0;
    if (word == name && file >> value) return value;
  }
  return 0;
}

}  // namespace detail

TINYPHI_FUNC std::size_t available_memory() {
  std::size_t least =
      detail::named_number("/proc/meminfo", "MemAvailable:") * 1024;
  for (const std::string& folder : cgroup_folders("memory")) {
    std::size_t limit = 0, used = 0;
    if (!(std::ifstream(folder + "/memory.max") >> limit)) continue;  // "max"
    if (!(std::ifstream(folder + "/memory.current") >> used)) continue;
    const std::size_t droppable =
        detail::named_number(folder + "/memory.stat", "inactive_file");
    used -= std::min(used, droppable);
    const std::size_t left = limit - std::min(limit, used);
    least = least == 0 ? left : std::min(least, left);
  }
  return least;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_BASE_MEMORY_IPP_
