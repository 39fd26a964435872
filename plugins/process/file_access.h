// SPDX-License-Identifier: MIT
// Which files a confined program reaches: rules of Landlock.
#ifndef TINYPHI_PLUGINS_PROCESS_FILE_ACCESS_H_
#define TINYPHI_PLUGINS_PROCESS_FILE_ACCESS_H_

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "plugins/process/program_start.h"
#include "tinyphi/base/error.h"
#include "tinyphi/base/landlock.h"
#include "tinyphi/base/unique_fd.h"
#include "tinyphi/base/utf8.h"
#include "tinyphi/pipeline/diagnostic.h"

TINYPHI_NAMESPACE_BEGIN
namespace process::detail {

inline std::string message_of(int code) {
  return std::generic_category().message(code);
}
inline std::string shown(const std::filesystem::path& path) {
  return quote(to_valid_utf8(path.string()));
}

inline error unavailable(std::string why) {
  return error{error_code::unavailable,
               "no program can be confined on this machine: " + std::move(why)};
}

// What every program needs: libraries, interpreters and what they read.
inline constexpr const char* system_places[] = {
    "/usr",          "/bin",   "/sbin",      "/lib",
    "/lib32",        "/lib64", "/nix/store", "/etc/ld.so.cache",
    "/etc/localtime"};
inline constexpr const char* system_devices[] = {"/dev/null", "/dev/zero",
                                                 "/dev/full"};
inline constexpr const char* random_devices[] = {"/dev/random", "/dev/urandom"};

// Rules of Landlock in the making.
class file_rules {
 public:
  static result<file_rules> make(int abi) {
    if (abi < 1) {
      return unavailable(
          "the kernel has no Landlock, or a container hides it (it is in Linux "
          "5.13 and newer, where lsm= names it)");
    }
    const landlock::ruleset all{
        landlock::file_rights(abi),
        abi >= 4 ? landlock::bind_tcp | landlock::connect_tcp : 0,
        abi >= 6 ? landlock::scope_sockets | landlock::scope_signals : 0};
    unique_fd fd(::syscall(landlock::create_ruleset, &all, sizeof all, 0));
    if (fd.get() < 0) return unavailable("Landlock: " + message_of(errno));
    return file_rules(std::move(fd), abi);
  }

  [[nodiscard]] unique_fd release() { return std::move(fd_); }

  // What does not exist is an error, unless the system may lack it.
  result<void> allow(const std::filesystem::path& path, std::uint64_t rights,
                     bool must_exist = true) {
    const unique_fd at(::open(path.c_str(), O_PATH | O_CLOEXEC));
    struct stat s;
    if (at.get() < 0 || ::fstat(at.get(), &s) != 0) {
      if (!must_exist) return {};
      const int code = errno;
      return error{code == ENOENT ? error_code::not_found : error_code::io,
                   shown(path) + ": " + message_of(code)};
    }
    if (!S_ISDIR(s.st_mode)) rights &= landlock::of_files;
    if (S_ISCHR(s.st_mode) && (rights & landlock::write_file) != 0) {
      rights |= landlock::ioctl_device;
    }
    const landlock::beneath rule{rights & landlock::file_rights(abi_),
                                 at.get()};
    if (::syscall(landlock::add_rule, fd_.get(), landlock::path_beneath, &rule,
                  0) != 0) {
      return error{error_code::io,
                   "Landlock, " + shown(path) + ": " + message_of(errno)};
    }
    return {};
  }

 private:
  file_rules(unique_fd fd, int abi) : fd_(std::move(fd)), abi_(abi) {}
  unique_fd fd_;
  int abi_;
};

inline result<unique_fd> rules_for(const program_start& start) {
  constexpr std::uint64_t read = landlock::read_file | landlock::read_dir;
  constexpr std::uint64_t run = read | landlock::execute;
  constexpr std::uint64_t write = read | landlock::write_file |
                                  landlock::truncate | landlock::make_file |
                                  landlock::make_dir | landlock::remove_file |
                                  landlock::remove_dir | landlock::refer;
  constexpr std::uint64_t use = landlock::read_file | landlock::write_file;
  TINYPHI_TRY(auto rules, file_rules::make(start.limits.landlock_abi));
  for (const char* place : system_places) {
    TINYPHI_CHECK_OK(rules.allow(place, run, false));
  }
  for (const char* device : system_devices) {
    TINYPHI_CHECK_OK(rules.allow(device, use, false));
  }
  for (const char* device : random_devices) {
    TINYPHI_CHECK_OK(rules.allow(device, landlock::read_file, false));
  }
  if (!start.program.empty()) TINYPHI_CHECK_OK(rules.allow(start.program, run));
  TINYPHI_CHECK_OK(rules.allow(start.folder, write));
  for (const auto& place : start.limits.read) {
    TINYPHI_CHECK_OK(rules.allow(place, read));
  }
  for (const auto& place : start.limits.write) {
    TINYPHI_CHECK_OK(rules.allow(place, write));
  }
  return rules.release();
}

}  // namespace process::detail
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_PROCESS_FILE_ACCESS_H_
