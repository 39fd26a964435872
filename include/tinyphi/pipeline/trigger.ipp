// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_TRIGGER_IPP_
#define TINYPHI_PIPELINE_TRIGGER_IPP_

#include <algorithm>
#include <charconv>
#include <ctime>

#include "tinyphi/pipeline/trigger.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

struct cron_field {
  std::string_view name;
  unsigned low, high;
};
inline constexpr cron_field cron_fields[] = {{"minute", 0, 59},
                                             {"hour", 0, 23},
                                             {"day of the month", 1, 31},
                                             {"month", 1, 12},
                                             {"day of the week", 0, 7}};

// A number at the beginning of `text`, which it then leaves.
inline std::optional<unsigned> take_number(std::string_view& text) {
  unsigned n = 0;
  const auto [rest, ec] =
      std::from_chars(text.data(), text.data() + text.size(), n);
  if (ec != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
  return n;
}

// The bits of "*", "5", "1-5", "*/15" or "10-50/20".
inline std::optional<std::uint64_t> cron_bits(std::string_view part,
                                              const cron_field& field) {
  unsigned low = field.low, high = field.high, step = 1;
  if (part.starts_with('*')) {
    part.remove_prefix(1);
  } else {
    const auto first = take_number(part);
    if (!first) return std::nullopt;
    low = high = *first;
    if (part.starts_with('-')) {
      part.remove_prefix(1);
      const auto last = take_number(part);
      if (!last) return std::nullopt;
      high = *last;
    } else if (part.starts_with('/')) {
      high = field.high;
    }
  }
  if (part.starts_with('/')) {
    part.remove_prefix(1);
    const auto every = take_number(part);
    if (!every || *every == 0) return std::nullopt;
    step = *every;
  }
  if (!part.empty() || low < field.low || high > field.high || low > high) {
    return std::nullopt;
  }
  std::uint64_t bits = 0;
  for (unsigned n = low; n <= high; n += step) bits |= std::uint64_t{1} << n;
  return bits;
}

inline std::optional<std::uint64_t> cron_list(std::string_view text,
                                              const cron_field& field) {
  std::uint64_t bits = 0;
  for (;;) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const auto part = cron_bits(text.substr(0, comma), field);
    if (!part) return std::nullopt;
    bits |= *part;
    if (comma == text.size()) return bits;
    text.remove_prefix(comma + 1);
  }
}

inline bool has_bit(std::uint64_t bits, int n) {
  return (bits >> static_cast<unsigned>(n) & 1) != 0;
}

}  // namespace detail

TINYPHI_FUNC result<cron_schedule> cron_schedule::parse(std::string_view text) {
  cron_schedule s;
  std::uint64_t* const bits[] = {&s.minutes_, &s.hours_, &s.days_, &s.months_,
                                 &s.weekdays_};
  const auto skip_spaces = [&] {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  };
  for (std::size_t i = 0; i < std::size(bits); ++i) {
    const detail::cron_field& field = detail::cron_fields[i];
    skip_spaces();
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size());
    const auto found = detail::cron_list(word, field);
    if (!found) {
      return error{error_code::bad_data,
                   "the " + std::string(field.name) + " is " + quote(word) +
                       "; it is '*' or a list of numbers and ranges of " +
                       std::to_string(field.low) + " to " +
                       std::to_string(field.high) +
                       ", such as '1-5,7' or "
                       "'*/2'"};
    }
    *bits[i] = *found;
    if (i == 2) s.any_day_ = word == "*";
    if (i == 4) s.any_weekday_ = word == "*";
  }
  skip_spaces();
  if (!text.empty()) {
    return error{error_code::bad_data,
                 "there is more behind the five fields: " + quote(text)};
  }
  constexpr int sunday = 7;
  if (detail::has_bit(s.weekdays_, sunday)) s.weekdays_ |= 1;
  return s;
}

TINYPHI_FUNC std::optional<std::chrono::system_clock::time_point>
cron_schedule::next(std::chrono::system_clock::time_point now) const {
  using clock = std::chrono::system_clock;
  constexpr int most_days = 8 * 366 + 1;
  const std::time_t from = clock::to_time_t(now);
  std::tm today{};
  localtime_r(&from, &today);
  for (int day = 0; day < most_days; ++day) {
    std::tm noon{};
    noon.tm_year = today.tm_year;
    noon.tm_mon = today.tm_mon;
    noon.tm_mday = today.tm_mday + day;
    noon.tm_hour = 12;
    noon.tm_isdst = -1;
    if (std::mktime(&noon) == -1) return std::nullopt;
    if (!detail::has_bit(months_, noon.tm_mon + 1)) continue;
    const bool day_fits = detail::has_bit(days_, noon.tm_mday);
    const bool weekday_fits = detail::has_bit(weekdays_, noon.tm_wday);
    const bool fits = any_day_       ? weekday_fits
                      : any_weekday_ ? day_fits
                                     : day_fits || weekday_fits;
    if (!fits) continue;
    for (int hour = 0; hour < 24; ++hour) {
      if (!detail::has_bit(hours_, hour)) continue;
      for (int minute = 0; minute < 60; ++minute) {
        if (!detail::has_bit(minutes_, minute)) continue;
        std::tm at = noon;
        at.tm_hour = hour;
        at.tm_min = minute;
        at.tm_isdst = -1;
        const auto found = clock::from_time_t(std::mktime(&at));
        if (found > now) return found;
      }
    }
  }
  return std::nullopt;
}

TINYPHI_FUNC bool watched_files::takes(std::string_view name) const {
  // The place behind the last '*', and where what it took ends so far.
  std::size_t star = std::string::npos, taken = 0, p = 0, n = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      taken = n;
    } else if (p < pattern.size() &&
               (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
    } else if (star != std::string::npos) {
      p = star;
      n = ++taken;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string::npos;
}

TINYPHI_FUNC std::optional<std::chrono::system_clock::time_point> next_firing(
    const trigger_spec& t, std::chrono::system_clock::time_point now) {
  if (const auto* cron = std::get_if<cron_schedule>(&t.when)) {
    return cron->next(now);
  }
  if (const auto* every = std::get_if<std::chrono::milliseconds>(&t.when)) {
    const auto since =
        std::chrono::floor<std::chrono::milliseconds>(now.time_since_epoch());
    return std::chrono::system_clock::time_point((since / *every + 1) * *every);
  }
  return std::nullopt;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_TRIGGER_IPP_
