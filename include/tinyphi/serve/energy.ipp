// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_ENERGY_IPP_
#define TINYPHI_SERVE_ENERGY_IPP_

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "tinyphi/serve/energy.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// A machine has a few packages; a folder tree that claims more is not believed.
inline constexpr std::size_t max_packages = 64;

// The count in an open file of the system; nothing if it holds none.
inline std::optional<std::uint64_t> read_count(int file) {
  char text[32];
  const ssize_t n = ::pread(file, text, sizeof text, 0);
  if (n <= 0) return std::nullopt;
  const char* end = text + n;
  if (end[-1] == '\n') --end;
  std::uint64_t count = 0;
  const auto read = std::from_chars(text, end, count);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return count;
}

inline std::string short_file(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return {};
  char text[64];
  const ssize_t n = ::pread(file, text, sizeof text, 0);
  ::close(file);
  return n > 0 ? std::string(text, static_cast<std::size_t>(n)) : std::string();
}

}  // namespace detail

TINYPHI_FUNC result<energy_meter> energy_meter::open(const std::string& root) {
  const std::string folder = root + "/sys/class/powercap";
  energy_meter meter;
  int refused = 0;
  std::error_code failed;
  for (std::filesystem::directory_iterator at(folder, failed), end;
       !failed && at != end && meter.packages_.size() < detail::max_packages;
       at.increment(failed)) {
    const std::string name = at->path().filename().string();
    constexpr std::string_view prefix = "intel-rapl:";
    // Zones inside a package (intel-rapl:0:1) are part of it, and "psys" is
    // more than the packages: either would count joules twice.
    if (!name.starts_with(prefix) ||
        name.find(':', prefix.size()) != std::string::npos ||
        !detail::short_file(at->path() / "name").starts_with("package")) {
      continue;
    }
    const std::string path = (at->path() / "energy_uj").string();
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
      refused = errno;
      continue;
    }
    const std::string range =
        detail::short_file(at->path() / "max_energy_range_uj");
    package p{file, 0, 0};
    (void)std::from_chars(range.data(), range.data() + range.size(), p.range);
    if (const auto now = detail::read_count(file)) {
      p.last = *now;
      meter.packages_.push_back(p);
    } else {
      ::close(file);
    }
  }
  if (!meter.packages_.empty()) return meter;
  if (refused != 0) {
    return error{error_code::io,
                 folder + "/intel-rapl:*/energy_uj: " + std::strerror(refused) +
                     "; a tmpfiles rule can let the daemon's group read it"};
  }
  return error{error_code::unavailable,
               folder +
                   " has no package with a readable energy counter "
                   "(virtual machines and many processors have none)"};
}

TINYPHI_FUNC energy_meter::~energy_meter() {
  for (const package& p : packages_) ::close(p.file);
}

TINYPHI_FUNC double energy_meter::read() {
  double more = 0;
  for (package& p : packages_) {
    const auto now = detail::read_count(p.file);
    if (!now) continue;
    if (*now >= p.last) {
      more += static_cast<double>(*now - p.last) * 1e-6;
    } else if (p.range > p.last) {
      more += static_cast<double>(p.range - p.last + *now) * 1e-6;
    }  // else the range is not known: what was before the wrap is lost
    p.last = *now;
  }
  joules_ += more;
  return more;
}

TINYPHI_FUNC std::vector<double> split_energy(
    double joules, std::span<const double> charged_ms) {
  const auto charge = [](double ms) {
    return std::isfinite(ms) && ms > 0 ? ms : 0;
  };
  double all = 0;
  for (const double ms : charged_ms) all += charge(ms);
  std::vector<double> parts;
  parts.reserve(charged_ms.size());
  for (const double ms : charged_ms) {
    parts.push_back(all > 0 ? joules * (charge(ms) / all) : 0);
  }
  return parts;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_ENERGY_IPP_
