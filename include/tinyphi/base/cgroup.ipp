// SPDX-License-Identifier: MIT
#ifndef TINYPHI_BASE_CGROUP_IPP_
#define TINYPHI_BASE_CGROUP_IPP_

#include <algorithm>
#include <fstream>
#include <sstream>

#include "tinyphi/base/cgroup.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// A hierarchy's folder tree: `top` of it (a path inside the hierarchy) is
// mounted at `point`.
struct cgroup_mount {
  std::string top, point;
};

// Whether `word` is one of the comma-separated words of `list`.
inline bool lists_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (list.substr(0, comma) == word) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

// Paths in mountinfo hold blanks and backslashes as \ooo, in octal.
inline std::string without_escapes(std::string_view s) {
  const auto digit = [&](std::size_t i) {
    return i < s.size() && s[i] >= '0' && s[i] <= '7';
  };
  std::string out;
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s[i] == '\\' && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      out += static_cast<char>((s[i + 1] - '0') * 64 + (s[i + 2] - '0') * 8 +
                               (s[i + 3] - '0'));
      i += 3;
    } else {
      out += s[i];
    }
  }
  return out;
}

// Where the hierarchy of `controller` is mounted; an empty controller means
// version 2's.
inline std::vector<cgroup_mount> cgroup_mounts(std::string_view controller,
                                               const std::string& root) {
  std::vector<cgroup_mount> mounts;
  std::ifstream file(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string skip, top, point, word, type, options;
    fields >> skip >> skip >> skip >> top >> point;
    while (fields >> word && word != "-") continue;  // options and tags
    fields >> type >> skip >> options;
    const bool wanted =
        controller.empty()
            ? type == "cgroup2"
            : type == "cgroup" && lists_word(options, controller);
    if (wanted)
      mounts.push_back({without_escapes(top), without_escapes(point)});
  }
  return mounts;
}

// `path` of the hierarchy as a path below the mount point. What lies outside
// (a container that sees its own part only) is taken as the mount point.
inline std::string below_mount(const std::string& path,
                               const std::string& top) {
  const std::string prefix = top == "/" ? "" : top;
  if (path.find("/..") != std::string::npos || !path.starts_with(prefix)) {
    return {};
  }
  const std::string rest = path.substr(prefix.size());
  return rest.starts_with('/') && rest != "/" ? rest : std::string();
}

}  // namespace detail

TINYPHI_FUNC std::vector<std::string> cgroup_folders(
    std::string_view controller, const std::string& root) {
  std::vector<std::string> folders;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    // "ID:CONTROLLERS:PATH"; version 2 lists no controllers.
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string_view controllers =
        std::string_view(line).substr(first + 1, second - first - 1);
    if (!controllers.empty() && !detail::lists_word(controllers, controller)) {
      continue;
    }
    const std::string path = line.substr(second + 1);
    for (const detail::cgroup_mount& mount : detail::cgroup_mounts(
             controllers.empty() ? std::string_view() : controller, root)) {
      std::string below = detail::below_mount(path, mount.top);
      while (!below.empty()) {
        folders.push_back(root + mount.point + below);
        below.resize(below.find_last_of('/'));
      }
      folders.push_back(root + mount.point);
    }
  }
  return folders;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_BASE_CGROUP_IPP_
