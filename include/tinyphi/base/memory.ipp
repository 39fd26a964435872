// SPDX-License-Identifier: MIT
#ifndef TINYPHI_BASE_MEMORY_IPP_
#define TINYPHI_BASE_MEMORY_IPP_

#include <algorithm>
#include <string>
#include <string_view>

#include "tinyphi/base/cgroup.h"
#include "tinyphi/base/memory.h"
#include "tinyphi/base/plain_text.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// The number behind `name` in a file of lines "name number", or 0.
inline std::size_t named_number(const std::string& path,
                                std::string_view name) {
  std::ifstream file = open_plain_text(path);
  std::string word;
  while (file >> word) {
    std::size_t value = 0;
    if (word == name && file >> value) return value;
  }
  return 0;
}

// What a cgroup calls its limit, and what counts against it.
struct memory_names {
  std::string_view limit, used, droppable;
};
inline constexpr memory_names cgroup_memory[] = {
    {"/memory.max", "/memory.current", "inactive_file"},  // version 2
    {"/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_inactive_file"},
};

}  // namespace detail

TINYPHI_FUNC std::size_t available_memory(const std::string& root) {
  std::size_t least =
      detail::named_number(root + "/proc/meminfo", "MemAvailable:") * 1024;
  for (const std::string& folder : cgroup_folders("memory", root)) {
    for (const detail::memory_names& names : detail::cgroup_memory) {
      std::size_t limit = 0, used = 0;  // no limit: "max"
      if (!(open_plain_text(folder + std::string(names.limit)) >> limit)) {
        continue;
      }
      if (!(open_plain_text(folder + std::string(names.used)) >> used)) {
        continue;
      }
      used -= std::min(
          used, detail::named_number(folder + "/memory.stat", names.droppable));
      const std::size_t left = limit > used ? limit - used : 1;
      least = least == 0 ? left : std::min(least, left);
    }
  }
  return least;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_BASE_MEMORY_IPP_
