// SPDX-License-Identifier: MIT
// The stage `time.now`: nothing -> the date and the time.
#ifndef TINYPHI_PLUGINS_TIME_NOW_TIME_NOW_H_
#define TINYPHI_PLUGINS_TIME_NOW_TIME_NOW_H_

#include <time.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <tuple>

#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

struct time_now_stage {
  static constexpr stage_info info{.id = "time.now",
                                   .summary = "Tells the date and the time",
                                   .effects = effect::read};

  enum class zones : std::uint8_t { local, utc };
  struct config {
    zones zone = zones::local;
  };
  struct inputs {};
  struct outputs {
    std::string time;
    std::string weekday;
    std::int64_t seconds = 0;
  };

  static constexpr auto params() {
    return std::tuple{param("zone", &config::zone)
                          .names("local", "utc")
                          .doc("local: the machine's own time")};
  }
  static constexpr auto in_ports() { return std::tuple{}; }
  static constexpr auto out_ports() {
    return std::tuple{port("time", &outputs::time),
                      port("weekday", &outputs::weekday),
                      port("seconds", &outputs::seconds)};
  }

  time_now_stage(config c, host&) : zone_(c.zone) {}

  task<outputs> run(run_context&, inputs) const {
    const auto now =
        std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    co_return at(now, zone_);
  }

  // The outputs at that second since 1970.
  [[nodiscard]] static outputs at(time_t seconds, zones zone) {
    constexpr std::array days{"Sunday",   "Monday", "Tuesday", "Wednesday",
                              "Thursday", "Friday", "Saturday"};
    tm parts{};
    const tm* known = zone == zones::utc ? ::gmtime_r(&seconds, &parts)
                                         : ::localtime_r(&seconds, &parts);
    if (known == nullptr) {
      throw stage_error(error_code::internal, "the clock tells no time");
    }
    std::array<char, 64> text{};
    const std::size_t n =
        ::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts);
    return {{text.data(), n},
            days[static_cast<std::size_t>(parts.tm_wday)],
            static_cast<std::int64_t>(seconds)};
  }

 private:
  zones zone_;
};
static_assert(stage<time_now_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_TIME_NOW_TIME_NOW_H_
