// SPDX-License-Identifier: MIT
// Times as the log and APIs write them.
#ifndef TINYPHI_SERVE_UTC_TIME_H_
#define TINYPHI_SERVE_UTC_TIME_H_

#include <time.h>

#include <array>
#include <cstdint>
#include <string>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

// "2026-11-26T11:15:24", to go on with a fraction and "Z". What no calendar has
// is 1970's first second.
[[nodiscard]] inline std::string utc_seconds(std::int64_t since_1970) {
  const auto t = static_cast<time_t>(since_1970);
  tm parts{};
  if (::gmtime_r(&t, &parts) == nullptr) return utc_seconds(0);
  std::array<char, 40> text{};
  const std::size_t n =
      ::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  return {text.data(), n};
}
// "2026-11-26T11:15:24Z"
[[nodiscard]] inline std::string utc_time(std::int64_t since_1970) {
  return utc_seconds(since_1970) + "Z";
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_UTC_TIME_H_
