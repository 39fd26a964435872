// SPDX-License-Identifier: MIT
// The kernel's interface of Landlock (linux/landlock.h): headers of a
// distribution know only what was there when it was made, the running kernel
// may know more.
#ifndef TINYPHI_BASE_LANDLOCK_H_
#define TINYPHI_BASE_LANDLOCK_H_

#include <unistd.h>

#include <cstdint>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN
namespace landlock {

inline constexpr long create_ruleset = 444, add_rule = 445, restrict_self = 446;
inline constexpr std::uint32_t ask_version = 1, path_beneath = 1;
inline constexpr std::uint64_t execute = 1 << 0, write_file = 1 << 1,
                               read_file = 1 << 2, read_dir = 1 << 3,
                               remove_dir = 1 << 4, remove_file = 1 << 5,
                               make_dir = 1 << 7, make_file = 1 << 8,
                               make_socket = 1 << 9, refer = 1 << 13,
                               truncate = 1 << 14, ioctl_device = 1 << 15;
inline constexpr std::uint64_t all_of_abi_1 = (1 << 13) - 1;
inline constexpr std::uint64_t of_files =
    execute | write_file | read_file | truncate | ioctl_device;
inline constexpr std::uint64_t bind_tcp = 1 << 0, connect_tcp = 1 << 1;
inline constexpr std::uint64_t scope_sockets = 1 << 0, scope_signals = 1 << 1;

struct ruleset {
  std::uint64_t files, network, scopes;
};
struct __attribute__((packed)) beneath {
  std::uint64_t allowed;
  std::int32_t folder;
};

// What the running kernel has; below 1, with errno, if it has none.
inline int abi() {
  return static_cast<int>(::syscall(create_ruleset, nullptr, 0, ask_version));
}

inline std::uint64_t file_rights(int abi) {
  return all_of_abi_1 | (abi >= 2 ? refer : 0) | (abi >= 3 ? truncate : 0) |
         (abi >= 5 ? ioctl_device : 0);
}

}  // namespace landlock
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_BASE_LANDLOCK_H_
