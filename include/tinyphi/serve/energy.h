// SPDX-License-Identifier: MIT
// Energy of the processor packages, and whose work it was.
#ifndef TINYPHI_SERVE_ENERGY_H_
#define TINYPHI_SERVE_ENERGY_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"

TINYPHI_NAMESPACE_BEGIN

// Counters of RAPL, opened once: they can be read on after a sandbox has closed
// /sys. One thread at a time.
class energy_meter {
 public:
  // Every package below `root`/sys/class/powercap. An error (unavailable or io)
  // says why there is none; most virtual machines have none, and elsewhere the
  // files are root's alone unless somebody grants them.
  [[nodiscard]] static result<energy_meter> open(const std::string& root = {});

  energy_meter(energy_meter&& other) noexcept
      : packages_(std::move(other.packages_)), joules_(other.joules_) {
    other.packages_.clear();
  }
  energy_meter& operator=(energy_meter&& other) noexcept {
    std::swap(packages_, other.packages_);
    std::swap(joules_, other.joules_);
    return *this;
  }
  ~energy_meter();

  // Joules since the last call, or since open(). Counters wrap about once an
  // hour under load: ask every second. A package that cannot be read for a
  // while adds what it counted as soon as it can.
  double read();
  // The sum of what read() gave.
  [[nodiscard]] double joules() const { return joules_; }

 private:
  struct package {
    int file;
    std::uint64_t last, range;  // microjoules
  };
  energy_meter() = default;

  std::vector<package> packages_;
  double joules_ = 0;
};

// The parts of `joules` that go to requests which were charged that many
// milliseconds of the same time; nobody was: nobody's. Charges that are not
// positive numbers count as 0.
[[nodiscard]] std::vector<double> split_energy(
    double joules, std::span<const double> charged_ms);

// The price of that energy.
[[nodiscard]] inline double energy_cost(double joules, double per_kwh) {
  return joules / 3.6e6 * per_kwh;
}

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/energy.ipp"
#endif

#endif  // TINYPHI_SERVE_ENERGY_H_
