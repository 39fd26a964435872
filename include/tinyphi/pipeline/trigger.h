// SPDX-License-Identifier: MIT
// [trigger.x]: when a served pipeline runs by itself.
#ifndef TINYPHI_PIPELINE_TRIGGER_H_
#define TINYPHI_PIPELINE_TRIGGER_H_

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "tinyphi/base/error.h"
#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/pipeline/value.h"

TINYPHI_NAMESPACE_BEGIN

// Minutes of the local calendar, as crontab(5) writes them: minute, hour, day
// of the month, month, day of the week (0 and 7 are Sunday). Each field is "*"
// or a list of numbers and ranges, with "/n" for every n-th. Where both days
// are restricted, one that either names counts.
class cron_schedule {
 public:
  // bad_data says which field is wrong and what it may be.
  [[nodiscard]] static result<cron_schedule> parse(std::string_view text);

  // The first minute of the schedule after `now`; nothing if there is none in
  // the eight years that follow (a 30th of February). A minute that summer time
  // leaves out is taken as much later as the clock jumps. Any thread.
  [[nodiscard]] std::optional<std::chrono::system_clock::time_point> next(
      std::chrono::system_clock::time_point now) const;

  friend bool operator==(const cron_schedule&, const cron_schedule&) = default;

 private:
  // A bit for each number that the field names.
  std::uint64_t minutes_ = 0, hours_ = 0, days_ = 0, months_ = 0, weekdays_ = 0;
  bool any_day_ = false, any_weekday_ = false;
};

// Files of one folder whose names fit a pattern of letters, '*' (any letters)
// and '?' (any one letter).
struct watched_files {
  std::filesystem::path folder;
  std::string pattern;

  [[nodiscard]] bool takes(std::string_view name) const;
  friend bool operator==(const watched_files&, const watched_files&) = default;
};

struct http_trigger {
  std::string path;   // "/readings"
  std::string token;  // of [secret]; whoever has it needs no key; may be empty
  friend bool operator==(const http_trigger&, const http_trigger&) = default;
};

struct trigger_spec {
  std::string name;
  position at;
  // every, cron, watch, http
  std::variant<std::chrono::milliseconds, cron_schedule, watched_files,
               http_trigger>
      when;
  std::string input;  // takes the watched file
  // Constants for inputs.
  std::map<std::string, value_data, std::less<>> with;
  bool queue = false;         // overlap = "queue": runs wait for the one before
  trust label = trust::user;  // of what comes with it
};

// When a trigger of the clock fires next after `now`: `every` at multiples of
// it since 1970, so that a restart shifts nothing. Nothing for the others.
[[nodiscard]] std::optional<std::chrono::system_clock::time_point> next_firing(
    const trigger_spec& t, std::chrono::system_clock::time_point now);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/trigger.ipp"
#endif

#endif  // TINYPHI_PIPELINE_TRIGGER_H_
